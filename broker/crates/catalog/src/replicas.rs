//! Where the copies of a mirrored queue are, and which of them may be relied upon.
//!
//! A value: it knows no other queue, no node table and no clock. What changes it, and when, is decided in `mirrors`.

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

impl Replicas {
    /// What the copy on that node promises, if there is one.
    pub fn copy(&self, node: NodeUuid) -> Option<CopyState> {
        let found = self.copies.iter().find(|copy| copy.node == node);
        found.map(|copy| copy.state)
    }

    /// True if confirms wait for the copy on that node and it may be elected.
    pub fn is_counted(&self, node: NodeUuid) -> bool {
        self.copy(node).is_some_and(CopyState::is_counted)
    }

    /// The copies that confirms wait for, oldest first.
    pub fn counted(&self) -> impl Iterator<Item = &CopyRecord> {
        self.copies.iter().filter(|copy| copy.state.is_counted())
    }

    /// True if that process leads.
    pub fn is_led_by(&self, node: NodeUuid, incarnation: u64) -> bool {
        (self.leader, self.leader_incarnation) == (node, incarnation)
    }
}
