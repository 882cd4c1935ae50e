//! The consumers of one connection by channel and tag, so that they can be cancelled.

use model::ConsumerId;
use session::ConsumeRequest;
use std::{collections::BTreeMap, sync::Arc};

use super::{cell::QueueCell, legs::Leg};

/// Where a consumer is subscribed.
#[derive(Clone, Debug)]
pub enum Subscribed {
    /// To a queue.
    To(Arc<QueueCell>, ConsumerId),
    /// To a queue that another node leads, and what was asked for.
    There(Arc<Leg>, ConsumerId, Arc<ConsumeRequest>),
    /// To direct replies, under this address.
    ToReplies(String),
}

impl Subscribed {
    /// Which consumer, unless it waits for direct replies.
    pub fn id(&self) -> Option<ConsumerId> {
        match self {
            Subscribed::To(_, id) | Subscribed::There(_, id, _) => Some(*id),
            Subscribed::ToReplies(_) => None,
        }
    }

    /// The queue's name, unless it waits for direct replies.
    pub fn queue(&self) -> Option<&str> {
        match self {
            Subscribed::To(cell, _) => Some(cell.name.as_str()),
            Subscribed::There(_, _, wish) => Some(wish.queue.as_str()),
            Subscribed::ToReplies(_) => None,
        }
    }
}

/// All consumers of a connection.
#[derive(Debug, Default)]
pub struct Consumers(BTreeMap<(u16, String), Subscribed>);

impl Consumers {
    /// Notes a consumer.
    pub fn insert(&mut self, channel: u16, tag: String, subscribed: Subscribed) {
        self.0.insert((channel, tag), subscribed);
    }

    /// One of them.
    pub fn get(&self, channel: u16, tag: &str) -> Option<&Subscribed> {
        self.0.get(&(channel, tag.to_owned()))
    }

    /// Forgets one.
    pub fn remove(&mut self, channel: u16, tag: &str) -> Option<Subscribed> {
        self.0.remove(&(channel, tag.to_owned()))
    }

    /// Forgets this very consumer; none if the tag means another one by now, or nothing.
    pub fn remove_if(&mut self, channel: u16, tag: &str, id: ConsumerId) -> Option<Subscribed> {
        let key = (channel, tag.to_owned());
        let is_meant = self.0.get(&key).is_some_and(|found| found.id() == Some(id));
        is_meant.then(|| self.0.remove(&key)).flatten()
    }

    /// Forgets all of a channel, or of the connection with `None`.
    pub fn remove_all(&mut self, channel: Option<u16>) -> BTreeMap<(u16, String), Subscribed> {
        let Some(channel) = channel else {
            return std::mem::take(&mut self.0);
        };
        let mut rest = self.0.split_off(&(channel, String::new()));
        let after = channel
            .checked_add(1)
            .map(|next| rest.split_off(&(next, String::new())))
            .unwrap_or_default();
        self.0.extend(after);
        rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replies(name: &str) -> Subscribed {
        Subscribed::ToReplies(name.into())
    }

    #[test]
    fn a_channel_takes_its_own_consumers_along_and_no_others() {
        let mut consumers = Consumers::default();
        for (channel, tag) in [(1, "a"), (2, "a"), (2, "b"), (3, ""), (u16::MAX, "z")] {
            consumers.insert(channel, tag.into(), replies(tag));
        }
        assert_eq!(consumers.remove_all(Some(2)).len(), 2);
        assert_eq!(consumers.remove_all(Some(u16::MAX)).len(), 1);
        assert!(consumers.remove(1, "a").is_some());
        assert_eq!(consumers.remove_all(None).len(), 1);
    }
}
