//! The one decision of a pass: how many pods the StatefulSet is asked for, and whether one pod is replaced now. Pure, and
//! checked by a property test against random edits and failures: we never take a second node down, and we come to rest.
//!
//! A pod that runs an old revision is replaced, the highest ordinal first, only while every other node takes clients. Two
//! exceptions keep a broken revision from locking itself in: a pod that never became ready on an old revision is replaced at
//! once, and one that is down already needs only its siblings of the new revision to be well.

use super::situation::{PodSeen, Situation};
use crate::crd::UpdateStrategy;

/// What the user wants, as far as the plan is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Nodes.
    pub replicas: u32,
    /// A new pod would find the Secrets that it needs.
    pub secrets: bool,
    /// Who replaces pods that run an old template.
    pub update: UpdateStrategy,
}

/// What a pass does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Pods that the StatefulSet is asked for.
    pub replicas: u32,
    /// Set when fewer nodes are wanted than hold data.
    pub refused: Option<Refused>,
    /// The destructive part, at most one.
    pub step: Step,
}

/// Why the number of nodes is not lowered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// What the user wants.
    pub wanted: u32,
    /// Nodes that exist or left a volume.
    pub held: u32,
}

/// The destructive part of a pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing is left to do.
    Rest,
    /// Something must happen first; the message says what.
    Wait(String),
    /// Delete this pod so that it comes back with the new template.
    Replace(Box<PodSeen>, Why),
}

/// Why a pod is replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// It never became ready on an old revision.
    NeverReady,
    /// It is down, on an old revision.
    Down,
    /// It is well and its turn has come.
    Turn,
}

/// Decides.
pub fn plan(wanted: &Wanted, seen: &Situation) -> Plan {
    let running = seen.set.as_ref().map_or(0, |set| set.replicas);
    let held = running.max(seen.held);
    let refused = (wanted.replicas > 0 && wanted.replicas < held).then_some(Refused {
        wanted: wanted.replicas,
        held,
    });
    let replicas = if refused.is_some() { running } else { wanted.replicas };
    let step = if wanted.secrets {
        step(replicas, wanted.update, seen)
    } else {
        Step::Wait("a Secret that new pods need is missing".into())
    };
    Plan {
        replicas,
        refused,
        step,
    }
}

fn step(replicas: u32, update: UpdateStrategy, seen: &Situation) -> Step {
    let Some(set) = &seen.set else { return Step::Rest };
    let Some(revision) = &set.revision else {
        return Step::Wait("the StatefulSet's controller has not seen the newest template".into());
    };
    let nodes = || seen.pods.iter().filter(|pod| pod.ordinal < replicas);
    let old = || nodes().filter(|pod| pod.revision != *revision && !pod.terminating);
    if let Some(pod) = old().rfind(|pod| !pod.ready && !pod.ever_ready) {
        return Step::Replace(Box::new(pod.clone()), Why::NeverReady);
    }
    let Some(candidate) = old().rfind(|pod| !pod.ready).or_else(|| old().next_back()) else {
        return Step::Rest;
    };
    if update == UpdateStrategy::OnDelete {
        return Step::Wait("update.strategy is OnDelete: delete these pods when it suits you".into());
    }
    let why = if candidate.ready { Why::Turn } else { Why::Down };
    // Nodes that are down on an old revision wait for us, not we for them: else two of them would wait for each other.
    let in_the_way =
        nodes().find(|pod| pod.terminating || !pod.ready && (why == Why::Turn || pod.revision == *revision));
    if let Some(pod) = in_the_way {
        return Step::Wait(format!(
            "{} must take clients before the next pod is replaced",
            pod.name
        ));
    }
    match (0..replicas).find(|ordinal| nodes().all(|pod| pod.ordinal != *ordinal)) {
        Some(missing) => Step::Wait(format!(
            "the pod of ordinal {missing} must exist before the next one is replaced"
        )),
        None => Step::Replace(Box::new(candidate.clone()), why),
    }
}
