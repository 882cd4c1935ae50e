//! On which nodes the policies want copies of a queue: what is to be added, what is left over, and who should lead.
//!
//! Deterministic: where the choice is free, the node with the fewest copies is taken, of equals the first by name. What
//! is counted goes only when all that are to stay are in sync, and the leader's own copy never does. A node that is to leave gets none, and where a
//! number is asked for, its copies are beyond it.

use crate::copy_index::CopyIndex;
use crate::mirrors::MirrorAct;
use crate::record::NodeRecord;
use crate::replicas::{CopyRecord, CopyState, Replicas, leaves, running};
use crate::state::Nodes;
use model::{HaMode, NodeUuid};
use std::sync::Arc;

/// What a policy asks for, and what there is to choose from.
#[derive(Clone, Copy)]
pub(crate) struct Wish<'a> {
    /// Where copies are wanted; `None` if only the leader's own is.
    pub(crate) mode: Option<&'a HaMode>,
    pub(crate) nodes: &'a Nodes,
    pub(crate) index: &'a CopyIndex,
}

/// The later a copy comes in this order, the sooner it is left over.
fn rank(replicas: &Replicas, copy: &CopyRecord, nodes: &Nodes) -> u8 {
    let is_up = running(nodes, copy.node).is_some();
    match (copy.state, is_up) {
        _ if copy.node == replicas.leader => 0,
        _ if leaves(nodes, copy.node) => 6,
        (CopyState::InSync { .. }, true) => 1,
        (CopyState::Disk, true) => 2,
        (CopyState::Syncing, true) => 3,
        (CopyState::InSync { .. } | CopyState::Disk, false) => 4,
        (CopyState::Syncing, false) => 5,
    }
}

impl<'a> Wish<'a> {
    /// Brings the copies closer to what is wanted. New ones begin in the state that `begin` gives them; the spared one
    /// is not left over.
    pub(crate) fn place(
        self,
        replicas: &mut Replicas,
        spared: Option<NodeUuid>,
        begin: impl Fn(&NodeRecord) -> CopyState,
    ) {
        for node in self.missing(replicas) {
            replicas.put_copy(node.uuid, begin(&node));
        }
        let left_over = self
            .left_over(replicas)
            .into_iter()
            .filter(|node| Some(*node) != spared);
        left_over.for_each(|node| replicas.drop_copy(node));
    }

    /// Nodes that run and could have a copy, in the order in which they are chosen.
    fn candidates(self) -> Vec<&'a Arc<NodeRecord>> {
        let able = self.nodes.values().filter(|node| node.may_be_given_copies());
        let mut able: Vec<_> = able.collect();
        able.sort_by_key(|node| (self.index.load(node.uuid), &node.name));
        able
    }

    fn missing(self, replicas: &Replicas) -> Vec<Arc<NodeRecord>> {
        let is_new = |node: &&&Arc<NodeRecord>| replicas.copy(node.uuid).is_none();
        let wanted = match self.mode {
            None => return Vec::new(),
            Some(HaMode::All) => self.candidates(),
            Some(HaMode::Nodes(names)) => self.named(names),
            Some(HaMode::Exactly(count)) => {
                let stays =
                    |copy: &&CopyRecord| running(self.nodes, copy.node).is_some() && !leaves(self.nodes, copy.node);
                let there = replicas.copies.iter().filter(stays).count() as u64;
                let more = usize::try_from(count.saturating_sub(there)).unwrap_or(usize::MAX);
                let candidates = self.candidates();
                return candidates
                    .iter()
                    .filter(is_new)
                    .take(more)
                    .map(|node| (*node).clone())
                    .collect();
            }
        };
        wanted.iter().filter(is_new).map(|node| (*node).clone()).collect()
    }

    /// Those of the nodes by these names that could have a copy, in the policy's order.
    fn named(self, names: &[String]) -> Vec<&'a Arc<NodeRecord>> {
        let able = self.candidates();
        let found = names
            .iter()
            .filter_map(|name| able.iter().find(|node| *node.name == **name));
        found.copied().collect()
    }

    fn left_over(self, replicas: &Replicas) -> Vec<NodeUuid> {
        let stays = self.stays(replicas);
        let stays_for_good = |copy: &&CopyRecord| stays.contains(&copy.node);
        let settled = {
            let mut up = replicas.copies.iter().filter(stays_for_good);
            up.all(|copy| Replicas::is_in_sync(copy, self.nodes) || self.may_be_away(copy))
        };
        let mut rest: Vec<&CopyRecord> = replicas.copies.iter().filter(|copy| !stays_for_good(copy)).collect();
        rest.retain(|copy| settled || !copy.state.is_counted());
        rest.iter().map(|copy| copy.node).collect()
    }

    /// A node that is named keeps its copy while it is away, and nobody waits for it.
    fn may_be_away(self, copy: &CopyRecord) -> bool {
        matches!(self.mode, Some(HaMode::Nodes(_))) && running(self.nodes, copy.node).is_none()
    }

    /// The copies that are to stay, the leader's own among them.
    fn stays(self, replicas: &Replicas) -> Vec<NodeUuid> {
        let of = |copy: &CopyRecord| copy.node;
        match self.mode {
            None => vec![replicas.leader],
            Some(HaMode::All) => replicas.copies.iter().map(of).collect(),
            Some(HaMode::Nodes(names)) => {
                let stays = |copy: &&CopyRecord| copy.node == replicas.leader || self.is_named(copy.node, names);
                replicas.copies.iter().filter(stays).map(of).collect()
            }
            Some(HaMode::Exactly(count)) => {
                let mut ranked: Vec<&CopyRecord> = replicas.copies.iter().collect();
                ranked.sort_by_key(|copy| rank(replicas, copy, self.nodes));
                // A leader that is to leave is one more, until another leads.
                let more = u64::from(leaves(self.nodes, replicas.leader));
                let count = usize::try_from(count.saturating_add(more)).unwrap_or(usize::MAX);
                ranked.iter().take(count).map(|copy| copy.node).collect()
            }
        }
    }

    fn is_named(self, node: NodeUuid, names: &[String]) -> bool {
        let name = self.nodes.get(&node).map(|known| &*known.name);
        name.is_some_and(|name| names.iter().any(|named| named == name))
    }

    /// The leader is none of the nodes that the policy names, and one of those is in sync: it should lead.
    pub(crate) fn hand_over(self, replicas: &Replicas) -> Option<MirrorAct> {
        let Some(HaMode::Nodes(names)) = self.mode else {
            return None;
        };
        if self.is_named(replicas.leader, names) || !replicas.is_led(self.nodes) {
            return None;
        }
        let is_heir = |node: &&Arc<NodeRecord>| replicas.heirs(self.nodes).any(|copy| copy.node == node.uuid);
        let next = self.named(names).into_iter().find(is_heir)?;
        Some(MirrorAct::HandOver {
            node: next.uuid,
            incarnation: next.incarnation,
        })
    }
}

#[cfg(test)]
#[path = "copy_placement_tests.rs"]
mod tests;
