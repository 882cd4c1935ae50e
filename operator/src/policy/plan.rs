//! The one decision of a pass over a Policy: what the brokers are told, and whether the object may go. Pure, and checked by a
//! property test over random lives of clusters, rivals and brokers.
//!
//! Of two Policies with one place in the brokers the older one holds it. A Policy that is deleted removes only what it put
//! there, hands its place to the next one without a gap, and never waits for a cluster that is gone.

use api::PolicyReport;

use super::desired::fingerprint;
use super::feasible::{Asked, Infeasible, Nodes, asked, infeasible};
use crate::cluster::validate::Invalid;

/// What a pass decides from.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The object is being deleted.
    pub deleting: bool,
    /// Our finalizer is on it.
    pub held: bool,
    /// The brokers' policy is to outlive it.
    pub retain: bool,
    /// The user insists on what is held back.
    pub forced: bool,
    /// What the brokers should hold.
    pub desired: Result<api::Policy, Invalid>,
    /// Fingerprint of what this cluster's brokers were last given.
    pub applied: Option<String>,
    /// The older Policy with the same place, as namespace/name.
    pub older: Option<String>,
    /// A younger one that waits for the place.
    pub heir: Option<String>,
    /// The cluster and its brokers.
    pub cluster: ClusterSeen,
}

/// What is known of the cluster.
#[derive(Clone, Debug)]
pub enum ClusterSeen {
    /// There is none of that name.
    Missing,
    /// It may not be read.
    Unreadable(String),
    /// It does not take Policies of our namespace.
    NotAllowed,
    /// It is being deleted.
    Deleting,
    /// The operator was told to change nothing of it.
    Paused,
    /// It is to have no node.
    Stopped,
    /// No broker of it answers.
    Silent(String),
    /// It has no such virtual host.
    NoVhost,
    /// A broker tells.
    Tells(Box<PolicyReport>, Nodes),
}

/// The decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// What becomes of our finalizer; it is put before anything is written, and taken off afterwards.
    pub finalizer: Finalizer,
    /// What the brokers are told.
    pub step: Step,
}

/// What becomes of our finalizer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finalizer {
    /// It stays as it is.
    Keep,
    /// It is put on.
    Add,
    /// It is taken off.
    Remove,
}

/// What the brokers are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing: they hold what they should.
    Rest,
    /// Something must happen first.
    Wait(Obstacle),
    /// Hold this.
    Put(Why),
    /// Hold it no more.
    Clear,
    /// Nothing, though the object goes.
    Leave(Left),
}

/// Why the brokers are told to hold it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// They have none of that name.
    New,
    /// They have another one of that name which nobody gave them through us. What is different.
    Adopted(String),
    /// The spec has changed. What is different.
    Changed(String),
    /// Somebody has changed or removed theirs. What is different.
    Drifted(String),
}

/// Why a policy is left in the brokers though its object goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// There is nothing of it to remove.
    Nothing,
    /// The user wants it to stay.
    Retained,
    /// Its cluster is gone.
    ClusterGone,
    /// Its cluster takes no Policies of that namespace any more.
    NotAllowed,
    /// Another Policy holds its place or takes it now.
    HandedOver,
}

/// What must happen first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// The spec must change.
    Invalid(String),
    /// The cluster must be made.
    ClusterMissing,
    /// The cluster must become readable.
    ClusterUnreadable(String),
    /// The cluster must allow it.
    NotAllowed,
    /// The cluster goes.
    ClusterDeleting,
    /// The cluster must be no longer paused.
    Paused,
    /// The cluster must be started.
    Stopped,
    /// A broker must answer.
    Silent(String),
    /// The older Policy must go.
    Taken(String),
    /// The virtual host must be made.
    NoVhost,
    /// The user must insist.
    HeldBack(String),
}

/// Decides.
pub fn plan(seen: &Seen) -> Plan {
    if seen.deleting {
        let step = if seen.held {
            farewell(seen)
        } else {
            Step::Leave(Left::Nothing)
        };
        let finalizer = match step {
            Step::Wait(_) => Finalizer::Keep,
            Step::Rest | Step::Put(_) | Step::Clear | Step::Leave(_) if seen.held => Finalizer::Remove,
            Step::Rest | Step::Put(_) | Step::Clear | Step::Leave(_) => Finalizer::Keep,
        };
        return Plan { finalizer, step };
    }
    let step = step(seen);
    let finalizer = match (&step, seen.held) {
        (Step::Rest | Step::Put(_), false) if !seen.retain => Finalizer::Add,
        (Step::Rest | Step::Put(_), true) if seen.retain => Finalizer::Remove,
        (Step::Wait(Obstacle::Taken(_)), true) => Finalizer::Remove,
        _ => Finalizer::Keep,
    };
    Plan { finalizer, step }
}

fn step(seen: &Seen) -> Step {
    let desired = match &seen.desired {
        Ok(desired) => desired,
        Err(invalid) => return Step::Wait(Obstacle::Invalid(invalid.to_string())),
    };
    let (report, nodes) = match told(seen) {
        Ok(told) => told,
        Err(obstacle) => return Step::Wait(obstacle),
    };
    let Some(found) = &report.policy else {
        return Step::Put(match &seen.applied {
            Some(_) => Why::Drifted("it was gone".into()),
            None => Why::New,
        });
    };
    let different = differences(found, desired);
    if different.is_empty() {
        return Step::Rest;
    }
    if let Some(why) = held_back(found, desired, nodes).filter(|_| !seen.forced) {
        return Step::Wait(Obstacle::HeldBack(why));
    }
    Step::Put(match &seen.applied {
        None => Why::Adopted(different),
        Some(hash) if *hash == fingerprint(desired) => Why::Drifted(different),
        Some(_) => Why::Changed(different),
    })
}

/// What the brokers tell, if this Policy may act on it.
fn told(seen: &Seen) -> Result<(&PolicyReport, &Nodes), Obstacle> {
    match &seen.cluster {
        ClusterSeen::Missing => return Err(Obstacle::ClusterMissing),
        ClusterSeen::Unreadable(why) => return Err(Obstacle::ClusterUnreadable(why.clone())),
        ClusterSeen::NotAllowed => return Err(Obstacle::NotAllowed),
        ClusterSeen::Deleting => return Err(Obstacle::ClusterDeleting),
        ClusterSeen::Paused | ClusterSeen::Stopped | ClusterSeen::Silent(_) | ClusterSeen::NoVhost => {}
        ClusterSeen::Tells(..) => {}
    }
    if let Some(older) = &seen.older {
        return Err(Obstacle::Taken(older.clone()));
    }
    match &seen.cluster {
        ClusterSeen::Tells(report, nodes) => Ok((report, nodes)),
        ClusterSeen::Paused => Err(Obstacle::Paused),
        ClusterSeen::Stopped => Err(Obstacle::Stopped),
        ClusterSeen::NoVhost => Err(Obstacle::NoVhost),
        ClusterSeen::Silent(why) => Err(Obstacle::Silent(why.clone())),
        ClusterSeen::Missing | ClusterSeen::Unreadable(_) | ClusterSeen::NotAllowed | ClusterSeen::Deleting => {
            Err(Obstacle::ClusterMissing) // answered above
        }
    }
}

/// The end of a Policy that has our finalizer.
fn farewell(seen: &Seen) -> Step {
    if seen.retain {
        return Step::Leave(Left::Retained);
    }
    match &seen.cluster {
        ClusterSeen::Missing | ClusterSeen::Deleting => return Step::Leave(Left::ClusterGone),
        ClusterSeen::NotAllowed => return Step::Leave(Left::NotAllowed),
        ClusterSeen::Unreadable(why) => return Step::Wait(Obstacle::ClusterUnreadable(why.clone())),
        ClusterSeen::Paused | ClusterSeen::Stopped | ClusterSeen::Silent(_) => {}
        ClusterSeen::NoVhost | ClusterSeen::Tells(..) => {}
    }
    if seen.older.is_some() || seen.heir.is_some() {
        return Step::Leave(Left::HandedOver);
    }
    match &seen.cluster {
        ClusterSeen::Tells(report, _) => match &report.policy {
            Some(found) if is_ours(seen, found) => Step::Clear,
            Some(_) | None => Step::Leave(Left::Nothing),
        },
        ClusterSeen::Paused => Step::Wait(Obstacle::Paused),
        ClusterSeen::Stopped => Step::Wait(Obstacle::Stopped),
        ClusterSeen::Silent(why) => Step::Wait(Obstacle::Silent(why.clone())),
        _ => Step::Leave(Left::Nothing),
    }
}

/// Whether the brokers' policy came from this object: it was applied once, or is what would be (the operator may have been killed
/// between the two).
fn is_ours(seen: &Seen, found: &api::Policy) -> bool {
    let same = |desired: &api::Policy| differences(found, desired).is_empty();
    seen.applied.is_some() || seen.desired.as_ref().is_ok_and(same)
}

/// The fields in which the brokers' policy is not what it should be; empty when it is.
pub fn differences(found: &api::Policy, desired: &api::Policy) -> String {
    let fields = [
        ("pattern", found.pattern != desired.pattern),
        ("apply-to", found.apply_to != desired.apply_to),
        ("priority", found.priority != desired.priority),
    ];
    let mut different: Vec<_> = fields
        .iter()
        .filter(|(_, differs)| *differs)
        .map(|(name, _)| (*name).to_owned())
        .collect();
    let keys = found.definition.keys().chain(desired.definition.keys());
    let mut keys: Vec<_> = keys
        .filter(|key| found.definition.get(*key) != desired.definition.get(*key))
        .collect();
    keys.sort();
    keys.dedup();
    different.extend(keys.into_iter().cloned());
    different.join(", ")
}

/// A list of nodes of which none exists, in the place of a policy that mirrors, would take every mirror away.
fn held_back(found: &api::Policy, desired: &api::Policy, nodes: &Nodes) -> Option<String> {
    if asked(&found.definition) == Asked::Nothing {
        return None;
    }
    match infeasible(&asked(&desired.definition), nodes)? {
        Infeasible::NoSuchNode(why) => Some(why),
        Infeasible::TooFewNodes(_) | Infeasible::NodesMissing(_) => None,
    }
}
