//! Who feeds whom: what each channel got from each queue and published to each exchange, what that brought into each queue, and what
//! each exchange did.
//!
//! Counted where `management.rates_mode = detailed` or `prometheus.return_per_object_metrics` asks for it, and from the first time on
//! that Prometheus reads it; otherwise a message costs one look here. Pairs are bounded: one that comes when there are too many is not
//! counted (I7).

use model::{ConnectionId, QueueId};
use parking_lot::Mutex;
use std::{collections::BTreeMap, sync::atomic::Ordering};

use super::{
    client::Client,
    counters::ChannelCounts,
    node::Node,
    outbox::{ChannelOut, Place},
};
use crate::config::RatesMode;

/// Most pairs of one channel, and of one exchange.
const PAIRS_MAX: usize = 10_000;

/// Between what messages go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Flow {
    /// From a queue to a channel.
    Delivered(QueueId, (ConnectionId, u16)),
    /// From a channel to an exchange, by the id of its counters.
    Published(u64, (ConnectionId, u16)),
    /// From a channel by way of an exchange to a queue.
    Through((ConnectionId, u16), u64, QueueId),
    /// From an exchange to a queue.
    Routed(u64, QueueId),
}

/// What goes over one channel.
#[derive(Debug, Default)]
pub struct ChannelFlows {
    delivered: BTreeMap<QueueId, ChannelCounts>,
    published: BTreeMap<u64, ChannelCounts>,
    through: BTreeMap<(u64, QueueId), u64>,
}

/// What one exchange brought into queues.
#[derive(Debug, Default)]
pub struct Routed(Mutex<BTreeMap<QueueId, u64>>);

/// The counts of a pair, if there is room for it.
fn entry<K: Copy + Ord, V: Default>(of: &mut BTreeMap<K, V>, key: K) -> Option<&mut V> {
    match of.len() < PAIRS_MAX || of.contains_key(&key) {
        true => Some(of.entry(key).or_default()),
        false => None,
    }
}

impl ChannelOut {
    /// Counts what a queue gave.
    pub fn count_from(&mut self, queue: QueueId, count: impl FnOnce(&mut ChannelCounts)) {
        if let Some(flows) = &mut self.flows
            && let Some(counts) = entry(&mut flows.delivered, queue)
        {
            count(counts);
        }
    }

    /// Counts what `basic.get` took.
    pub fn count_got(&mut self, queue: QueueId, no_ack: bool, redelivered: bool) {
        self.count_from(queue, |counts| {
            counts.redelivered += u64::from(redelivered);
            counts.got += u64::from(!no_ack);
            counts.got_no_ack += u64::from(no_ack);
        });
    }

    /// Counts what was acknowledged.
    pub fn count_acked<'a>(&mut self, places: impl Iterator<Item = &'a Place>) {
        if self.flows.is_none() {
            return;
        }
        for place in places {
            self.count_from(place.queue(), |counts| counts.acked += 1);
        }
    }

    /// Counts what an exchange brought into queues of what was published here.
    pub fn count_through(&mut self, exchange: u64, queues: &BTreeMap<QueueId, u64>) {
        let Some(flows) = &mut self.flows else { return };
        for (queue, messages) in queues {
            if let Some(count) = entry(&mut flows.through, (exchange, *queue)) {
                *count += messages;
            }
        }
    }

    /// Counts what was published to an exchange.
    pub fn count_to(&mut self, exchange: u64, more: &ChannelCounts) {
        if let Some(flows) = &mut self.flows
            && let Some(counts) = entry(&mut flows.published, exchange)
        {
            *counts = counts.each(more, |a, b| a + b);
        }
    }
}

impl ChannelCounts {
    /// Deliveries to a consumer.
    pub fn deliver(&mut self, messages: u64, no_ack: bool, redelivered: bool) {
        match no_ack {
            true => self.delivered_no_ack += messages,
            false => self.delivered += messages,
        }
        self.redelivered += if redelivered { messages } else { 0 };
    }
}

impl Routed {
    /// Counts messages that queues got.
    pub fn add(&self, more: &BTreeMap<QueueId, u64>) {
        if more.is_empty() {
            return;
        }
        let mut routed = self.0.lock();
        for (queue, messages) in more {
            if let Some(count) = entry(&mut routed, *queue) {
                *count += *messages;
            }
        }
    }

    /// What queues got that are there still; the others are forgotten.
    fn read(&self, is_there: impl Fn(QueueId) -> bool) -> Vec<(QueueId, u64)> {
        let mut routed = self.0.lock();
        routed.retain(|queue, _| is_there(*queue));
        routed.iter().map(|(queue, messages)| (*queue, *messages)).collect()
    }
}

impl Client {
    fn flows(&self) -> Vec<(Flow, ChannelCounts)> {
        let mut all = Vec::new();
        for (number, out) in self.outbox().lock().channels() {
            let Some(flows) = &out.flows else { continue };
            let channel = (self.id, number);
            let delivered = flows.delivered.iter();
            all.extend(delivered.map(|(queue, counts)| (Flow::Delivered(*queue, channel), *counts)));
            let published = flows.published.iter();
            all.extend(published.map(|(exchange, counts)| (Flow::Published(*exchange, channel), *counts)));
        }
        all
    }

    /// What came from each of its channels by way of an exchange to a queue.
    fn flows_through(&self) -> Vec<(Flow, ChannelCounts)> {
        let mut all = Vec::new();
        for (number, out) in self.outbox().lock().channels() {
            let Some(flows) = &out.flows else { continue };
            let channel = (self.id, number);
            let through = flows.through.iter();
            all.extend(through.map(|((exchange, queue), messages)| {
                (Flow::Through(channel, *exchange, *queue), published(*messages))
            }));
        }
        all
    }

    /// It is counted on its channels from now on.
    fn count_flows(&self) {
        let mut state = self.outbox().lock();
        for (_, out) in state.channels() {
            out.flows.get_or_insert_default();
        }
    }
}

fn published(messages: u64) -> ChannelCounts {
    ChannelCounts {
        published: messages,
        ..ChannelCounts::default()
    }
}

impl Node {
    /// True where it is counted who feeds whom.
    pub fn counts_flows(&self) -> bool {
        let config = self.config();
        let is_told = config.management.rates_mode == RatesMode::Detailed || config.prometheus.per_object;
        is_told || self.flows_wanted.load(Ordering::Relaxed)
    }

    /// Somebody reads who feeds whom: it is counted from now on, on the channels that are open as well.
    pub fn want_flows(&self) {
        if self.counts_flows() {
            return;
        }
        self.flows_wanted.store(true, Ordering::Relaxed);
        let (clients, legs) = (self.clients().all(), self.legs().all());
        clients.iter().chain(&legs).for_each(|client| client.count_flows());
    }

    /// What the channels of this node's own clients get and publish, in order.
    pub fn flows_of_clients(&self) -> Vec<(Flow, ChannelCounts)> {
        let clients = self.clients().all();
        let of = |client: &std::sync::Arc<Client>| client.flows().into_iter().chain(client.flows_through());
        let mut all: Vec<_> = clients.iter().flat_map(of).collect();
        all.sort_unstable_by_key(|(flow, _)| *flow);
        all
    }

    /// All that was counted so far, in order, where rates are told in detail. Channels of clients of other nodes are among them where
    /// they get from queues here.
    pub fn flows(&self) -> Vec<(Flow, ChannelCounts)> {
        if self.config().management.rates_mode != RatesMode::Detailed {
            return Vec::new();
        }
        let (clients, legs) = (self.clients().all(), self.legs().all());
        let mut all: Vec<_> = clients.iter().chain(&legs).flat_map(|client| client.flows()).collect();
        let snapshot = self.snapshot();
        for exchange in snapshot.exchanges.all() {
            let routed = exchange
                .routed
                .read(|queue| snapshot.catalog.queue_by_id(queue).is_some());
            let routed = routed.into_iter();
            all.extend(routed.map(|(queue, messages)| (Flow::Routed(exchange.id, queue), published(messages))));
        }
        all.sort_unstable_by_key(|(flow, _)| *flow);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_counts_by_queue_and_exchange_only_where_that_is_asked_for() {
        let mut out = ChannelOut::default();
        out.count_from(QueueId(1), |counts| counts.delivered += 1);
        assert!(out.flows.is_none());
        out.flows = Some(Box::default());
        out.count_from(QueueId(1), |counts| counts.delivered += 2);
        let more = ChannelCounts {
            published: 3,
            ..ChannelCounts::default()
        };
        (0..2).for_each(|_| out.count_to(7, &more));
        let flows = out.flows.unwrap();
        assert_eq!(flows.delivered[&QueueId(1)].delivered, 2);
        assert_eq!(flows.published[&7].published, 6);
    }

    #[test]
    fn pairs_are_bounded_and_those_of_queues_that_are_gone_are_forgotten() {
        let routed = Routed::default();
        let many = (0..PAIRS_MAX as u64 + 5).map(|id| (QueueId(id), 1));
        routed.add(&many.collect());
        routed.add(&BTreeMap::from([(QueueId(0), 2)]));
        assert_eq!(routed.read(|_| true).len(), PAIRS_MAX);
        assert_eq!(routed.read(|queue| queue.0 < 2), [(QueueId(0), 3), (QueueId(1), 1)]);
        assert_eq!(routed.read(|_| true).len(), 2);
    }
}
