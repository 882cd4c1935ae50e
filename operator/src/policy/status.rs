//! What a pass tells about a Policy. Pure. While no broker answers, what was last seen stays: an unreachable broker has not
//! forgotten its policies.

use api::PolicyReport;
use k8s_openapi::jiff::Timestamp;

use super::broker;
use super::desired::{fingerprint, name_of};
use super::feasible::{Asked, Infeasible, Nodes, asked, infeasible};
use super::plan::{ClusterSeen, Obstacle, Plan, Seen, Step, Why};
use crate::conditions::{Claim, claim, on_one_line, stamped};
use crate::crd::{Matched, Mirrors, Policy, PolicyStatus, PolicySummary, Shadow};
use crate::kstatus::derived;

/// How a pass went.
#[derive(Clone, Debug)]
pub struct Pass<'a> {
    /// What was seen.
    pub seen: &'a Seen,
    /// What was decided.
    pub plan: &'a Plan,
    /// What the brokers said to it.
    pub outcome: &'a Result<(), broker::Error>,
    /// What they told afterwards.
    pub after: &'a ClusterSeen,
    /// Uid of the cluster, if there is one.
    pub cluster_uid: Option<String>,
}

/// The status after a pass.
pub fn status(policy: &Policy, pass: &Pass<'_>, now: Timestamp) -> PolicyStatus {
    let old = policy.status.clone().unwrap_or_default();
    let view = View {
        policy,
        pass,
        old: &old,
    };
    let (report, _) = view.told().unzip();
    let conditions = stamped(&old.conditions, view.conditions(), policy.metadata.generation, now);
    let reason = headline(&conditions);
    let applied = view.applied();
    let (matched, mirrors, behind, shadowed_by) = match report {
        Some(report) => (matched(report), mirrors(report), report.behind.clone(), shadows(report)),
        None => (old.matched, old.mirrors, old.behind.clone(), old.shadowed_by.clone()),
    };
    PolicyStatus {
        observed_generation: policy.metadata.generation,
        applied_to: match applied {
            Some(_) if view.is_applied() => pass.cluster_uid.clone(),
            Some(_) | None => old.applied_to.clone(),
        },
        applied_hash: applied,
        summary: PolicySummary {
            synced: view.synced(mirrors),
            reason,
        },
        matched,
        mirrors,
        behind,
        shadowed_by,
        conditions,
    }
}

fn matched(report: &PolicyReport) -> Matched {
    Matched {
        queues: report.queues,
        exchanges: report.exchanges,
    }
}

fn mirrors(report: &PolicyReport) -> Mirrors {
    let told = report.mirrors;
    Mirrors {
        desired: told.desired,
        synced: told.synced,
        syncing: told.syncing,
        unsynced: told.unsynced,
    }
}

fn shadows(report: &PolicyReport) -> Vec<Shadow> {
    let shadow = |other: &api::ShadowingPolicy| Shadow {
        name: other.name.clone(),
        priority: other.priority,
        queues: other.queues,
        exchanges: other.exchanges,
    };
    report.shadowed_by.iter().map(shadow).collect()
}

fn headline(conditions: &[k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition]) -> String {
    let bad = |kind: &str| {
        conditions
            .iter()
            .find(|condition| condition.type_ == kind && condition.status == "False")
    };
    let found = ["Applied", "Feasible", "MirrorsSynced"].into_iter().find_map(bad);
    found
        .map(|condition| on_one_line(&condition.message))
        .unwrap_or_default()
}

struct View<'a> {
    policy: &'a Policy,
    pass: &'a Pass<'a>,
    old: &'a PolicyStatus,
}

impl View<'_> {
    /// What the brokers tell now of what they hold.
    fn told(&self) -> Option<(&PolicyReport, &Nodes)> {
        match self.pass.after {
            ClusterSeen::Tells(report, nodes) => Some((report, nodes)),
            _ => None,
        }
    }

    /// Whether they hold what they should.
    fn is_applied(&self) -> bool {
        matches!(self.pass.plan.step, Step::Rest | Step::Put(_)) && self.pass.outcome.is_ok()
    }

    /// Fingerprint of what they were last given.
    fn applied(&self) -> Option<String> {
        match &self.pass.seen.desired {
            Ok(desired) if self.is_applied() => Some(fingerprint(desired)),
            Ok(_) | Err(_) => self.old.applied_hash.clone(),
        }
    }

    fn asked(&self) -> Asked {
        let desired = self.pass.seen.desired.as_ref();
        desired.map_or(Asked::Nothing, |desired| asked(&desired.definition))
    }

    fn conditions(&self) -> Vec<Claim> {
        let (applied, feasible) = (self.is_in_force(), self.is_feasible());
        let ready = match (&applied, &feasible) {
            (Claim { holds: true, .. }, Claim { holds: true, .. }) => {
                claim("Ready", true, "InForce", "the brokers have it, and can do what it asks")
            }
            (Claim { holds: true, .. }, wrong) | (wrong, _) => {
                claim("Ready", false, &wrong.reason, wrong.message.clone())
            }
        };
        let mut claims = vec![ready, applied, feasible, self.is_synced(), self.is_drift_repaired()];
        let stuck = [("Applied", false), ("Feasible", false)];
        claims.extend(derived(&claims, &[], &stuck));
        claims
    }

    fn is_in_force(&self) -> Claim {
        let kind = "Applied";
        if let Err(error) = self.pass.outcome {
            return match error {
                broker::Error::Refused(text) => {
                    claim(kind, false, "RefusedByBroker", format!("the brokers refuse it: {text}"))
                }
                broker::Error::NotFound(text) => claim(kind, false, "NotFound", format!("the brokers say: {text}")),
                broker::Error::Silent(why) => self.unheard(why),
            };
        }
        let name = name_of(self.policy);
        match &self.pass.plan.step {
            Step::Rest | Step::Put(_) => claim(
                kind,
                true,
                "InForce",
                format!("the brokers have policy '{name}' as it is asked for"),
            ),
            Step::Clear => claim(
                kind,
                false,
                "Removed",
                format!("policy '{name}' was removed from the brokers"),
            ),
            Step::Leave(_) => claim(kind, false, "Leaving", "the object is being deleted"),
            Step::Wait(Obstacle::Silent(why)) => self.unheard(why),
            Step::Wait(obstacle) => {
                let (reason, message) = self.obstacle(obstacle);
                claim(kind, false, reason, message)
            }
        }
    }

    /// No broker answers: what they were last given is what they have.
    fn unheard(&self, why: &str) -> Claim {
        let same = |desired: &api::Policy| self.old.applied_hash.as_ref() == Some(&fingerprint(desired));
        let known = self.pass.seen.desired.as_ref().is_ok_and(same) && self.old.applied_to == self.pass.cluster_uid;
        let message = format!("no broker of {} can be asked: {why}", self.cluster());
        match known {
            true => claim("Applied", true, "LastSeenInForce", message),
            false => claim("Applied", false, "BrokersSilent", message),
        }
    }

    fn cluster(&self) -> &str {
        &self.policy.spec.cluster_ref.name
    }

    fn obstacle(&self, obstacle: &Obstacle) -> (&'static str, String) {
        let cluster = self.cluster();
        match obstacle {
            Obstacle::Invalid(wrong) => ("InvalidSpec", wrong.clone()),
            Obstacle::ClusterMissing => (
                "ClusterMissing",
                format!("there is no RabbitCluster {cluster} yet; this waits for it"),
            ),
            Obstacle::ClusterUnreadable(why) => (
                "ClusterUnreadable",
                format!(
                    "the operator has no right to read RabbitCluster {cluster}; it looks after other namespaces: {why}"
                ),
            ),
            Obstacle::NotAllowed => (
                "NotAllowed",
                format!(
                    "RabbitCluster {cluster} takes no Policies of this namespace: name {} in spec.policyNamespaces of {cluster}",
                    self.policy.metadata.namespace.as_deref().unwrap_or("it")
                ),
            ),
            Obstacle::ClusterDeleting => ("ClusterDeleting", format!("RabbitCluster {cluster} is being deleted")),
            Obstacle::Paused => (
                "ClusterPaused",
                format!("spec.paused of {cluster} is true: nothing is changed"),
            ),
            Obstacle::Stopped => (
                "ClusterStopped",
                format!("{cluster} is stopped (replicas 0); this waits until it runs"),
            ),
            Obstacle::Silent(why) => ("BrokersSilent", format!("no broker of {cluster} can be asked: {why}")),
            Obstacle::Taken(older) => (
                "NameTaken",
                format!(
                    "Policy {older} is older and holds the name '{}' in vhost '{}' of {cluster}; give this one another spec.name",
                    name_of(self.policy),
                    self.policy.spec.vhost
                ),
            ),
            Obstacle::NoVhost => (
                "VhostMissing",
                format!(
                    "the brokers have no vhost '{}'; this waits for it",
                    self.policy.spec.vhost
                ),
            ),
            Obstacle::HeldBack(why) => (
                "HeldBack",
                format!(
                    "{why}; every mirror would go, so the brokers keep the policy that they have. To have it all the same: kubectl annotate \
                     rmqpolicy {} {}=true",
                    self.policy.metadata.name.as_deref().unwrap_or_default(),
                    super::reconcile::FORCE
                ),
            ),
        }
    }

    fn is_feasible(&self) -> Claim {
        let kind = "Feasible";
        let asked = self.asked();
        let Some((_, nodes)) = self.told() else {
            return self.kept(
                kind,
                claim(kind, true, "NotKnown", "the cluster's nodes are not known yet"),
            );
        };
        match infeasible(&asked, nodes) {
            Some(not) => claim(kind, false, not.reason(), Infeasible::message(&not)),
            None if asked == Asked::Nothing => claim(kind, true, "NothingMirrored", "it asks for no mirrors"),
            None => claim(
                kind,
                true,
                "EnoughNodes",
                format!("{} has the nodes that it asks for", nodes.cluster),
            ),
        }
    }

    fn is_synced(&self) -> Claim {
        let kind = "MirrorsSynced";
        let Some((report, _)) = self.told() else {
            return self.kept(
                kind,
                claim(kind, false, "NotKnown", "no broker has told of mirrors yet"),
            );
        };
        let Mirrors {
            desired,
            synced,
            syncing,
            unsynced,
        } = mirrors(report);
        if self.asked() == Asked::Nothing {
            return claim(kind, true, "NothingMirrored", "it asks for no mirrors");
        }
        let told = format!("{synced} of {desired} mirrors are in sync");
        match () {
            () if desired == 0 => claim(
                kind,
                true,
                "NothingToMirror",
                "no queue that obeys it can have a mirror now",
            ),
            () if synced >= desired => claim(kind, true, "AllSynced", told),
            () => {
                let missing = desired.saturating_sub(synced + syncing + unsynced);
                let reason = if syncing > 0 { "Syncing" } else { "MirrorsBehind" };
                let behind = report.behind.join(", ");
                let message = format!(
                    "{told}; {syncing} are being synchronised, {unsynced} wait for it, {missing} do not exist; behind: {behind}"
                );
                claim(kind, false, reason, message)
            }
        }
    }

    fn is_drift_repaired(&self) -> Claim {
        let kind = "DriftRepaired";
        let none = claim(kind, false, "NoDrift", "nobody has changed it in the brokers");
        match (&self.pass.plan.step, self.pass.outcome) {
            (Step::Put(Why::Drifted(what)), Ok(())) => claim(
                kind,
                true,
                "Repaired",
                format!("somebody had changed it in the brokers ({what}); it is as it should be again"),
            ),
            _ if self.old.observed_generation == self.policy.metadata.generation => self.kept(kind, none),
            _ => none,
        }
    }

    /// As it was told before, else anew.
    fn kept(&self, kind: &'static str, anew: Claim) -> Claim {
        let before = self.old.conditions.iter().find(|condition| condition.type_ == kind);
        match before {
            Some(before) => claim(kind, before.status == "True", &before.reason, before.message.clone()),
            None => anew,
        }
    }

    fn synced(&self, mirrors: Mirrors) -> String {
        match self.asked() {
            Asked::Nothing => "-".into(),
            _ => format!("{}/{}", mirrors.synced, mirrors.desired),
        }
    }
}
