//! What the hosts of nodes tell each other of their own accord: which alarms are on, so that a node that is out of memory or
//! disk space blocks the publishers of all. Who answers is within reach; who does not is not, and no client has anything going
//! on there.
//!
//! Told at once when it changes and once a second, to every node that is up; the answer tells the same of the other. What
//! a node said counts as long as it is up.

use futures::future::BoxFuture;
use model::NodeUuid;
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

use super::node::Node;
use crate::cluster::{
    presence::{self, Presence},
    transport::{Introduction, Peer},
};

/// How often a node tells the others, though nothing has changed.
const INTERVAL: Duration = Duration::from_secs(1);
/// How long another node may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// A node that has answered nothing for this long is out of reach, whatever the others say: what clients of each have going on
/// with the other ends.
const UNHEARD_MAX: Duration = Duration::from_secs(15);

/// When other nodes have answered last.
#[derive(Default)]
struct Heard(BTreeMap<NodeUuid, Instant>);

impl Heard {
    /// These are up: one that is new among them begins with patience, one that is not is forgotten.
    fn follow(&mut self, up: &[Peer], now: Instant) {
        let up: BTreeSet<NodeUuid> = up.iter().filter_map(|peer| peer.node).collect();
        self.0.retain(|node, _| up.contains(node));
        for node in up {
            self.0.entry(node).or_insert(now);
        }
    }

    fn note(&mut self, answered: impl IntoIterator<Item = NodeUuid>, now: Instant) {
        self.0.extend(answered.into_iter().map(|node| (node, now)));
    }

    /// Those out of reach.
    fn unheard(&self, now: Instant) -> BTreeSet<NodeUuid> {
        let is_late = |(_, last): &(&NodeUuid, &Instant)| now.duration_since(**last) >= UNHEARD_MAX;
        self.0.iter().filter(is_late).map(|(node, _)| *node).collect()
    }
}

/// The alarms of one node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlarmsOn {
    /// Memory is above its watermark.
    pub memory: bool,
    /// Disk space is below its limit.
    pub disk: bool,
}

/// One word between hosts. Variants are only ever added.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Word {
    /// These alarms are on.
    Alarms(AlarmsOn),
    /// The word was not understood.
    Unknown,
}

impl Word {
    fn encode(&self) -> Vec<u8> {
        // Words of plain numbers and names: there is nothing in them that could not be written.
        rmp_serde::to_vec_named(self).unwrap_or_default()
    }

    fn decode(octets: &[u8]) -> Self {
        rmp_serde::from_slice(octets).unwrap_or(Word::Unknown)
    }
}

/// The node's ear for other hosts.
struct Neighbour(Weak<Node>);

impl presence::Host for Neighbour {
    fn answer(&self, from: &Introduction, question: Vec<u8>) -> BoxFuture<'_, Vec<u8>> {
        let from = from.node;
        Box::pin(async move {
            let Some(node) = self.0.upgrade() else {
                return Word::Unknown.encode();
            };
            let answer = match Word::decode(&question) {
                Word::Alarms(on) => {
                    node.hear_alarms(from, on);
                    Word::Alarms(node.alarms().own())
                }
                Word::Unknown => Word::Unknown,
            };
            answer.encode()
        })
    }
}

/// Tells and hears of alarms until the node stops.
pub async fn run(node: Arc<Node>) {
    let Some(presence) = node.presence().cloned() else {
        return;
    };
    presence.attach(Arc::new(Neighbour(Arc::downgrade(&node))));
    let mut heard = Heard::default();
    while !node.stopping().is_cancelled() {
        let others = presence.others_up();
        node.forget_alarms_of_others(&others);
        heard.follow(&others, Instant::now());
        let is_down = |node| !others.iter().any(|peer| peer.node == Some(node));
        node.served_legs().end_those_of(is_down);
        let told = others.iter().map(|peer| tell(&node, &presence, peer));
        let answered = futures::future::join_all(told).await;
        heard.note(answered.into_iter().flatten(), Instant::now());
        node.served_legs().leave_unheard(heard.unheard(Instant::now()));
        tokio::select! {
            () = node.alarms().changed.notified() => {}
            () = tokio::time::sleep(INTERVAL) => {}
            () = node.stopping().cancelled() => {}
        }
    }
}

/// The node, if it has answered.
async fn tell(node: &Node, presence: &Presence, peer: &Peer) -> Option<NodeUuid> {
    let word = Word::Alarms(node.alarms().own()).encode();
    match (presence.ask_host(peer, word, PATIENCE).await, peer.node) {
        (Ok(answer), Some(uuid)) => {
            if let Word::Alarms(on) = Word::decode(&answer) {
                node.hear_alarms(uuid, on);
            }
            Some(uuid)
        }
        (Ok(_), None) => None,
        (Err(error), _) => {
            tracing::debug!("{peer} cannot be told of alarms: {error}");
            None
        }
    }
}

impl Node {
    /// Another node has said which of its alarms are on.
    fn hear_alarms(&self, of: NodeUuid, on: AlarmsOn) {
        let has_changed = self.alarms().change_others(|others| {
            let before = match on == AlarmsOn::default() {
                true => others.remove(&of),
                false => others.insert(of, on),
            };
            before.unwrap_or_default() != on
        });
        if has_changed {
            self.changes.tell();
            self.tell_clients_of_alarms();
        }
    }

    /// Nodes that are down have no alarms.
    fn forget_alarms_of_others(&self, up: &[Peer]) {
        let is_up = |node: &NodeUuid| up.iter().any(|peer| peer.node == Some(*node));
        let has_changed = self
            .alarms()
            .change_others(|others: &mut BTreeMap<NodeUuid, AlarmsOn>| {
                let before = others.len();
                others.retain(|node, _| is_up(node));
                others.len() != before
            });
        if has_changed {
            self.changes.tell();
            self.tell_clients_of_alarms();
        }
    }

    /// The alarms of all nodes that are up, by their names, this one first.
    pub fn alarms_of_all(&self) -> Vec<(catalog::NodeName, AlarmsOn)> {
        let snapshot = self.snapshot();
        let named = |(uuid, on): (NodeUuid, AlarmsOn)| Some((snapshot.catalog.node(uuid)?.name.clone(), on));
        let own = (self.name().clone(), self.alarms().own());
        let others = self.alarms().others().into_iter().filter_map(named);
        std::iter::once(own).chain(others).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_read_back_as_they_were_and_others_are_not_understood() {
        let word = Word::Alarms(AlarmsOn {
            memory: true,
            disk: false,
        });
        assert_eq!(Word::decode(&word.encode()), word);
        assert_eq!(Word::decode(b"dance"), Word::Unknown);
    }

    #[test]
    fn a_node_is_out_of_reach_when_it_has_been_silent_for_long_since_it_was_up() {
        let node = NodeUuid(7);
        let peer = Peer {
            node: Some(node),
            name: "rabbit@there".to_owned(),
        };
        let begun = Instant::now();
        let mut heard = Heard::default();
        heard.follow(std::slice::from_ref(&peer), begun);
        assert!(heard.unheard(begun + UNHEARD_MAX / 2).is_empty());
        heard.note([node], begun + UNHEARD_MAX / 2);
        heard.follow(std::slice::from_ref(&peer), begun + UNHEARD_MAX);
        assert!(heard.unheard(begun + UNHEARD_MAX).is_empty());
        assert_eq!(heard.unheard(begun + UNHEARD_MAX * 2), BTreeSet::from([node]));
        heard.follow(&[], begun + UNHEARD_MAX * 2);
        assert!(heard.unheard(begun + UNHEARD_MAX * 3).is_empty(), "it is down");
    }
}
