//! Proposals of this process that are under way, and who waits for what comes of each command.
//!
//! Bounded by the proposer, which has one under way at a time.

use crate::cluster::Outcome;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use tokio::sync::oneshot;

/// Told what came of a command.
pub(super) type Answer = oneshot::Sender<Outcome>;

/// Who waits, by the number of the proposal.
#[derive(Debug, Default)]
pub(super) struct Waiting(Mutex<BTreeMap<u64, Vec<Answer>>>);

impl Waiting {
    pub(super) fn enter(&self, number: u64, answers: Vec<Answer>) {
        self.0.lock().insert(number, answers);
    }

    /// Takes those who wait for a proposal.
    pub(super) fn take(&self, number: u64) -> Vec<Answer> {
        self.0.lock().remove(&number).unwrap_or_default()
    }

    /// Tells each what came of its command.
    pub(super) fn answer(&self, number: u64, outcomes: Vec<Outcome>) {
        for (answer, outcome) in self.take(number).into_iter().zip(outcomes) {
            // Who has gone away wants no answer.
            let _ = answer.send(outcome);
        }
    }
}
