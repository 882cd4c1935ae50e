//! All ready messages of a queue: a lane per priority level, the highest served first.
//!
//! There is one head: the oldest of the highest level present. It is what is delivered, what expires and what an
//! overflow drops. Nothing here knows who gets a message.

use model::{Millis, Seq};
use smallvec::SmallVec;

use crate::counts::Tally;
use crate::lane::{Head, Held, Lane};
use crate::message::{Message, NEVER};

pub(crate) struct Backlog<M> {
    /// One lane per level from 0; a queue without priorities has one, in place.
    lanes: SmallVec<[Lane<M>; 1]>,
    /// The highest level with a message; 0 if there is none.
    top: u8,
    /// Ready messages that have an expiry: while 0, nobody looks at heads.
    expiring: u64,
    tally: Tally,
}

impl<M: Message> Backlog<M> {
    pub(crate) fn new(max_priority: Option<u8>) -> Self {
        let levels = usize::from(max_priority.unwrap_or(0)) + 1;
        Self {
            lanes: (0..levels).map(|_| Lane::default()).collect(),
            top: 0,
            expiring: 0,
            tally: Tally::default(),
        }
    }

    pub(crate) fn tally(&self) -> &Tally {
        &self.tally
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.tally.messages == 0
    }

    /// The level of a message published with `priority`: above the highest means the highest.
    pub(crate) fn level(&self, priority: u8) -> u8 {
        let highest = u8::try_from(self.lanes.len() - 1).unwrap_or(u8::MAX);
        priority.min(highest)
    }

    /// Adds the newest message of its level.
    pub(crate) fn push(&mut self, seq: Seq, level: u8, message: M, expires: Millis) {
        self.entered(level, &message, expires);
        self.lanes[usize::from(level)].push(seq, message, expires);
    }

    /// Puts a message back to its old place.
    pub(crate) fn give_back(&mut self, held: Held<M>) {
        self.entered(held.level, &held.message, held.expires);
        self.lanes[usize::from(held.level)].give_back(held);
    }

    /// The message to be delivered next, in its place.
    pub(crate) fn head(&self) -> Option<Head<'_, M>> {
        self.lanes[usize::from(self.top)].head()
    }

    pub(crate) fn pop(&mut self) -> Option<Held<M>> {
        let held = self.lanes[usize::from(self.top)].pop(self.top)?;
        self.tally.remove(&held.message);
        self.expiring -= u64::from(held.expires != NEVER);
        while self.top > 0 && self.lanes[usize::from(self.top)].is_empty() {
            self.top -= 1;
        }
        Some(held)
    }

    /// Takes the head if it has expired. Only the head of all can, as in RabbitMQ: an expired message behind one that
    /// lives, in its level or in a higher one, waits.
    pub(crate) fn pop_expired(&mut self, now: Millis) -> Option<Held<M>> {
        self.deadline().filter(|at| *at <= now)?;
        self.pop()
    }

    /// When the head expires.
    pub(crate) fn deadline(&self) -> Option<Millis> {
        if self.expiring == 0 {
            return None;
        }
        Some(self.lanes[usize::from(self.top)].head_expires()).filter(|at| *at != NEVER)
    }

    /// Positions that may be in the store, as runs from first to last: all that is ready, less transient ones that
    /// came back.
    pub(crate) fn stored_runs(&self) -> impl Iterator<Item = (Seq, Seq)> {
        self.lanes.iter().flat_map(Lane::stored_runs)
    }

    /// Forgets everything and gives the memory back; says how many there were.
    pub(crate) fn clear(&mut self) -> u64 {
        let gone = self.tally.messages;
        for lane in &mut self.lanes {
            *lane = Lane::default();
        }
        self.top = 0;
        self.expiring = 0;
        self.tally = Tally::default();
        gone
    }

    fn entered(&mut self, level: u8, message: &M, expires: Millis) {
        self.tally.add(message);
        self.expiring += u64::from(expires != NEVER);
        self.top = self.top.max(level);
    }
}
