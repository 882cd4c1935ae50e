//! A node that is to leave the cluster: nothing more is placed there, queues that have mirrors in sync are led elsewhere, and where a policy or a
//! queue's type asks for a number of copies, another node gets the one that would go, before it goes.
//!
//! Committed, and true of whichever process of the node runs. What only the node has never goes by this: a copy ends when all that are to stay
//! are in sync, and queues of which nobody has asked for copies move by their leader's own proposals.

use crate::apply::{Applied, Change};
use crate::command::Answer;
use crate::mirrors::{GROUP_SIZE, MirrorAct};
use crate::record::{NodeRecord, QueueRecord};
use crate::replicas::{Replicas, leaves, running};
use crate::state::Catalog;
use model::{HaMode, NodeUuid, QueueId};
use std::sync::Arc;

impl Change<'_> {
    /// A node is to leave, or stays after all: copies are placed anew.
    pub(crate) fn set_leaving(&mut self, uuid: NodeUuid, on: bool) -> Applied {
        let known = self.member(uuid)?;
        if known.leaving != on {
            let record = NodeRecord {
                leaving: on,
                ..known.as_ref().clone()
            };
            self.put_node(&Arc::new(record));
            let watched: Vec<QueueId> = self.catalog.copies.watched().collect();
            self.revise_all(watched);
        }
        Ok(Answer::Done)
    }
}

/// A policy, or the queue's type, says how many copies there shall be.
fn has_placed_copies(queue: &QueueRecord) -> bool {
    queue.is_quorum() || !matches!(queue.ha_mode(), None | Some(HaMode::Exactly(0)))
}

impl Catalog {
    /// How many members a quorum queue shall have that has one on a node that is to leave: those that stay, and as many as it was declared with.
    pub(crate) fn members_beside_leavers(&self, queue: &QueueRecord, replicas: &Replicas) -> Option<HaMode> {
        let stay = replicas
            .copies
            .iter()
            .filter(|copy| !leaves(&self.nodes, copy.node))
            .count();
        let is_meant = queue.is_quorum() && stay < replicas.copies.len();
        let declared = queue.args.group_size.unwrap_or(GROUP_SIZE);
        is_meant.then(|| HaMode::Exactly(declared.max(stay as u64)))
    }

    /// What the leader of a queue with copies should propose because its own node is to leave.
    pub(crate) fn off_leaver(&self, queue: &QueueRecord, replicas: &Replicas) -> Option<MirrorAct> {
        if !has_placed_copies(queue) || !leaves(&self.nodes, replicas.leader) || !replicas.is_led(&self.nodes) {
            return None;
        }
        let next = replicas.heirs(&self.nodes).next()?;
        Some(MirrorAct::HandOver {
            node: next.node,
            incarnation: running(&self.nodes, next.node)?,
        })
    }

    /// Queues that have a copy on the node, which is to leave, and that would do without it in a while: others come to lead them, or to have the
    /// copy.
    pub fn moving_off(&self, node: NodeUuid) -> impl Iterator<Item = &Arc<QueueRecord>> {
        let able = self.nodes.values().filter(|node| node.may_be_given_copies()).count() as u64;
        self.copies_on(node).filter(move |queue| {
            let Some(replicas) = queue.replicas.as_deref() else {
                return false;
            };
            let members = self.members_beside_leavers(queue, replicas);
            let is_replaced = match members.as_ref().or(queue.ha_mode()) {
                Some(HaMode::Exactly(count)) => (1..=able).contains(count),
                Some(HaMode::All | HaMode::Nodes(_)) | None => false,
            };
            is_replaced || replicas.leader == node && self.off_leaver(queue, replicas).is_some()
        })
    }
}

#[cfg(test)]
#[path = "leaving_tests.rs"]
mod tests;
