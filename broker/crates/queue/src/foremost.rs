//! What a queue shows of the order of its messages: which are foremost, and how many wait at each level.
//!
//! Reads only, and only when somebody looks: it may walk over all that is handed out, so no command may use it.

use crate::message::Message;
use crate::queue::Queue;

impl<M: Message, C> Queue<M, C> {
    /// The next message and the oldest of those that are handed out, both of the highest level that has any, and in memory. By these
    /// RabbitMQ tells how old the head of a queue is.
    pub fn foremost(&self) -> impl Iterator<Item = &M> {
        let handed_out = self.unacked.iter().map(|held| held.level).max();
        let level = self.backlog.top().max(handed_out);
        let is_top = self.backlog.top() == level;
        let next = self.backlog.head().filter(|_| is_top).map(|head| head.message);
        let of_level = self.unacked.iter().filter(move |held| Some(held.level) == level);
        let oldest = of_level.min_by_key(|held| held.seq).map(|held| &held.message);
        next.into_iter().chain(oldest)
    }

    /// How many ready messages there are at each level, from 0; nothing for a queue without priorities.
    pub fn lengths(&self) -> Vec<u64> {
        match self.settings.max_priority {
            Some(_) => self.backlog.lengths().collect(),
            None => Vec::new(),
        }
    }
}
