//! Whether nodes can still go back to the release before: they can as long as the feature level that every member must understand stays what it is.
//! With `update.finalize: Automatic` the brokers raise it as soon as all understand more; with `Manual` the operator has them hold it before
//! any pod is replaced, and lets go when the field says so. Pure but for `carry_out`, which asks a broker.

use api::Membership;

use super::nodes;
use super::observe::Found;
use super::secrets::cookies;
use super::situation::Situation;
use crate::conditions::{Claim, claim};
use crate::crd::Finalize;
use crate::events::Note;
use crate::policy::broker::{Brokers, Error};

/// What nodes that know of feature levels tell.
fn told(seen: &Situation) -> impl Iterator<Item = &Membership> {
    let told = seen.pods.iter().filter_map(|pod| pod.told.as_ref());
    told.filter(|told| told.understands > 0)
}

/// Whether nodes are to hold the level, or to let it go; nothing if they do what is asked for.
pub fn to_hold(finalize: Finalize, seen: &Situation) -> Option<bool> {
    let wanted = finalize == Finalize::Manual;
    let is_otherwise = told(seen).any(|told| told.serving && told.feature_level_held != wanted);
    is_otherwise.then_some(wanted)
}

/// Why no pod is to be replaced yet: another release might be the last that all understand.
pub fn not_held(finalize: Finalize, seen: &Situation) -> Option<String> {
    let held = to_hold(finalize, seen);
    held.filter(|hold| *hold)
        .map(|_| "nodes have yet to hold the feature level, as update.finalize: Manual asks for".into())
}

/// Whether every node understands more than is needed, and nothing keeps that from being needed soon.
pub fn is_about_to_rise(seen: &Situation) -> bool {
    let level = needed(seen).unwrap_or(u32::MAX);
    !seen.pods.is_empty()
        && told(seen).count() == seen.pods.len()
        && told(seen).all(|told| told.understands > level && !told.feature_level_held)
}

/// The level that every member must understand, as far as nodes tell.
pub fn needed(seen: &Situation) -> Option<u32> {
    told(seen)
        .map(|told| told.feature_level)
        .filter(|level| *level > 0)
        .max()
}

/// What is told of it.
pub(super) fn is_finalised(seen: &Situation) -> Claim {
    let kind = "UpgradeFinalized";
    let Some(level) = needed(seen) else {
        return claim(kind, true, "NotTold", "no node tells of a feature level");
    };
    let is_newer = |told: &&Membership| told.understands > level;
    let newer = told(seen).filter(is_newer).count();
    let is_held = told(seen).any(|told| told.feature_level_held);
    match newer {
        0 => claim(
            kind,
            true,
            "Finalized",
            format!(
                "nodes understand feature level {level}, which is needed: they cannot go back to a release that does not"
            ),
        ),
        _ if newer < told(seen).count() => claim(
            kind,
            false,
            "MixedReleases",
            format!("{newer} nodes understand more than feature level {level}: all can go back to the release before"),
        ),
        _ if is_held => claim(
            kind,
            false,
            "HeldBack",
            format!(
                "all nodes understand more than feature level {level} and can go back to the release before, until update.finalize is Automatic"
            ),
        ),
        _ => claim(
            kind,
            false,
            "Pending",
            format!("all nodes understand more than feature level {level}, and are about to need it"),
        ),
    }
}

/// Has them hold the level, or let it go. That it cannot be is told, and tried again in the next pass.
pub(super) async fn carry_out(held: bool, found: &Found) -> Option<Note> {
    let addresses = found.pods.iter().filter_map(nodes::address).collect();
    let secrets = found.cookie.as_ref().map(cookies).unwrap_or_default();
    match Brokers::new(addresses, secrets).hold_level(held).await {
        Ok(()) if held => Some(Note::normal(
            "FeatureLevelHeld",
            "nodes can go back to the release before until update.finalize is Automatic".into(),
        )),
        Ok(()) => Some(Note::normal(
            "FeatureLevelReleased",
            "the feature level rises as soon as every node understands more".into(),
        )),
        // A release before there were levels to hold.
        Err(Error::NotFound(_)) => None,
        Err(error) => Some(Note::warning("FeatureLevelNotHeld", error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::super::situation::PodSeen;
    use super::*;

    /// Nodes that understand so much, of a cluster that needs that level.
    fn seen(level: u32, understand: &[u32], held: bool) -> Situation {
        let pod = |(ordinal, understands): (usize, &u32)| PodSeen {
            name: format!("pod-{ordinal}"),
            told: Some(Membership {
                serving: true,
                feature_level: level,
                feature_level_held: held,
                understands: *understands,
                ..Membership::default()
            }),
            ..PodSeen::default()
        };
        Situation {
            pods: understand.iter().enumerate().map(pod).collect(),
            ..Situation::default()
        }
    }

    #[test]
    fn the_level_is_held_before_a_pod_is_replaced_and_let_go_when_the_field_says_so() {
        let (free, held) = (seen(1, &[1, 1], false), seen(1, &[2, 2], true));
        assert_eq!(to_hold(Finalize::Manual, &free), Some(true));
        assert!(not_held(Finalize::Manual, &free).is_some());
        assert_eq!(
            (to_hold(Finalize::Manual, &held), not_held(Finalize::Manual, &held)),
            (None, None)
        );
        assert_eq!(to_hold(Finalize::Automatic, &held), Some(false));
        assert_eq!(
            (
                to_hold(Finalize::Automatic, &free),
                not_held(Finalize::Automatic, &held)
            ),
            (None, None)
        );
    }

    #[test]
    fn a_release_that_knows_of_no_levels_holds_nothing_up() {
        let old = seen(0, &[0, 0], false);
        assert_eq!((to_hold(Finalize::Manual, &old), needed(&old)), (None, None));
        assert_eq!(is_finalised(&old).reason, "NotTold");
    }

    #[test]
    fn it_is_told_whether_nodes_can_go_back() {
        let reason = |seen: &Situation| {
            let claim = is_finalised(seen);
            (claim.holds, claim.reason)
        };
        assert_eq!(reason(&seen(1, &[1, 1, 1], false)), (true, "Finalized".into()));
        assert_eq!(reason(&seen(1, &[1, 2, 1], false)), (false, "MixedReleases".into()));
        assert_eq!(reason(&seen(1, &[2, 2, 2], true)), (false, "HeldBack".into()));
        assert_eq!(reason(&seen(1, &[2, 2, 2], false)), (false, "Pending".into()));
        assert_eq!(reason(&seen(2, &[2, 2, 2], false)), (true, "Finalized".into()));
        let soon = |seen: &Situation| is_about_to_rise(seen);
        assert!(soon(&seen(1, &[2, 2], false)) && !soon(&seen(1, &[2, 2], true)) && !soon(&seen(2, &[2, 2], false)));
    }
}
