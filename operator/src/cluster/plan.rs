//! The one decision of a pass: how many pods the StatefulSet is asked for, and whether one pod is replaced now. Pure, and
//! checked by a property test against random edits and failures: we never take a second node down, and we come to rest.
//!
//! A pod that runs an old revision is replaced, the one that leads the fewest queues first, only while every other node takes clients and
//! hears a majority, and each mirrored queue that it leads has a mirror in sync; it is taken out of service before. Two exceptions keep a broken revision from locking itself
//! in: a pod that never became ready on an old revision is replaced at once, and one that is down already needs only its siblings of the
//! new revision to be well.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use super::leave::{Held, Leave, Lost, TIMED_OUT, Terms, is_member, leave, members_to, node_of};
use super::level::not_held;
use super::pace::{self, Pace};
use super::renew::{self, Renewing, renewed};
use super::situation::{PodSeen, Situation};
use crate::crd::{NonMovable, OnTimeout, Rebalance, UnsyncedMirrors, Update};

/// Mirrors of a node that serves again are waited for so long before leaders are spread.
const CATCH_UP_SECONDS: i64 = 600;

/// What the user wants, as far as the plan is concerned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Nodes.
    pub replicas: u32,
    /// A new pod would find the Secrets that it needs.
    pub secrets: bool,
    /// How pods that run an old template are replaced.
    pub update: Update,
    /// Why no node that is well may be replaced at this time, if so.
    pub closed: Option<String>,
    /// Why no node that is well may be the first that is replaced, for the sake of other clusters, if so.
    pub queued: Option<String>,
    /// What becomes of queues that cannot move from a node that leaves.
    pub non_movable: NonMovable,
    /// What is done about a node that could not leave for as long as the user would wait, if that is so.
    pub overdue: Option<Overdue>,
    /// The pod whose node the user gives up if it shall leave and does not run.
    pub given_up: Option<String>,
    /// Volumes that are to be replaced.
    pub volumes: renew::Asked,
}

/// A node could not leave for long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overdue {
    /// So many seconds.
    pub seconds: i64,
    /// What is done then.
    pub on_timeout: OnTimeout,
}

/// What a pass does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Pods that the StatefulSet is asked for.
    pub replicas: u32,
    /// Nodes that there shall be in the end, if fewer than now.
    pub fewer: Option<u32>,
    /// Why the node that should leave cannot, if so.
    pub held: Option<Held>,
    /// The pod whose node is leaving; written down before anything is done to it.
    pub leaving: Option<String>,
    /// The pod whose node is to leave, be it announced or not: it alone may be marked so.
    pub goes: Option<String>,
    /// From this ordinal on volumes are those of nodes that have left.
    pub left_from: Option<u32>,
    /// The pod whose node is taken out of service before it is replaced; written down before that is done, so that it goes back into service
    /// if it is not replaced after all.
    pub draining: Option<String>,
    /// The pod whose node gives its volume up; written down before anything is done to it.
    pub renewing: Option<Renewing>,
    /// Why no volume is replaced now, if one is to be.
    pub kept: Option<Held>,
    /// The destructive part, at most one.
    pub step: Step,
}

/// The destructive part of a pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing is left to do.
    Rest,
    /// Something must happen first; the message says what.
    Wait(String),
    /// The next pod is replaced when the user or the time comes that the user has set; the message says which.
    Later(Pace, String),
    /// Have mirrors of the queues that this node leads synchronise.
    Synchronise(Box<PodSeen>),
    /// Have nodes lead about as many queues each; this one is told.
    Rebalance(Box<PodSeen>),
    /// Delete this pod so that it comes back with the new template.
    Replace(Box<PodSeen>, Why),
    /// Mark this node as one that is to leave, or take the mark away.
    Mark(Box<PodSeen>, bool),
    /// Have queues with one copy move from this node to these.
    Evacuate(Box<PodSeen>, BTreeSet<String>),
    /// Stop the app of this node, which hands its queues over.
    Stop(Box<PodSeen>),
    /// Have this node forget another that is gone for good.
    Forget(Box<PodSeen>, Lost),
    /// Have this node leave the cluster and empty its disk.
    Reset(Box<PodSeen>),
    /// Put this node back into service.
    Revive(Box<PodSeen>),
    /// Delete the volume that this node has given up, and its pod.
    Discard(Renewing, Option<Box<PodSeen>>),
    /// Delete the StatefulSet and leave its pods, so that it is made anew for other volumes.
    Recreate,
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
    /// Its app was stopped so that it could leave, and it stays.
    Stays,
}

/// Decides.
pub fn plan(wanted: &Wanted, seen: &Situation) -> Plan {
    let running = seen.set.as_ref().map_or(0, |set| set.replicas);
    let there = running.max(seen.held).max(members_to(seen));
    let mut plan = match wanted.replicas {
        0 => steady(0),
        replicas if replicas < there => overdue(fewer(wanted, running, there, seen), wanted, there, seen),
        replicas => stay(steady(replicas), seen),
    };
    plan.step = if wanted.secrets {
        first(roll(plan.replicas, wanted, seen), plan.step)
    } else {
        Step::Wait("a Secret that new pods need is missing".into())
    };
    let plan = match wanted.secrets {
        true => renewed(plan, wanted, seen),
        false => plan,
    };
    rebalanced(unmarked(drained(plan, seen), seen), wanted, seen)
}

/// What holds a node for longer than the user would wait is told in another way, and may be the end of it.
fn overdue(plan: Plan, wanted: &Wanted, there: u32, seen: &Situation) -> Plan {
    let Some(overdue) = wanted.overdue else { return plan };
    let seconds = overdue.seconds;
    match (overdue.on_timeout, plan.held) {
        (OnTimeout::Wait, None) => Plan { held: None, ..plan },
        (OnTimeout::Wait, Some(held)) => Plan {
            held: Some(Held {
                reason: TIMED_OUT,
                message: format!("for {seconds} s: {}", held.message),
            }),
            ..plan
        },
        (OnTimeout::Cancel, held) => {
            let why = held.map_or_else(|| "nothing holds it any more".into(), |held| held.message);
            Plan {
                fewer: plan.fewer,
                held: Some(Held {
                    reason: TIMED_OUT,
                    message: format!("called off after {seconds} s, until the spec changes: {why}"),
                }),
                ..stay(steady(there), seen)
            }
        }
    }
}

/// When the last pod of a roll has settled, or the last node that joins, or that has another volume, the leaders are spread, once: the status forgets
/// then that there was one.
fn rebalanced(plan: Plan, wanted: &Wanted, seen: &Situation) -> Plan {
    let is_over = seen.rolled || seen.grown || seen.renewing.is_some() && wanted.volumes.unfit.is_empty();
    let asked = is_over && wanted.update.rebalance == Rebalance::AfterRoll;
    let nodes = || seen.pods.iter().filter(|pod| pod.ordinal < plan.replicas);
    let well = nodes().count() == plan.replicas as usize && nodes().all(PodSeen::serves);
    if plan.step != Step::Rest
        || plan.replicas < 2
        || plan.fewer.is_some()
        || plan.draining.is_some()
        || plan.renewing.is_some()
        || !asked
        || !well
    {
        return plan;
    }
    // What is not in sync cannot lead. Mirrors that nobody synchronises are not waited for.
    let is_behind = |pod: &PodSeen| {
        let unsynced = seen.copies.get(&pod.name).map_or(0, |copies| copies.unsynced);
        unsynced > 0 && pod.ready_seconds < CATCH_UP_SECONDS
    };
    let settled = |pod: &PodSeen| !pod.fresh && !is_behind(pod) && pod.told.as_ref().is_some_and(|told| told.serving);
    let step = match (nodes().find(|pod| !settled(pod)), nodes().next()) {
        (Some(pod), _) => Step::Wait(format!(
            "leaders are spread over the nodes when {} has settled",
            pod.name
        )),
        (None, Some(pod)) => Step::Rebalance(Box::new(pod.clone())),
        (None, None) => Step::Rest,
    };
    Plan { step, ..plan }
}

/// A node that was marked as one that is to leave and is not to any more has the mark taken away, when nothing else is to be done.
fn unmarked(plan: Plan, seen: &Situation) -> Plan {
    let goes = plan
        .renewing
        .as_ref()
        .map(|renewing| &renewing.pod)
        .or(plan.goes.as_ref());
    let is_marked = |pod: &&PodSeen| {
        let leaving = pod.told.as_ref().and_then(|told| told.leaving);
        leaving.is_some_and(|leaving| leaving.is_marked) && !pod.terminating && goes != Some(&pod.name)
    };
    let idle = matches!(plan.step, Step::Rest | Step::Wait(_) | Step::Later(..));
    match seen.pods.iter().find(is_marked).filter(|_| idle) {
        Some(pod) => Plan {
            step: Step::Mark(Box::new(pod.clone()), false),
            ..plan
        },
        None => plan,
    }
}

/// A node that is well is taken out of service before its pod goes; one that was and is not replaced after all goes back into it.
fn drained(plan: Plan, seen: &Situation) -> Plan {
    let ours = seen.pods.iter().find(|pod| seen.draining.as_ref() == Some(&pod.name));
    // Who does not tell may be out of service still.
    let ours = ours.filter(|pod| !pod.terminating && pod.told.as_ref().is_none_or(|told| told.maintenance));
    let next = match &plan.step {
        Step::Replace(next, Why::Turn) if plan.replicas > 1 && plan.leaving.is_none() => Some(next),
        _ => None,
    };
    if let Some(next) = next.filter(|next| ours.is_none_or(|ours| ours.uid == next.uid)) {
        let draining = Some(next.name.clone());
        return Plan { draining, ..plan };
    }
    let Some(ours) = ours else { return plan };
    let step = match seen.is_drained(ours) {
        true => Step::Revive(Box::new(ours.clone())),
        false => plan.step,
    };
    // One at a time is written down: whoever is to leave is announced when this one serves again.
    Plan {
        draining: seen.draining.clone(),
        leaving: None,
        step,
        ..plan
    }
}

/// What is being changed is finished before a node is taken away, unless it is the user's to go on with it; but one that was stopped already goes or
/// comes back first, since the rest waits for it.
fn first(rolling: Step, leaving: Step) -> Step {
    match (rolling, leaving) {
        (later @ Step::Later(..), Step::Rest) => later,
        (Step::Rest | Step::Later(..), leaving) => leaving,
        (_, leaving @ Step::Replace(..)) | (Step::Wait(_), leaving @ (Step::Reset(_) | Step::Forget(..))) => leaving,
        (rolling, _) => rolling,
    }
}

/// So many nodes, and nothing to be done.
pub(super) fn steady(replicas: u32) -> Plan {
    Plan {
        replicas,
        fewer: None,
        held: None,
        leaving: None,
        goes: None,
        left_from: None,
        draining: None,
        renewing: None,
        kept: None,
        step: Step::Rest,
    }
}

/// A node that was to leave is wanted again: it starts anew, unless it says that its app was not stopped yet. Its probe would say so too late.
fn stay(plan: Plan, seen: &Situation) -> Plan {
    let leaver = |pod: &&PodSeen| seen.leaving.as_ref() == Some(&pod.name) && pod.ordinal < plan.replicas;
    let leaver = seen.pods.iter().find(leaver);
    let Some(pod) = leaver.filter(|pod| pod.running && !pod.terminating) else {
        return plan;
    };
    match seen.app_runs {
        Some(true) => plan,
        Some(false) => Plan {
            step: Step::Replace(Box::new(pod.clone()), Why::Stays),
            ..plan
        },
        // It has left already and is blank: started again it joins as a new one. Nobody will hear it before.
        None if has_left(pod, seen) => Plan {
            step: Step::Replace(Box::new(pod.clone()), Why::Stays),
            ..plan
        },
        None => Plan {
            leaving: seen.leaving.clone(),
            step: Step::Wait(format!("{} must say whether it was stopped", pod.name)),
            ..plan
        },
    }
}

/// All others tell who their members are, and its node is none of them.
fn has_left(pod: &PodSeen, seen: &Situation) -> bool {
    let others: Vec<&PodSeen> = seen.pods.iter().filter(|other| other.ordinal != pod.ordinal).collect();
    let node = others.first().and_then(|other| node_of(other, pod.ordinal));
    others.iter().all(|other| other.told.is_some()) && node.and_then(|node| is_member(&node, &others)) == Some(false)
}

/// One node fewer, if the one of the highest ordinal can leave.
fn fewer(wanted: &Wanted, running: u32, there: u32, seen: &Situation) -> Plan {
    let terms = Terms {
        replicas: wanted.replicas,
        non_movable: wanted.non_movable,
        given_up: wanted.given_up.clone(),
    };
    let last = there - 1; // more than the wanted ones, which are at least one
    let pod = seen
        .pods
        .iter()
        .find(|pod| pod.ordinal == last)
        .map(|pod| pod.name.clone());
    let name = || pod.clone().or_else(|| wanted.given_up.clone());
    let plan = Plan {
        fewer: Some(wanted.replicas),
        goes: name(),
        ..steady(there)
    };
    let written = || seen.leaving.clone().filter(|leaving| Some(leaving) == name().as_ref());
    // One that is written down goes on being so; one that is done something to must be.
    let steps = |leaving, step| Plan {
        leaving,
        step,
        ..plan.clone()
    };
    match leave(last, &terms, seen) {
        // Volumes beyond a cluster that runs are nobody's until the nodes have said whose.
        Leave::Held(held) if running > 0 && running < there && held.reason != "NodeNotRunning" => Plan {
            replicas: running,
            held: Some(held),
            ..plan
        },
        Leave::Held(held) => Plan {
            held: Some(held),
            ..steps(written(), Step::Rest)
        },
        Leave::Mark(pod) => steps(written(), Step::Mark(pod, true)),
        Leave::Evacuate(pod, to, held) => Plan {
            held: Some(held),
            ..steps(written(), Step::Evacuate(pod, to))
        },
        Leave::Announce => steps(name(), Step::Wait("that a node leaves is written down first".into())),
        Leave::Stop(pod) => steps(name(), Step::Stop(pod)),
        Leave::Forget(by, lost) => steps(name(), Step::Forget(by, lost)),
        Leave::Reset(pod) => steps(name(), Step::Reset(pod)),
        Leave::Return(pod, held) => Plan {
            held: Some(held),
            step: Step::Replace(pod, Why::Stays),
            ..plan
        },
        Leave::Left => Plan {
            replicas: running.min(last),
            left_from: Some(last),
            ..plan
        },
    }
}

fn roll(replicas: u32, wanted: &Wanted, seen: &Situation) -> Step {
    let Some(set) = &seen.set else { return Step::Rest };
    let Some(revision) = &set.revision else {
        return Step::Wait("the StatefulSet's controller has not seen the newest template".into());
    };
    let nodes = || seen.pods.iter().filter(|pod| pod.ordinal < replicas);
    let old = || nodes().filter(|pod| pod.revision != *revision && !pod.terminating);
    if let Some(pod) = old().rfind(|pod| !pod.ready && !pod.ever_ready) {
        return Step::Replace(Box::new(pod.clone()), Why::NeverReady);
    }
    let is_well = |pod: &PodSeen| pod.ready || seen.is_drained(pod);
    let down = old().rfind(|pod| !is_well(pod));
    let begun = || old().find(|pod| seen.is_drained(pod));
    let Some(candidate) = down.or_else(begun).or_else(|| least_needed(old(), seen)) else {
        return Step::Rest;
    };
    let why = if is_well(candidate) { Why::Turn } else { Why::Down };
    if let Some((pace, told)) = paced(candidate, why, wanted, nodes(), revision, seen) {
        return Step::Later(pace, told);
    }
    // Nodes that are down on an old revision wait for us, not we for them: else two of them would wait for each other.
    let is_missed = |pod: &&PodSeen| !pod.ready && (why == Why::Turn || pod.revision == *revision);
    let in_the_way = nodes().find(|pod| pod.terminating || pod.name != candidate.name && is_missed(pod));
    if let Some(pod) = in_the_way {
        return Step::Wait(format!(
            "{} must take clients before the next pod is replaced",
            pod.name
        ));
    }
    if let Some(missing) = (0..replicas).find(|ordinal| nodes().all(|pod| pod.ordinal != *ordinal)) {
        return Step::Wait(format!(
            "the pod of ordinal {missing} must exist before the next one is replaced"
        ));
    }
    match Some(candidate)
        .filter(|pod| is_well(pod) && replicas > 1)
        .and_then(|pod| closed(pod, nodes(), &wanted.update, seen))
    {
        Some(step) => step,
        None => Step::Replace(Box::new(candidate.clone()), why),
    }
}

/// What the user has set for nodes that are well; with OnDelete for those that are down, too. What has begun is finished.
fn paced<'a>(
    candidate: &PodSeen,
    why: Why,
    wanted: &Wanted,
    nodes: impl Iterator<Item = &'a PodSeen>,
    revision: &str,
    seen: &Situation,
) -> Option<(Pace, String)> {
    let (new, old): (Vec<_>, Vec<_>) = nodes.partition(|pod| pod.revision == revision);
    let (pace, told) = pace::holds(wanted, &new, &old)?;
    let holds = match pace {
        Pace::OnDelete => true,
        Pace::Supervised | Pace::Window | Pace::Canary | Pace::Queued => {
            why == Why::Turn && !seen.is_drained(candidate)
        }
    };
    holds.then_some((pace, told))
}

/// Of the nodes that are well the one that leads the fewest queues, and of several the one of the highest ordinal; the one that leads the
/// definitions last, so that they get another leader once and not with every pod.
fn least_needed<'a>(pods: impl Iterator<Item = &'a PodSeen>, seen: &Situation) -> Option<&'a PodSeen> {
    let leads = |pod: &&PodSeen| seen.holdings.get(&pod.name).map_or(0, |holdings| holdings.leads);
    let leads_definitions = |pod: &&PodSeen| {
        let told = pod.told.as_ref();
        told.is_some_and(|told| told.leader.as_ref() == Some(&told.node))
    };
    pods.min_by_key(|pod| (leads_definitions(pod), leads(pod), Reverse(pod.ordinal)))
}

/// What keeps a node that is well from being replaced, although every pod is ready: whoever does not answer might.
fn closed<'a>(
    candidate: &PodSeen,
    nodes: impl Iterator<Item = &'a PodSeen> + Clone,
    update: &Update,
    seen: &Situation,
) -> Option<Step> {
    if let Some(why) = not_held(update.finalize, seen) {
        return wait(why);
    }
    let serving = |pod: &&PodSeen| pod.told.as_ref().is_some_and(|told| told.serving);
    let others = || nodes.clone().filter(|pod| pod.name != candidate.name);
    if let Some(pod) = others().find(|pod| !serving(pod)) {
        return wait(format!(
            "{} must tell that it hears a majority before {} is replaced",
            pod.name, candidate.name
        ));
    }
    let alarms = |pod: &&PodSeen| pod.told.as_ref().is_some_and(|told| !told.alarms.is_empty());
    if let Some((pod, told)) = others().find(alarms).and_then(|pod| Some((pod, pod.told.as_ref()?))) {
        return wait(format!(
            "{} has an alarm ({}), which must be over before it takes over what {} leads",
            pod.name,
            told.alarms.join(", "),
            candidate.name
        ));
    }
    let Some(holdings) = seen.holdings.get(&candidate.name) else {
        return wait(format!(
            "{} must tell which queues it leads before it is replaced",
            candidate.name
        ));
    };
    let queues = holdings.unsynchronised.told()?;
    match update.unsynced_mirrors {
        UnsyncedMirrors::Sync => Some(Step::Synchronise(Box::new(candidate.clone()))),
        UnsyncedMirrors::Proceed => None,
        UnsyncedMirrors::Wait => wait(format!(
            "{} is replaced when a mirror of each queue that it leads is in sync; none is of {queues}",
            candidate.name
        )),
    }
}

fn wait(what: String) -> Option<Step> {
    Some(Step::Wait(what))
}
