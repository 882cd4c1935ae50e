//! What the definitions say of one mirrored queue's copies, as the machines here need it.
//!
//! Changed nowhere here: a new one comes with each committed entry.

use model::{Epoch, NodeUuid};

/// What a copy promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// This start of the node holds every confirmed message.
    InSync {
        /// Which of its starts.
        incarnation: u64,
    },
    /// Its disk holds every confirmed persistent message.
    Disk,
    /// Nothing.
    Syncing,
}

impl State {
    /// True if confirms wait for it.
    pub fn is_counted(self) -> bool {
        self != State::Syncing
    }
}

/// One copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Copy {
    /// Whose.
    pub node: NodeUuid,
    /// What it promises.
    pub state: State,
}

/// A queue's copies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The reign.
    pub epoch: Epoch,
    /// Grows with every change of the record.
    pub version: u64,
    /// The node that leads.
    pub leader: NodeUuid,
    /// Which of its starts.
    pub incarnation: u64,
    /// All, the leader's own among them; oldest first.
    pub copies: Vec<Copy>,
    /// No eviction may leave fewer counted copies than this.
    pub min_counted: usize,
}

impl Record {
    /// The copies of other nodes than the leader.
    pub fn mirrors(&self) -> impl Iterator<Item = &Copy> {
        self.copies.iter().filter(|copy| copy.node != self.leader)
    }

    /// A node's copy.
    pub fn copy_on(&self, node: NodeUuid) -> Option<&Copy> {
        self.copies.iter().find(|copy| copy.node == node)
    }

    /// How many copies count.
    pub fn counted(&self) -> usize {
        self.copies.iter().filter(|copy| copy.state.is_counted()).count()
    }
}
