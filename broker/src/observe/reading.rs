//! Numbers that are read every few seconds and can be added up: those of queues, exchanges, connections and channels.
//!
//! Arithmetic alone.

use model::{ConnectionId, QueueId};
use queue::{Counters, Counts, Tally};

use crate::host::{ChannelCounts, ExchangeCounts, Flow, Traffic, VhostCounts, sum_counters};

/// What is known of one thing, or of several together.
pub trait Reading: Copy + Default + PartialEq {
    /// Both together.
    #[must_use]
    fn together(&self, other: &Self) -> Self;

    /// What is left of several together without one of them.
    #[must_use]
    fn without(&self, one: &Self) -> Self;
}

/// A channel: its connection and number.
pub type ChannelId = (ConnectionId, u16);

/// What a queue showed when it was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueReading {
    /// What it held.
    pub counts: Counts,
    /// What it had done.
    pub counters: Counters,
}

/// What everything showed at one time, each kind by id.
#[derive(Clone, Debug, Default)]
pub struct Everything {
    /// Queues.
    pub queues: Vec<(QueueId, QueueReading)>,
    /// Exchanges, by the id of their counters.
    pub exchanges: Vec<(u64, ExchangeCounts)>,
    /// Connections.
    pub connections: Vec<(ConnectionId, Traffic)>,
    /// Channels.
    pub channels: Vec<(ChannelId, ChannelCounts)>,
    /// Who feeds whom, in detailed mode.
    pub flows: Vec<(Flow, ChannelCounts)>,
    /// Virtual hosts, by the id of their counters.
    pub vhosts: Vec<(u64, VhostCounts)>,
}

impl QueueReading {
    /// Octets of the bodies that are in memory.
    pub fn body_bytes(&self) -> u64 {
        self.counts.in_memory().1
    }

    /// Octets of memory that a queue takes: bodies in memory, and so much for each message and consumer.
    pub fn memory_bytes(&self) -> u64 {
        let (messages, bytes) = self.counts.in_memory();
        bytes + 100 * messages + 500 * self.counts.consumers as u64 + 1_000
    }
}

fn each_tally(a: Tally, b: Tally, f: fn(u64, u64) -> u64) -> Tally {
    Tally {
        messages: f(a.messages, b.messages),
        bytes: f(a.bytes, b.bytes),
        persistent: f(a.persistent, b.persistent),
        persistent_bytes: f(a.persistent_bytes, b.persistent_bytes),
    }
}

impl Reading for QueueReading {
    fn together(&self, other: &Self) -> Self {
        let add = |a: u64, b: u64| a + b;
        QueueReading {
            counts: Counts {
                ready: each_tally(self.counts.ready, other.counts.ready, add),
                paged: each_tally(self.counts.paged, other.counts.paged, add),
                unacked: each_tally(self.counts.unacked, other.counts.unacked, add),
                consumers: self.counts.consumers + other.counts.consumers,
                letters: each_tally(self.counts.letters, other.counts.letters, add),
            },
            counters: sum_counters(&self.counters, &other.counters),
        }
    }

    fn without(&self, one: &Self) -> Self {
        QueueReading {
            counts: Counts {
                ready: each_tally(self.counts.ready, one.counts.ready, u64::saturating_sub),
                paged: each_tally(self.counts.paged, one.counts.paged, u64::saturating_sub),
                unacked: each_tally(self.counts.unacked, one.counts.unacked, u64::saturating_sub),
                consumers: self.counts.consumers.saturating_sub(one.counts.consumers),
                letters: each_tally(self.counts.letters, one.counts.letters, u64::saturating_sub),
            },
            counters: self.counters.each(&one.counters, u64::saturating_sub),
        }
    }
}

macro_rules! numbers {
    ($($type:ty)*) => { $(
        impl Reading for $type {
            fn together(&self, other: &Self) -> Self {
                self.each(other, |a, b| a + b)
            }

            fn without(&self, one: &Self) -> Self {
                self.each(one, u64::saturating_sub)
            }
        }
    )* };
}

numbers!(ChannelCounts ExchangeCounts Traffic VhostCounts);
