//! Channels with the exchanges and queues that they have to do with, by name, for the families that have a series for each pair.
//!
//! What the channel did before anybody asked for pairs, or beyond their bound, is a series without the other name, so that nothing is
//! lost in the sum of a channel. What has been deleted is left out. Reads only.

use model::{ConnectionId, QueueId};
use std::collections::BTreeMap;

use super::metrics::Scrape;
use crate::host::{ChannelCounts, Flow};

/// A family of counts of channels: name, number, help.
pub type OfChannel = (&'static str, fn(&ChannelCounts) -> u64, &'static str);

type ChannelId = (ConnectionId, u16);

/// What a channel did with one exchange or queue, or with none that is known.
#[derive(Debug)]
pub struct Pair {
    /// The channel.
    pub channel: String,
    /// Where it is.
    pub vhost: String,
    /// The exchange or queue.
    pub with: Option<String>,
    /// The channel has had confirms, and nobody knows for which of its exchanges.
    pub shares_confirms: bool,
    /// What it did.
    pub counts: ChannelCounts,
}

/// What a channel published by way of an exchange to a queue.
#[derive(Debug)]
pub struct Way {
    /// The channel.
    pub channel: String,
    /// Where all three are.
    pub vhost: String,
    /// The exchange.
    pub exchange: String,
    /// The queue.
    pub queue: String,
    /// How often.
    pub messages: u64,
}

/// Names of what there is now.
struct Names {
    exchanges: BTreeMap<u64, Option<String>>,
    queues: BTreeMap<QueueId, Option<String>>,
}

impl Names {
    fn new() -> Self {
        Names {
            exchanges: BTreeMap::new(),
            queues: BTreeMap::new(),
        }
    }

    fn exchange(&mut self, scrape: &Scrape<'_>, id: u64) -> Option<String> {
        let find = || {
            scrape
                .node
                .snapshot()
                .exchange_with_counters(id)
                .map(|(_, name)| name.to_string())
        };
        self.exchanges.entry(id).or_insert_with(find).clone()
    }

    fn queue(&mut self, scrape: &Scrape<'_>, id: QueueId) -> Option<String> {
        let find = || {
            scrape
                .node
                .snapshot()
                .catalog
                .queue_by_id(id)
                .map(|record| record.name.to_string())
        };
        self.queues.entry(id).or_insert_with(find).clone()
    }
}

type Found = BTreeMap<ChannelId, Vec<(Option<String>, ChannelCounts)>>;

/// What channels did with one kind of thing: `told` gives the channel and the name where a flow is of that kind.
fn by_channel(scrape: &Scrape<'_>, mut told: impl FnMut(Flow) -> Option<(ChannelId, Option<String>)>) -> Found {
    let mut found = Found::new();
    for (flow, counts) in scrape.node.flows_of_clients() {
        if let Some((channel, with)) = told(flow) {
            found.entry(channel).or_default().push((with, counts));
        }
    }
    found
}

/// Channels with the exchanges that they publish to. A confirm is counted by channel alone: where that has published to one exchange, it
/// is that one's.
pub fn published(scrape: &Scrape<'_>, families: &[OfChannel]) -> Vec<Pair> {
    let mut names = Names::new();
    let found = by_channel(scrape, |flow| match flow {
        Flow::Published(exchange, channel) => Some((channel, names.exchange(scrape, exchange))),
        _ => None,
    });
    with_rest(scrape, found, families, |channel, pairs| {
        if let [(Some(_), only)] = pairs {
            only.confirmed = channel.confirmed;
        }
        pairs.len() > 1 && channel.confirmed > 0
    })
}

/// Channels with the queues that they get from.
pub fn delivered(scrape: &Scrape<'_>, families: &[OfChannel]) -> Vec<Pair> {
    let mut names = Names::new();
    let found = by_channel(scrape, |flow| match flow {
        Flow::Delivered(queue, channel) => Some((channel, names.queue(scrape, queue))),
        _ => None,
    });
    with_rest(scrape, found, families, |_, _| false)
}

fn with_rest(
    scrape: &Scrape<'_>,
    mut found: Found,
    families: &[OfChannel],
    mend: impl Fn(&ChannelCounts, &mut [(Option<String>, ChannelCounts)]) -> bool,
) -> Vec<Pair> {
    let mut all = Vec::new();
    for client in scrape.clients() {
        let Some(vhost) = client.with_profile(|own| own.vhost.to_string()) else {
            continue;
        };
        for (number, whole) in client.channel_counts() {
            let mut pairs = found.remove(&(client.id, number)).unwrap_or_default();
            let shares_confirms = mend(&whole, &mut pairs);
            let counted = pairs
                .iter()
                .fold(ChannelCounts::default(), |sum, (_, one)| sum.each(one, |a, b| a + b));
            let rest = whole.each(&counted, u64::saturating_sub);
            pairs.retain(|(with, _)| with.is_some());
            if families.iter().any(|(_, count, _)| count(&rest) > 0) {
                pairs.push((None, rest));
            }
            let channel = format!("{} ({number})", client.name());
            all.extend(pairs.into_iter().map(|(with, counts)| Pair {
                channel: channel.clone(),
                vhost: vhost.clone(),
                shares_confirms: shares_confirms && with.is_some(),
                with,
                counts,
            }));
        }
    }
    all
}

/// What channels published by way of exchanges to queues.
pub fn ways(scrape: &Scrape<'_>) -> Vec<Way> {
    let clients: BTreeMap<ConnectionId, _> = scrape.clients().iter().map(|client| (client.id, client)).collect();
    let (mut all, mut names) = (Vec::new(), Names::new());
    for (flow, counts) in scrape.node.flows_of_clients() {
        let Flow::Through((connection, number), exchange, queue) = flow else {
            continue;
        };
        let Some(client) = clients.get(&connection) else {
            continue;
        };
        let vhost = client.with_profile(|own| own.vhost.to_string());
        let named = (vhost, names.exchange(scrape, exchange), names.queue(scrape, queue));
        if let (Some(vhost), Some(exchange), Some(queue)) = named {
            all.push(Way {
                channel: format!("{} ({number})", client.name()),
                vhost,
                exchange,
                queue,
                messages: counts.published,
            });
        }
    }
    all
}
