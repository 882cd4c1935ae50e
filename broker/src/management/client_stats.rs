//! Numbers of exchanges, connections and channels in the names of the API, with how fast they change and what they were.
//!
//! Adds up what the node shows; decides nothing.

use api::{Rate, Rates};
use model::{ConnectionId, VhostName};
use std::collections::BTreeMap;

use super::{
    Api,
    stats::{Asked, details, keeps_rates},
};
use crate::{
    host::{ChannelCounts, ExchangeCounts, Flow, Traffic, VhostCounts},
    observe::{Change, ChannelId, Past, Span},
};

/// A number of one kind of thing, and its name.
type Named<T> = (&'static str, fn(&T) -> u64);

/// What happens on channels.
const CHANNEL: [Named<ChannelCounts>; 12] = [
    ("publish", |c| c.published),
    ("confirm", |c| c.confirmed),
    ("return_unroutable", |c| c.returned),
    ("drop_unroutable", |c| c.dropped),
    ("deliver", |c| c.delivered),
    ("deliver_no_ack", |c| c.delivered_no_ack),
    ("get", |c| c.got),
    ("get_no_ack", |c| c.got_no_ack),
    ("get_empty", |c| c.get_empty),
    ("deliver_get", |c| {
        c.delivered + c.delivered_no_ack + c.got + c.got_no_ack
    }),
    ("redeliver", |c| c.redelivered),
    ("ack", |c| c.acked),
];

/// What is published to exchanges.
const EXCHANGE: [Named<ExchangeCounts>; 2] = [("publish_in", |c| c.published_in), ("publish_out", |c| c.published_out)];

/// What is published in a virtual host.
const PUBLISHES: [Named<VhostCounts>; 4] = [
    ("publish", |c| c.published),
    ("confirm", |c| c.confirmed),
    ("return_unroutable", |c| c.returned),
    ("drop_unroutable", |c| c.dropped),
];

/// What goes over the connections of a virtual host.
const OCTETS: [Named<VhostCounts>; 2] = [("recv_oct", |c| c.received), ("send_oct", |c| c.sent)];

/// The numbers of a virtual host that each node has of its own clients.
pub fn of_own_clients() -> impl Iterator<Item = &'static str> {
    PUBLISHES.iter().chain(&OCTETS).map(|(name, _)| *name)
}

/// What goes over connections.
const TRAFFIC: [Named<Traffic>; 2] = [("recv_oct", |t| t.received), ("send_oct", |t| t.sent)];

/// What went over a connection, with how fast; no rates when they are not kept.
#[derive(Clone, Debug)]
pub struct Octets {
    /// Now.
    pub now: Traffic,
    /// How fast octets come.
    pub received: Option<Rate>,
    /// How fast they go.
    pub sent: Option<Rate>,
}

/// The numbers with their changes; none as long as nothing has happened.
fn rates<T: Default + PartialEq>(
    names: &[Named<T>],
    now: &T,
    change: Option<&Change<T>>,
    past: Option<&Past<T>>,
) -> Option<Rates> {
    let mut rates = Rates::default();
    set(&mut rates, names, now, change, past);
    (*now != T::default()).then_some(rates)
}

/// Sets the numbers with their changes.
fn set<T>(rates: &mut Rates, names: &[Named<T>], now: &T, change: Option<&Change<T>>, past: Option<&Past<T>>) {
    for (name, number) in names {
        match change {
            Some(change) => rates.set_with_rate(name, number(now), details(change.rate(number), past, number)),
            None => rates.set(name, number(now)),
        }
    }
}

/// What happened on a channel.
pub fn of_channel(api: &Api, id: ChannelId, now: &ChannelCounts, asked: Option<Span>) -> Option<Rates> {
    let change = keeps_rates(api).then(|| api.samples.of_channel(id));
    let past = asked.map(|span| api.samples.past_of_channel(id, span));
    rates(&CHANNEL, now, change.as_ref(), past.as_ref())
}

/// What goes between two; those numbers alone that are not zero.
pub fn of_flow(api: &Api, flow: Flow, now: &ChannelCounts) -> Rates {
    let change = keeps_rates(api).then(|| api.samples.of_flow(flow));
    let mut rates = Rates::default();
    let names: Vec<_> = CHANNEL.into_iter().filter(|(_, number)| number(now) > 0).collect();
    set(&mut rates, &names, now, change.as_ref(), None);
    rates
}

/// What was published to an exchange.
pub fn of_exchange(api: &Api, record: &catalog::ExchangeRecord, asked: Option<Span>) -> Option<Rates> {
    let (id, now) = api.node.snapshot().counts_of_exchange(record)?;
    let change = keeps_rates(api).then(|| api.samples.of_exchange(id));
    let past = asked.map(|span| api.samples.past_of_exchange(id, span));
    rates(&EXCHANGE, &now, change.as_ref(), past.as_ref())
}

/// What went over a connection.
pub fn of_connection(api: &Api, id: ConnectionId, now: Traffic, asked: Option<Span>) -> Octets {
    let change = keeps_rates(api).then(|| api.samples.of_connection(id));
    let past = asked.map(|span| api.samples.past_of_connection(id, span));
    let rate = |(_, number): Named<Traffic>| {
        let change = change.as_ref()?;
        Some(details(change.rate(number), past.as_ref(), number))
    };
    Octets {
        now,
        received: rate(TRAFFIC[0]),
        sent: rate(TRAFFIC[1]),
    }
}

/// What clients of this node did in each virtual host.
#[derive(Debug)]
pub struct ByVhost(BTreeMap<u64, VhostCounts>);

impl ByVhost {
    /// What they have done so far.
    pub fn of(api: &Api) -> Self {
        ByVhost(api.node.vhost_counts())
    }

    /// Sets what was published in one virtual host among what happened to its messages, and what goes over its connections.
    pub fn set(&self, api: &Api, vhost: &VhostName, asked: Asked, (stats, totals): (&mut Rates, &mut Rates)) {
        let id = api.node.snapshot().id_of_vhost(vhost).unwrap_or_default();
        let now = self.0.get(&id).copied().unwrap_or_default();
        let change = keeps_rates(api).then(|| api.samples.of_vhost(id));
        let past = |span: Option<Span>| span.map(|span| api.samples.past_of_vhost(id, span));
        set(stats, &PUBLISHES, &now, change.as_ref(), past(asked.rates).as_ref());
        set(totals, &OCTETS, &now, change.as_ref(), past(asked.data).as_ref());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_on_which_nothing_happened_has_no_statistics() {
        let mut counts = ChannelCounts::default();
        assert_eq!(rates(&CHANNEL, &counts, None, None), None);
        counts.got = 2;
        counts.delivered_no_ack = 3;
        let shown = rates(&CHANNEL, &counts, None, None).unwrap();
        assert_eq!((shown.total("deliver_get"), shown.total("publish")), (5, 0));
    }
}
