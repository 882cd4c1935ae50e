//! What a queue shows of the order of its messages: which are foremost, and how many wait at each level.
//!
//! Reads only, and only when somebody looks: it may walk over all that is handed out, so no command may use it.

use crate::message::Message;
use crate::queue::Queue;
use std::cmp::Reverse;

impl<M: Message, C> Queue<M, C> {
    /// The next message and the oldest of those that are handed out, both of the highest level that has any, and in memory. By these
    /// RabbitMQ tells how old the head of a queue is.
    pub fn foremost(&self) -> impl Iterator<Item = &M> {
        let oldest = self.unacked.iter().min_by_key(|held| (Reverse(held.level), held.seq));
        let level = self.backlog.top().max(oldest.map(|held| held.level));
        let next = self.backlog.head().filter(|_| self.backlog.top() == level);
        let oldest = oldest.filter(|held| Some(held.level) == level);
        next.map(|head| head.message)
            .into_iter()
            .chain(oldest.map(|held| &held.message))
    }

    /// How many ready messages there are at each level, from 0; nothing for a queue without priorities.
    pub fn lengths(&self) -> Vec<u64> {
        match self.settings.max_priority {
            Some(_) => self.backlog.lengths().collect(),
            None => Vec::new(),
        }
    }
}
