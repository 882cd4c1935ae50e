//! What happens in the cluster, for a tool that asks again and again: each node tells what has happened on it.

use link::{EventPlace, Failure, Request, Term};
use model::Value;

use super::{Outcome, clients::ask, map};
use crate::host::{Happening, Node};

/// Whose events, and from where on.
const NODE: &str = "node";
const NEXT: &str = "next";
/// Octets of the events of one node in one answer: those of many nodes fit into a frame.
const OCTETS_MAX: usize = 128 * 1024;

/// What has happened on all nodes that answer since a tool asked last, in order of time, and where to go on.
pub(super) fn of_all(node: &Node, places: &[EventPlace]) -> Outcome {
    let from = |name: &str| places.iter().find(|place| place.node == name).map(|place| place.next);
    let mut told = vec![own(node, from(node.name()))?];
    for other in node.snapshot().other_nodes() {
        match ask(node, &other, Request::OwnEvents { from: from(&other) }) {
            Ok(answer) => told.push(answer),
            Err(failure) => tracing::debug!("events of node {other} are not followed: {failure:?}"),
        }
    }
    let list = |of: &Term, key: &str| match part(of, key) {
        Some(Term::List(items)) => items.clone(),
        _ => Vec::new(),
    };
    let count = |of: &Term, key: &str| match part(of, key) {
        Some(Term::Integer(number)) => *number,
        _ => 0,
    };
    let mut events: Vec<Term> = told.iter().flat_map(|one| list(one, "events")).collect();
    events.sort_by_key(|event| count(event, "timestamp_in_ms"));
    let place = |one: &Term| {
        let node = part(one, NODE).cloned().unwrap_or_else(Term::none);
        map([(NODE, node), (NEXT, Term::count(count(one, NEXT)))])
    };
    let missed: i64 = told.iter().map(|one| count(one, "missed")).sum();
    Ok(map([
        ("places", Term::List(told.iter().map(place).collect())),
        ("missed", Term::count(missed)),
        ("events", Term::List(events)),
    ]))
}

/// What has happened on this node.
pub(super) fn own(node: &Node, from: Option<u64>) -> Result<Term, Failure> {
    let followed = node.events().follow(from, node.now());
    let begin = followed.next - followed.happened.len() as u64;
    let (taken, events, too_large) = within(followed.happened.iter().map(event), OCTETS_MAX);
    Ok(map([
        (NODE, Term::text(&**node.name())),
        (NEXT, Term::count(begin + taken)),
        ("missed", Term::count(followed.missed + too_large)),
        ("events", Term::List(events)),
    ]))
}

/// As many as one answer holds; the rest is asked for again. What alone is too large is left out.
fn within(all: impl Iterator<Item = Term>, octets_max: usize) -> (u64, Vec<Term>, u64) {
    let (mut taken, mut events, mut too_large, mut octets) = (0, Vec::new(), 0, 0);
    for event in all {
        match link::encode(&event).map_or(usize::MAX, |encoded| encoded.len()) {
            long if long > octets_max => too_large += 1,
            long if octets + long > octets_max => break,
            long => {
                octets += long;
                events.push(event);
            }
        }
        taken += 1;
    }
    (taken, events, too_large)
}

fn part<'a>(of: &'a Term, key: &str) -> Option<&'a Term> {
    let Term::Map(pairs) = of else { return None };
    pairs.iter().find(|(name, _)| name == key).map(|(_, value)| value)
}

fn event(happening: &Happening) -> Term {
    let headers = happening.headers.0.iter();
    let headers = headers.map(|(name, value)| (name.clone(), shown(value)));
    let key = ("event".to_owned(), Term::text(happening.key));
    Term::Map(std::iter::once(key).chain(headers).collect())
}

/// A header. Nothing is deeper than what came in on the wire or as JSON.
fn shown(value: &Value) -> Term {
    match value {
        Value::Void => Term::none(),
        Value::Bool(on) => Term::Bool(*on),
        Value::F32(number) => Term::Float((*number).into()),
        Value::F64(number) => Term::Float(*number),
        Value::LongStr(octets) | Value::Bytes(octets) => Term::text(String::from_utf8_lossy(octets)),
        Value::Timestamp(seconds) => Term::count(*seconds),
        Value::Decimal(decimal) => Term::text(format!("{}e-{}", decimal.value, decimal.scale)),
        Value::Array(items) => Term::List(items.iter().map(shown).collect()),
        Value::Table(table) => {
            let pairs = table.0.iter();
            Term::Map(pairs.map(|(name, value)| (name.clone(), shown(value))).collect())
        }
        integer => Term::count(integer.as_integer().unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_holds_what_fits_and_leaves_out_what_never_would() {
        let text = |octets: usize| Term::text("x".repeat(octets));
        let (taken, events, too_large) = within([text(10), text(500), text(20), text(80)].into_iter(), 100);
        assert_eq!((taken, events, too_large), (3, vec![text(10), text(20)], 1));
    }
}
