//! What a pass tells about a cluster. Pure: the time comes in, and a condition keeps the date of its last change, so a pass in which
//! nothing changed yields the very status that is stored and nothing is written. A node counts as ready only while it takes
//! clients and is not being deleted; what could not be carried out is said, and the nodes are told about all the same.

use api::Membership;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;

use super::between::{self, Between};
use super::certificate;
use super::image::Reference;
use super::leave::{TIMED_OUT, passes};
use super::level;
use super::members;
use super::memory;
use super::names::{Names, selector_text};
use super::pace::Pace;
use super::plan::{Plan, Step};
use super::rollouts::QUEUED;
use super::rotation::Turn;
use super::secrets::Repair;
use super::settings::{HandedOver, Late};
use super::situation::{PodSeen, Situation};
use super::volumes;
use crate::conditions::{Claim, claim, counted, on_one_line, stamped};
use crate::crd::{
    Binding, ClusterSecretStatus, DefaultUser, ObjectName, RabbitCluster, RabbitClusterStatus, Resources, RolledBack,
    Summary, Version,
};
use crate::kstatus::derived;

/// Nodes went back from what the spec asks for; the condition `RolledBack` tells why, and its event.
pub const ROLLED_BACK: &str = "RolledBack";

/// How a pass ended.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// The user asked for a pause.
    Paused,
    /// Nothing was written, or not everything: reason and message.
    Failed(String, String),
    /// Everything was applied.
    Done(Box<Carried>),
}

/// What was carried out.
#[derive(Clone, Debug)]
pub struct Carried {
    /// The plan of the pass.
    pub plan: Plan,
    /// What the pass did about the rotation of the cluster's secret.
    pub rotation: Turn,
    /// What nodes were told of their feature level: to hold it, or to let it go.
    pub level: Option<bool>,
    /// Whether nodes speak TLS to each other, and what is waited for.
    pub between: between::Phase,
    /// Whether nodes have the settings that need no restart.
    pub settings: HandedOver,
    /// The cluster could not do without one of its nodes now.
    pub at_risk: bool,
    /// Image of new pods.
    pub image: Reference,
    /// Volumes that were asked to grow and have not yet.
    pub volumes_growing: Vec<String>,
    /// Why volumes could not be made larger, if so.
    pub volumes_refused: Option<String>,
    /// What became of the objects for the Prometheus Operator.
    pub monitored: Monitored,
    /// What the user must restore before new pods can start.
    pub restore: Option<Repair>,
    /// Volumes that cannot become what is asked for.
    pub volumes_unfit: usize,
    /// Whether they are replaced.
    pub volumes_replaced: bool,
    /// The cluster's secret, while it is there.
    pub secret: Option<ClusterSecretStatus>,
    /// Revision of the template that all pods last ran well.
    pub previous: Option<String>,
    /// From what nodes went back, or are about to.
    pub rolled_back: Option<RolledBack>,
    /// All pods run well with something that is not kept yet.
    pub unkept: bool,
}

/// What became of the objects for the Prometheus Operator.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Monitored {
    /// They are there.
    #[default]
    Applied,
    /// The user wants none.
    NotWanted,
    /// Nodes tell nothing without the plugin.
    PluginOff,
    /// The API server does not have their kinds.
    NoApi,
    /// They could not be written.
    Refused(String),
}

/// The status after a pass. `seen` is what was read, with the StatefulSet as it is after the pass.
pub fn status(cluster: &RabbitCluster, seen: &Situation, outcome: &Outcome, now: Timestamp) -> RabbitClusterStatus {
    let names = Names::new(&cluster.name_any());
    let old = cluster.status.clone().unwrap_or_default();
    let nodes = nodes(cluster, seen, outcome);
    let carried = match outcome {
        Outcome::Done(carried) => Some(carried),
        Outcome::Paused | Outcome::Failed(..) => None,
    };
    let rolled_back = carried.map_or(old.rolled_back.clone(), |carried| carried.rolled_back.clone());
    let secret = carried.map_or(old.cluster_secret, |carried| carried.secret);
    let view = View {
        resources: &cluster.spec.resources,
        rolled_back: rolled_back.as_ref(),
        nodes,
        seen,
        outcome,
        names: &names,
        now,
    };
    let conditions = stamped(
        &dated(&old, cluster),
        view.conditions(),
        cluster.metadata.generation,
        now,
    );
    let phase = Some(view.phase(&old));
    RabbitClusterStatus {
        observed_generation: cluster.metadata.generation,
        phase,
        replicas: number(seen.set.as_ref().map_or(0, |set| set.replicas)),
        ready_replicas: number(view.ready()),
        selector: Some(selector_text(&names.selector(&cluster.uid().unwrap_or_default()))),
        summary: Summary {
            nodes: format!("{}/{nodes}", view.ready()),
            at_risk: seen
                .copies
                .values()
                .map(|copies| copies.at_risk)
                .filter(|_| nodes > 1)
                .sum(),
            cert_not_after: certificate::first_end(&seen.certificates)
                .map(|end| end.to_string())
                .unwrap_or_default(),
            reason: headline(&conditions),
        },
        version: version(carried.map(Box::as_ref), old.version, seen),
        image: carried.map(|carried| carried.image.to_string()).or(old.image),
        cluster_id: cluster_id(seen).or(old.cluster_id),
        operation: match carried {
            Some(carried) => members::operation(&carried.plan, old.operation.as_ref(), seen, now),
            None => old.operation,
        },
        rolled_back,
        members: members::remembered(
            members::members(seen, nodes, secret),
            &old.members,
            &(0..nodes).map(|ordinal| names.pod(ordinal)).collect::<Vec<_>>(),
        ),
        cluster_secret: secret,
        default_user: Some(default_user(&names)),
        binding: Some(Binding {
            name: names.default_user(),
        }),
        conditions,
    }
}

fn default_user(names: &Names) -> DefaultUser {
    DefaultUser {
        secret_reference: ObjectName {
            name: names.default_user(),
        },
        service_reference: ObjectName {
            name: names.cluster.clone(),
        },
    }
}

fn version(carried: Option<&Carried>, old: Version, seen: &Situation) -> Version {
    let revision = seen.set.as_ref().and_then(|set| set.revision.as_ref());
    Version {
        current: running(seen),
        feature_level: level::needed(seen).or(old.feature_level),
        target: carried.map_or(old.target, |carried| carried.image.version()),
        previous_revision: match carried {
            Some(carried) => carried.previous.clone().filter(|previous| Some(previous) != revision),
            None => old.previous_revision,
        },
    }
}

/// The old conditions, but for one of a scale-down that was given up for an older spec: for another spec its time begins anew.
fn dated(old: &RabbitClusterStatus, cluster: &RabbitCluster) -> Vec<Condition> {
    let is_over = |condition: &&Condition| {
        condition.type_ == "ScaleDownBlocked"
            && condition.reason == TIMED_OUT
            && condition.observed_generation != cluster.metadata.generation
    };
    let kept = old.conditions.iter().filter(|condition| !is_over(condition));
    kept.cloned().collect()
}

/// How many nodes there should be: what the plan says, else what is wanted and can be.
fn nodes(cluster: &RabbitCluster, seen: &Situation, outcome: &Outcome) -> u32 {
    let wanted = cluster.spec.replicas.try_into().unwrap_or(0);
    match outcome {
        Outcome::Done(carried) => carried.plan.replicas,
        Outcome::Paused | Outcome::Failed(..) => seen.set.as_ref().map_or(wanted, |set| set.replicas),
    }
}

pub(super) fn number(count: u32) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

/// The tags that pods run, each once.
fn running(seen: &Situation) -> String {
    let running = seen.pods.iter().filter(|pod| pod.running);
    let versions = running.filter_map(|pod| pod.image.parse::<Reference>().ok());
    let mut versions: Vec<_> = versions.map(|image| image.version()).collect();
    versions.sort();
    versions.dedup();
    versions.join(",")
}

/// The cluster that the nodes speak of, if they speak of one.
fn cluster_id(seen: &Situation) -> Option<String> {
    let mut ids: Vec<_> = seen
        .pods
        .iter()
        .filter_map(|pod| Some(&pod.told.as_ref()?.cluster_id))
        .collect();
    ids.sort();
    ids.dedup();
    match ids.as_slice() {
        [id] => Some((*id).clone()),
        _ => None,
    }
}

/// The reason column: the first thing that keeps the cluster from being ready and settled.
fn headline(conditions: &[Condition]) -> String {
    let bad = [
        ("RolledBack", "True"),
        ("ReconcileSuccess", "False"),
        ("ScaleDownBlocked", "True"),
        ("Degraded", "True"),
        ("Progressing", "True"),
        ("Ready", "False"),
    ];
    let found = bad.iter().find_map(|(kind, status)| {
        conditions
            .iter()
            .find(|condition| condition.type_ == *kind && condition.status == *status)
    });
    found
        .map(|condition| on_one_line(&condition.message))
        .unwrap_or_default()
}

/// A word for what a roll waits for.
fn reason(pace: Pace) -> &'static str {
    match pace {
        Pace::OnDelete => "PodsLeftToYou",
        Pace::Supervised => "LastPodLeftToYou",
        Pace::Window => "WindowClosed",
        Pace::Canary => "CanaryWatched",
        Pace::Queued => QUEUED,
    }
}

/// What is the matter with several pods is told once.
fn grouped(problems: &[(&String, &String)]) -> String {
    let mut groups: Vec<(Vec<&str>, &str)> = Vec::new();
    for (pod, problem) in problems {
        match groups.iter_mut().find(|(_, known)| known == problem) {
            Some((pods, _)) => pods.push(pod),
            None => groups.push((vec![pod], problem)),
        }
    }
    let told: Vec<_> = groups
        .iter()
        .map(|(pods, problem)| format!("{}: {problem}", pods.join(", ")))
        .collect();
    told.join("; ")
}

/// A word for what Kubernetes says of a pod. Each cause has its own, so that whoever looks for one finds it; words that follow each other while
/// Kubernetes tries again are one cause.
fn cause(problem: &str) -> &'static str {
    match problem.split(':').next().unwrap_or_default() {
        "Unschedulable" | "SchedulingGated" => "NodeUnschedulable",
        "ErrImagePull" | "ImagePullBackOff" | "ErrImageNeverPull" | "InvalidImageName" => "ImageNotPulled",
        "FailedCreate" | "CreateContainerConfigError" | "CreateContainerError" | "RunContainerError" => {
            "NodeNotCreated"
        }
        "CrashLoopBackOff" | "Error" | "OOMKilled" | "Completed" => "NodeEnds",
        _ => "NodeProblem",
    }
}

/// What conditions and phase are told from.
pub(super) struct View<'a> {
    resources: &'a Resources,
    pub(super) rolled_back: Option<&'a RolledBack>,
    pub(super) nodes: u32,
    pub(super) seen: &'a Situation,
    pub(super) outcome: &'a Outcome,
    names: &'a Names,
    now: Timestamp,
}

impl View<'_> {
    fn pods(&self) -> impl Iterator<Item = &PodSeen> {
        self.seen.pods.iter().filter(|pod| pod.ordinal < self.nodes)
    }

    pub(super) fn ready(&self) -> u32 {
        self.pods().map(|pod| u32::from(pod.serves())).sum()
    }

    fn conditions(&self) -> Vec<Claim> {
        let mut claims = vec![
            self.is_ready(),
            self.is_available(),
            self.is_safe(),
            self.is_progressing(),
            self.is_degraded(),
            self.is_reconciled(),
            self.is_scale_down_blocked(),
            volumes::are_sized(self.outcome),
            self.is_clustered(),
            self.is_monitored(),
            self.is_rotated(),
            self.is_secured(),
            certificate::is_valid(&self.seen.certificates, self.now),
            self.is_rolled_back(),
            self.is_in_force(),
            level::is_finalised(self.seen),
            memory::is_guaranteed(self.resources),
            self.is_paused(),
        ];
        let moves = [("Progressing", true), ("SecretRotated", false)];
        let stuck = [
            ("ReconcileSuccess", false),
            ("RolledBack", true),
            ("ScaleDownBlocked", true),
        ];
        claims.extend(derived(&claims, &moves, &stuck));
        claims
    }

    fn is_ready(&self) -> Claim {
        let (ready, nodes) = (self.ready(), self.nodes);
        let told = format!("{ready} of {nodes} nodes take clients");
        match nodes {
            0 => claim("Ready", false, "Stopped", "no node is wanted"),
            _ if ready == nodes => claim("Ready", true, "AllNodesReady", told),
            _ => claim("Ready", false, "NodesNotReady", told),
        }
    }

    /// Whether the pods behind the client Service take clients.
    fn is_available(&self) -> Claim {
        let service = &self.names.cluster;
        let behind = self.pods().any(PodSeen::serves);
        match (self.nodes, behind) {
            (0, _) => claim("Available", false, "Stopped", "no node is wanted"),
            (_, true) => claim(
                "Available",
                true,
                "NodeTakesClients",
                format!("Service {service} reaches a node that takes clients"),
            ),
            (_, false) => claim(
                "Available",
                false,
                "NoNodeTakesClients",
                format!("no node behind Service {service} takes clients"),
            ),
        }
    }

    /// Whether each queue has the mirrors in sync that policies ask for, one at least.
    fn is_safe(&self) -> Claim {
        let kind = "DataSafe";
        if self.nodes < 2 {
            return claim(kind, true, "OneNode", "one node has no mirrors");
        }
        let copies = |pod: &PodSeen| self.seen.copies.get(&pod.name);
        let at_risk = self.pods().filter_map(|pod| Some((pod, copies(pod)?.at_risk)));
        let at_risk: Vec<_> = at_risk.filter(|(_, queues)| *queues > 0).collect();
        if !at_risk.is_empty() {
            let told: Vec<_> = at_risk.iter().map(|(pod, _)| pod.name.as_str()).collect();
            let told = told.join(", ");
            let message = format!("queues that policies mirror have no mirror in sync, led by {told}");
            return claim(kind, false, "MirrorsNotSynchronised", message);
        }
        let silent = (0..self.nodes).map(|ordinal| self.names.pod(ordinal));
        match silent.into_iter().find(|name| !self.seen.copies.contains_key(name)) {
            Some(name) => claim(
                kind,
                false,
                "NodesSilent",
                format!("{name} does not tell which queues it has"),
            ),
            None => claim(
                kind,
                true,
                "MirrorsInSync",
                "each queue that policies mirror has a mirror in sync",
            ),
        }
    }

    fn is_progressing(&self) -> Claim {
        let Outcome::Done(carried) = self.outcome else {
            return claim("Progressing", false, "Halted", "nothing is being changed");
        };
        let leaving = self.seen.pods.iter().filter(|pod| pod.ordinal >= self.nodes).count();
        let unseen = self.seen.set.as_ref().is_none_or(|set| set.revision.is_none());
        let old = self.old().count();
        if unseen {
            return claim(
                "Progressing",
                true,
                "Applied",
                "the StatefulSet was applied and has yet to act",
            );
        }
        if leaving > 0 {
            return claim(
                "Progressing",
                true,
                "StoppingNodes",
                format!("still to stop: {}", counted(leaving as u64, "node")),
            );
        }
        if let (Some(pod), None) = (&carried.plan.leaving, &carried.plan.held) {
            return claim(
                "Progressing",
                true,
                "NodeLeaves",
                format!("{pod} hands its queues over and leaves"),
            );
        }
        if let Some(renewing) = &carried.plan.renewing {
            let pod = &renewing.pod;
            return claim(
                "Progressing",
                true,
                "VolumesReplaced",
                format!("{pod} leaves, and joins again with another volume"),
            );
        }
        match Self::rolling(&carried.plan.step) {
            Some((reason, what)) if old > 0 => claim(
                "Progressing",
                true,
                reason,
                format!("{old} of {} nodes run an old revision; {what}", self.nodes),
            ),
            _ if self.ready() < self.nodes => claim(
                "Progressing",
                true,
                "StartingNodes",
                format!(
                    "{} of {} nodes have yet to take clients",
                    self.nodes - self.ready(),
                    self.nodes
                ),
            ),
            _ if carried.plan.fewer.is_some() => Self::shrinking(&carried.plan),
            Some((_, what)) if self.is_settling() => claim("Progressing", true, "Settling", what),
            _ => claim("Progressing", false, "Settled", "every node runs what is wanted"),
        }
    }

    /// More nodes run than are wanted, and none of them is being stopped at this moment.
    fn shrinking(plan: &Plan) -> Claim {
        match (&plan.held, plan.fewer) {
            (Some(held), _) => claim(
                "Progressing",
                passes(held.reason),
                if passes(held.reason) { "NodeLeaves" } else { "Blocked" },
                held.message.clone(),
            ),
            (None, fewer) => claim(
                "Progressing",
                true,
                "NodeLeaves",
                format!("nodes leave until there are {}", fewer.unwrap_or(plan.replicas)),
            ),
        }
    }

    /// What a roll waits for, or does next.
    fn rolling(step: &Step) -> Option<(&'static str, String)> {
        match step {
            Step::Wait(what) => Some(("Rolling", what.clone())),
            Step::Later(pace, what) => Some((reason(*pace), what.clone())),
            Step::Synchronise(pod) => {
                let what = "mirrors of queues that it leads synchronise before it is replaced";
                Some(("Rolling", format!("{}: {what}", pod.name)))
            }
            Step::Replace(pod, _) => Some(("Rolling", format!("{} is next", pod.name))),
            Step::Recreate => Some((
                "VolumesReplaced",
                "the StatefulSet is made anew for other volumes".into(),
            )),
            Step::Discard(renewing, _) => Some(("VolumesReplaced", format!("{} gets another volume", renewing.pod))),
            Step::Rest
            | Step::Rebalance(_)
            | Step::Mark(..)
            | Step::Evacuate(..)
            | Step::Forget(..)
            | Step::Stop(_)
            | Step::Reset(_)
            | Step::Revive(_) => None,
        }
    }

    pub(super) fn old(&self) -> impl Iterator<Item = &PodSeen> {
        self.pods().filter(|pod| self.seen.is_old(pod))
    }

    fn is_leaving(&self, pod: &PodSeen) -> bool {
        let Outcome::Done(carried) = self.outcome else {
            return false;
        };
        let renewing = carried.plan.renewing.as_ref().map(|renewing| &renewing.pod);
        carried.plan.leaving.as_ref().or(renewing) == Some(&pod.name)
    }

    fn is_degraded(&self) -> Claim {
        let (broken, alarms) = (self.is_broken(), self.alarms());
        match (broken.holds, alarms.first()) {
            (false, Some(_)) => claim(
                "Degraded",
                true,
                "NodeHasAlarm",
                format!("{}: publishers wait until it is over", alarms.join("; ")),
            ),
            _ => broken,
        }
    }

    /// Nodes that take clients and hold publishers up.
    pub(super) fn alarms(&self) -> Vec<String> {
        let alarm = |pod: &PodSeen| {
            let told = pod.told.as_ref().filter(|told| !told.alarms.is_empty())?;
            Some(format!("{} has an alarm ({})", pod.name, told.alarms.join(", ")))
        };
        self.pods().filter(|pod| pod.serves()).filter_map(alarm).collect()
    }

    /// Whether nodes are away, or do not come up.
    pub(super) fn is_broken(&self) -> Claim {
        let problems = self.problems();
        if let Some((_, first)) = problems.first() {
            return claim("Degraded", true, cause(first), grouped(&problems));
        }
        let lost = |pod: &&PodSeen| pod.ever_ready && !pod.ready && !pod.terminating && !self.is_leaving(pod);
        let lost = self.pods().find(lost);
        match lost {
            Some(pod) => claim(
                "Degraded",
                true,
                "NodeLost",
                format!("{} no longer takes clients", pod.name),
            ),
            None => claim("Degraded", false, "NodesWell", "no node reports a problem"),
        }
    }

    /// What Kubernetes says of pods that do not come up, and of those that it does not even make.
    fn problems(&self) -> Vec<(&String, &String)> {
        let there = self.pods().filter(|pod| !pod.terminating);
        let there = there.filter_map(|pod| Some((&pod.name, pod.problem.as_ref()?)));
        there.chain(&self.seen.missing).collect()
    }

    fn is_rolled_back(&self) -> Claim {
        match self.rolled_back {
            Some(RolledBack { reason, message, .. }) => claim("RolledBack", true, reason, message),
            None => claim("RolledBack", false, "NotRolledBack", "pods are what the spec asks for"),
        }
    }

    fn is_reconciled(&self) -> Claim {
        let kind = "ReconcileSuccess";
        match self.outcome {
            Outcome::Failed(reason, message) => claim(kind, false, reason, message.clone()),
            Outcome::Paused => claim(kind, true, "Paused", "nothing is changed while spec.paused is true"),
            Outcome::Done(carried) => match &carried.restore {
                Some(repair) => claim(kind, false, repair.reason, repair.how.clone()),
                None if self.rolled_back.is_some() => claim(
                    kind,
                    false,
                    ROLLED_BACK,
                    "the condition RolledBack says what of the spec failed",
                ),
                None => claim(kind, true, "Success", "every object is as it should be"),
            },
        }
    }

    /// Whether the node that should leave cannot.
    fn is_scale_down_blocked(&self) -> Claim {
        let kind = "ScaleDownBlocked";
        let Outcome::Done(carried) = self.outcome else {
            return claim(kind, false, "NotLookedAt", "nodes leave when the spec is carried out");
        };
        match (&carried.plan.held, carried.plan.fewer) {
            (Some(held), _) => claim(kind, true, held.reason, held.message.clone()),
            (None, Some(fewer)) => claim(
                kind,
                false,
                "NodesLeave",
                format!("nodes leave until there are {fewer}"),
            ),
            (None, None) => claim(kind, false, "NotWanted", "there are no more nodes than wanted"),
        }
    }

    /// Nodes are one cluster when all name the same one and each knows all the others.
    fn is_clustered(&self) -> Claim {
        let kind = "Clustered";
        if self.nodes < 2 {
            return claim(kind, true, "OneNode", "one node is a cluster of one");
        }
        let told: Vec<_> = self.pods().filter_map(|pod| pod.told.as_ref()).collect();
        let mut ids: Vec<_> = told.iter().map(|told| told.cluster_id.as_str()).collect();
        ids.sort_unstable();
        ids.dedup();
        if ids.len() > 1 {
            let message = format!("the nodes belong to different clusters: {}", ids.join(", "));
            return claim(kind, false, "NodesAreSeparate", message);
        }
        let knows = |by: &Membership, node: &str| by.members.iter().any(|member| member.name == node);
        let joined = told
            .iter()
            .filter(|one| told.iter().all(|other| knows(other, &one.node)))
            .count();
        let told = format!("{joined} of {} nodes have joined one cluster", self.nodes);
        match joined == self.nodes as usize {
            true => claim(kind, true, "NodesJoined", told),
            false => claim(kind, false, "NodesJoining", told),
        }
    }

    /// That Prometheus is not installed is no failure; whoever wonders why there are no alerts finds it here.
    fn is_monitored(&self) -> Claim {
        let kind = "Monitored";
        let Outcome::Done(carried) = self.outcome else {
            return claim(
                kind,
                false,
                "NotLookedAt",
                "it is looked at when the spec is carried out",
            );
        };
        let not = |reason: &str, message: &str| claim(kind, false, reason, message);
        match &carried.monitored {
            Monitored::Applied => claim(
                kind,
                true,
                "Applied",
                format!("ServiceMonitor and PrometheusRule {} are there", self.names.server()),
            ),
            Monitored::NotWanted => not("NotWanted", "spec.monitoring.create is Never"),
            Monitored::PluginOff => not("PluginOff", "spec.plugins does not have prometheus"),
            Monitored::NoApi => not(
                "NoApi",
                "the API server lacks ServiceMonitor, PrometheusRule or both; what it has is made",
            ),
            Monitored::Refused(why) => not("Refused", why),
        }
    }

    fn is_rotated(&self) -> Claim {
        let kind = "SecretRotated";
        let Outcome::Done(carried) = self.outcome else {
            return claim(
                kind,
                true,
                "NotLookedAt",
                "secrets are rotated when the spec is carried out",
            );
        };
        let under_way = |what: &str| claim(kind, false, "Rotating", what);
        match &carried.rotation {
            Turn::Rest => claim(
                kind,
                true,
                "AsAsked",
                "the cluster's secret is the one that was asked for last",
            ),
            Turn::Wait(why) => under_way(why),
            Turn::Stage | Turn::Activate | Turn::Replace => {
                under_way("nodes have yet to read the cluster's new secret")
            }
            Turn::Retire => under_way("nodes have yet to forget the cluster's old secret"),
            Turn::Settle => under_way("every node has read the cluster's new secret"),
        }
    }

    fn is_secured(&self) -> Claim {
        let kind = "TlsBetweenNodes";
        let Outcome::Done(carried) = self.outcome else {
            return claim(
                kind,
                false,
                "NotLookedAt",
                "it is looked at when the spec is carried out",
            );
        };
        let between::Phase { now, waits, .. } = &carried.between;
        let behind = self.seen.pods.iter().find(|pod| pod.between != *now);
        match (waits, behind, now) {
            (Some(why), ..) => claim(kind, false, "Changing", why),
            (None, Some(pod), _) => claim(kind, false, "Changing", format!("{} is yet to be replaced", pod.name)),
            (None, None, Between::None) => claim(kind, false, "NotAsked", "spec.tls does not ask for it"),
            (None, None, _) => claim(kind, true, "Required", "nodes speak TLS to each other and nothing else"),
        }
    }

    fn is_in_force(&self) -> Claim {
        let kind = "SettingsInForce";
        let Outcome::Done(carried) = self.outcome else {
            return claim(
                kind,
                true,
                "NotLookedAt",
                "nodes are told of settings when the spec is carried out",
            );
        };
        let behind = &carried.settings.behind;
        let refusing = behind.iter().find_map(|(pod, late)| match late {
            Late::Refuses(why) => Some((pod, why)),
            Late::Silent(_) => None,
        });
        match (refusing, behind.first()) {
            (Some((pod, why)), _) => claim(kind, false, "Refused", format!("{pod} refuses spec.config: {why}")),
            (None, Some((pod, Late::Refuses(why) | Late::Silent(why)))) => claim(
                kind,
                false,
                "Behind",
                format!("{pod} has yet to be told of its settings: {why}"),
            ),
            (None, None) => claim(
                kind,
                true,
                "InForce",
                "settings that need no restart are in force on every node of the newest template",
            ),
        }
    }

    fn is_paused(&self) -> Claim {
        match self.outcome {
            Outcome::Paused => claim(
                "Paused",
                true,
                "PausedByUser",
                "spec.paused is true: nothing is changed",
            ),
            Outcome::Failed(..) | Outcome::Done(_) => claim("Paused", false, "NotPaused", "the spec is carried out"),
        }
    }
}
