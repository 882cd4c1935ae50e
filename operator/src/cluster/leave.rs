//! How the node of the highest ordinal leaves a cluster that shall have fewer: it is marked, so that other nodes get the copies that would go and lead what it
//! leads, queues with one copy move to nodes that stay, it is announced in the status,
//! its app is stopped, so that mirrors in sync lead its queues, it leaves and empties its disk, and only then the StatefulSet is asked for fewer pods. Pure.
//!
//! Each pass decides from what the nodes tell now, so a crash anywhere is resumed, and more replicas call it off. A queue's only copy never
//! goes: it is looked for before the app is stopped, and again after, when nothing can be declared there any more.

use std::collections::BTreeSet;

use api::Membership;

use super::holdings::{Holdings, Queues};
use super::situation::{PodSeen, Situation};
use crate::conditions::counted;
use crate::crd::NonMovable;
use crate::policy::feasible::Asked;

/// Where the node that shall leave stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Leave {
    /// It cannot leave now.
    Held(Held),
    /// It will leave; the status must say so before anything is done.
    Announce,
    /// It is marked as one that is to leave, for all nodes to see.
    Mark(Box<PodSeen>),
    /// Queues of which it has the only copy move to these nodes first.
    Evacuate(Box<PodSeen>, BTreeSet<String>, Held),
    /// Its app is stopped.
    Stop(Box<PodSeen>),
    /// It is gone for good: this other node is told to forget it, with the queues that only it has.
    Forget(Box<PodSeen>, Lost),
    /// It leaves the cluster.
    Reset(Box<PodSeen>),
    /// It was stopped, and has to start again.
    Return(Box<PodSeen>, Held),
    /// The others say that it is no member: its pod and its volume are not needed.
    Left,
}

/// A node that is given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// Its pod.
    pub pod: String,
    /// Its name.
    pub node: String,
    /// Queues that nobody leads without it, if there are any.
    pub queues: Option<String>,
}

/// Why a node cannot leave now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// In one word.
    pub reason: &'static str,
    /// In one sentence.
    pub message: String,
}

/// Reasons that pass by themselves, within a minute when all is well.
pub const PASSING_REASONS: [&str; 5] = [
    "NodesNotReady",
    "NodeNotReady",
    "NodesDisagree",
    "NodesSilent",
    COPIES_MOVE,
];

/// Reasons that do not pass by themselves, however long one waits: somebody has to do something.
const LASTING_REASONS: [&str; 4] = ["PoliciesNeedNode", "NodeNotRunning", "NodesAreSeparate", TIMED_OUT];

/// Whether what holds a node for this reason comes to an end without anybody's doing.
pub fn passes(reason: &str) -> bool {
    !LASTING_REASONS.contains(&reason)
}

/// Annotation of a RabbitCluster: the pod whose node is given up, with what only it has, when it does not run and shall leave.
pub const FORCE_REMOVE: &str = "warren.dev/force-remove";

/// It has the only copy of queues.
pub const ONLY_THERE: &str = "QueuesOnlyThere";

/// Other nodes do not have yet what they get of it.
pub const COPIES_MOVE: &str = "CopiesMove";

/// It has been held for longer than the user would wait.
pub const TIMED_OUT: &str = "TimedOut";

pub(super) fn held(reason: &'static str, message: impl Into<String>) -> Held {
    Held {
        reason,
        message: message.into(),
    }
}

/// As long as this is so, nothing is begun with the node.
const NO_WAY: [&str; 2] = ["PoliciesNeedNode", "NodesSilent"];

/// What the user wants of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Nodes that there shall be in the end.
    pub replicas: u32,
    /// What becomes of queues that cannot move.
    pub non_movable: NonMovable,
    /// The pod whose node the user gives up, with what only it has, if it does not run.
    pub given_up: Option<String>,
}

/// One more than the highest ordinal whose node any other node knows as a member.
pub fn members_to(seen: &Situation) -> u32 {
    let ordinals = seen.pods.iter().filter(|pod| pod.serves()).flat_map(|pod| {
        let told = pod.told.as_ref();
        let names = told.into_iter().flat_map(|told| &told.members);
        names.filter_map(|member| ordinal_of(pod, &member.name))
    });
    ordinals.map(|ordinal| ordinal + 1).max().unwrap_or(0)
}

/// Decides about the node of the ordinal `last`; those below that run stay.
pub fn leave(last: u32, terms: &Terms, seen: &Situation) -> Leave {
    let running = seen.set.as_ref().map_or(0, |set| set.replicas);
    let others = match others(last.min(running), seen) {
        Ok(others) => others,
        Err(why) => return call_back(last, why, seen),
    };
    let node = match others.first().and_then(|pod| node_of(pod, last)) {
        Some(node) => node,
        None => return Leave::Held(held("NodesSilent", "no node tells how it is called")),
    };
    let pod = seen.pods.iter().find(|pod| pod.ordinal == last);
    if let Some(stranger) = stranger(pod, &others) {
        return Leave::Held(stranger);
    }
    match is_member(&node, &others) {
        None => Leave::Held(held(
            "NodesDisagree",
            format!("not all nodes have heard yet whether {node} belongs to the cluster"),
        )),
        Some(false) => Leave::Left,
        Some(true) => member(&node, pod, &others, terms, seen),
    }
}

/// Those who stay are not well. It may be for want of the one that was stopped: without its vote they may be no majority. If one of them
/// knows it as a member still, it starts again, but not before they have had their time to agree on a leader.
fn call_back(last: u32, why: Held, seen: &Situation) -> Leave {
    let stopped = |pod: &&PodSeen| {
        pod.ordinal == last && seen.leaving.as_ref() == Some(&pod.name) && pod.running && !pod.terminating
    };
    let knows = |pod: &PodSeen| {
        let (node, told) = (node_of(pod, last), pod.told.as_ref());
        told.is_some_and(|told| told.members.iter().any(|member| Some(&member.name) == node.as_ref()))
    };
    let is_member = seen.pods.iter().any(|pod| pod.ordinal < last && knows(pod));
    match seen.pods.iter().find(stopped) {
        Some(pod) if is_member && pod.long_gone && seen.app_runs == Some(false) => {
            Leave::Return(Box::new(pod.clone()), why)
        }
        _ => Leave::Held(why),
    }
}

/// The nodes that stay, if all of them serve clients and tell of their cluster.
fn others(last: u32, seen: &Situation) -> Result<Vec<&PodSeen>, Held> {
    let of = |ordinal| seen.pods.iter().find(|pod| pod.ordinal == ordinal);
    let one = |ordinal| match of(ordinal) {
        Some(pod) if pod.fresh => Err(moment(pod)),
        Some(pod) if pod.serves() && pod.told.as_ref().is_some_and(|told| told.serving) => Ok(pod),
        Some(pod) => Err(format!("{} must take clients before another node leaves", pod.name)),
        None => Err(format!(
            "the pod of ordinal {ordinal} must exist before another node leaves"
        )),
    };
    let others: Result<Vec<_>, _> = (0..last).map(one).collect();
    match others {
        Ok(others) if others.is_empty() => Err(held("NodesNotReady", "no node runs that could take over")),
        Ok(others) => Ok(others),
        Err(why) => Err(held("NodesNotReady", why)),
    }
}

pub(super) fn moment(pod: &PodSeen) -> String {
    format!("{} has just begun to take clients, and is given a moment", pod.name)
}

/// What stands before and after the ordinal in the name of this pod's node, and so in the names of the others.
fn around(pod: &PodSeen) -> Option<(String, &str)> {
    let stem = pod.name.strip_suffix(&pod.ordinal.to_string())?;
    let (head, tail) = pod.told.as_ref()?.node.split_once(&pod.name)?;
    Some((format!("{head}{stem}"), tail))
}

pub(super) fn node_of(pod: &PodSeen, ordinal: u32) -> Option<String> {
    let (head, tail) = around(pod)?;
    Some(format!("{head}{ordinal}{tail}"))
}

fn ordinal_of(pod: &PodSeen, node: &str) -> Option<u32> {
    let (head, tail) = around(pod)?;
    node.strip_prefix(&head)?.strip_suffix(tail)?.parse().ok()
}

/// The names of their nodes.
pub(super) fn nodes_of<'a>(pods: impl Iterator<Item = &'a &'a PodSeen>) -> BTreeSet<String> {
    pods.filter_map(|pod| Some(pod.told.as_ref()?.node.clone())).collect()
}

fn told<'a>(pods: &'a [&'a PodSeen]) -> impl Iterator<Item = &'a Membership> {
    pods.iter().filter_map(|pod| pod.told.as_ref())
}

/// It may have formed a cluster of its own, with queues of its own.
fn stranger(pod: Option<&PodSeen>, others: &[&PodSeen]) -> Option<Held> {
    let (pod, own) = pod.and_then(|pod| Some((pod, pod.told.as_ref()?)))?;
    let strange = told(others).any(|other| other.cluster_id != own.cluster_id);
    strange.then(|| {
        held(
            "NodesAreSeparate",
            format!("{} belongs to another cluster than the nodes that stay", pod.name),
        )
    })
}

/// Whether the node is a member; nothing while those who stay do not agree on it.
pub(super) fn is_member(node: &str, others: &[&PodSeen]) -> Option<bool> {
    let knows = |told: &Membership| told.members.iter().any(|member| member.name == node);
    let count = told(others).filter(|told| knows(told)).count();
    match count {
        0 => Some(false),
        all if all == others.len() => Some(true),
        _ => None,
    }
}

fn is_up(node: &str, others: &[&PodSeen]) -> bool {
    told(others).any(|told| told.members.iter().any(|member| member.name == node && member.up))
}

fn member(node: &str, pod: Option<&PodSeen>, others: &[&PodSeen], terms: &Terms, seen: &Situation) -> Leave {
    let Some(pod) = pod.filter(|pod| pod.running && !pod.terminating) else {
        return dead(node, others, terms, seen);
    };
    let announced = seen.leaving.as_ref() == Some(&pod.name);
    match (is_up(node, others), announced) {
        // Whatever its probe says still.
        (false, true) if seen.app_runs == Some(false) => stopped(pod, others, seen),
        (true, _) if pod.fresh => Leave::Held(held("NodeNotReady", moment(pod))),
        (true, announced) if pod.ready => prepared(pod, others, terms, announced, seen),
        (true | false, _) => Leave::Held(held(
            "NodeNotReady",
            format!("{} must take clients before it can hand its queues over", pod.name),
        )),
    }
}

/// It serves, and goes when nobody would miss anything.
fn prepared(pod: &PodSeen, others: &[&PodSeen], terms: &Terms, announced: bool, seen: &Situation) -> Leave {
    let obstacle = obstacle(pod, terms, seen.holdings.get(&pod.name));
    if let Some(obstacle) = obstacle.clone().filter(|obstacle| NO_WAY.contains(&obstacle.reason)) {
        return Leave::Held(obstacle);
    }
    if lacks_mark(pod) {
        return Leave::Mark(Box::new(pod.clone()));
    }
    match obstacle.or_else(|| copies_there(pod)) {
        Some(obstacle) if obstacle.reason == ONLY_THERE => {
            let stay = others.iter().filter(|other| other.ordinal < terms.replicas);
            Leave::Evacuate(Box::new(pod.clone()), nodes_of(stay), obstacle)
        }
        Some(obstacle) => Leave::Held(obstacle),
        None if announced => Leave::Stop(Box::new(pod.clone())),
        None => Leave::Announce,
    }
}

/// Its node knows of the mark and has none.
pub(super) fn lacks_mark(pod: &PodSeen) -> bool {
    let leaving = pod.told.as_ref().and_then(|told| told.leaving);
    leaving.is_some_and(|leaving| !leaving.is_marked)
}

/// Copies of queues that other nodes are getting instead.
pub(super) fn copies_there(pod: &PodSeen) -> Option<Held> {
    let left = pod.told.as_ref()?.leaving?.left;
    let what = "other nodes get the copies, or lead them";
    (left > 0).then(|| {
        held(
            COPIES_MOVE,
            format!("{} has copies of {left} queues still: {what}", pod.name),
        )
    })
}

/// Only the user knows whether it comes back.
fn dead(node: &str, others: &[&PodSeen], terms: &Terms, seen: &Situation) -> Leave {
    let given_up = terms.given_up.as_ref().filter(|pod| is_of(pod, node));
    let Some((pod, teller)) = given_up.zip(others.first()) else {
        let message = format!(
            "{node} is a member and its pod does not run, so it cannot hand its queues over. If it never comes back and what only it has may be \
             lost, annotate the RabbitCluster with {FORCE_REMOVE} and the name of its pod"
        );
        return Leave::Held(held("NodeNotRunning", message));
    };
    if is_up(node, others) {
        let message = format!("{node} is heard by other nodes although its pod does not run, and is not given up yet");
        return Leave::Held(held("NodeNotRunning", message));
    }
    if seen.leaving.as_ref() != Some(pod) {
        return Leave::Announce;
    }
    match down(others, seen) {
        Err(silent) => Leave::Held(silent),
        Ok(queues) => Leave::Forget(
            Box::new((*teller).clone()),
            Lost {
                pod: pod.clone(),
                node: node.to_owned(),
                queues,
            },
        ),
    }
}

/// Whether this pod is that node's.
pub(super) fn is_of(pod: &str, node: &str) -> bool {
    node.split_once('@')
        .is_some_and(|(_, host)| host.split('.').next() == Some(pod))
}

/// Queues that nobody leads, as all of these say.
fn down(others: &[&PodSeen], seen: &Situation) -> Result<Option<String>, Held> {
    let told: Option<Vec<&Queues>> = others
        .iter()
        .map(|other| Some(&seen.holdings.get(&other.name)?.down))
        .collect();
    let silent = || held("NodesSilent", "not all nodes tell whether every queue has a leader");
    Ok(told.ok_or_else(silent)?.into_iter().find_map(Queues::told))
}

/// What the cluster would miss.
fn obstacle(pod: &PodSeen, terms: &Terms, holdings: Option<&Holdings>) -> Option<Held> {
    let name = &pod.name;
    let Some(holdings) = holdings else {
        return Some(held(
            "NodesSilent",
            format!("{name} does not tell which queues it leads"),
        ));
    };
    infeasible(name, terms.replicas, holdings).or_else(|| queues_there(name, terms.non_movable, holdings))
}

pub(super) fn queues_there(pod: &str, non_movable: NonMovable, holdings: &Holdings) -> Option<Held> {
    let passing = Some(&holdings.passing).filter(|_| non_movable == NonMovable::Wait);
    let cases = [
        (
            Some(&holdings.alone),
            ONLY_THERE,
            "holds the only copy of queues, which move to other nodes, but for those that a policy ties to it by name",
        ),
        (
            Some(&holdings.unsynchronised),
            "MirrorsNotSynchronised",
            "leads queues of which no mirror is in sync: they are waited for, and 'rabbitmqctl sync_queue' makes it sooner",
        ),
        (
            passing,
            "QueuesNotMovable",
            "leads exclusive or transient queues, which end with it: wait until their clients are gone, or set scaleDown.onNonMovable to Drop",
        ),
    ];
    let found = cases
        .into_iter()
        .find_map(|(queues, reason, what)| Some((queues?.told()?, reason, what)));
    found.map(|(queues, reason, what)| held(reason, format!("{pod} {what}: {queues}")))
}

/// A policy that asks for more nodes than there would be.
fn infeasible(pod: &str, replicas: u32, holdings: &Holdings) -> Option<Held> {
    let names = |node: &String| node == pod || is_of(pod, node);
    holdings.policies.iter().find_map(|policy| {
        let name = &policy.name;
        let wrong = match &policy.asked {
            Asked::Exactly(copies) if *copies > u64::from(replicas) => format!(
                "policy {name} wants {copies} copies, and {} would remain: let it want fewer, or all",
                counted(u64::from(replicas), "node")
            ),
            Asked::Nodes(nodes) if nodes.iter().any(names) => {
                format!("policy {name} names {pod}: take it out of the policy's list of nodes")
            }
            Asked::Exactly(_) | Asked::Nodes(_) | Asked::All | Asked::Nothing => return None,
        };
        Some(held("PoliciesNeedNode", wrong))
    })
}

/// Its app was stopped by us: mirrors lead its queues now, or it has to come back.
fn stopped(pod: &PodSeen, others: &[&PodSeen], seen: &Situation) -> Leave {
    match down(others, seen) {
        Err(silent) => Leave::Held(silent),
        Ok(None) => Leave::Reset(Box::new(pod.clone())),
        Ok(Some(queues)) => {
            let message = format!(
                "queues have no leader since {} was stopped, so it is started again: {queues}",
                pod.name
            );
            Leave::Return(Box::new(pod.clone()), held(ONLY_THERE, message))
        }
    }
}
