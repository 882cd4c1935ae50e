//! The nodes in a status, and what is being done with one of them. Pure reading of what was seen and carried out.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;

use super::image::Reference;
use super::leave::Held;
use super::plan::{Plan, Step, Why};
use super::situation::{PodSeen, Situation};
use crate::crd::{ClusterSecretStatus, Member, Operation, OperationKind, OperationStep, Role, SecretStage};

/// What is being done with a node; it began when it was first told.
pub(super) fn operation(plan: &Plan, old: Option<&Operation>, seen: &Situation, now: Timestamp) -> Option<Operation> {
    let (kind, node, volume) = match (&plan.draining, &plan.renewing, &plan.leaving) {
        (Some(node), ..) => (OperationKind::Roll, node, None),
        (None, Some(renewing), _) => (
            OperationKind::ReplaceVolume,
            &renewing.pod,
            Some(renewing.volume.clone()),
        ),
        (None, None, leaving) => (OperationKind::ScaleDown, leaving.as_ref()?, None),
    };
    let same = old.filter(|old| old.kind == kind && old.node == *node && old.volume == volume);
    let step = step(kind, node, plan, seen);
    Some(Operation {
        kind,
        node: node.clone(),
        step,
        started_at: same.and_then(|old| old.started_at.clone()).or(Some(Time(now))),
        remaining_queues: remaining(node, seen),
        blocked_by: blocked(kind, step, plan),
        volume,
    })
}

fn step(kind: OperationKind, node: &str, plan: &Plan, seen: &Situation) -> OperationStep {
    let gives_up = |claim: &&super::situation::ClaimSeen| {
        plan.renewing
            .as_ref()
            .is_some_and(|renewing| renewing.volume == claim.uid)
    };
    match &plan.step {
        Step::Stop(_) => OperationStep::StopApp,
        Step::Reset(_) | Step::Forget(..) => OperationStep::LeaveCluster,
        Step::Discard(..) => OperationStep::DiscardVolume,
        Step::Revive(_) => OperationStep::Revive,
        Step::Replace(pod, Why::Turn) if pod.name == node => OperationStep::TransferMasters,
        Step::Wait(_) if kind == OperationKind::ReplaceVolume && !seen.claims.iter().any(|claim| gives_up(&claim)) => {
            OperationStep::Join
        }
        _ => OperationStep::Waiting,
    }
}

/// Those that mirrors can lead.
fn remaining(node: &str, seen: &Situation) -> Option<u64> {
    let holdings = seen.holdings.get(node)?;
    let stay = holdings.alone.count + holdings.passing.count;
    Some(holdings.leads.saturating_sub(stay))
}

fn blocked(kind: OperationKind, step: OperationStep, plan: &Plan) -> String {
    let told = |held: &Held| held.message.clone();
    match (kind, &plan.step) {
        (OperationKind::ScaleDown, _) if plan.held.is_some() => plan.held.as_ref().map(told),
        (OperationKind::ReplaceVolume, _) if plan.kept.is_some() => plan.kept.as_ref().map(told),
        (_, Step::Wait(why) | Step::Later(_, why)) if step == OperationStep::Waiting => Some(why.clone()),
        _ => None,
    }
    .unwrap_or_default()
}

/// The nodes, by ordinal.
pub(super) fn members(seen: &Situation, nodes: u32, secret: Option<ClusterSecretStatus>) -> Vec<Member> {
    let revision = seen.set.as_ref().and_then(|set| set.revision.as_ref());
    let pods = seen.pods.iter().filter(|pod| pod.ordinal < nodes || nodes == 0);
    let tag = |pod: &PodSeen| pod.image.parse::<Reference>().map(|image| image.version());
    let member = |pod: &PodSeen| {
        let told = pod.told.as_ref();
        let itself = told.and_then(|told| told.members.iter().find(|member| member.name == told.node));
        let role = |voter| if voter { Role::Voter } else { Role::Learner };
        let copies = seen.copies.get(&pod.name);
        Member {
            version: tag(pod).unwrap_or_default(),
            maintenance: told.is_some_and(|told| told.maintenance),
            masters: copies.map(|copies| copies.masters),
            mirrors: copies.map(|copies| copies.mirrors),
            unsynced: copies.map(|copies| copies.unsynced),
            name: pod.name.clone(),
            ready: pod.serves(),
            node: told.map(|told| told.node.clone()).unwrap_or_default(),
            node_id: itself.map(|itself| itself.uuid.clone()).unwrap_or_default(),
            role: itself.and_then(|itself| itself.voter).map(role),
            cookie_generation: secret.and_then(|secret| accepted(pod, secret, seen)),
            cert_fingerprint: told.and_then(|told| told.certificate.clone()),
            revision: pod.revision.clone(),
            current: revision == Some(&pod.revision),
            problem: pod.problem.clone().unwrap_or_default(),
        }
    };
    pods.map(member).collect()
}

/// Who does not tell, or has no pod at this moment, is who it was: a node that comes back as another one has lost its disk. `names` are those of the
/// pods that there should be, in order.
pub(super) fn remembered(mut now: Vec<Member>, old: &[Member], names: &[String]) -> Vec<Member> {
    let before = |name: &str| {
        old.iter()
            .find(|before| before.name == name && !before.node_id.is_empty())
    };
    for member in now.iter_mut().filter(|member| member.node_id.is_empty()) {
        member.node_id = before(&member.name)
            .map(|before| before.node_id.clone())
            .unwrap_or_default();
    }
    let has_pod = |name: &&String| now.iter().any(|member| member.name == **name);
    let missing = names
        .iter()
        .filter(|name| !has_pod(name))
        .filter_map(|name| before(name));
    let missing: Vec<_> = missing
        .map(|before| Member {
            name: before.name.clone(),
            node: before.node.clone(),
            node_id: before.node_id.clone(),
            problem: "it has no pod".into(),
            ..Member::default()
        })
        .collect();
    now.extend(missing);
    now.sort_by_key(|member| names.iter().position(|name| *name == member.name));
    now
}

/// Who has answered to a proof of the secret accepts it; who accepts the new one while it is staged has said so.
fn accepted(pod: &PodSeen, secret: ClusterSecretStatus, seen: &Situation) -> Option<u32> {
    let newest = secret.generation;
    match secret.stage {
        SecretStage::Staged if seen.accepting.contains(&pod.name) => Some(newest),
        _ if !seen.copies.contains_key(&pod.name) => None,
        SecretStage::Staged => Some(newest.saturating_sub(1)),
        SecretStage::Idle | SecretStage::Activated | SecretStage::Replaced => Some(newest),
    }
}
