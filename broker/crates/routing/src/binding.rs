//! A binding: where messages come from, where they go, and the key and arguments that select them.
//!
//! Two bindings are the same when source, destination, key and arguments are; the order of arguments does not count.

use model::{ExchangeName, QueueName, Table, Value};
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::sync::Arc;

/// Where a binding leads.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Destination {
    /// To a queue.
    Queue(QueueName),
    /// To an exchange.
    Exchange(ExchangeName),
}

impl Destination {
    /// The name of the queue or exchange.
    pub fn name(&self) -> &str {
        match self {
            Destination::Queue(name) => name.as_str(),
            Destination::Exchange(name) => name.as_str(),
        }
    }
}

/// One binding of a virtual host.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(from = "Parts", into = "Parts")]
pub struct Binding {
    /// Where messages come from.
    pub source: ExchangeName,
    /// Where they go.
    pub destination: Destination,
    /// The binding key.
    pub key: Arc<[u8]>,
    /// The arguments as given.
    pub arguments: Table,
    /// The arguments in one fixed form: empty without any.
    fingerprint: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
struct Parts {
    source: ExchangeName,
    destination: Destination,
    key: Vec<u8>,
    arguments: Table,
}

impl From<Parts> for Binding {
    fn from(parts: Parts) -> Self {
        Binding::new(parts.source, parts.destination, parts.key.as_slice(), parts.arguments)
    }
}

impl From<Binding> for Parts {
    fn from(binding: Binding) -> Self {
        let key = binding.key.to_vec();
        Parts {
            source: binding.source,
            destination: binding.destination,
            key,
            arguments: binding.arguments,
        }
    }
}

impl Binding {
    /// Puts a binding together.
    pub fn new(source: ExchangeName, destination: Destination, key: &[u8], arguments: Table) -> Self {
        let fingerprint = fingerprint(&arguments);
        Binding {
            source,
            destination,
            key: key.into(),
            arguments,
            fingerprint,
        }
    }

    /// A short name of the arguments, 0 without any: what the management API tells equal keys apart by.
    pub fn arguments_hash(&self) -> u64 {
        if self.fingerprint.is_empty() {
            0
        } else {
            crate::hash::fnv(&self.fingerprint)
        }
    }

    pub(crate) fn by_source(&self) -> (&ExchangeName, &Destination, &[u8], &[u8]) {
        (&self.source, &self.destination, &self.key, &self.fingerprint)
    }

    pub(crate) fn by_destination(&self) -> (&Destination, &ExchangeName, &[u8], &[u8]) {
        (&self.destination, &self.source, &self.key, &self.fingerprint)
    }
}

impl PartialEq for Binding {
    fn eq(&self, other: &Self) -> bool {
        self.by_source() == other.by_source()
    }
}

impl Eq for Binding {}

impl PartialOrd for Binding {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Binding {
    /// By source, destination, key, arguments: the order in which bindings are listed.
    fn cmp(&self, other: &Self) -> Ordering {
        self.by_source().cmp(&other.by_source())
    }
}

fn fingerprint(arguments: &Table) -> Vec<u8> {
    let mut out = Vec::new();
    write_table(arguments, &mut out);
    out
}

fn write_table(table: &Table, out: &mut Vec<u8>) {
    let mut pairs: Vec<&(String, Value)> = table.0.iter().collect();
    pairs.sort_by(|a, b| a.0.cmp(&b.0));
    for (key, value) in pairs {
        write_octets(key.as_bytes(), out);
        write_value(value, out);
    }
}

fn write_octets(octets: &[u8], out: &mut Vec<u8>) {
    out.extend((octets.len() as u64).to_be_bytes());
    out.extend(octets);
}

fn write_value(value: &Value, out: &mut Vec<u8>) {
    write_octets(value.type_name().as_bytes(), out);
    let mut inner = Vec::new();
    match value {
        Value::Void => {}
        Value::Bool(on) => inner.push(u8::from(*on)),
        Value::F32(n) => inner.extend(n.to_bits().to_be_bytes()),
        Value::F64(n) => inner.extend(n.to_bits().to_be_bytes()),
        Value::Decimal(d) => inner.extend(format!("{}/{}", d.value, d.scale).bytes()),
        Value::LongStr(octets) | Value::Bytes(octets) => inner.extend(octets),
        Value::Array(items) => items.iter().for_each(|item| write_value(item, &mut inner)),
        Value::Timestamp(seconds) => inner.extend(seconds.to_be_bytes()),
        Value::Table(table) => write_table(table, &mut inner),
        integer => inner.extend(integer.as_integer().unwrap_or_default().to_be_bytes()),
    }
    write_octets(&inner, out);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn binding(arguments: Table) -> Binding {
        Binding::new(
            "x".parse().unwrap(),
            Destination::Queue("q".parse().unwrap()),
            b"k",
            arguments,
        )
    }

    #[test]
    fn the_order_of_arguments_does_not_make_another_binding() {
        let ab = binding([("a", Value::I8(1)), ("b", Value::I8(2))].into());
        let ba = binding([("b", Value::I8(2)), ("a", Value::I8(1))].into());
        assert_eq!(ab, ba);
        assert_eq!(ab.arguments_hash(), ba.arguments_hash());
    }

    #[test]
    fn other_arguments_make_another_binding() {
        let none = binding(Table::default());
        assert_ne!(none, binding([("a", Value::I8(1))].into()));
        assert_ne!(
            binding([("a", "1".into())].into()),
            binding([("a", Value::I8(1))].into())
        );
        assert_ne!(binding([("a", "b".into())].into()), binding([("ab", "".into())].into()));
        assert_eq!(none.arguments_hash(), 0);
    }
}
