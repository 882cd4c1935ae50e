//! A replicated log as its users see it: what is committed is so for ever and in one order; what is not may be lost, kept
//! by the next leader, or come again. Whoever believes that it leads takes proposals, whether anybody follows or not.

use crate::chance::Chance;
use catalog::Command;
use model::NodeUuid;
use std::collections::BTreeMap;

/// Commands that one process proposes together; the same again has the same number.
#[derive(Clone, Debug)]
pub(crate) struct Proposal {
    /// Whose.
    pub(crate) origin: NodeUuid,
    /// Which of its starts.
    pub(crate) incarnation: u64,
    /// Counts its proposals.
    pub(crate) number: u64,
    /// In this order.
    pub(crate) commands: Vec<Command>,
}

/// The log, and what those who believe that they lead have taken.
#[derive(Default)]
pub(crate) struct Log {
    /// For ever.
    pub(crate) committed: Vec<Proposal>,
    /// Whom a majority follows.
    pub(crate) leader: Option<usize>,
    /// Grows with every leader.
    pub(crate) term: u64,
    tails: BTreeMap<usize, Vec<Proposal>>,
}

impl Log {
    /// Somebody is asked to commit; false if it does not believe that it leads.
    pub(crate) fn propose(&mut self, to: usize, proposal: Proposal) -> bool {
        let tail = self.tails.get_mut(&to);
        tail.map(|tail| tail.push(proposal)).is_some()
    }

    /// A majority has some more of what the leader has taken.
    pub(crate) fn commit(&mut self, most: usize) {
        if let Some(tail) = self.leader.and_then(|leader| self.tails.get_mut(&leader)) {
            self.committed.extend(tail.drain(..most.min(tail.len())));
        }
    }

    /// Another leads: of what the one before has not committed, its log holds a beginning. Who led before may go on
    /// believing so.
    pub(crate) fn elect(&mut self, winner: usize, chance: &mut Chance) -> usize {
        let before = self.leader.and_then(|leader| self.tails.get(&leader)).cloned();
        let mut kept = before.unwrap_or_default();
        let had = kept.len();
        kept.truncate(chance.below(had as u64 + 1) as usize);
        let lost = had - kept.len();
        self.term += 1;
        self.leader = Some(winner);
        self.tails.insert(winner, kept);
        lost
    }

    /// True if a majority follows that node.
    pub(crate) fn is_led_by(&self, node: usize) -> bool {
        self.leader == Some(node)
    }

    /// A node learns who leads, or ends: it takes no proposals any more. What the true leader had taken is remembered,
    /// for the others may have it.
    pub(crate) fn resign(&mut self, node: usize) {
        if !self.is_led_by(node) {
            self.tails.remove(&node);
        }
    }
}
