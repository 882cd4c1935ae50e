//! Where the copies of a mirrored queue are, which of them may be relied upon, and how that changes.
//!
//! A value: each change is a function of it and of who runs. It knows no other queue and no policy. After every change
//! its leader is one of the copies that are counted (V9), and an epoch is led by one process (V1).

use crate::mirrors::{MirrorAct, MirrorChange, MirrorRefusal};
use crate::state::Nodes;
use model::{Epoch, NodeUuid};
use serde::{Deserialize, Serialize};

/// What a copy promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CopyState {
    /// That process of its node holds every confirmed message.
    InSync {
        /// Which of the node's starts.
        incarnation: u64,
    },
    /// It was in sync and its process has started again: its disk holds every confirmed persistent message.
    Disk,
    /// Nothing yet.
    Syncing,
}

impl CopyState {
    /// Confirms wait for it, and it may be elected.
    pub fn is_counted(self) -> bool {
        match self {
            CopyState::InSync { .. } | CopyState::Disk => true,
            CopyState::Syncing => false,
        }
    }
}

/// A copy of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopyRecord {
    /// Where it is.
    pub node: NodeUuid,
    /// What it promises.
    pub state: CopyState,
}

/// The copies of a queue, its leader's own among them. A queue that was never mirrored has none of this; one that was
/// keeps it for ever, so that no epoch comes twice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replicas {
    /// Grows with every change of the leader and of the leader's process.
    pub epoch: Epoch,
    /// Grows with every change, and with every accepted proposal.
    pub version: u64,
    /// Who leads.
    pub leader: NodeUuid,
    /// Which of that node's starts.
    pub leader_incarnation: u64,
    /// Oldest first.
    pub copies: Vec<CopyRecord>,
    /// So many copies are counted at least.
    pub min_counted: u32,
}

/// How a leader came to be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Election {
    /// Its process holds every confirmed message.
    InSync,
    /// Its disk does; transient messages that it lacks are gone.
    FromDisk,
}

/// Which start of a node runs, if one does.
pub(crate) fn running(nodes: &Nodes, node: NodeUuid) -> Option<u64> {
    let found = nodes.get(&node).filter(|found| found.up);
    found.map(|found| found.incarnation)
}

/// False for a node that is under maintenance, or is to leave.
pub(crate) fn may_lead(nodes: &Nodes, node: NodeUuid) -> bool {
    nodes.get(&node).is_some_and(|found| found.may_lead())
}

/// True for a node that is to leave the cluster.
pub(crate) fn leaves(nodes: &Nodes, node: NodeUuid) -> bool {
    nodes.get(&node).is_some_and(|found| found.leaving)
}

impl Replicas {
    /// The first reign: of a queue that has not been mirrored before.
    pub(crate) fn first(leader: NodeUuid, incarnation: u64) -> Self {
        let state = CopyState::InSync { incarnation };
        Replicas {
            epoch: Epoch(1),
            version: 1,
            leader,
            leader_incarnation: incarnation,
            copies: vec![CopyRecord { node: leader, state }],
            min_counted: 1,
        }
    }

    /// What the copy on that node promises, if there is one.
    pub fn copy(&self, node: NodeUuid) -> Option<CopyState> {
        let found = self.copies.iter().find(|copy| copy.node == node);
        found.map(|copy| copy.state)
    }

    /// True if confirms wait for the copy on that node and it may be elected.
    pub fn is_counted(&self, node: NodeUuid) -> bool {
        self.copy(node).is_some_and(CopyState::is_counted)
    }

    /// The copies that confirms wait for, oldest first; the leader's own is always among them.
    pub fn counted(&self) -> impl Iterator<Item = &CopyRecord> {
        self.copies.iter().filter(|copy| copy.state.is_counted())
    }

    /// The copies beside the leader's own, oldest first.
    pub fn mirrors(&self) -> impl Iterator<Item = &CopyRecord> {
        self.copies.iter().filter(|copy| copy.node != self.leader)
    }

    /// True if that process leads.
    pub fn is_led_by(&self, node: NodeUuid, incarnation: u64) -> bool {
        (self.leader, self.leader_incarnation) == (node, incarnation)
    }

    /// True if the process that leads is not known to be gone.
    pub(crate) fn is_led(&self, nodes: &Nodes) -> bool {
        running(nodes, self.leader) == Some(self.leader_incarnation)
    }

    /// True if the copy is in sync in the process that runs.
    pub(crate) fn is_in_sync(copy: &CopyRecord, nodes: &Nodes) -> bool {
        match copy.state {
            CopyState::InSync { incarnation } => running(nodes, copy.node) == Some(incarnation),
            CopyState::Disk | CopyState::Syncing => false,
        }
    }

    /// The mirrors that are in sync and may lead, oldest first.
    pub(crate) fn heirs<'a>(&'a self, nodes: &'a Nodes) -> impl Iterator<Item = &'a CopyRecord> {
        self.mirrors()
            .filter(|copy| Self::is_in_sync(copy, nodes) && may_lead(nodes, copy.node))
    }

    /// True if nobody could lead without that node's copy, or too few would be counted.
    pub(crate) fn needs(&self, node: NodeUuid) -> bool {
        let is_last = self.is_counted(node) && self.counted().count() <= self.min_counted as usize;
        node == self.leader || is_last
    }

    /// A majority of the copies has to be counted from now on, or as many as are.
    pub(crate) fn keep_majority(&mut self) {
        let majority = self.copies.len() / 2 + 1;
        self.min_counted = majority.min(self.counted().count()) as u32;
    }

    fn copy_mut(&mut self, node: NodeUuid) -> Option<&mut CopyRecord> {
        self.copies.iter_mut().find(|copy| copy.node == node)
    }

    /// A node's process has started anew: what its copy had in memory is gone (R2). Of a queue that is not durable
    /// nothing is left.
    pub(crate) fn restarted(&mut self, node: NodeUuid, durable: bool) {
        let Some(copy) = self.copy_mut(node) else { return };
        copy.state = match (copy.state, durable) {
            (CopyState::InSync { .. } | CopyState::Disk, true) => CopyState::Disk,
            (_, false) | (CopyState::Syncing, true) => CopyState::Syncing,
        };
        self.version += 1;
    }

    /// Finds a leader if the process that led is gone (R4, R5): who is in sync, before who has the disk alone.
    pub(crate) fn elect(&mut self, nodes: &Nodes) -> Option<Election> {
        if self.is_led(nodes) {
            return None;
        }
        let in_sync = || self.copies.iter().filter(|copy| Self::is_in_sync(copy, nodes));
        // One that is to go leads before nobody does.
        let in_sync = in_sync()
            .find(|copy| may_lead(nodes, copy.node))
            .or_else(|| in_sync().next());
        let from_disk = |copy: &CopyRecord| copy.state == CopyState::Disk && running(nodes, copy.node).is_some();
        let old_leader = |copy: &&CopyRecord| copy.node == self.leader && from_disk(copy);
        let on_disk = || {
            let oldest = || self.copies.iter().find(|copy| from_disk(copy));
            self.copies.iter().find(old_leader).or_else(oldest)
        };
        let (winner, election) = match in_sync {
            Some(copy) => (copy.node, Election::InSync),
            None => (on_disk()?.node, Election::FromDisk),
        };
        self.crown(winner, running(nodes, winner)?);
        Some(election)
    }

    /// Another process leads, and the next epoch begins. All other copies promise what they did.
    fn crown(&mut self, node: NodeUuid, incarnation: u64) {
        if let Some(copy) = self.copy_mut(node) {
            copy.state = CopyState::InSync { incarnation };
        }
        self.epoch = self.epoch.next();
        self.version += 1;
        (self.leader, self.leader_incarnation) = (node, incarnation);
    }

    /// The copy that could lead although it is not whole, when none that is whole can be had (R18): the oldest.
    pub(crate) fn forcible(&self, nodes: &Nodes) -> Option<NodeUuid> {
        let is_up = |copy: &&CopyRecord| running(nodes, copy.node).is_some();
        if self.counted().any(|copy| is_up(&copy)) {
            return None;
        }
        self.copies.iter().find(is_up).map(|copy| copy.node)
    }

    /// That copy leads, and it alone is counted from now on.
    pub(crate) fn force(&mut self, node: NodeUuid, incarnation: u64) {
        for copy in &mut self.copies {
            copy.state = CopyState::Syncing;
        }
        self.crown(node, incarnation);
    }

    /// Judges what the leader that `by` claims to be proposes (R6 to R9); refused, nothing changes.
    pub(crate) fn propose(
        &mut self,
        by: (NodeUuid, u64),
        change: &MirrorChange,
        nodes: &Nodes,
    ) -> Result<(), MirrorRefusal> {
        if !self.is_led_by(by.0, by.1) {
            return Err(MirrorRefusal::NotTheLeader);
        }
        if (change.epoch, change.version) != (self.epoch, self.version) {
            return Err(MirrorRefusal::Stale {
                epoch: self.epoch,
                version: self.version,
            });
        }
        match change.act {
            MirrorAct::Evict(node) => self.evict(node),
            MirrorAct::AddInSync { node, incarnation } => self.add_in_sync(node, incarnation, nodes),
            MirrorAct::AddCopy(node) => self.add_copy(node, nodes),
            MirrorAct::RemoveCopy(node) => self.remove_copy(node),
            MirrorAct::HandOver { node, incarnation } => self.hand_over(node, incarnation, nodes),
        }
    }

    /// Accepted too when the copy is not counted: so a leader settles what has become of an addition (R8).
    fn evict(&mut self, node: NodeUuid) -> Result<(), MirrorRefusal> {
        self.check_not_leader(node)?;
        if self.is_counted(node) && self.counted().count() <= self.min_counted as usize {
            return Err(MirrorRefusal::TooFew(self.min_counted));
        }
        if let Some(copy) = self.copy_mut(node) {
            copy.state = CopyState::Syncing;
        }
        self.version += 1;
        Ok(())
    }

    fn check_not_leader(&self, node: NodeUuid) -> Result<(), MirrorRefusal> {
        match node == self.leader {
            true => Err(MirrorRefusal::TheLeader),
            false => Ok(()),
        }
    }

    fn add_in_sync(&mut self, node: NodeUuid, incarnation: u64, nodes: &Nodes) -> Result<(), MirrorRefusal> {
        self.check_not_leader(node)?;
        let known = nodes.get(&node).map(|known| known.incarnation);
        let copy = self.copy_mut(node).ok_or(MirrorRefusal::NoCopy)?;
        if known != Some(incarnation) {
            return Err(MirrorRefusal::OtherProcess);
        }
        copy.state = CopyState::InSync { incarnation };
        self.version += 1;
        Ok(())
    }

    fn add_copy(&mut self, node: NodeUuid, nodes: &Nodes) -> Result<(), MirrorRefusal> {
        if self.copy(node).is_some() {
            return Err(MirrorRefusal::HasCopy);
        }
        if !nodes.get(&node).is_some_and(|known| known.mirrors) {
            return Err(MirrorRefusal::NoMirrors);
        }
        self.put_copy(node, CopyState::Syncing);
        Ok(())
    }

    /// One more copy, the youngest.
    pub(crate) fn put_copy(&mut self, node: NodeUuid, state: CopyState) {
        self.copies.push(CopyRecord { node, state });
        self.version += 1;
    }

    fn remove_copy(&mut self, node: NodeUuid) -> Result<(), MirrorRefusal> {
        let is_counted = self.copy(node).ok_or(MirrorRefusal::NoCopy)?.is_counted();
        self.check_not_leader(node)?;
        // A majority of those that stay is enough, where a majority has to be counted.
        let majority = (self.copies.len() - 1) / 2 + 1;
        let needed = self.min_counted.min(majority as u32);
        if is_counted && self.counted().count() <= needed as usize {
            return Err(MirrorRefusal::TooFew(needed));
        }
        self.copies.retain(|copy| copy.node != node);
        self.version += 1;
        Ok(())
    }

    /// A copy goes whose node is never to have it again, or that no policy wants: never the leader's own.
    pub(crate) fn drop_copy(&mut self, node: NodeUuid) {
        if node != self.leader && self.copy(node).is_some() {
            self.copies.retain(|copy| copy.node != node);
            self.version += 1;
        }
    }

    fn hand_over(&mut self, node: NodeUuid, incarnation: u64, nodes: &Nodes) -> Result<(), MirrorRefusal> {
        self.check_not_leader(node)?;
        match self.copy(node).ok_or(MirrorRefusal::NoCopy)? {
            CopyState::InSync { incarnation: known } if known == incarnation => {}
            CopyState::InSync { .. } => return Err(MirrorRefusal::OtherProcess),
            CopyState::Disk | CopyState::Syncing => return Err(MirrorRefusal::NotInSync),
        }
        if running(nodes, node) != Some(incarnation) {
            return Err(MirrorRefusal::Down);
        }
        self.crown(node, incarnation);
        Ok(())
    }
}
