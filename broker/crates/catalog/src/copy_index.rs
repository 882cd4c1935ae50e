//! Which queues have a copy on a node, and which queues the policies or their own records make mirrored ones.
//!
//! Follows from the queues' records, so that a node's start or death looks at the queues that it concerns and no others.

use crate::record::QueueRecord;
use imbl::{OrdMap, OrdSet};
use model::{NodeUuid, QueueId};

/// Kept with every change of a record.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct CopyIndex {
    /// No node has an empty set.
    by_node: OrdMap<NodeUuid, OrdSet<QueueId>>,
    /// Mirrored, or to be as soon as that can be.
    watched: OrdSet<QueueId>,
}

fn nodes(record: Option<&QueueRecord>) -> impl Iterator<Item = NodeUuid> {
    let replicas = record.and_then(|record| record.replicas.as_deref());
    let copies = replicas.into_iter().flat_map(|replicas| &replicas.copies);
    copies.map(|copy| copy.node)
}

fn is_watched(record: &QueueRecord) -> bool {
    record.replicas.is_some() || record.ha_mode().is_some()
}

impl CopyIndex {
    /// A record takes the place of another.
    pub(crate) fn replace(&mut self, before: Option<&QueueRecord>, now: Option<&QueueRecord>) {
        let (old, new): (Vec<_>, Vec<_>) = (nodes(before).collect(), nodes(now).collect());
        let id = before.or(now).map(|record| record.id).unwrap_or_default();
        for node in old.iter().filter(|node| !new.contains(node)) {
            self.forget(*node, id);
        }
        for node in new.iter().filter(|node| !old.contains(node)) {
            self.by_node.entry(*node).or_default().insert(id);
        }
        match now.is_some_and(is_watched) {
            true => drop(self.watched.insert(id)),
            false => drop(self.watched.remove(&id)),
        }
    }

    fn forget(&mut self, node: NodeUuid, id: QueueId) {
        let Some(own) = self.by_node.get_mut(&node) else { return };
        own.remove(&id);
        if own.is_empty() {
            self.by_node.remove(&node);
        }
    }

    /// The queues that have a copy on the node.
    pub(crate) fn on(&self, node: NodeUuid) -> impl Iterator<Item = QueueId> {
        self.by_node.get(&node).into_iter().flatten().copied()
    }

    /// How many copies the node has.
    pub(crate) fn load(&self, node: NodeUuid) -> usize {
        self.by_node.get(&node).map_or(0, OrdSet::len)
    }

    /// Every queue that is mirrored or to be.
    pub(crate) fn watched(&self) -> impl Iterator<Item = QueueId> {
        self.watched.iter().copied()
    }
}
