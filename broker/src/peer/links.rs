//! Which nodes have come in, by which channel, and which of the secrets each has proven: whoever changes the secret sees when no link hangs on an old one.
//!
//! Decides nothing. One entry for each node, channel and secret, as long as a connection of that kind is open.

use link::{Channel, Cookie};
use parking_lot::Mutex;
use std::{collections::BTreeMap, sync::Arc};

/// How many connections of one kind have proven which secret.
type Proven = Vec<(Cookie, u64)>;

/// The links that are open.
#[derive(Debug, Default)]
pub(super) struct Links(Mutex<BTreeMap<(String, &'static str), Proven>>);

/// One of them, until it is dropped.
#[derive(Debug)]
pub(super) struct Open {
    links: Arc<Links>,
    key: (String, &'static str),
    secret: Cookie,
}

impl Links {
    /// One begins.
    pub(super) fn open(self: &Arc<Self>, from: &str, channel: Channel, secret: Cookie) -> Open {
        let key = (from.to_owned(), called(channel));
        let mut all = self.0.lock();
        let proven = all.entry(key.clone()).or_default();
        match proven.iter_mut().find(|(known, _)| *known == secret) {
            Some((_, count)) => *count += 1,
            None => proven.push((secret.clone(), 1)),
        }
        Open {
            links: self.clone(),
            key,
            secret,
        }
    }

    /// All that are open: from whom, what for, by which secret, how many.
    pub(super) fn all(&self) -> Vec<(String, &'static str, Cookie, u64)> {
        let all = self.0.lock();
        let of = |((from, channel), proven): (&(String, &'static str), &Proven)| {
            let told = |(secret, count): &(Cookie, u64)| (from.clone(), *channel, secret.clone(), *count);
            proven.iter().map(told).collect::<Vec<_>>()
        };
        all.iter().flat_map(of).collect()
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let mut all = self.links.0.lock();
        let Some(proven) = all.get_mut(&self.key) else { return };
        if let Some((_, count)) = proven.iter_mut().find(|(known, _)| *known == self.secret) {
            *count -= 1;
        }
        proven.retain(|(_, count)| *count > 0);
        if proven.is_empty() {
            all.remove(&self.key);
        }
    }
}

fn called(channel: Channel) -> &'static str {
    match channel {
        Channel::Cli => "cli",
        Channel::Node => "node",
        Channel::Client => "client",
        Channel::Mirror => "mirror",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_counted_by_node_channel_and_secret_while_they_are_open() {
        let links = Arc::new(Links::default());
        let cookie = |text: &str| Cookie::new(text, "").unwrap();
        let first = links.open("rabbit@b", Channel::Client, cookie("OLD"));
        let second = links.open("rabbit@b", Channel::Client, cookie("NEW"));
        let third = links.open("rabbit@b", Channel::Client, cookie("NEW"));
        let node = links.open("rabbit@b", Channel::Node, cookie("NEW"));
        let told = |from: &str, channel, secret: &str, count| (from.to_owned(), channel, cookie(secret), count);
        let all = [
            told("rabbit@b", "client", "OLD", 1),
            told("rabbit@b", "client", "NEW", 2),
            told("rabbit@b", "node", "NEW", 1),
        ];
        assert_eq!(links.all(), all);
        drop((first, third));
        assert_eq!(
            links.all(),
            [told("rabbit@b", "client", "NEW", 1), told("rabbit@b", "node", "NEW", 1)]
        );
        drop((second, node));
        assert!(links.0.lock().is_empty());
    }
}
