//! Whether the first pods of a new template have failed, and what is done about it: `update.canary.autoRollback`. What they showed is written down in
//! the status first; from the next pass on everything is decided as if the pods' part of the spec were still what all pods last ran well with
//! (`settled`), until the user asks for something else. Pure.
//!
//! Other fields (number of nodes, Services, policies of updates) stay the user's meanwhile. Nothing is rolled back once as many pods as are watched have
//! proven themselves, nor what is in no field: a restart, or the text of definitions.

use super::image::Reference;
use super::settled::{Parts, Settled};
use super::situation::{PodSeen, Situation};
use super::validate::validate;
use crate::crd::{Canary, RabbitCluster, RolledBack, UpdateStrategy};

/// How long a pod that takes no clients is given at least, in seconds.
const PATIENCE_MIN: i64 = 60;
/// So often a container may end before it is said to keep ending: once it may be the machine's fault.
const RESTARTS_MAX: i32 = 1;

/// What the spec asks of pods, in one word; none for a spec that cannot be carried out.
pub fn asked(cluster: &RabbitCluster, default_image: &Reference) -> Option<String> {
    let valid = validate(cluster, default_image).ok()?;
    Some(Parts::of(&valid.spec, &valid.image).word())
}

/// The cluster as it is to be carried out, if what it asks of pods has failed before.
pub fn restored(
    cluster: &RabbitCluster,
    settled: Option<&Settled>,
    default_image: &Reference,
) -> Option<RabbitCluster> {
    let rolled_back = cluster.status.as_ref()?.rolled_back.as_ref()?;
    let wanted = cluster.spec.update.canary.is_some_and(|canary| canary.auto_rollback);
    if !wanted || asked(cluster, default_image)? != rolled_back.refused {
        return None;
    }
    let mut spec = settled?.parts.put_into(&cluster.spec)?;
    // The way back is not a change that the user has planned: it waits for no hour and is watched by nobody.
    spec.update.canary = None;
    spec.update.maintenance_windows.clear();
    if spec.update.strategy == UpdateStrategy::Supervised {
        spec.update.strategy = UpdateStrategy::Automatic;
    }
    Some(RabbitCluster {
        spec,
        ..cluster.clone()
    })
}

/// What the first pods of the newest template have shown, if that is a reason to go back.
pub fn judge(
    canary: Option<&Canary>,
    refused: &str,
    settled: Option<&Settled>,
    seen: &Situation,
) -> Option<RolledBack> {
    let canary = canary.filter(|canary| canary.auto_rollback)?;
    let settled = settled.filter(|settled| settled.parts.word() != refused)?;
    let revision = seen.set.as_ref()?.revision.as_ref()?;
    let (new, old): (Vec<&PodSeen>, Vec<_>) = seen.pods.iter().partition(|pod| pod.revision == *revision);
    let proven = |pod: &&&PodSeen| pod.serves() && pod.ready_seconds >= i64::from(canary.pause_seconds);
    if new.iter().filter(proven).count() >= usize::try_from(canary.nodes).unwrap_or(0) {
        return None;
    }
    let failed = new.iter().filter(|pod| !pod.terminating);
    let (reason, what) = failed.filter_map(|pod| failure(pod, canary, &old)).next()?;
    Some(RolledBack {
        refused: refused.to_owned(),
        revision: revision.clone(),
        reason: reason.to_owned(),
        message: format!(
            "{what}: pods are again what they were in revision {}, until the spec asks for something else of them",
            settled.revision
        ),
    })
}

fn failure(pod: &PodSeen, canary: &Canary, old: &[&PodSeen]) -> Option<(&'static str, String)> {
    let name = &pod.name;
    let problem = pod
        .problem
        .as_ref()
        .map(|problem| format!(" ({problem})"))
        .unwrap_or_default();
    if pod.restarts > RESTARTS_MAX {
        let what = format!(
            "{name}, the first of a new template, has ended {} times{problem}",
            pod.restarts
        );
        return Some(("CanaryKeepsEnding", what));
    }
    if !pod.ready && pod.waiting_seconds >= PATIENCE_MIN.max(canary.pause_seconds.into()) {
        let what = format!(
            "{name}, the first of a new template, has taken no clients for {} s{problem}",
            PATIENCE_MIN.max(canary.pause_seconds.into())
        );
        return Some(("CanaryNotReady", what));
    }
    let alarms = |pod: &PodSeen| pod.told.as_ref().map(|told| told.alarms.clone()).unwrap_or_default();
    let is_worse = !alarms(pod).is_empty() && !old.is_empty() && old.iter().all(|old| alarms(old).is_empty());
    is_worse.then(|| {
        let told = alarms(pod).join(", ");
        (
            "CanaryHasAlarm",
            format!("{name}, the first of a new template, has an alarm ({told}) and no other node has"),
        )
    })
}
