//! The ready messages of one priority level, in order of arrival.
//!
//! Fresh messages lie in a compact list; those that came back lie before them, each at its old place. What is handed
//! out was in front of all that is fresh, so a returned message is always older than every fresh one.

use std::collections::BTreeMap;

use model::{Millis, Seq};

use crate::chunks::Chunks;
use crate::message::{Message, NEVER};
use crate::seqs::Seqs;

/// A message with all the queue remembers of it.
pub(crate) struct Held<M> {
    pub(crate) message: M,
    pub(crate) seq: Seq,
    /// The point in time at which it expires, kept through requeues.
    pub(crate) expires: Millis,
    pub(crate) delivery_count: u32,
    pub(crate) level: u8,
    pub(crate) redelivered: bool,
}

/// This is what a backlog costs, besides the messages themselves.
struct Fresh<M> {
    message: M,
    expires: Millis,
}

const _: () = assert!(size_of::<Fresh<Box<u8>>>() == 16, "16 octets with an 8-octet handle");

/// The next message of a lane, still in its place.
pub(crate) struct Head<'a, M> {
    pub(crate) message: &'a M,
    pub(crate) seq: Seq,
    pub(crate) redelivered: bool,
    pub(crate) delivery_count: u32,
}

pub(crate) struct Lane<M> {
    fresh: Chunks<Fresh<M>>,
    seqs: Seqs,
    returned: BTreeMap<Seq, Held<M>>,
}

impl<M> Default for Lane<M> {
    fn default() -> Self {
        Self {
            fresh: Chunks::default(),
            seqs: Seqs::default(),
            returned: BTreeMap::new(),
        }
    }
}

impl<M: Message> Lane<M> {
    /// See [`Backlog::stored_runs`](crate::backlog::Backlog::stored_runs).
    pub(crate) fn stored_runs(&self) -> impl Iterator<Item = (Seq, Seq)> {
        let returned = self.returned.values().filter(|held| held.message.is_persistent());
        returned.map(|held| (held.seq, held.seq)).chain(self.seqs.runs())
    }
}

impl<M> Lane<M> {
    pub(crate) fn is_empty(&self) -> bool {
        self.returned.is_empty() && self.fresh.is_empty()
    }

    /// Adds the newest message of the lane.
    pub(crate) fn push(&mut self, seq: Seq, message: M, expires: Millis) {
        self.seqs.push_back(seq);
        self.fresh.push_back(Fresh { message, expires });
    }

    /// Puts a message back to its old place.
    pub(crate) fn give_back(&mut self, held: Held<M>) {
        assert!(
            self.fresh.is_empty() || held.seq < self.seqs.front(),
            "a returned message overtook a fresh one"
        );
        let twin = self.returned.insert(held.seq, held);
        assert!(twin.is_none(), "a message came back twice");
    }

    pub(crate) fn head(&self) -> Option<Head<'_, M>> {
        if let Some((_, held)) = self.returned.first_key_value() {
            let Held {
                message,
                seq,
                redelivered,
                delivery_count,
                expires: _,
                level: _,
            } = held;
            return Some(Head {
                message,
                seq: *seq,
                redelivered: *redelivered,
                delivery_count: *delivery_count,
            });
        }
        let fresh = self.fresh.front()?;
        Some(Head {
            message: &fresh.message,
            seq: self.seqs.front(),
            redelivered: false,
            delivery_count: 0,
        })
    }

    /// When the head expires; [`NEVER`] without one.
    pub(crate) fn head_expires(&self) -> Millis {
        match self.returned.first_key_value() {
            Some((_, held)) => held.expires,
            None => self.fresh.front().map_or(NEVER, |fresh| fresh.expires),
        }
    }

    pub(crate) fn pop(&mut self, level: u8) -> Option<Held<M>> {
        if let Some((_, held)) = self.returned.pop_first() {
            return Some(held);
        }
        let Fresh { message, expires } = self.fresh.pop_front()?;
        Some(Held {
            message,
            seq: self.seqs.pop_front(),
            expires,
            delivery_count: 0,
            level,
            redelivered: false,
        })
    }
}
