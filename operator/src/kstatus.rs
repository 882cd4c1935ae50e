//! The two conditions by which tools that know nothing of us see whether an object is on its way or stuck: `Reconciling` and `Stalled`, as the
//! kstatus convention of kubectl, Flux and Argo CD has them. They say nothing that other conditions do not say, and are derived from these alone.

use crate::cluster::leave;
use crate::conditions::{Claim, claim};

/// Reasons for which something that was not done comes about without anybody's doing.
const PASSING: [&str; 13] = [
    // What makes it may come a moment later, such as cert-manager.
    "SecretMissing",
    "DefinitionsUnusable",
    "WaitingForPredecessor",
    "WriteFailed",
    "ClusterMissing",
    "ClusterDeleting",
    "ClusterStopped",
    "ClusterPaused",
    "VhostMissing",
    "BrokersSilent",
    "NotFound",
    "Leaving",
    "Removed",
];

/// Both, from the others of a status: what is being changed (`changes`) and what somebody has to do something about (`stuck`), each with the value
/// that says so.
pub(crate) fn derived(others: &[Claim], changes: &[(&str, bool)], stuck: &[(&str, bool)]) -> [Claim; 2] {
    let passes = |other: &Claim| match other.kind {
        "ScaleDownBlocked" => leave::passes(&other.reason),
        _ => PASSING.contains(&other.reason.as_str()),
    };
    let says = |wanted: &[(&str, bool)], is_passing: bool| {
        let is_wanted = |other: &&Claim| wanted.contains(&(other.kind, other.holds));
        others
            .iter()
            .filter(is_wanted)
            .find(|other| passes(other) == is_passing)
    };
    let told = |kind, found: Option<&Claim>, none: &str, message: &str| match found {
        Some(found) => claim(kind, true, &found.reason, found.message.clone()),
        None => claim(kind, false, none, message),
    };
    let moving = says(changes, false).or_else(|| says(stuck, true));
    [
        told("Reconciling", moving, "Settled", "nothing is being changed"),
        told(
            "Stalled",
            says(stuck, false),
            "NotStalled",
            "nothing waits for a change of the spec",
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn both(reconciled: (bool, &str), progresses: bool) -> [(bool, String); 2] {
        let others = [
            claim("Progressing", progresses, "Rolling", "one is next"),
            claim("ReconcileSuccess", reconciled.0, reconciled.1, "why"),
        ];
        let stuck = [("ReconcileSuccess", false)];
        derived(&others, &[("Progressing", true)], &stuck).map(|claim| (claim.holds, claim.reason))
    }

    #[test]
    fn who_knows_nothing_of_us_sees_what_is_on_its_way_and_what_is_stuck() {
        let text = |holds: bool, reason: &str| (holds, reason.to_owned());
        let quiet = [text(false, "Settled"), text(false, "NotStalled")];
        assert_eq!(both((true, "Success"), false), quiet);
        assert_eq!(both((true, "Success"), true)[0], text(true, "Rolling"));
        assert_eq!(
            both((false, "InvalidSpec"), false),
            [text(false, "Settled"), text(true, "InvalidSpec")]
        );
        let passing = |reason| [text(true, reason), text(false, "NotStalled")];
        assert_eq!(
            both((false, "WriteFailed"), false),
            passing("WriteFailed"),
            "it is tried again"
        );
        assert_eq!(
            both((false, "SecretMissing"), false),
            passing("SecretMissing"),
            "others make it"
        );
    }
}
