//! What happened on this node since it started, in numbers that only grow.
//!
//! The data path counts in plain fields of its own batch and adds them here once per batch.

use queue::Counters;
use std::sync::atomic::{AtomicU64, Ordering};

use super::flows::Routed;

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Counters that are added to from anywhere.
        #[derive(Debug, Default)]
        pub struct NodeCounters { $($(#[$doc])* pub $name: Counter,)* }

        /// A copy of the counters.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct NodeCounts { $($(#[$doc])* pub $name: u64,)* }

        impl NodeCounters {
            /// What they show now.
            pub fn read(&self) -> NodeCounts {
                NodeCounts { $($name: self.$name.get(),)* }
            }
        }
    };
}

counters! {
    /// Connections that were opened.
    connections_opened,
    /// Connections that were open and ended.
    connections_closed,
    /// Channels that were opened.
    channels_opened,
    /// Channels that ended.
    channels_closed,
    /// Queues declared, whether new or not.
    queues_declared,
    /// Queues created.
    queues_created,
    /// Queues deleted.
    queues_deleted,
    /// Log-ins over AMQP, with and without success.
    logins,
    /// Log-ins over AMQP that were refused.
    logins_failed,
    /// Log-ins with requests to the management API, with and without success.
    http_logins,
    /// Those of them that were refused.
    http_logins_failed,
    /// Messages published.
    published,
    /// Those on channels whose publishes are confirmed.
    confirmable,
    /// Messages that a queue took.
    routed,
    /// Messages confirmed to their publishers.
    confirmed,
    /// Mandatory messages without a queue.
    returned,
    /// Other messages without a queue.
    dropped,
    /// Mirrored queues that this node began to lead because their leader was lost.
    taken_over_lost,
    /// Mirrored queues that this node began to lead because their leader handed them over.
    taken_over_planned,
    /// Queues that this node leads since messages were given up for it.
    given_up,
    /// Changes of definitions that were committed at this node's word, and are known on all nodes that are up.
    definitions_committed,
    /// Nanoseconds that this took, from the word to the last node.
    definitions_committed_ns,
    /// Octets received from AMQP clients that are gone.
    octets_received,
    /// Reads that brought them.
    reads,
    /// Octets sent to AMQP clients that are gone.
    octets_sent,
    /// Writes that took them.
    writes,
}

/// One number that grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds.
    pub fn add(&self, more: u64) {
        if more > 0 {
            self.0.fetch_add(more, Ordering::Relaxed);
        }
    }

    /// What it shows.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

macro_rules! counts {
    ($(#[$title:meta])* $type:ident { $($(#[$doc:meta])* $name:ident,)* }) => {
        $(#[$title])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct $type { $($(#[$doc])* pub $name: u64,)* }

        impl $type {
            /// Each number of both put together.
            pub fn each(&self, other: &Self, f: fn(u64, u64) -> u64) -> Self {
                $type { $($name: f(self.$name, other.$name),)* }
            }

            /// True if none of the numbers is smaller than it was.
            pub fn has_grown_from(&self, before: &Self) -> bool {
                true $(&& self.$name >= before.$name)*
            }
        }
    };
}

counts! {
    /// What happened on one channel.
    ChannelCounts {
        /// Messages published.
        published,
        /// Publishes confirmed.
        confirmed,
        /// Mandatory messages without a queue.
        returned,
        /// Other messages without a queue.
        dropped,
        /// Deliveries that want an acknowledgement.
        delivered,
        /// Deliveries that want none.
        delivered_no_ack,
        /// `basic.get` answers that want an acknowledgement.
        got,
        /// `basic.get` answers that want none.
        got_no_ack,
        /// `basic.get` that found nothing.
        get_empty,
        /// Deliveries and gets that carried `redelivered`.
        redelivered,
        /// Deliveries acknowledged.
        acked,
    }
}

counts! {
    /// What was published to one exchange.
    ExchangeCounts {
        /// Messages published to it.
        published_in,
        /// Copies that queues got of them.
        published_out,
    }
}

counts! {
    /// What went over one connection.
    Traffic {
        /// Octets received.
        received,
        /// Reads that brought them.
        reads,
        /// Octets sent.
        sent,
        /// Writes that took them.
        writes,
    }
}

counts! {
    /// What clients of this node did in one virtual host.
    VhostCounts {
        /// Messages published.
        published,
        /// Publishes confirmed.
        confirmed,
        /// Mandatory messages without a queue.
        returned,
        /// Other messages without a queue.
        dropped,
        /// Octets received.
        received,
        /// Octets sent.
        sent,
    }
}

counts! {
    /// What happened to the files of messages. Times are nanoseconds of all together.
    FileCounts {
        /// Reads.
        reads,
        /// Octets of them.
        read_octets,
        /// Their time.
        read_ns,
        /// Writes.
        writes,
        /// Octets of them.
        written_octets,
        /// Their time.
        write_ns,
        /// Syncs.
        syncs,
        /// Their time.
        sync_ns,
        /// Pages of messages that came back into memory.
        pages_loaded,
        /// Pages of messages that left memory.
        pages_out,
    }
}

/// A virtual host's numbers, for as long as it exists. Octets are those of connections that are gone.
#[derive(Debug, Default)]
pub struct VhostCounters {
    /// Tells it from virtual hosts that had its name before.
    pub id: u64,
    published: Counter,
    confirmed: Counter,
    returned: Counter,
    dropped: Counter,
    received: Counter,
    sent: Counter,
}

impl VhostCounters {
    /// Those of a virtual host just created.
    pub fn new(id: u64) -> Self {
        VhostCounters {
            id,
            ..VhostCounters::default()
        }
    }

    /// What they show now.
    pub fn read(&self) -> VhostCounts {
        VhostCounts {
            published: self.published.get(),
            confirmed: self.confirmed.get(),
            returned: self.returned.get(),
            dropped: self.dropped.get(),
            received: self.received.get(),
            sent: self.sent.get(),
        }
    }

    /// Publishes that were counted on a channel.
    pub fn count(&self, on_channel: &ChannelCounts) {
        self.published.add(on_channel.published);
        self.confirmed.add(on_channel.confirmed);
        self.returned.add(on_channel.returned);
        self.dropped.add(on_channel.dropped);
    }

    /// A connection is gone.
    pub fn count_closed(&self, traffic: &Traffic) {
        self.received.add(traffic.received);
        self.sent.add(traffic.sent);
    }
}

/// An exchange's numbers, for as long as it exists.
#[derive(Debug)]
pub struct ExchangeCounters {
    /// Tells it from exchanges that had its name before.
    pub id: u64,
    /// Messages published to it.
    pub published_in: Counter,
    /// Copies that queues got of them.
    pub published_out: Counter,
    /// The same by queue, in detailed mode.
    pub routed: Routed,
}

impl ExchangeCounters {
    /// Those of an exchange just declared.
    pub fn new(id: u64) -> Self {
        ExchangeCounters {
            id,
            published_in: Counter::default(),
            published_out: Counter::default(),
            routed: Routed::default(),
        }
    }

    /// What they show now.
    pub fn read(&self) -> ExchangeCounts {
        ExchangeCounts {
            published_in: self.published_in.get(),
            published_out: self.published_out.get(),
        }
    }
}

/// The numbers of two queues together.
pub fn sum(a: &Counters, b: &Counters) -> Counters {
    a.each(b, |a, b| a + b)
}
