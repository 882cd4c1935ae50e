//! The consumers of one connection by channel and tag, so that they can be cancelled.

use model::ConsumerId;
use std::{collections::BTreeMap, sync::Arc};

use super::{cell::QueueCell, legs::Leg};

/// Where a consumer is subscribed.
#[derive(Clone, Debug)]
pub enum Subscribed {
    /// To a queue.
    To(Arc<QueueCell>, ConsumerId),
    /// To a queue that another node leads.
    There(Arc<Leg>, ConsumerId),
    /// To direct replies, under this address.
    ToReplies(String),
}

impl Subscribed {
    /// Which consumer, unless it waits for direct replies.
    pub fn id(&self) -> Option<ConsumerId> {
        match self {
            Subscribed::To(_, id) | Subscribed::There(_, id) => Some(*id),
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

    /// Forgets this very consumer; false if the tag means another one by now, or none.
    pub fn remove_if(&mut self, channel: u16, tag: &str, id: ConsumerId) -> bool {
        let key = (channel, tag.to_owned());
        let is_meant = self.0.get(&key).is_some_and(|found| found.id() == Some(id));
        is_meant && self.0.remove(&key).is_some()
    }

    /// Forgets all of a channel, or of the connection with `None`.
    pub fn remove_all(&mut self, channel: Option<u16>) -> Vec<Subscribed> {
        let Some(channel) = channel else {
            return std::mem::take(&mut self.0).into_values().collect();
        };
        let mut rest = self.0.split_off(&(channel, String::new()));
        let after = channel
            .checked_add(1)
            .map(|next| rest.split_off(&(next, String::new())))
            .unwrap_or_default();
        self.0.extend(after);
        rest.into_values().collect()
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
