//! Proposals of this process that are under way, and who waits for what comes of each command; and how far the log is applied here.
//!
//! Bounded by those who wait: each gives up after a while, and the proposer takes only so many at a time. A proposal is
//! under way until this node has applied it, whatever anybody else says of it.

use crate::cluster::Outcome;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use tokio::sync::{Notify, oneshot, watch};

/// Told what came of a command.
pub(super) type Answer = oneshot::Sender<Outcome>;

/// Who waits, by the number of the proposal.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    asked: Mutex<BTreeMap<u64, Vec<Answer>>>,
    applied: Notify,
    /// The last entry of the log that this node has applied.
    reached: watch::Sender<u64>,
}

impl Waiting {
    /// Entries up to this one are applied.
    pub(super) fn reach(&self, entry: u64) {
        self.reached.send_replace(entry);
    }

    /// The last entry that is applied.
    pub(super) fn reached(&self) -> u64 {
        *self.reached.borrow()
    }

    /// Back when so much is applied.
    pub(super) async fn until(&self, entry: u64) {
        // The sender lives as long as this.
        let _ = self.reached.subscribe().wait_for(|reached| *reached >= entry).await;
    }

    pub(super) fn enter(&self, number: u64, answers: Vec<Answer>) {
        self.asked.lock().insert(number, answers);
    }

    /// Takes those who wait for a proposal.
    pub(super) fn take(&self, number: u64) -> Vec<Answer> {
        self.asked.lock().remove(&number).unwrap_or_default()
    }

    /// Proposals up to this one were applied without being seen here: nobody can be told what came of them.
    pub(super) fn skip(&self, upto: u64) {
        let mut waiting = self.asked.lock();
        let later = waiting.split_off(&(upto + 1));
        *waiting = later;
        drop(waiting);
        self.applied.notify_waiters();
    }

    /// Back when a proposal has been applied by this node.
    pub(super) async fn applied(&self, number: u64) {
        loop {
            let mut applied = std::pin::pin!(self.applied.notified());
            // Before the look, so that none is missed.
            applied.as_mut().enable();
            if !self.asked.lock().contains_key(&number) {
                return;
            }
            applied.await;
        }
    }

    /// Tells each what came of its command.
    pub(super) fn answer(&self, number: u64, outcomes: Vec<Outcome>) {
        for (answer, outcome) in self.take(number).into_iter().zip(outcomes) {
            // Who has gone away wants no answer.
            let _ = answer.send(outcome);
        }
        self.applied.notify_waiters();
    }
}
