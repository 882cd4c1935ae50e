//! What is known of the queues, exchanges and bindings of a lane, and where a message goes by that. It records answers and
//! computes routes; it talks to no server.

use crate::shelf::Moment;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Whether something exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Known {
    /// The server said so.
    Yes,
    /// The server said so, or it was never asked.
    No,
    /// It was asked to change it and did not answer.
    Unsure,
}

/// What is known, and since when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Fact {
    /// What.
    pub(crate) known: Known,
    /// Since when.
    pub(crate) since: Moment,
}

impl Fact {
    const NEVER: Self = Self {
        known: Known::No,
        since: 0,
    };
}

/// Where a binding leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum To {
    /// The queue of this index.
    Queue(usize),
    /// The exchange of this index.
    Exchange(usize),
}

/// One binding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Binding {
    /// Index of the exchange it belongs to.
    pub(crate) from: usize,
    /// Where it leads.
    pub(crate) to: To,
    /// Its routing key.
    pub(crate) key: String,
    /// Whether it exists.
    pub(crate) fact: Fact,
}

/// Types of the exchanges, by index.
pub(crate) const KINDS: [&str; 4] = ["direct", "fanout", "topic", "direct"];

/// Everything that can exist.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Topology {
    queues: Vec<Fact>,
    exchanges: Vec<Fact>,
    /// Bindings that exist, may exist, or did.
    pub(crate) bindings: Vec<Binding>,
}

impl Topology {
    /// Nothing exists.
    pub(crate) fn new(queues: usize) -> Self {
        Self {
            queues: vec![Fact::NEVER; queues],
            exchanges: vec![Fact::NEVER; KINDS.len()],
            bindings: Vec::new(),
        }
    }

    /// Whether it exists.
    pub(crate) fn known(&self, thing: To) -> Known {
        match thing {
            To::Queue(index) => self.queues[index].known,
            To::Exchange(index) => self.exchanges[index].known,
        }
    }

    /// It exists, or may.
    pub(crate) fn set(&mut self, thing: To, known: Known, since: Moment) {
        let fact = Fact { known, since };
        match thing {
            To::Queue(index) => self.queues[index] = fact,
            To::Exchange(index) => self.exchanges[index] = fact,
        }
    }

    /// It is being deleted, or has been, and its bindings with it.
    pub(crate) fn take(&mut self, thing: To, known: Known, since: Moment) {
        self.set(thing, known, since);
        for binding in self.bindings.iter_mut().filter(|binding| binding.touches(thing)) {
            if binding.fact.known != Known::No {
                binding.fact = Fact { known, since };
            }
        }
    }

    /// A restarted server has it, or not; what it has not, has no bindings.
    pub(crate) fn found(&mut self, thing: To, there: bool, now: Moment) {
        self.set(thing, if there { Known::Yes } else { Known::No }, now);
        if !there {
            self.bindings.retain(|binding| !binding.touches(thing));
        }
    }

    /// Forgets what was answered after `since`, and bindings that are surely gone.
    pub(crate) fn doubt(&mut self, since: Moment) {
        let bindings = self.bindings.iter_mut().map(|binding| &mut binding.fact);
        let facts = self.queues.iter_mut().chain(&mut self.exchanges).chain(bindings);
        for fact in facts.filter(|fact| fact.since > since) {
            fact.known = Known::Unsure;
        }
        self.bindings.retain(|binding| binding.fact.known != Known::No);
    }

    /// The binding with these ends, made if there is none.
    pub(crate) fn binding(&mut self, from: usize, to: To, key: &str) -> &mut Binding {
        let at = self
            .bindings
            .iter()
            .position(|b| (b.from, b.to, b.key.as_str()) == (from, to, key));
        let at = at.unwrap_or_else(|| {
            self.bindings.push(Binding {
                from,
                to,
                key: key.to_owned(),
                fact: Fact::NEVER,
            });
            self.bindings.len() - 1
        });
        &mut self.bindings[at]
    }

    /// The queues that a message reaches from an exchange.
    pub(crate) fn route(&self, exchange: usize, key: &str) -> Vec<usize> {
        let (mut reached, mut seen, mut open) = (BTreeSet::new(), BTreeSet::new(), vec![exchange]);
        while let Some(from) = open.pop() {
            if !seen.insert(from) {
                continue;
            }
            let bindings = self
                .bindings
                .iter()
                .filter(|b| b.from == from && b.fact.known == Known::Yes);
            for binding in bindings.filter(|binding| matches(KINDS[from], &binding.key, key)) {
                match binding.to {
                    To::Queue(queue) => drop(reached.insert(queue)),
                    To::Exchange(next) => open.push(next),
                }
            }
        }
        reached.into_iter().collect()
    }
}

impl Binding {
    fn touches(&self, thing: To) -> bool {
        self.to == thing || To::Exchange(self.from) == thing
    }
}

/// Whether a binding key lets a routing key of one word through.
fn matches(kind: &str, bound: &str, key: &str) -> bool {
    match kind {
        "fanout" => true,
        "topic" => bound == "*" || bound == key,
        _ => bound == key,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const YES: Fact = Fact {
        known: Known::Yes,
        since: 5,
    };

    fn topology() -> Topology {
        let mut topology = Topology::new(3);
        topology.binding(0, To::Queue(0), "a").fact = YES;
        topology.binding(0, To::Exchange(1), "a").fact = YES;
        topology.binding(1, To::Queue(1), "").fact = YES;
        topology.binding(2, To::Queue(2), "*").fact = YES;
        topology
    }

    #[test]
    fn a_message_follows_bindings_through_exchanges() {
        assert_eq!(topology().route(0, "a"), [0, 1]);
        assert_eq!(topology().route(0, "b"), [] as [usize; 0]);
        assert_eq!(topology().route(1, "b"), [1]);
        assert_eq!(topology().route(2, "b"), [2]);
    }

    #[test]
    fn what_is_deleted_takes_its_bindings_along() {
        let mut topology = topology();
        topology.take(To::Exchange(1), Known::Unsure, 6);
        assert_eq!(topology.route(0, "a"), [0]);
        topology.found(To::Exchange(1), false, 7);
        assert_eq!(topology.bindings.len(), 2);
    }

    #[test]
    fn only_what_was_answered_late_is_doubted() {
        let mut topology = topology();
        topology.set(To::Queue(0), Known::Yes, 5);
        topology.set(To::Queue(1), Known::No, 9);
        topology.doubt(7);
        assert_eq!(
            [0, 1].map(|queue| topology.known(To::Queue(queue))),
            [Known::Yes, Known::Unsure]
        );
        assert_eq!(topology.route(0, "a"), [0, 1]);
        topology.doubt(4);
        assert_eq!(topology.route(0, "a"), [] as [usize; 0]);
    }
}
