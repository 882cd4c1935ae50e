//! What users are told in `kubectl describe`: one event per decision and one per change of a condition, never one per pass. What
//! says the same again is folded into a count. An event that cannot be written is logged and forgotten: it must not hold up work.

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::runtime::events::{Event, EventType, Recorder};
use sha2::{Digest, Sha256};

use crate::api_error::said;
use crate::cluster::leave::PASSING_REASONS;
use crate::cluster::status::ROLLED_BACK;
use crate::crd::Member;

/// Something to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Whether it needs attention.
    pub warning: bool,
    /// In one word.
    pub reason: String,
    /// In one sentence.
    pub message: String,
}

impl Note {
    /// Something that happened as it should.
    pub fn normal(reason: &str, message: String) -> Self {
        Self {
            warning: false,
            reason: reason.into(),
            message,
        }
    }

    /// Something that needs attention.
    pub fn warning(reason: &str, message: String) -> Self {
        Self {
            warning: true,
            ..Self::normal(reason, message)
        }
    }
}

/// The Events API takes no more.
const NOTE_BYTES_MAX: usize = 1000;

/// Logs the notes and publishes them as events of the object.
pub async fn publish(recorder: &Recorder, about: &ObjectReference, notes: &[Note]) {
    for note in notes {
        tracing::info!(reason = note.reason, warning = note.warning, "{}", note.message);
        let event = Event {
            type_: if note.warning {
                EventType::Warning
            } else {
                EventType::Normal
            },
            reason: note.reason.clone(),
            note: Some(shortened(&note.message)),
            action: action(&note.message),
            secondary: None,
        };
        if let Err(error) = recorder.publish(&event, about).await {
            tracing::warn!(
                error = said(&error),
                reason = note.reason,
                "the event could not be written"
            );
        }
    }
}

/// The recorder folds events of one reason and one action and shows the first message alone, so that the third pod that is replaced would be told as
/// the first one again. Another message is therefore another action.
fn action(message: &str) -> String {
    let digits = Sha256::digest(message);
    let digits: String = digits.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    format!("Reconcile-{digits}")
}

fn shortened(message: &str) -> String {
    message
        .chars()
        .scan(0, |bytes, letter| {
            *bytes += letter.len_utf8();
            (*bytes <= NOTE_BYTES_MAX).then_some(letter)
        })
        .collect()
}

/// What the change from the old conditions to the new ones has to tell.
pub fn of_changes(old: &[Condition], new: &[Condition]) -> Vec<Note> {
    let changed = |now: &&Condition| {
        let before = old.iter().find(|before| before.type_ == now.type_);
        before.map(|before| (&before.status, &before.reason)) != Some((&now.status, &now.reason))
    };
    let began = |now: &Condition| old.iter().any(|before| before.type_ == now.type_);
    let notes = new.iter().filter(changed).filter_map(|now| {
        let bad = match (now.type_.as_str(), now.status.as_str()) {
            ("Applied" | "Feasible", "False") => true,
            ("Feasible" | "MirrorsSynced", "True") if now.reason == "NothingMirrored" => return None,
            ("Feasible" | "MirrorsSynced", "True") if began(now) => false,
            // Of a Policy it says no more than those two.
            ("Ready", "True") if now.reason == "InForce" => return None,
            ("Ready" | "Progressing", "True") => false,
            ("VolumesSized", "False") if ["Growing", "Replacing"].contains(&now.reason.as_str()) => false,
            ("ScaleDownBlocked", "True") if PASSING_REASONS.contains(&now.reason.as_str()) => return None,
            ("Degraded" | "ScaleDownBlocked" | "RolledBack", "True") => true,
            ("ReconcileSuccess", "False") if now.reason == ROLLED_BACK => return None,
            ("VolumesSized", "False") if PASSING_REASONS.contains(&now.reason.as_str()) => return None,
            ("Clustered", "False") if now.reason == "NodesJoining" => false,
            ("ReconcileSuccess" | "VolumesSized" | "Clustered", "False") => true,
            ("DataSafe", "False") if now.reason == "MirrorsNotSynchronised" => true,
            ("DataSafe", "True") if began(now) && now.reason == "MirrorsInSync" => false,
            ("CertificateValid", _) if now.reason.starts_with("Expire") => true,
            ("CertificateValid", "False") => true,
            ("SettingsInForce", "False") if now.reason == "Refused" => true,
            ("Monitored", "False") if now.reason == "Refused" => true,
            ("MemoryGuaranteed", "False") => false,
            ("Paused", "True") => false,
            ("Paused" | "Degraded", "False") | ("ReconcileSuccess", "True") if began(now) => false,
            _ => return None,
        };
        let message = now.message.clone();
        Some(if bad {
            Note::warning(&now.reason, message)
        } else {
            Note::normal(&now.reason, message)
        })
    });
    notes.collect()
}

/// Nodes that came back with another disk; one of them may have been asked to.
pub fn of_disks(old: &[Member], new: &[Member], asked: Option<&str>) -> Vec<Note> {
    let another = |now: &&Member| {
        let is_known = |before: &Member| before.name == now.name && !before.node_id.is_empty();
        let before = old.iter().find(|before| is_known(before));
        before.is_some_and(|before| before.node_id != now.node_id && !now.node_id.is_empty())
    };
    let note = |now: &Member| {
        let message = format!("{} has joined anew with an empty disk, as {}", now.name, now.node_id);
        Note {
            warning: asked != Some(&now.name),
            ..Note::normal("DiskReplaced", message)
        }
    };
    new.iter().filter(another).map(note).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_that_comes_back_with_another_disk_is_told_and_needs_attention_unless_it_was_asked_for() {
        let member = |name: &str, node_id: &str| Member {
            name: name.into(),
            node_id: node_id.into(),
            ..Member::default()
        };
        let old = [member("a", "1"), member("b", "2"), member("c", "")];
        let new = [member("a", "1"), member("b", "3"), member("c", "4"), member("d", "5")];
        let told = of_disks(&old, &new, None);
        assert_eq!(told.len(), 1);
        assert!(told[0].warning && told[0].message.starts_with("b has joined anew"));
        assert!(!of_disks(&old, &new, Some("b"))[0].warning);
        assert_eq!(of_disks(&new, &new, None), []);
    }

    fn condition(kind: &str, status: &str, reason: &str) -> Condition {
        serde_yaml::from_str(&format!(
            "{{type: {kind}, status: '{status}', reason: {reason}, message: why, lastTransitionTime: '2026-01-01T00:00:00Z'}}"
        ))
        .unwrap()
    }

    #[test]
    fn only_changes_are_told() {
        let degraded = [condition("Degraded", "True", "NodeProblem")];
        assert_eq!(of_changes(&[], &degraded), [Note::warning("NodeProblem", "why".into())]);
        assert_eq!(of_changes(&degraded, &degraded), []);
        let well = [condition("Degraded", "False", "NodesWell")];
        assert_eq!(of_changes(&degraded, &well), [Note::normal("NodesWell", "why".into())]);
        assert_eq!(of_changes(&[], &well), [], "that nothing was ever wrong is no news");
    }

    #[test]
    fn nodes_that_come_to_be_a_cluster_are_no_warning_and_those_that_are_two_clusters_are() {
        let told = |reason| of_changes(&[], &[condition("Clustered", "False", reason)]);
        assert_eq!(told("NodesJoining"), [Note::normal("NodesJoining", "why".into())]);
        assert!(told("NodesAreSeparate")[0].warning);
    }

    #[test]
    fn what_says_the_same_is_folded_and_nothing_else() {
        let (first, second) = (action("replacing orders-server-2"), action("replacing orders-server-1"));
        assert_ne!(first, second);
        assert_eq!(first, action("replacing orders-server-2"));
        assert!(first.len() < 128, "the Events API takes no more");
    }

    #[test]
    fn a_long_message_is_cut_at_a_letter() {
        let long = "ä".repeat(2000);
        assert_eq!(shortened(&long).len(), NOTE_BYTES_MAX);
    }
}
