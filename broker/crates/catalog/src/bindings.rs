//! Bindings as the management API and the command line see them: with those of the default exchange, which exist for
//! every queue without being stored, and with a key that names one binding between two ends.

use crate::state::Vhost;
use model::{ExchangeName, QueueName, Table};
use routing::{Binding, Destination};
use std::fmt::Write;
use std::sync::Arc;

/// Letters of URL-safe base64.
const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

fn implicit(queue: &QueueName) -> Arc<Binding> {
    let destination = Destination::Queue(queue.clone());
    Arc::new(Binding::new(
        ExchangeName::default(),
        destination,
        queue.as_str().as_bytes(),
        Table::default(),
    ))
}

impl Vhost {
    /// All bindings, those of the default exchange first.
    pub fn bindings(&self) -> impl Iterator<Item = Arc<Binding>> {
        self.queues.keys().map(implicit).chain(self.router.bindings().cloned())
    }

    /// Bindings that start at an exchange.
    pub fn bindings_from(&self, source: &ExchangeName) -> Vec<Arc<Binding>> {
        match source.is_default() {
            true => self.queues.keys().map(implicit).collect(),
            false => self.router.bindings_from(source).cloned().collect(),
        }
    }

    /// Bindings that lead to a queue or exchange.
    pub fn bindings_to(&self, destination: &Destination) -> Vec<Arc<Binding>> {
        let own = match destination {
            Destination::Queue(name) => self.queues.get_key_value(name).map(|(name, _)| implicit(name)),
            Destination::Exchange(_) => None,
        };
        own.into_iter()
            .chain(self.router.bindings_to(destination).cloned())
            .collect()
    }

    /// Bindings from one end to the other.
    pub fn bindings_between(&self, source: &ExchangeName, destination: &Destination) -> Vec<Arc<Binding>> {
        let mut found = self.bindings_to(destination);
        found.retain(|binding| &binding.source == source);
        found
    }

    /// The binding between two ends that has this `properties_key`.
    pub fn binding_by_key(
        &self,
        source: &ExchangeName,
        destination: &Destination,
        properties_key: &str,
    ) -> Option<Arc<Binding>> {
        let mut found = self.bindings_between(source, destination).into_iter();
        found.find(|binding| self::properties_key(binding) == properties_key)
    }
}

/// Names one binding among those between the same ends: the key with all but plain characters percent-encoded, `~` for
/// an empty one; with arguments `~` and six letters made of them.
pub fn properties_key(binding: &Binding) -> String {
    let mut text = String::new();
    for octet in binding.key.iter() {
        match octet {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' => text.push(char::from(*octet)),
            // Writing to a String cannot fail.
            other => drop(write!(text, "%{other:02X}")),
        }
    }
    let hash = binding.arguments_hash();
    if hash != 0 {
        text.push('~');
        text.extend((0..6).map(|place| char::from(LETTERS[(hash >> (place * 6)) as usize % 64])));
    }
    if text.is_empty() { "~".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Value;

    fn key(key: &str, arguments: Table) -> String {
        let queue = Destination::Queue("q".parse().unwrap());
        properties_key(&Binding::new("x".parse().unwrap(), queue, key.as_bytes(), arguments))
    }

    #[test]
    fn a_binding_is_named_by_its_key_and_the_sum_of_its_arguments() {
        assert_eq!(key("a.b", Table::default()), "a.b");
        assert_eq!(key("", Table::default()), "~");
        assert_eq!(key("a/~#", Table::default()), "a%2F%7E%23");
        let with = |n| key("a.b", [("n", Value::I32(n))].into());
        assert!(with(1).starts_with("a.b~") && with(1).len() == 10);
        assert_ne!(with(1), with(2));
    }
}
