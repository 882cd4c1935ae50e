//! How many clusters have their pods replaced at the same time, and how long after one has had all of its the next begins. So a change that concerns
//! them all, such as another default image, shows what it does in one cluster before it comes to the others.
//!
//! Only a beginning waits. What has begun is never held, be it by another operator before us, so there may be more for a while than there should be.
//! Nothing of this is written down: who has begun is seen in the pods.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::heed::Key;
use super::pace::Pace;
use super::plan::{Plan, Step};
use super::situation::{PodSeen, Situation};
use crate::crd::{OperationKind, Phase, RabbitCluster};

/// The word for a roll that waits for those of other clusters, as `Progressing` says it.
pub const QUEUED: &str = "RolloutQueued";

/// What the administrator of the operator wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// Clusters at the same time; 0: as many as want to.
    pub at_once: u32,
    /// After the end of one, nobody begins for so long.
    pub delay: Duration,
}

#[derive(Debug, Default)]
struct State {
    going: BTreeSet<Key>,
    waiting: BTreeSet<Key>,
    ended: Option<Instant>,
}

/// Who rolls, and who would like to.
#[derive(Debug, Default)]
pub struct Rollouts {
    terms: Terms,
    state: Mutex<State>,
}

/// Those who may be let in now or in a while.
#[derive(Debug, PartialEq, Eq)]
pub struct Freed {
    /// After so long.
    pub after: Duration,
    /// Who has waited.
    pub waiting: Vec<Key>,
}

impl Rollouts {
    /// On these terms.
    pub fn new(terms: Terms) -> Self {
        Self {
            terms,
            state: Mutex::default(),
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Clusters that another operator may have begun with; the first pass over each finds out.
    pub fn suppose<'a>(&self, clusters: impl Iterator<Item = &'a RabbitCluster>) {
        let supposed = clusters.filter(|cluster| may_have_begun(cluster)).map(key_of);
        self.state().going.extend(supposed);
    }

    /// Lets a cluster begin, or go on, or says why it cannot begin now.
    pub fn ask(&self, cluster: &Key, seen: &Situation, now: Instant) -> Option<String> {
        let mut state = self.state();
        if has_begun(seen) || state.going.contains(cluster) {
            state.going.insert(cluster.clone());
            return None;
        }
        if old(seen).count() == 0 {
            return None;
        }
        let held = self.held(&state, now);
        match held {
            Some(_) => state.waiting.insert(cluster.clone()),
            None => state.going.insert(cluster.clone()),
        };
        held
    }

    fn held(&self, state: &State, now: Instant) -> Option<String> {
        let Terms { at_once, delay } = self.terms;
        if at_once > 0 && state.going.len() >= at_once as usize {
            let names: Vec<_> = state
                .going
                .iter()
                .take(3)
                .map(|(space, name)| format!("{space}/{name}"))
                .collect();
            return Some(format!(
                "the operator rolls {at_once} clusters at once, now {}",
                names.join(", ")
            ));
        }
        let since = now.saturating_duration_since(state.ended?);
        let left = delay.checked_sub(since).filter(|left| !left.is_zero())?;
        let (delay, left) = (delay.as_secs(), left.as_secs() + 1);
        Some(format!(
            "the operator begins {delay} s after the last cluster was rolled, which is in {left} s"
        ))
    }

    /// What a pass has decided about a cluster that was let in; who may come in its place, if it needs its own no more.
    pub fn settle(&self, cluster: &Key, plan: Option<&Plan>, seen: &Situation, now: Instant) -> Option<Freed> {
        let stays = plan.is_some_and(|plan| goes_on(plan, seen));
        let rolled = has_begun(seen);
        let mut state = self.state();
        if stays || !state.going.remove(cluster) {
            return None;
        }
        let after = match rolled {
            true => {
                state.ended = Some(now);
                self.terms.delay
            }
            false => Duration::ZERO,
        };
        Some(Freed {
            after,
            waiting: std::mem::take(&mut state.waiting).into_iter().collect(),
        })
    }

    /// It is gone.
    pub fn forget(&self, cluster: &Key) {
        let mut state = self.state();
        state.going.remove(cluster);
        state.waiting.remove(cluster);
    }

    /// How many roll, and how many wait.
    pub fn counts(&self) -> (usize, usize) {
        let state = self.state();
        (state.going.len(), state.waiting.len())
    }
}

/// Which one it is.
pub fn key_of(cluster: &RabbitCluster) -> Key {
    let meta = &cluster.metadata;
    (
        meta.namespace.clone().unwrap_or_default(),
        meta.name.clone().unwrap_or_default(),
    )
}

/// What the status tells is a pass old.
fn may_have_begun(cluster: &RabbitCluster) -> bool {
    let Some(status) = &cluster.status else { return false };
    let is_queued = status.conditions.iter().any(|condition| condition.reason == QUEUED);
    let operation = status.operation.as_ref().map(|operation| operation.kind);
    let rolls = matches!(status.phase, Some(Phase::Updating | Phase::Canary)) && !is_queued;
    rolls || operation == Some(OperationKind::Roll)
}

fn old(seen: &Situation) -> impl Iterator<Item = &PodSeen> {
    seen.pods.iter().filter(|pod| seen.is_old(pod))
}

/// A pod is of the newest template already, or is on its way out, or was taken out of service for that.
fn has_begun(seen: &Situation) -> bool {
    let goes = old(seen).any(|pod| pod.terminating);
    let old = old(seen).count();
    let is_mixed = old > 0 && old < seen.pods.len();
    seen.draining.is_some() || is_mixed || goes || seen.rolled && old == 0
}

/// A pod is replaced, or follows by itself. What is left to the user or to an hour holds up nobody else.
fn goes_on(plan: &Plan, seen: &Situation) -> bool {
    match &plan.step {
        Step::Replace(..) => true,
        Step::Later(Pace::OnDelete | Pace::Supervised | Pace::Window | Pace::Queued, _) => false,
        // One that is to come is not there for a moment.
        Step::Rest => has_begun(seen) && seen.pods.iter().filter(|pod| pod.serves()).count() < plan.replicas as usize,
        _ => has_begun(seen),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::plan::{Why, steady};
    use crate::cluster::situation::SetSeen;

    const SECOND: Duration = Duration::from_secs(1);

    fn key(name: &str) -> Key {
        ("shop".into(), name.into())
    }

    /// Pods of revisions, `a` or `b`, the newest of which is `b`.
    fn seen(revisions: &str) -> Situation {
        let pod = |(ordinal, revision): (usize, char)| PodSeen {
            name: format!("p-{ordinal}"),
            ordinal: ordinal as u32,
            revision: revision.into(),
            ready: true,
            ..PodSeen::default()
        };
        Situation {
            set: Some(SetSeen {
                revision: Some("b".into()),
                ..SetSeen::default()
            }),
            pods: revisions.chars().enumerate().map(pod).collect(),
            ..Situation::default()
        }
    }

    fn plan(step: Step) -> Plan {
        Plan { step, ..steady(3) }
    }

    fn replace() -> Plan {
        plan(Step::Replace(Box::default(), Why::Turn))
    }

    fn rollouts(at_once: u32, delay: Duration) -> Rollouts {
        Rollouts::new(Terms { at_once, delay })
    }

    #[test]
    fn a_second_cluster_begins_when_the_first_has_ended_and_is_woken_then() {
        let (rollouts, now) = (rollouts(1, Duration::ZERO), Instant::now());
        assert_eq!(rollouts.ask(&key("a"), &seen("aaa"), now), None);
        assert_eq!(rollouts.settle(&key("a"), Some(&replace()), &seen("aaa"), now), None);
        let why = rollouts.ask(&key("b"), &seen("aaa"), now).unwrap();
        assert_eq!(why, "the operator rolls 1 clusters at once, now shop/a");
        assert_eq!(rollouts.counts(), (1, 1));
        for revisions in ["aab", "abb", "bbb"] {
            assert_eq!(rollouts.ask(&key("a"), &seen(revisions), now), None);
            let waits = plan(Step::Wait("for a pod".into()));
            assert_eq!(
                rollouts.settle(
                    &key("a"),
                    Some(&waits),
                    &Situation {
                        rolled: true,
                        ..seen(revisions)
                    },
                    now
                ),
                None
            );
        }
        let over = Situation {
            rolled: true,
            ..seen("bbb")
        };
        let freed = rollouts.settle(&key("a"), Some(&plan(Step::Rest)), &over, now).unwrap();
        assert_eq!((freed.after, freed.waiting), (Duration::ZERO, vec![key("b")]));
        assert_eq!(rollouts.ask(&key("b"), &seen("aaa"), now), None);
    }

    #[test]
    fn the_only_pod_of_a_cluster_has_begun_when_it_goes_and_has_ended_when_the_next_one_serves() {
        let (rollouts, now) = (rollouts(1, 60 * SECOND), Instant::now());
        let waits = || plan(Step::Wait("for a pod".into()));
        let one = |step| Plan {
            replicas: 1,
            ..plan(step)
        };
        assert_eq!(rollouts.ask(&key("a"), &seen("a"), now), None);
        assert_eq!(rollouts.settle(&key("a"), Some(&replace()), &seen("a"), now), None);
        let mut going = seen("a");
        going.pods[0].terminating = true;
        assert_eq!(rollouts.settle(&key("a"), Some(&waits()), &going, now), None);
        let between = Situation {
            rolled: true,
            ..seen("")
        };
        assert_eq!(rollouts.settle(&key("a"), Some(&one(Step::Rest)), &between, now), None);
        let mut comes = Situation {
            rolled: true,
            ..seen("b")
        };
        comes.pods[0].ready = false;
        assert_eq!(rollouts.settle(&key("a"), Some(&one(Step::Rest)), &comes, now), None);
        comes.pods[0].ready = true;
        let freed = rollouts.settle(&key("a"), Some(&one(Step::Rest)), &comes, now).unwrap();
        assert_eq!(freed.after, 60 * SECOND);
    }

    #[test]
    fn between_the_end_of_one_and_the_begin_of_another_is_the_delay() {
        let (rollouts, now) = (rollouts(1, 60 * SECOND), Instant::now());
        assert_eq!(rollouts.ask(&key("a"), &seen("aab"), now), None, "it has begun");
        let over = Situation {
            rolled: true,
            ..seen("bbb")
        };
        let freed = rollouts.settle(&key("a"), Some(&plan(Step::Rest)), &over, now).unwrap();
        assert_eq!(freed.after, 60 * SECOND);
        let why = rollouts.ask(&key("b"), &seen("a"), now + 20 * SECOND).unwrap();
        assert_eq!(
            why,
            "the operator begins 60 s after the last cluster was rolled, which is in 41 s"
        );
        assert_eq!(rollouts.ask(&key("b"), &seen("a"), now + 60 * SECOND), None);
    }

    #[test]
    fn who_was_let_in_and_did_not_begin_lets_others_in_at_once() {
        let (rollouts, now) = (rollouts(1, 60 * SECOND), Instant::now());
        assert_eq!(rollouts.ask(&key("a"), &seen("aaa"), now), None);
        let blocked = plan(Step::Wait("for an alarm to end".into()));
        let freed = rollouts.settle(&key("a"), Some(&blocked), &seen("aaa"), now).unwrap();
        assert_eq!(freed.after, Duration::ZERO);
        assert_eq!(rollouts.ask(&key("b"), &seen("aaa"), now), None);
        let left = plan(Step::Later(Pace::Supervised, String::new()));
        assert!(
            rollouts.settle(&key("b"), Some(&left), &seen("abb"), now).is_some(),
            "the user may take long"
        );
    }

    #[test]
    fn nobody_waits_without_terms_or_without_old_pods_or_in_the_middle() {
        let (free, now) = (rollouts(0, Duration::ZERO), Instant::now());
        for name in ["a", "b", "c"] {
            assert_eq!(free.ask(&key(name), &seen("aaa"), now), None);
        }
        let one = rollouts(1, Duration::ZERO);
        assert_eq!(one.ask(&key("a"), &seen("aab"), now), None);
        assert_eq!(one.ask(&key("b"), &seen("aab"), now), None, "what has begun goes on");
        assert_eq!(one.ask(&key("c"), &seen("bbb"), now), None);
        assert_eq!(one.counts(), (2, 0));
        one.forget(&key("a"));
        assert_eq!(
            one.settle(&key("b"), None, &seen("aab"), now).unwrap().waiting,
            [],
            "paused"
        );
        assert_eq!(one.ask(&key("d"), &seen("aaa"), now + SECOND), None);
    }

    #[test]
    fn a_new_operator_supposes_what_the_statuses_say() {
        let cluster = |name: &str, phase: &str, reason: &str| -> RabbitCluster {
            serde_json::from_value(serde_json::json!({
                "apiVersion": "warren.dev/v1alpha1", "kind": "RabbitCluster",
                "metadata": {"name": name, "namespace": "shop"}, "spec": {},
                "status": {"phase": phase, "conditions": [{"type": "Progressing", "status": "True", "reason": reason, "message": "",
                    "lastTransitionTime": "2026-01-01T00:00:00Z"}]},
            }))
            .unwrap()
        };
        let rollouts = rollouts(2, Duration::ZERO);
        let known = [
            cluster("a", "Updating", "Rolling"),
            cluster("b", "Updating", QUEUED),
            cluster("c", "Running", "Settled"),
            cluster("d", "Canary", "CanaryWatched"),
        ];
        rollouts.suppose(known.iter());
        assert!(rollouts.ask(&key("b"), &seen("aaa"), Instant::now()).is_some());
        assert_eq!(rollouts.counts(), (2, 1));
    }
}
