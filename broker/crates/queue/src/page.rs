//! Pages: runs of ready messages that lie in the store instead of in memory.
//!
//! What the store is given, gives back and says after a restart; when that happens is decided by the lane.

use model::{Millis, PageId, Seq};

use crate::counts::Tally;

/// A message of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paged<M> {
    /// Its position.
    pub seq: Seq,
    /// When it expires; [`NEVER`](crate::NEVER) if it does not.
    pub expires: Millis,
    /// The message.
    pub message: M,
}

/// What the store still has of a queue after a restart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    /// The highest position ever given to a message.
    pub last_seq: Seq,
    /// Per level, the highest position ever handed out: everything up to it is marked redelivered.
    pub delivered_to: Vec<Seq>,
    /// What is ready, in any order; pages of one level may overlap.
    pub pages: Vec<RestoredPage>,
}

/// A page found after a restart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RestoredPage {
    /// Its id.
    pub id: PageId,
    /// Its level; above the queue's highest means the highest.
    pub level: u8,
    /// Positions of its messages, as ascending runs from first to last.
    pub seqs: Vec<(Seq, Seq)>,
    /// How many they are.
    pub tally: Tally,
    /// How many of them expire.
    pub expiring: u64,
}
