//! What the hosts of nodes tell each other of their own accord: which alarms are on, so that a node that is out of memory or
//! disk space blocks the publishers of all.
//!
//! Told at once when it changes and once a second, to every node that is up; the answer tells the same of the other. What
//! a node said counts as long as it is up.

use futures::future::BoxFuture;
use model::NodeUuid;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    sync::{Arc, Weak},
    time::Duration,
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
    while !node.stopping().is_cancelled() {
        let others = presence.others_up();
        node.forget_alarms_of_others(&others);
        let told = others.iter().map(|peer| tell(&node, &presence, peer));
        futures::future::join_all(told).await;
        tokio::select! {
            () = node.alarms().changed.notified() => {}
            () = tokio::time::sleep(INTERVAL) => {}
            () = node.stopping().cancelled() => {}
        }
    }
}

async fn tell(node: &Node, presence: &Presence, peer: &Peer) {
    let word = Word::Alarms(node.alarms().own()).encode();
    match (presence.ask_host(peer, word, PATIENCE).await, peer.node) {
        (Ok(answer), Some(uuid)) => {
            if let Word::Alarms(on) = Word::decode(&answer) {
                node.hear_alarms(uuid, on);
            }
        }
        (Ok(_), None) => {}
        (Err(error), _) => tracing::debug!("{peer} cannot be told of alarms: {error}"),
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
}
