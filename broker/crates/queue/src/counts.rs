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
}

/// What a queue did since it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Publishes that arrived, refused ones included.
    pub published: u64,
    /// Publishes refused by the overflow rule.
    pub refused: u64,
    /// Deliveries to consumers that acknowledge.
    pub delivered: u64,
    /// Deliveries to consumers that do not.
    pub delivered_no_ack: u64,
    /// `basic.get` answers that want an acknowledgement.
    pub got: u64,
    /// `basic.get` answers that want none.
    pub got_no_ack: u64,
    /// `basic.get` that found nothing.
    pub get_empty: u64,
    /// Deliveries and gets that carried `redelivered`.
    pub redelivered: u64,
    /// Acknowledged.
    pub acked: u64,
    /// Returned to the queue.
    pub requeued: u64,
    /// Died by rejection.
    pub rejected: u64,
    /// Died by age.
    pub expired: u64,
    /// Died by a length limit after they had been accepted.
    pub dropped: u64,
    /// Died by the delivery limit.
    pub delivery_limited: u64,
    /// Removed by purge.
    pub purged: u64,
}
