//! What the API server's objects mean to the plan: which nodes exist, whether each takes clients, what it runs and what is wrong
//! with it. Pure reading of what `observe` fetched; judging is the plan's.

use std::collections::{BTreeMap, BTreeSet};

use api::{Copies, Membership};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ContainerStateTerminated, ContainerStatus, PersistentVolumeClaim, Pod, PodCondition};
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;

use super::between::Between;
use super::certificate::{self, CertificateSeen};
use super::holdings::Holdings;
use super::names::{LABEL_LEFT, Names};
use super::observe::Found;
use super::pod_overrides::BROKER;
use super::renew::Renewing;
use crate::conditions::on_one_line;

/// How long a pod is fresh.
const FRESH_SECONDS: i64 = 10;
/// After how long a pod that takes no clients is long gone: a cluster that has lost a vote decides again much sooner.
const LONG_GONE_SECONDS: i64 = 60;
/// Label in which a pod carries the revision of its template.
pub const LABEL_REVISION: &str = "controller-revision-hash";

/// One reading of one cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Situation {
    /// The StatefulSet, if there is one.
    pub set: Option<SetSeen>,
    /// The pods, by ordinal.
    pub pods: Vec<PodSeen>,
    /// Why pods are missing that are asked for, by their names, as far as Kubernetes says so.
    pub missing: BTreeMap<String, String>,
    /// One more than the highest ordinal that has a volume whose node has not left for good: how many nodes' data exist.
    pub held: u32,
    /// The pod whose node the status says is leaving.
    pub leaving: Option<String>,
    /// The pod whose node the status says was taken out of service, to be replaced.
    pub draining: Option<String>,
    /// The node that the status says gives its volume up.
    pub renewing: Option<Renewing>,
    /// The volume claims of nodes that have not left for good.
    pub claims: Vec<ClaimSeen>,
    /// The status says that pods were being replaced.
    pub rolled: bool,
    /// Nodes were joining until now, or are.
    pub grown: bool,
    /// Whether the app of the node that leaves, or gives its volume up, runs; nothing if the node does not say.
    pub app_runs: Option<bool>,
    /// Pods whose nodes accept the `next` of the cluster's Secret; asked only while it is rotated.
    pub accepting: BTreeSet<String>,
    /// The certificates that the spec names.
    pub certificates: Vec<CertificateSeen>,
    /// How many queues nodes have copies of, by the names of their pods; those that did not answer are missing.
    pub copies: BTreeMap<String, Copies>,
    /// What nodes have, by the names of their pods; those that were not asked or did not answer are missing.
    pub holdings: BTreeMap<String, Holdings>,
}

impl Situation {
    /// We took its node out of service, and it is so still.
    pub fn is_drained(&self, pod: &PodSeen) -> bool {
        let told = pod.told.as_ref();
        self.draining.as_ref() == Some(&pod.name) && told.is_some_and(|told| told.maintenance)
    }

    /// It runs another template than the newest.
    pub fn is_old(&self, pod: &PodSeen) -> bool {
        let newest = self.set.as_ref().and_then(|set| set.revision.as_ref());
        newest.is_some_and(|newest| pod.revision != *newest)
    }

    /// Whether not all pods are there that are asked for.
    pub fn lacks_pods(&self) -> bool {
        let asked = self.set.as_ref().map_or(0, |set| set.replicas);
        (0..asked).any(|ordinal| self.pods.iter().all(|pod| pod.ordinal != ordinal))
    }

    /// Whether others could do without any one of so many nodes: all serve, and none alone has what policies mirror. One node has no others.
    pub fn can_spare_one(&self, replicas: u32) -> bool {
        let serves = |ordinal| {
            let pod = self.pods.iter().find(|pod| pod.ordinal == ordinal);
            let pod = pod.filter(|pod| pod.serves() && pod.told.as_ref().is_some_and(|told| told.serving));
            pod.and_then(|pod| self.copies.get(&pod.name))
                .is_some_and(|copies| copies.at_risk == 0)
        };
        replicas < 2 || (0..replicas).all(serves)
    }
}

/// A volume claim.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClaimSeen {
    /// Ordinal of the node whose it is.
    pub ordinal: u32,
    /// Its uid.
    pub uid: String,
    /// It never was a volume: nothing can be on it.
    pub unbound: bool,
}

/// The StatefulSet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SetSeen {
    /// Pods that it is asked for.
    pub replicas: u32,
    /// Revision of the template, once its controller has seen the newest one.
    pub revision: Option<String>,
    /// Its generation, which grows with every change of its spec.
    pub generation: i64,
    /// Whether new pods speak TLS to each other.
    pub between: Between,
}

/// One pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PodSeen {
    /// Its name.
    pub name: String,
    /// Its ordinal.
    pub ordinal: u32,
    /// Its uid.
    pub uid: String,
    /// The version of the pod that was read.
    pub resource_version: String,
    /// Revision of the template that it runs.
    pub revision: String,
    /// Image that it was asked to run.
    pub image: String,
    /// Whether its process runs.
    pub running: bool,
    /// Whether it takes clients.
    pub ready: bool,
    /// Whether it ever did.
    pub ever_ready: bool,
    /// For how long it has taken clients; nothing while it does not.
    pub ready_seconds: i64,
    /// For how long it has not taken clients; nothing while it does.
    pub waiting_seconds: i64,
    /// How often its broker has ended.
    pub restarts: i32,
    /// Whether it has taken clients for only a moment: its cluster may still be giving it its vote.
    pub fresh: bool,
    /// Whether it has not taken clients for a minute.
    pub long_gone: bool,
    /// Whether it is being deleted.
    pub terminating: bool,
    /// Whether its node speaks TLS to the others.
    pub between: Between,
    /// What is wrong with it, if that can be told.
    pub problem: Option<String>,
    /// What its node tells of the cluster; `None` while it tells nothing.
    pub told: Option<Membership>,
}

impl PodSeen {
    /// Takes clients and will go on doing so.
    pub fn serves(&self) -> bool {
        self.ready && !self.terminating
    }
}

/// Reads the situation out of the objects.
pub fn situation(names: &Names, found: &Found) -> Situation {
    let told = |pod: PodSeen| PodSeen {
        told: found.told.get(&pod.name).cloned(),
        problem: match (pod.problem, found.causes.unbound.get(&pod.name)) {
            (Some(problem), Some(why)) => Some(format!("{problem}; its volume: {why}")),
            (problem, _) => problem,
        },
        ..pod
    };
    let seen = found.pods.iter().filter_map(|pod| pod_seen(names, pod, found.at));
    let mut pods: Vec<_> = seen.map(told).collect();
    pods.sort_by_key(|pod| pod.ordinal);
    let claims = found
        .claims
        .iter()
        .filter(|claim| claim.metadata.deletion_timestamp.is_none() && !has_left(claim));
    let held = claims
        .filter_map(|claim| names.ordinal_of_claim(&claim.name_any()))
        .map(|ordinal| ordinal + 1)
        .max();
    let claim = |claim: &PersistentVolumeClaim| {
        Some(ClaimSeen {
            ordinal: names.ordinal_of_claim(&claim.name_any())?,
            uid: claim.uid()?,
            unbound: is_unbound(claim),
        })
    };
    Situation {
        set: found.set.as_ref().map(set_seen),
        pods,
        missing: found.causes.missing.clone(),
        held: held.unwrap_or(0),
        leaving: found.leaving.clone(),
        draining: found.draining.clone(),
        renewing: found.renewing.clone(),
        claims: found
            .claims
            .iter()
            .filter(|claim| !has_left(claim))
            .filter_map(claim)
            .collect(),
        rolled: found.rolled,
        grown: found.grown,
        app_runs: found.app_runs,
        accepting: found.accepting.clone(),
        certificates: certificate::read(&found.tls),
        copies: found.copies.clone(),
        holdings: found.holdings.clone(),
    }
}

/// Whether there is no volume yet.
pub(super) fn is_unbound(claim: &PersistentVolumeClaim) -> bool {
    let phase = claim.status.as_ref().and_then(|status| status.phase.as_deref());
    let volume = claim.spec.as_ref().and_then(|spec| spec.volume_name.as_ref());
    phase == Some("Pending") && volume.is_none()
}

/// Whether the volume is that of a node that has left for good.
pub fn has_left(claim: &PersistentVolumeClaim) -> bool {
    claim.labels().contains_key(LABEL_LEFT)
}

/// Reads a StatefulSet.
pub fn set_seen(set: &StatefulSet) -> SetSeen {
    let generation = set.metadata.generation.unwrap_or(0);
    let status = set.status.as_ref();
    let seen = status.and_then(|status| status.observed_generation) == Some(generation);
    let template = set.spec.as_ref().map(|spec| &spec.template);
    let replicas = set.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
    SetSeen {
        replicas: u32::try_from(replicas).unwrap_or(0), // the API server refuses negative ones
        revision: status
            .and_then(|status| status.update_revision.clone())
            .filter(|_| seen),
        generation,
        between: Between::read(template.and_then(|template| template.metadata.as_ref()?.annotations.as_ref())),
    }
}

fn pod_seen(names: &Names, pod: &Pod, at: Timestamp) -> Option<PodSeen> {
    let name = pod.name_any();
    let ready = condition(pod, "Ready").is_some_and(|ready| ready.status == "True");
    let steady = steady_seconds(pod, at);
    let containers = pod
        .spec
        .as_ref()
        .map(|spec| spec.containers.as_slice())
        .unwrap_or_default();
    Some(PodSeen {
        ordinal: names.ordinal_of_pod(&name)?,
        uid: pod.uid().unwrap_or_default(),
        resource_version: pod.resource_version().unwrap_or_default(),
        revision: pod.labels().get(LABEL_REVISION).cloned().unwrap_or_default(),
        image: containers
            .iter()
            .find(|container| container.name == BROKER)
            .and_then(|container| container.image.clone())
            .unwrap_or_default(),
        running: is_running(pod),
        ready,
        ready_seconds: steady.filter(|_| ready).unwrap_or(0),
        waiting_seconds: if ready {
            0
        } else {
            steady.unwrap_or_else(|| age(pod, at))
        },
        restarts: broker_status(pod).map_or(0, |broker| broker.restart_count),
        fresh: ready && steady.is_some_and(|seconds| seconds < FRESH_SECONDS),
        long_gone: !ready && steady.is_some_and(|seconds| seconds >= LONG_GONE_SECONDS),
        ever_ready: ready || was_ready(pod),
        terminating: pod.metadata.deletion_timestamp.is_some(),
        between: Between::read(pod.metadata.annotations.as_ref()),
        problem: if ready { None } else { problem(pod) },
        told: None,
        name,
    })
}

/// Seconds since the pod last began or ceased to be ready.
fn steady_seconds(pod: &Pod, at: Timestamp) -> Option<i64> {
    let since = condition(pod, "Ready")?.last_transition_time.as_ref()?;
    Some(at.as_second() - since.0.as_second())
}

/// Of a pod that no machine has taken on there is nothing else to count from.
fn age(pod: &Pod, at: Timestamp) -> i64 {
    let made = pod.metadata.creation_timestamp.as_ref();
    made.map_or(0, |made| at.as_second() - made.0.as_second())
}

fn condition<'a>(pod: &'a Pod, kind: &str) -> Option<&'a PodCondition> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    conditions.iter().find(|condition| condition.type_ == kind)
}

fn broker_status(pod: &Pod) -> Option<&ContainerStatus> {
    let statuses = pod.status.as_ref()?.container_statuses.as_ref()?;
    statuses.iter().find(|container| container.name == BROKER)
}

fn is_running(pod: &Pod) -> bool {
    let state = broker_status(pod).and_then(|broker| broker.state.as_ref());
    state.is_some_and(|state| state.running.is_some())
}

/// The kubelet writes `Initialized` and `Ready=False` together when it takes a pod on; a later date on `Ready` means that it was
/// true in between.
fn was_ready(pod: &Pod) -> bool {
    let since = |kind| condition(pod, kind).and_then(|condition| condition.last_transition_time.as_ref());
    match (since("Ready"), since("Initialized")) {
        (Some(ready), Some(taken)) => ready.0 > taken.0,
        _ => false,
    }
}

fn problem(pod: &Pod) -> Option<String> {
    let status = pod.status.as_ref()?;
    let unscheduled = condition(pod, "PodScheduled").filter(|scheduled| scheduled.status == "False");
    if let Some(scheduled) = unscheduled {
        return Some(said(scheduled.reason.as_deref()?, scheduled.message.as_deref()));
    }
    let ended_well = |container: &&ContainerStatus| {
        let ended = container.state.as_ref().and_then(|state| state.terminated.as_ref());
        ended.is_some_and(|ended| ended.exit_code == 0)
    };
    let before = status.init_container_statuses.iter().flatten();
    let before = before.filter(|container| !ended_well(container));
    let containers = before.chain(status.container_statuses.iter().flatten());
    containers.filter_map(container_problem).next()
}

fn container_problem(container: &ContainerStatus) -> Option<String> {
    let waiting = container.state.as_ref().and_then(|state| state.waiting.as_ref());
    if let Some(waiting) = waiting {
        let reason = waiting.reason.as_deref()?;
        let usual = ["ContainerCreating", "PodInitializing"].contains(&reason);
        let ended = container.last_state.as_ref().and_then(|last| last.terminated.as_ref());
        // How long Kubernetes waits this time says nothing of the cause, and is another each time.
        let message = waiting.message.as_deref().filter(|_| reason != "CrashLoopBackOff");
        let ended = ended.map(|ended| format!("it last ended with {}", last_words(ended)));
        let told: Vec<_> = message.map(str::to_owned).into_iter().chain(ended).collect();
        return (!usual).then(|| said(reason, Some(told.join("; ")).as_deref().filter(|told| !told.is_empty())));
    }
    let ended = container.state.as_ref()?.terminated.as_ref()?;
    Some(said(
        ended.reason.as_deref().unwrap_or("Terminated"),
        Some(&last_words(ended)),
    ))
}

/// A broker that cannot start leaves word of it.
fn last_words(ended: &ContainerStateTerminated) -> String {
    let code = format!("exit code {}", ended.exit_code);
    let words = on_one_line(ended.message.as_deref().unwrap_or_default());
    match words.is_empty() {
        true => code,
        false => format!("{code}: {words}"),
    }
}

fn said(reason: &str, message: Option<&str>) -> String {
    match message {
        Some(message) => format!("{reason}: {message}"),
        None => reason.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container(text: &str) -> ContainerStatus {
        let text = format!("{{name: broker, image: i, imageID: i, ready: false, restartCount: 1, {text}}}");
        serde_yaml::from_str(&text).unwrap()
    }

    #[test]
    fn a_broker_that_keeps_ending_is_told_with_its_own_words() {
        let told = |text: &str| container_problem(&container(text)).unwrap();
        let waits = "state: {waiting: {reason: CrashLoopBackOff, message: 'back-off 20s'}}";
        let ended = "terminated: {exitCode: 1, reason: Error, message: \"no such\\n  plugin\\n\"}";
        assert_eq!(
            told(&format!("{waits}, lastState: {{{ended}}}")),
            "CrashLoopBackOff: it last ended with exit code 1: no such; plugin"
        );
        assert_eq!(
            told(&format!("state: {{{ended}}}")),
            "Error: exit code 1: no such; plugin"
        );
        assert_eq!(told(waits), "CrashLoopBackOff");
        let image = "state: {waiting: {reason: ErrImagePull, message: 'no such image'}}";
        assert_eq!(told(image), "ErrImagePull: no such image");
        assert!(container_problem(&container("state: {waiting: {reason: ContainerCreating}}")).is_none());
    }
}
