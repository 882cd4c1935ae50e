//! What is known of the queues, exchanges and bindings of a lane, and where a message goes by that. It records answers and
//! computes routes; it talks to no server.

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
    pub(crate) known: Known,
}

/// Types of the exchanges, by index.
pub(crate) const KINDS: [&str; 4] = ["direct", "fanout", "topic", "direct"];

/// Everything that can exist.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Topology {
    /// Of each queue.
    pub(crate) queues: Vec<Known>,
    /// Of each exchange.
    pub(crate) exchanges: Vec<Known>,
    /// Bindings that exist or may.
    pub(crate) bindings: Vec<Binding>,
}

impl Topology {
    /// Nothing exists.
    pub(crate) fn new(queues: usize) -> Self {
        Self {
            queues: vec![Known::No; queues],
            exchanges: vec![Known::No; KINDS.len()],
            bindings: Vec::new(),
        }
    }

    /// Something was asked to be deleted; its bindings go with it.
    pub(crate) fn touch(&mut self, thing: To) {
        *self.of(thing) = Known::Unsure;
        for binding in &mut self.bindings {
            if binding.to == thing || To::Exchange(binding.from) == thing {
                binding.known = Known::Unsure;
            }
        }
    }

    /// It is gone, and so are its bindings.
    pub(crate) fn gone(&mut self, thing: To) {
        *self.of(thing) = Known::No;
        self.bindings
            .retain(|binding| binding.to != thing && To::Exchange(binding.from) != thing);
    }

    /// Whether it exists.
    pub(crate) fn of(&mut self, thing: To) -> &mut Known {
        match thing {
            To::Queue(index) => &mut self.queues[index],
            To::Exchange(index) => &mut self.exchanges[index],
        }
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
                known: Known::No,
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
            let bindings = self.bindings.iter().filter(|b| b.from == from && b.known == Known::Yes);
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

    fn topology() -> Topology {
        let mut topology = Topology::new(3);
        topology.binding(0, To::Queue(0), "a").known = Known::Yes;
        topology.binding(0, To::Exchange(1), "a").known = Known::Yes;
        topology.binding(1, To::Queue(1), "").known = Known::Yes;
        topology.binding(2, To::Queue(2), "*").known = Known::Yes;
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
        topology.touch(To::Exchange(1));
        assert_eq!(topology.route(0, "a"), [0]);
        topology.gone(To::Exchange(1));
        assert_eq!(topology.bindings.len(), 2);
    }
}
