//! The numbers a queue shows: what it holds now, and what it did since it began.
//!
//! Only counts: no decision may read the counters of the past, only the tallies of the present.

use crate::message::Message;

/// A number of messages and their octets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Messages.
    pub messages: u64,
    /// Octets of their bodies.
    pub bytes: u64,
    /// Those published with delivery mode 2.
    pub persistent: u64,
    /// Octets of the bodies of those.
    pub persistent_bytes: u64,
}

impl Tally {
    pub(crate) fn add(&mut self, message: &impl Message) {
        let bytes = message.body_bytes();
        self.messages += 1;
        self.bytes += bytes;
        if message.is_persistent() {
            self.persistent += 1;
            self.persistent_bytes += bytes;
        }
    }

    pub(crate) fn add_all(&mut self, other: &Tally) {
        self.messages += other.messages;
        self.bytes += other.bytes;
        self.persistent += other.persistent;
        self.persistent_bytes += other.persistent_bytes;
    }

    /// Takes away what was added by [`add_all`](Self::add_all), or one by one.
    pub(crate) fn remove_all(&mut self, other: &Tally) {
        assert!(
            self.messages >= other.messages,
            "messages leave that were never counted"
        );
        self.messages -= other.messages;
        self.bytes -= other.bytes;
        self.persistent -= other.persistent;
        self.persistent_bytes -= other.persistent_bytes;
    }

    pub(crate) fn remove(&mut self, message: &impl Message) {
        let bytes = message.body_bytes();
        assert!(self.messages > 0, "a message leaves that was never counted");
        self.messages -= 1;
        self.bytes -= bytes;
        if message.is_persistent() {
            self.persistent -= 1;
            self.persistent_bytes -= bytes;
        }
    }
}

/// What a queue holds now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Waiting for a consumer.
    pub ready: Tally,
    /// Those of them that are in the store and not in memory.
    pub paged: Tally,
    /// Handed out and not settled.
    pub unacked: Tally,
    /// Consumers, waiting ones of a single-active-consumer queue included.
    pub consumers: usize,
    /// Dead, and kept until another queue has taken them. The host has them, and tells; the queue knows of none.
    pub letters: Tally,
}

impl Counts {
    /// All messages: ready, handed out, and dead but kept.
    pub fn all(&self) -> Tally {
        let mut all = self.ready;
        all.add_all(&self.unacked);
        all.add_all(&self.letters);
        all
    }

    /// Those of them that are in memory, and octets of their bodies.
    pub fn in_memory(&self) -> (u64, u64) {
        let (all, paged) = (self.all(), self.paged);
        (
            all.messages.saturating_sub(paged.messages),
            all.bytes.saturating_sub(paged.bytes),
        )
    }
}

macro_rules! counters {
    ($(#[$title:meta])* $type:ident { $($(#[$doc:meta])* $name:ident,)* }) => {
        $(#[$title])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct $type { $($(#[$doc])* pub $name: u64,)* }

        impl $type {
            /// Each number of both put together.
            #[must_use]
            pub fn each(&self, other: &Self, f: fn(u64, u64) -> u64) -> Self {
                $type { $($name: f(self.$name, other.$name),)* }
            }
        }
    };
}

counters! {
    /// What a queue did since it began.
    Counters {
        /// Publishes that arrived, refused ones included.
        published,
        /// Publishes refused by the overflow rule.
        refused,
        /// Deliveries to consumers that acknowledge.
        delivered,
        /// Deliveries to consumers that do not.
        delivered_no_ack,
        /// `basic.get` answers that want an acknowledgement.
        got,
        /// `basic.get` answers that want none.
        got_no_ack,
        /// `basic.get` that found nothing.
        get_empty,
        /// Deliveries and gets that carried `redelivered`.
        redelivered,
        /// Acknowledged.
        acked,
        /// Returned to the queue.
        requeued,
        /// Died by rejection.
        rejected,
        /// Died by age.
        expired,
        /// Died by a length limit after they had been accepted.
        dropped,
        /// Died by the delivery limit.
        delivery_limited,
        /// Removed by purge.
        purged,
        /// Of those that died by rejection: dead-lettered.
        lettered_rejected,
        /// Of those that died by age.
        lettered_expired,
        /// Of those that died by a length limit.
        lettered_dropped,
        /// Of those that died by the delivery limit.
        lettered_limited,
        /// Of the refused publishes.
        lettered_refused,
        /// Persistent messages that the store was told of.
        written,
        /// Messages that came back into memory from the store.
        read,
    }
}
