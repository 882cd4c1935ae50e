//! In one word where a cluster is in its life: the first of what is under way, in the order in which users ask. Pure, as `status` is, whose view it
//! reads; a pass decides from the word that was stored last, too (whether pods were being replaced, whether nodes were joining).

use super::leave::passes;
use super::pace::Pace;
use super::plan::Step;
use super::rotation::Turn;
use super::status::{Outcome, View, number};
use crate::crd::{Phase, RabbitClusterStatus};

impl View<'_> {
    /// Nodes are to leave, and what holds the next one passes.
    fn is_shrinking(&self) -> bool {
        let Outcome::Done(carried) = self.outcome else {
            return false;
        };
        let held = carried.plan.held.as_ref();
        carried.plan.fewer.is_some() && held.is_none_or(|held| passes(held.reason))
    }

    fn is_watched(&self) -> bool {
        matches!(self.outcome, Outcome::Done(carried) if matches!(carried.plan.step, Step::Later(Pace::Canary, _)))
    }

    fn is_rotating(&self) -> bool {
        matches!(self.outcome, Outcome::Done(carried) if carried.rotation != Turn::Rest)
    }

    fn is_growing(&self) -> bool {
        let Outcome::Done(carried) = self.outcome else {
            return false;
        };
        let grow = !carried.volumes_growing.is_empty() && carried.volumes_refused.is_none();
        let are_replaced = carried.volumes_replaced && carried.volumes_unfit > 0 && carried.plan.kept.is_none();
        grow || are_replaced || self.is_renewing()
    }

    fn is_renewing(&self) -> bool {
        matches!(self.outcome, Outcome::Done(carried) if carried.plan.renewing.is_some())
    }

    /// Pods were replaced or nodes joined until now, or the last of the volumes was replaced.
    pub(super) fn is_settling(&self) -> bool {
        let is_last = matches!(self.outcome, Outcome::Done(carried) if carried.volumes_unfit == 0);
        self.seen.rolled || self.seen.grown || self.seen.renewing.is_some() && is_last
    }

    fn is_waiting(&self) -> bool {
        matches!(self.outcome, Outcome::Done(carried) if matches!(carried.plan.step, Step::Wait(_)))
    }

    /// It has yet to begin, and waits for something that others make, or take away.
    fn is_nothing_yet(&self, reason: &str) -> bool {
        let waits = ["WaitingForPredecessor", "SecretMissing", "DefinitionsUnusable"].contains(&reason);
        waits && self.seen.set.is_none() && self.seen.pods.is_empty()
    }

    /// The word.
    pub(super) fn phase(&self, old: &RabbitClusterStatus) -> Phase {
        let asked = match self.outcome {
            Outcome::Paused => return Phase::Paused,
            Outcome::Failed(reason, _) if self.is_nothing_yet(reason) => return Phase::Pending,
            Outcome::Failed(..) => return Phase::Failed,
            Outcome::Done(carried) => carried.plan.replicas,
        };
        if asked == 0 {
            return if self.seen.pods.is_empty() {
                Phase::Stopped
            } else {
                Phase::Stopping
            };
        }
        let unseen = self.seen.set.as_ref().is_none_or(|set| set.revision.is_none());
        let starting = matches!(
            old.phase,
            None | Some(Phase::Pending | Phase::Forming | Phase::Stopped | Phase::Stopping)
        );
        let leaves = matches!(self.outcome, Outcome::Done(carried) if carried.plan.held.is_none() && carried.plan.fewer.is_some());
        let more = old.replicas < number(self.nodes) || old.phase == Some(Phase::ScalingUp);
        let all_ready = self.ready() == self.nodes;
        match () {
            () if starting && !all_ready => Phase::Forming,
            () if self.rolled_back.is_some() => Phase::Failed,
            () if leaves => Phase::ScalingDown,
            () if self.is_broken().holds => Phase::Degraded,
            () if self.is_renewing() => Phase::ResizingVolumes,
            () if self.is_watched() => Phase::Canary,
            () if self.old().next().is_some() => Phase::Updating,
            () if self.is_shrinking() => Phase::ScalingDown,
            () if more && !all_ready => Phase::ScalingUp,
            () if unseen => Phase::Updating,
            // Leaders are yet to be spread.
            () if all_ready && self.seen.grown && self.is_waiting() => Phase::ScalingUp,
            () if all_ready && self.is_settling() && self.is_waiting() => Phase::Updating,
            () if all_ready && self.is_rotating() => Phase::RotatingSecret,
            () if all_ready && self.is_growing() => Phase::ResizingVolumes,
            () if all_ready && !self.alarms().is_empty() => Phase::Degraded,
            () if all_ready => Phase::Running,
            () if matches!(old.phase, Some(Phase::Updating | Phase::Canary)) => Phase::Updating,
            () => Phase::Degraded,
        }
    }
}
