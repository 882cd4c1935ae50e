//! What leaders propose about the copies of their queues, and what becomes of it.
//!
//! A proposal may carry many queues; each is judged by itself against the record as it is now: an old one, or one of
//! somebody who does not lead any more, changes nothing.

use crate::apply::{Applied, Change};
use crate::command::Answer;
use crate::texts;
use model::{Epoch, NodeUuid, QueueId};
use serde::{Deserialize, Serialize};

/// What one leader wants changed, in many queues at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MirrorsProposal {
    /// The node that leads them.
    pub node: NodeUuid,
    /// Which of its starts.
    pub incarnation: u64,
    /// One by one.
    pub changes: Vec<MirrorChange>,
}

/// A change of one queue's copies, proposed on one state of its record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MirrorChange {
    /// Which queue.
    pub queue: QueueId,
    /// The epoch that the leader knew.
    pub epoch: Epoch,
    /// The version that the leader knew.
    pub version: u64,
    /// What is to change.
    pub act: MirrorAct,
}

/// What is to change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MirrorAct {
    /// Confirms wait for this node's copy no longer.
    Evict(NodeUuid),
    /// This node's copy is complete.
    AddInSync {
        /// Where.
        node: NodeUuid,
        /// Which of that node's starts has acknowledged it.
        incarnation: u64,
    },
    /// A copy begins there, empty.
    AddCopy(NodeUuid),
    /// The copy there ends.
    RemoveCopy(NodeUuid),
    /// Another leads.
    HandOver {
        /// Where.
        node: NodeUuid,
        /// Which of that node's starts.
        incarnation: u64,
    },
}

/// Why a change was not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MirrorRefusal {
    /// The queue is gone.
    #[error("there is no such queue any more")]
    NoQueue,
    /// It has no copies.
    #[error("the queue has never been mirrored")]
    NotMirrored,
}

impl Change<'_> {
    /// Judges what a leader proposes, queue by queue.
    pub(crate) fn mirrors(&mut self, proposal: &MirrorsProposal) -> Answer {
        let judged = proposal.changes.iter().map(|change| self.judge(change));
        Answer::Mirrors(judged.collect())
    }

    fn judge(&self, change: &MirrorChange) -> Result<(), MirrorRefusal> {
        match self.catalog.queue_by_id(change.queue) {
            None => Err(MirrorRefusal::NoQueue),
            Some(_) => Err(MirrorRefusal::NotMirrored),
        }
    }

    /// Makes a copy the leader that is known not to be whole, because none that is can be had.
    pub(crate) fn force_promote(&mut self, id: QueueId) -> Applied {
        let queue = self.catalog.queue_by_id(id);
        let queue = queue.ok_or_else(|| texts::not_found("the queue to promote a mirror of is gone"))?;
        Err(texts::precondition(format!(
            "{} has no mirror that could be promoted",
            queue.title()
        )))
    }
}
