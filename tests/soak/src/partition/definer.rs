//! Clients that change definitions all the time, and what follows from the answers that they got: what was agreed is so on
//! every node, and all nodes say the same. The comparison is pure; only the clients and the listing touch a broker.

use super::load::{Ends, PATIENCE, Signals};
use super::net::{Net, amqp};
use super::node::Node;
use crate::client::{Connection, Failure};
use crate::dice::Dice;
use crate::finding::{Fault, Finding};
use crate::method::{self, DURABLE};
use amq_protocol::types::FieldTable;
use anyhow::Result;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Time from one change to the next.
const EVERY: Duration = Duration::from_millis(120);
const BACK_OFF: Duration = Duration::from_millis(150);
/// Every queue is bound there, under its own name.
const EXCHANGE: &str = "amq.direct";

/// What is known of a queue or binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    /// It was agreed that it is there.
    There,
    /// It was agreed that it is gone.
    Gone,
    /// Nobody answered.
    Either,
}

/// A queue of a definer, with its one binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Defined {
    /// The queue.
    pub(crate) queue: Known,
    /// Its binding to the exchange.
    pub(crate) binding: Known,
}

/// What a definer brings back.
#[derive(Clone, Debug, Default)]
pub(crate) struct Definitions {
    /// By name of the queue.
    pub(crate) known: BTreeMap<String, Defined>,
    /// When answers came, in milliseconds of the round.
    pub(crate) answers: Vec<u64>,
    /// Why connections ended.
    pub(crate) ends: Ends,
}

/// A client of one node that declares, binds and deletes.
#[derive(Debug)]
pub(crate) struct Definer<'a> {
    /// What its queues' names begin with; nobody else uses it.
    pub(crate) prefix: String,
    /// The node that it is connected to.
    pub(crate) node: usize,
    /// What it is told.
    pub(crate) signals: &'a Signals,
    /// What it draws from.
    pub(crate) dice: Dice,
}

impl Definer<'_> {
    /// Works until it is enough.
    pub(crate) fn run(mut self) -> Definitions {
        let mut definitions = Definitions::default();
        while !self.signals.enough.load(Ordering::Relaxed) {
            if let Err(failure) = self.session(&mut definitions) {
                *definitions.ends.entry(failure.to_string()).or_default() += 1;
                std::thread::sleep(BACK_OFF);
            }
        }
        definitions
    }

    fn session(&mut self, definitions: &mut Definitions) -> Result<(), Failure> {
        let mut connection = Connection::open_at(amqp(self.node), PATIENCE)?;
        connection.open_channel(1)?;
        while !self.signals.enough.load(Ordering::Relaxed) {
            self.step(&mut connection, definitions)?;
            definitions.answers.push(self.signals.now());
            std::thread::sleep(EVERY);
        }
        Ok(())
    }

    /// One change. What is asked is in doubt until it is answered.
    fn step(&mut self, connection: &mut Connection, definitions: &mut Definitions) -> Result<(), Failure> {
        use Known::{Either, Gone, There};
        let there = |defined: &Defined| defined.queue == There;
        let candidates: Vec<&String> = definitions
            .known
            .iter()
            .filter(|(_, it)| there(it))
            .map(|(name, _)| name)
            .collect();
        let old = candidates
            .get(self.dice.below(candidates.len() as u64) as usize)
            .map(|name| (*name).clone());
        let set = |definitions: &mut Definitions, name: &str, queue, binding| {
            definitions.known.insert(name.to_owned(), Defined { queue, binding });
        };
        match (self.dice.below(10), old) {
            (0..=1, Some(name)) => {
                set(definitions, &name, Either, Either);
                connection.call(1, method::delete(&name))?;
                set(definitions, &name, Gone, Gone);
            }
            (2, Some(name)) => {
                set(definitions, &name, There, Either);
                connection.call(1, method::bind(false, &name, EXCHANGE, &name))?;
                set(definitions, &name, There, Gone);
            }
            _ => {
                let name = format!("{}.{}", self.prefix, definitions.known.len());
                set(definitions, &name, Either, Either);
                connection.call(1, method::declare(&name, false, DURABLE, FieldTable::default()))?;
                set(definitions, &name, There, Either);
                connection.call(1, method::bind(true, &name, EXCHANGE, &name))?;
                set(definitions, &name, There, There);
            }
        }
        Ok(())
    }
}

/// What a node says of the definitions: a kind of list, and its lines.
pub(crate) type Listing = BTreeMap<&'static str, BTreeSet<String>>;

const LISTS: [(&str, &[&str]); 7] = [
    (
        "queues",
        &["list_queues", "name", "durable", "auto_delete", "arguments"],
    ),
    (
        "bindings",
        &["list_bindings", "source_name", "destination_name", "routing_key"],
    ),
    ("exchanges", &["list_exchanges", "name", "type", "durable"]),
    ("users", &["list_users"]),
    ("vhosts", &["list_vhosts"]),
    ("permissions", &["list_permissions"]),
    ("policies", &["list_policies"]),
];

/// Asks a node for its definitions.
pub(crate) fn list(node: &Node, net: &Net) -> Result<Listing> {
    let of = |(name, arguments): &(&'static str, &[&str])| {
        let answer = node.ask(net, arguments)?;
        let lines = answer.as_array().into_iter().flatten().map(Value::to_string);
        Ok((*name, lines.collect()))
    };
    LISTS.iter().map(of).collect()
}

/// Where two nodes say different things.
pub(crate) fn differences(one: &Listing, other: &Listing) -> Vec<String> {
    let mut found = Vec::new();
    for (kind, lines) in one {
        let empty = BTreeSet::new();
        let theirs = other.get(kind).unwrap_or(&empty);
        found.extend(
            lines
                .difference(theirs)
                .map(|line| format!("only the first knows of {kind} {line}")),
        );
        found.extend(
            theirs
                .difference(lines)
                .map(|line| format!("only the second knows of {kind} {line}")),
        );
    }
    found
}

fn values(listing: &Listing, kind: &str, key: &str) -> BTreeSet<String> {
    let text = |line: &String| {
        let value: Value = serde_json::from_str(line).ok()?;
        Some(value.get(key)?.as_str()?.to_owned())
    };
    listing.get(kind).into_iter().flatten().filter_map(text).collect()
}

/// Names of queues.
pub(crate) fn queues(listing: &Listing) -> BTreeSet<String> {
    values(listing, "queues", "name")
}

/// The disk of this definer's node is lost, and with it the queues that lived there alone: they may be gone.
pub(crate) fn lose_disk(definitions: &mut Definitions) {
    for defined in definitions.known.values_mut() {
        for known in [&mut defined.queue, &mut defined.binding] {
            if *known == Known::There {
                *known = Known::Either;
            }
        }
    }
}

/// What was agreed and is not so, or is there and was never asked for. `ours` are the names that only definers use.
pub(crate) fn audit(known: &BTreeMap<String, Defined>, listing: &Listing, ours: &str) -> Vec<Finding> {
    let (queues, keys) = (queues(listing), values(listing, "bindings", "routing_key"));
    let bound = bound_keys(listing, &keys);
    let mut findings = Vec::new();
    let mut judge = |name: &str, what: &str, known: Known, there: bool| {
        let text = match (known, there) {
            (Known::There, false) => "it was agreed to, and is not there",
            (Known::Gone, true) => "its end was agreed to, and it is there",
            (Known::There | Known::Gone | Known::Either, _) => return,
        };
        findings.push(Finding::at(Fault::Definition, name, format!("{what}: {text}")));
    };
    for (name, defined) in known {
        judge(name, "the queue", defined.queue, queues.contains(name));
        judge(name, "the binding", defined.binding, bound.contains(name));
    }
    let strange = queues
        .iter()
        .filter(|name| name.starts_with(ours) && !known.contains_key(*name));
    findings.extend(strange.map(|name| Finding::at(Fault::Phantom, name, "a queue that nobody declared")));
    findings
}

/// Keys under which the exchange has a binding; the default exchange has one for every queue.
fn bound_keys(listing: &Listing, keys: &BTreeSet<String>) -> BTreeSet<String> {
    let from = |line: &String| {
        let value: Value = serde_json::from_str(line).ok()?;
        let key = value.get("routing_key")?.as_str()?.to_owned();
        (value.get("source_name")?.as_str()? == EXCHANGE && keys.contains(&key)).then_some(key)
    };
    listing.get("bindings").into_iter().flatten().filter_map(from).collect()
}

/// Removes all queues with these names, through one node, as long as it takes.
pub(crate) fn remove(node: usize, names: &BTreeSet<String>, patience: Duration) -> Result<(), Failure> {
    let deadline = Instant::now() + patience;
    loop {
        let remove = || {
            let mut connection = Connection::open_at(amqp(node), PATIENCE)?;
            connection.open_channel(1)?;
            for name in names {
                connection.call(1, method::delete(name))?;
            }
            Ok(())
        };
        match remove() {
            Err(_) if Instant::now() < deadline => std::thread::sleep(BACK_OFF),
            other => return other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(queues: &[&str], bindings: &[&str]) -> Listing {
        let queue = |name: &&str| format!(r#"{{"name":"{name}"}}"#);
        let binding = |name: &&str| format!(r#"{{"routing_key":"{name}","source_name":"amq.direct"}}"#);
        Listing::from([
            ("queues", queues.iter().map(queue).collect()),
            ("bindings", bindings.iter().map(binding).collect()),
        ])
    }

    fn known(queue: Known, binding: Known) -> BTreeMap<String, Defined> {
        BTreeMap::from([("d.1".to_owned(), Defined { queue, binding })])
    }

    #[test]
    fn what_was_agreed_must_be_so_and_what_was_not_answered_may_be() {
        use Known::{Either, Gone, There};
        let (here, none) = (listing(&["d.1"], &["d.1"]), listing(&[], &[]));
        assert_eq!(audit(&known(There, There), &here, "d."), []);
        assert_eq!(audit(&known(There, There), &none, "d.").len(), 2);
        assert_eq!(audit(&known(Gone, Gone), &here, "d.").len(), 2);
        assert_eq!(audit(&known(Either, Either), &here, "d."), []);
        assert_eq!(audit(&known(Either, Either), &none, "d."), []);
        assert_eq!(audit(&known(There, Gone), &listing(&["d.1"], &[]), "d."), []);
        let mut lost = Definitions {
            known: known(There, Gone),
            ..Definitions::default()
        };
        lose_disk(&mut lost);
        assert_eq!(lost.known, known(Either, Gone));
    }

    #[test]
    fn a_queue_that_nobody_declared_is_found_if_its_name_is_ours() {
        let found = audit(&BTreeMap::new(), &listing(&["d.7", "other"], &[]), "d.");
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].fault, found[0].place.as_str()), (Fault::Phantom, "d.7"));
    }

    #[test]
    fn nodes_that_differ_are_told_by_both_sides() {
        let (one, other) = (listing(&["a", "b"], &[]), listing(&["b", "c"], &[]));
        assert_eq!(differences(&one, &one), [""; 0]);
        assert_eq!(differences(&one, &other).len(), 2);
    }
}
