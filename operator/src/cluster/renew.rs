//! How nodes get other volumes where theirs cannot become what is asked for (`persistence.shrinkPolicy: ReplaceNodes`): one at a time is written down,
//! its app is stopped, so that mirrors in sync lead its queues, it leaves and empties its disk, its volume and its pod are deleted, and it joins
//! again. The next one follows when its mirrors are in sync. Pure.
//!
//! What never became a volume, for want of its class or of room, holds nothing: it is replaced at once, by whichever node it was to be.
//!
//! As with `leave` each pass decides from what the nodes tell now. The volume that a node gives up is written down by its uid: whatever other it has
//! is the new one. A node that has left goes on even if nobody asks for it any more, since its disk is empty; one that has not stays.

use std::collections::BTreeSet;

use super::leave::{
    Held, ONLY_THERE, copies_there, held, is_member, lacks_mark, moment, node_of, nodes_of, queues_there,
};
use super::pace::Pace;
use super::plan::{Plan, Step, Wanted, Why};
use super::situation::{ClaimSeen, PodSeen, Situation};
use crate::crd::{NonMovable, UnsyncedMirrors};

/// What is asked of the volumes; empty where they may not be replaced.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// Ordinals whose volumes cannot become what is asked for.
    pub unfit: BTreeSet<u32>,
    /// New ones would be no better: the StatefulSet must be made anew.
    pub template: bool,
}

/// A node that gives its volume up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renewing {
    /// Its pod.
    pub pod: String,
    /// Uid of the volume claim.
    pub volume: String,
}

/// What a pass does about the volumes.
struct Turn {
    renewing: Option<Renewing>,
    kept: Option<Held>,
    step: Step,
}

fn turn(renewing: Option<&Renewing>, step: Step) -> Turn {
    Turn {
        renewing: renewing.cloned(),
        kept: None,
        step,
    }
}

fn kept(renewing: Option<&Renewing>, why: Held) -> Turn {
    let step = Step::Wait(why.message.clone());
    Turn {
        kept: Some(why),
        ..turn(renewing, step)
    }
}

/// The plan with what is done about volumes. Nothing is begun while anything else is under way; what has begun is finished.
pub(super) fn renewed(plan: Plan, wanted: &Wanted, seen: &Situation) -> Plan {
    let under_way = seen.renewing.as_ref().and_then(|renewing| {
        let ordinal = ordinal_of(renewing, seen)?;
        (ordinal < plan.replicas).then_some((renewing, ordinal))
    });
    let turn = match under_way {
        Some((renewing, ordinal)) => go_on(renewing, ordinal, plan.replicas, wanted, seen),
        None if plan.step == Step::Rest
            && plan.fewer.is_none()
            && seen.draining.is_none()
            && plan.leaving.is_none() =>
        {
            begin(plan.replicas, wanted, seen)
        }
        None => None,
    };
    let Some(turn) = turn else { return plan };
    let is_ours = |step: &Step| matches!(step, Step::Reset(_) | Step::Discard(..) | Step::Replace(..));
    let step = match (plan.step, turn.step) {
        (Step::Rest | Step::Later(..), step) => step,
        (Step::Wait(_), step) if is_ours(&step) => step,
        (rolling, _) => rolling,
    };
    // A pod that is to be taken out of service is written down in the same place: a node that still serves is let go for it.
    let renewing = turn.renewing.filter(|_| !matches!(step, Step::Replace(_, Why::Turn)));
    Plan {
        leaving: plan.leaving.filter(|_| renewing.is_none()),
        renewing,
        kept: turn.kept,
        step,
        ..plan
    }
}

fn ordinal_of(renewing: &Renewing, seen: &Situation) -> Option<u32> {
    let pod = seen.pods.iter().find(|pod| pod.name == renewing.pod);
    pod.map(|pod| pod.ordinal)
        .or_else(|| renewing.pod.rsplit('-').next()?.parse().ok())
}

fn claim(ordinal: u32, seen: &Situation) -> Option<&ClaimSeen> {
    seen.claims.iter().find(|claim| claim.ordinal == ordinal)
}

/// The next node, if all are well: the one of the highest ordinal that can leave.
fn begin(replicas: u32, wanted: &Wanted, seen: &Situation) -> Option<Turn> {
    let asked = &wanted.volumes;
    let unfit: Vec<_> = seen
        .pods
        .iter()
        .rev()
        .filter(|pod| asked.unfit.contains(&pod.ordinal) && pod.ordinal < replicas)
        .collect();
    if replicas == 0 || !asked.template && unfit.is_empty() {
        return None;
    }
    let never_was = unfit
        .iter()
        .find(|pod| !pod.terminating && claim(pod.ordinal, seen).is_some_and(|claim| claim.unbound));
    if let Some(pod) = never_was {
        return Some(turn(None, made_anew(pod, asked, seen)?));
    }
    if let Some(missing) = unwell(0..replicas, seen) {
        return Some(kept(None, missing));
    }
    if asked.template {
        return Some(turn(None, Step::Recreate));
    }
    let first = unfit.first()?;
    if replicas < 2 {
        let why = "no other node could take over its queues: ask for two nodes before, and for one afterwards";
        return Some(kept(None, held("OneNode", format!("{} {why}", first.name))));
    }
    if let Some(closed) = &wanted.closed {
        return Some(turn(None, Step::Later(Pace::Window, closed.clone())));
    }
    if let Some(step) = lagging(wanted, seen) {
        return Some(turn(None, step));
    }
    // One that cannot leave holds up no other.
    let free = unfit
        .iter()
        .find(|pod| obstacle(pod, wanted.non_movable, seen).is_none());
    let Some(pod) = free else {
        let others = seen.pods.iter().filter(|pod| pod.ordinal < replicas);
        let others: Vec<_> = others.filter(|pod| pod.ordinal != first.ordinal).collect();
        return Some(hindered(
            None,
            first,
            &others,
            obstacle(first, wanted.non_movable, seen)?,
        ));
    };
    let renewing = Renewing {
        pod: pod.name.clone(),
        volume: claim(pod.ordinal, seen)?.uid.clone(),
    };
    let step = Step::Wait("that a node gives its volume up is written down first".into());
    Some(turn(Some(&renewing), step))
}

/// A claim that nothing is on is deleted with the pod that waits for it, and both are made anew as the StatefulSet says by then.
fn made_anew(pod: &PodSeen, asked: &Asked, seen: &Situation) -> Option<Step> {
    if asked.template {
        return Some(Step::Recreate);
    }
    let renewing = Renewing {
        pod: pod.name.clone(),
        volume: claim(pod.ordinal, seen)?.uid.clone(),
    };
    Some(Step::Discard(renewing, Some(Box::new(pod.clone()))))
}

/// Why not all of these can do without another.
fn unwell(mut ordinals: impl Iterator<Item = u32>, seen: &Situation) -> Option<Held> {
    ordinals.find_map(|ordinal| {
        let Some(pod) = seen.pods.iter().find(|pod| pod.ordinal == ordinal) else {
            let why = format!("the pod of ordinal {ordinal} must exist before a volume is replaced");
            return Some(held("NodesNotReady", why));
        };
        let told = pod.told.as_ref();
        let alarms = told
            .map(|told| told.alarms.join(", "))
            .filter(|alarms| !alarms.is_empty());
        match alarms {
            _ if pod.fresh => Some(held("NodesNotReady", moment(pod))),
            _ if !pod.serves() || !told.is_some_and(|told| told.serving) => {
                let why = format!("{} must take clients before a volume is replaced", pod.name);
                Some(held("NodesNotReady", why))
            }
            Some(alarms) => Some(held("NodesHaveAlarms", format!("{} has an alarm ({alarms})", pod.name))),
            None => None,
        }
    })
}

/// Mirrors of those that were replaced before come first, and whatever else is behind: with a volume more would go than with a restart, so
/// nobody's wish to proceed counts here.
fn lagging(wanted: &Wanted, seen: &Situation) -> Option<Step> {
    let pods = seen.pods.iter();
    let (pod, queues) = pods
        .filter_map(|pod| Some((pod, seen.holdings.get(&pod.name)?.unsynchronised.told()?)))
        .next()?;
    Some(match wanted.update.unsynced_mirrors {
        UnsyncedMirrors::Sync => Step::Synchronise(Box::new(pod.clone())),
        UnsyncedMirrors::Wait | UnsyncedMirrors::Proceed => Step::Wait(format!(
            "a volume is replaced when a mirror of each queue is in sync; none is of {queues}, which {} leads",
            pod.name
        )),
    })
}

/// What the cluster would miss.
fn obstacle(pod: &PodSeen, non_movable: NonMovable, seen: &Situation) -> Option<Held> {
    match seen.holdings.get(&pod.name) {
        Some(holdings) => queues_there(&pod.name, non_movable, holdings),
        None => Some(held(
            "NodesSilent",
            format!("{} does not tell which queues it leads", pod.name),
        )),
    }
}

/// What hinders it is waited for; queues with one copy are told to move.
fn hindered(renewing: Option<&Renewing>, pod: &PodSeen, others: &[&PodSeen], why: Held) -> Turn {
    let turn = kept(renewing, why);
    match &turn.kept {
        Some(why) if why.reason == ONLY_THERE => Turn {
            step: Step::Evacuate(Box::new(pod.clone()), nodes_of(others.iter())),
            ..turn
        },
        _ => turn,
    }
}

fn go_on(renewing: &Renewing, ordinal: u32, replicas: u32, wanted: &Wanted, seen: &Situation) -> Option<Turn> {
    let pod = seen.pods.iter().find(|pod| pod.ordinal == ordinal);
    let is_old = claim(ordinal, seen).is_some_and(|claim| claim.uid == renewing.volume);
    let name = &renewing.pod;
    if !is_old {
        let joined =
            pod.is_some_and(|pod| pod.serves() && !pod.fresh && pod.told.as_ref().is_some_and(|told| told.serving));
        let step = Step::Wait(format!("{name} must join with its new volume"));
        return (!joined).then(|| turn(Some(renewing), step));
    }
    let others = (0..replicas).filter(|other| *other != ordinal);
    if let Some(why) = unwell(others, seen) {
        return Some(call_back(renewing, pod, why, seen));
    }
    let others: Vec<_> = seen
        .pods
        .iter()
        .filter(|other| other.ordinal != ordinal && other.ordinal < replicas)
        .collect();
    let node = others.first().and_then(|other| node_of(other, ordinal));
    match node.and_then(|node| is_member(&node, &others)) {
        None => Some(kept(
            Some(renewing),
            held(
                "NodesDisagree",
                format!("not all nodes have heard yet whether {name} belongs to the cluster"),
            ),
        )),
        Some(false) => Some(turn(
            Some(renewing),
            Step::Discard(renewing.clone(), pod.cloned().map(Box::new)),
        )),
        Some(true) => member(renewing, pod?, &others, wanted, seen),
    }
}

/// Those who stay may lack the vote of the one that was stopped: it starts again, when they have had their time to agree without it.
fn call_back(renewing: &Renewing, pod: Option<&PodSeen>, why: Held, seen: &Situation) -> Turn {
    let knows = |other: &PodSeen, pod: &PodSeen| {
        let (node, told) = (node_of(other, pod.ordinal), other.told.as_ref());
        told.is_some_and(|told| told.members.iter().any(|member| Some(&member.name) == node.as_ref()))
    };
    let stopped = pod.filter(|pod| pod.running && !pod.terminating && pod.long_gone && seen.app_runs == Some(false));
    let others = |pod: &PodSeen| {
        seen.pods
            .iter()
            .any(|other| other.ordinal != pod.ordinal && knows(other, pod))
    };
    match stopped.filter(|pod| others(pod)) {
        Some(pod) => Turn {
            kept: Some(why),
            ..turn(Some(renewing), Step::Replace(Box::new(pod.clone()), Why::Stays))
        },
        None => kept(Some(renewing), why),
    }
}

fn member(renewing: &Renewing, pod: &PodSeen, others: &[&PodSeen], wanted: &Wanted, seen: &Situation) -> Option<Turn> {
    let is_asked = wanted.volumes.unfit.contains(&pod.ordinal);
    let name = &pod.name;
    if !pod.running || pod.terminating {
        return Some(kept(
            Some(renewing),
            held(
                "NodeNotReady",
                format!("{name} must run before it can hand its queues over"),
            ),
        ));
    }
    match seen.app_runs {
        None => Some(kept(
            Some(renewing),
            held("NodesSilent", format!("{name} must say whether it was stopped")),
        )),
        Some(true) if !is_asked => None,
        Some(true) if !pod.ready || pod.fresh => Some(kept(
            Some(renewing),
            held(
                "NodeNotReady",
                format!("{name} must take clients before it can hand its queues over"),
            ),
        )),
        Some(true) if lacks_mark(pod) => Some(turn(Some(renewing), Step::Mark(Box::new(pod.clone()), true))),
        Some(true) => Some(
            match obstacle(pod, wanted.non_movable, seen).or_else(|| copies_there(pod)) {
                Some(why) => hindered(Some(renewing), pod, others, why),
                None => turn(Some(renewing), Step::Stop(Box::new(pod.clone()))),
            },
        ),
        Some(false) if !is_asked => Some(turn(Some(renewing), Step::Replace(Box::new(pod.clone()), Why::Stays))),
        Some(false) => Some(stopped(renewing, pod, others, seen)),
    }
}

/// Mirrors lead its queues now, or it has to come back.
fn stopped(renewing: &Renewing, pod: &PodSeen, others: &[&PodSeen], seen: &Situation) -> Turn {
    let down: Option<Vec<_>> = others
        .iter()
        .map(|other| Some(&seen.holdings.get(&other.name)?.down))
        .collect();
    let Some(down) = down else {
        return kept(
            Some(renewing),
            held("NodesSilent", "not all nodes tell whether every queue has a leader"),
        );
    };
    match down.into_iter().find_map(|queues| queues.told()) {
        None => turn(Some(renewing), Step::Reset(Box::new(pod.clone()))),
        Some(queues) => {
            let why = format!(
                "queues have no leader since {} was stopped, so it is started again: {queues}",
                pod.name
            );
            Turn {
                kept: Some(held(ONLY_THERE, why)),
                ..turn(Some(renewing), Step::Replace(Box::new(pod.clone()), Why::Stays))
            }
        }
    }
}
