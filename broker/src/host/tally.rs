//! What one batch of a connection publishes, counted in plain fields by channel and exchange.
//!
//! Handed in once, at the end of the batch, so that the counters of the node, its exchanges and channels are touched
//! once for many messages. It counts and decides nothing.

use model::QueueId;
use session::Fate;
use smallvec::SmallVec;
use std::{collections::BTreeMap, sync::Arc};

use super::{
    client::Client,
    counters::{ChannelCounts, ExchangeCounters, NodeCounters},
};

/// Pairs of channel and exchange that are counted side by side; one more, and what is counted so far is handed in.
const RUNS_MAX: usize = 16;

/// Publishes on one channel to one exchange.
#[derive(Debug)]
pub struct Run {
    channel: u16,
    exchange: Option<Arc<ExchangeCounters>>,
    published: u64,
    published_out: u64,
    returned: u64,
    dropped: u64,
    confirmed: u64,
    /// Queues that got messages, in detailed mode.
    routed: BTreeMap<QueueId, u64>,
}

/// The publishes of a batch.
#[derive(Debug, Default)]
pub struct Tally {
    runs: SmallVec<[Run; 1]>,
    /// Which run was counted last.
    last: usize,
    /// Publishes that are confirmed sooner or later.
    pub confirmable: u64,
}

/// A publish that is counted.
#[derive(Clone, Copy, Debug)]
pub struct Counted<'a> {
    /// Its channel.
    pub channel: u16,
    /// Its exchange; none if that ended meanwhile.
    pub exchange: Option<&'a Arc<ExchangeCounters>>,
    /// Queues that it was routed to.
    pub queues: usize,
    /// What became of it.
    pub fate: Fate,
    /// Whether it comes back if it was not routed.
    pub mandatory: bool,
}

fn address(exchange: Option<&Arc<ExchangeCounters>>) -> *const ExchangeCounters {
    exchange.map_or(std::ptr::null(), Arc::as_ptr)
}

impl Run {
    /// The last publish went to these queues.
    pub fn add_queues(&mut self, queues: impl Iterator<Item = QueueId>) {
        queues.for_each(|queue| *self.routed.entry(queue).or_default() += 1);
    }

    fn is_of(&self, channel: u16, exchange: Option<&Arc<ExchangeCounters>>) -> bool {
        self.channel == channel && address(self.exchange.as_ref()) == address(exchange)
    }

    fn hand_in(self, node: &NodeCounters, client: &Client) {
        node.published.add(self.published);
        node.routed.add(self.published - self.returned - self.dropped);
        node.returned.add(self.returned);
        node.dropped.add(self.dropped);
        node.confirmed.add(self.confirmed);
        if let Some(exchange) = &self.exchange {
            exchange.published_in.add(self.published);
            exchange.published_out.add(self.published_out);
            exchange.routed.add(&self.routed);
        }
        let counts = ChannelCounts {
            published: self.published,
            confirmed: self.confirmed,
            returned: self.returned,
            dropped: self.dropped,
            ..ChannelCounts::default()
        };
        if let Some(vhost) = client.vhost_counters() {
            vhost.count(&counts);
        }
        if let Some(out) = client.outbox().lock().channel(self.channel) {
            out.counts = out.counts.each(&counts, |a, b| a + b);
            if let Some(exchange) = &self.exchange {
                // A confirm may be counted beside another exchange than its publish.
                let confirmed = 0;
                out.count_to(exchange.id, &ChannelCounts { confirmed, ..counts });
                out.count_through(exchange.id, &self.routed);
            }
        }
    }
}

impl Tally {
    /// Counts one publish.
    pub fn count(&mut self, publish: Counted<'_>, node: &NodeCounters, client: &Client) -> &mut Run {
        let run = self.run(publish.channel, publish.exchange, node, client);
        run.published += 1;
        run.published_out += publish.queues as u64;
        match (publish.fate, publish.mandatory) {
            (Fate::Taken | Fate::Logged | Fate::Rejected, _) => {}
            (Fate::Unroutable, true) => run.returned += 1,
            (Fate::Unroutable, false) => run.dropped += 1,
        }
        run
    }

    /// Counts confirms.
    pub fn confirm(&mut self, channel: u16, count: u64, node: &NodeCounters, client: &Client) {
        let same = self.runs.iter().position(|run| run.channel == channel);
        match same {
            Some(at) => self.runs[at].confirmed += count,
            None => self.run(channel, None, node, client).confirmed += count,
        }
    }

    fn run(
        &mut self,
        channel: u16,
        exchange: Option<&Arc<ExchangeCounters>>,
        node: &NodeCounters,
        client: &Client,
    ) -> &mut Run {
        if !self.runs.get(self.last).is_some_and(|run| run.is_of(channel, exchange)) {
            self.last = self.place(channel, exchange, node, client);
        }
        &mut self.runs[self.last]
    }

    fn place(
        &mut self,
        channel: u16,
        exchange: Option<&Arc<ExchangeCounters>>,
        node: &NodeCounters,
        client: &Client,
    ) -> usize {
        if let Some(at) = self.runs.iter().position(|run| run.is_of(channel, exchange)) {
            return at;
        }
        if self.runs.len() >= RUNS_MAX {
            self.hand_in(node, client);
        }
        self.runs.push(Run {
            channel,
            exchange: exchange.cloned(),
            published: 0,
            published_out: 0,
            returned: 0,
            dropped: 0,
            confirmed: 0,
            routed: BTreeMap::new(),
        });
        self.runs.len() - 1
    }

    /// Adds what was counted to the numbers of the node, the exchanges and the client's channels. The outbox is locked
    /// for a moment each; no queue may be.
    pub fn hand_in(&mut self, node: &NodeCounters, client: &Client) {
        self.runs.drain(..).for_each(|run| run.hand_in(node, client));
        self.last = 0;
        node.confirmable.add(std::mem::take(&mut self.confirmable));
    }
}
