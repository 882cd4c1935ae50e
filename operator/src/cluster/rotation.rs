//! How the cluster's secret is replaced while everybody works: the new one is laid beside the old (staged), and once every node accepts it, it
//! becomes the one that nodes show (activated); once every node has read that, the old one is taken away (retired).
//!
//! A secret that strangers know is replaced at once instead, whatever else is under way: there is no stage in which it counts still, and a word
//! beside the new one tells nodes to hang up on all who came in before. Until all have read that they are cut off from each other.
//!
//! What has been read cannot be asked for, but what is accepted can: at each stage the key `next` holds something new, and a node that accepts
//! it has read all of that stage, since the folder is exchanged as a whole. The stage is in the Secret itself, so that a crash between any two
//! writes is resumed. Pure but for `drawn`, which `act` calls.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use serde_json::{Value, json};

use super::secrets::{KEY_CURRENT, draw_cookie, text};
use super::situation::Situation;
use crate::crd::{ClusterSecretStatus, SecretStage};

/// Key of what comes next: the new secret while it is staged, and then a word that shows what has been read.
pub const KEY_NEXT: &str = "next";
/// Key of a word; when a node reads another one than before, it hangs up on all who came in by any secret until then.
pub const KEY_REVOKED: &str = "revoked";
/// Key of the secret that was shown before.
pub const KEY_PREVIOUS: &str = "previous";
/// Annotation of the Secret with the trigger that was carried out, or is.
pub const ANNOTATION_TRIGGER: &str = "warren.dev/rotated";
/// Annotation of the Secret with the word for which it was last replaced at once.
pub const ANNOTATION_COMPROMISED: &str = "warren.dev/compromised";
/// Annotation of the Secret with the time at which it was last replaced; before that it is as old as the object.
pub const ANNOTATION_SINCE: &str = "warren.dev/rotated-at";
/// Annotation of the Secret with the number of secrets that there have been.
pub const ANNOTATION_GENERATION: &str = "warren.dev/generation";
/// Annotation of the Secret with the stage that it is in; none when nothing is under way.
pub const ANNOTATION_STAGE: &str = "warren.dev/rotation";

/// Where a rotation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The new secret is accepted by those who have read it; the old one is shown.
    Staged,
    /// The new one is shown by those who have read it; the old one is accepted.
    Activated,
    /// The new one alone counts for those who have read it, the old one alone for the others.
    Replaced,
}

/// What a pass does about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Nothing: no other secret is asked for.
    Rest,
    /// Nodes have yet to read the stage; the message names them.
    Wait(String),
    /// Lay a new secret beside the old one.
    Stage,
    /// Show the new one.
    Activate,
    /// Take the old one away.
    Retire,
    /// Put a new one in the place of whatever is there.
    Replace,
    /// All have read the one that was put there.
    Settle,
}

/// The stage that the Secret is in.
pub fn stage(secret: &Secret) -> Option<Stage> {
    match secret.annotations().get(ANNOTATION_STAGE).map(String::as_str) {
        Some("staged") => Some(Stage::Staged),
        Some("activated") => Some(Stage::Activated),
        Some("replaced") => Some(Stage::Replaced),
        _ => None,
    }
}

/// What the status tells of it.
pub fn told(secret: &Secret) -> ClusterSecretStatus {
    ClusterSecretStatus {
        generation: generation(secret),
        stage: match stage(secret) {
            None => SecretStage::Idle,
            Some(Stage::Staged) => SecretStage::Staged,
            Some(Stage::Activated) => SecretStage::Activated,
            Some(Stage::Replaced) => SecretStage::Replaced,
        },
    }
}

/// How many secrets there have been; the first bears no number.
fn generation(secret: &Secret) -> u32 {
    let noted = secret.annotations().get(ANNOTATION_GENERATION);
    noted.and_then(|noted| noted.parse().ok()).unwrap_or(1)
}

/// When another secret is asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asked<'a> {
    /// A word that is another than the one that was carried out.
    pub trigger: Option<&'a str>,
    /// An age.
    pub period: Option<&'a str>,
    /// A word for which it is replaced at once, if that is another than the one for which it was.
    pub compromised: Option<&'a str>,
    /// What time it is.
    pub at: Timestamp,
}

impl Asked<'_> {
    fn is_compromised(&self, secret: &Secret) -> bool {
        let carried_out = secret.annotations().get(ANNOTATION_COMPROMISED).map(String::as_str);
        self.compromised.is_some() && self.compromised != carried_out
    }

    fn is_due(&self, secret: &Secret) -> bool {
        let carried_out = secret.annotations().get(ANNOTATION_TRIGGER).map(String::as_str);
        let old = self.period.and_then(seconds).zip(since(secret));
        let old = old.is_some_and(|(seconds, since)| self.at.as_second().saturating_sub(since.as_second()) >= seconds);
        old || self.trigger.is_some() && self.trigger != carried_out
    }
}

/// A period such as 720h or 30d.
pub fn seconds(period: &str) -> Option<i64> {
    let (count, unit) = period.split_at_checked(period.len().checked_sub(1)?)?;
    let hours = match unit {
        "h" => 1,
        "d" => 24,
        _ => return None,
    };
    let count: u16 = count
        .parse()
        .ok()
        .filter(|_| count.bytes().all(|byte| byte.is_ascii_digit()))?;
    (count > 0).then_some(i64::from(count) * hours * 3600)
}

/// Since when the secret is what it is.
fn since(secret: &Secret) -> Option<Timestamp> {
    let noted = secret.annotations().get(ANNOTATION_SINCE);
    let created = || secret.metadata.creation_timestamp.as_ref().map(|time| time.0);
    noted.and_then(|noted| noted.parse().ok()).or_else(created)
}

/// Decides. `quiet` says that nothing else is under way; a rotation that has begun goes on all the same, and a secret that strangers know waits for
/// nothing.
pub fn turn(asked: Asked<'_>, secret: Option<&Secret>, quiet: bool, seen: &Situation) -> Turn {
    let Some(secret) = secret else { return Turn::Rest };
    if asked.is_compromised(secret) {
        return Turn::Replace;
    }
    match stage(secret) {
        None if !asked.is_due(secret) => Turn::Rest,
        None if quiet => Turn::Stage,
        None => Turn::Wait("the cluster's secret is rotated when nothing else is under way".into()),
        Some(stage) => match (unread(seen), stage) {
            (Some(pods), _) => Turn::Wait(format!("{pods} have yet to read the cluster's new secret")),
            (None, Stage::Staged) => Turn::Activate,
            (None, Stage::Activated) => Turn::Retire,
            (None, Stage::Replaced) => Turn::Settle,
        },
    }
}

/// The secret that only those accept who have read the stage.
pub fn newest(secret: &Secret) -> Option<&str> {
    match stage(secret)? {
        Stage::Staged | Stage::Activated => text(secret, KEY_NEXT),
        Stage::Replaced => text(secret, KEY_CURRENT),
    }
}

/// The pods that there should be, or are, and that do not accept the newest secret.
fn unread(seen: &Situation) -> Option<String> {
    let asked = seen.set.as_ref().map_or(0, |set| set.replicas);
    let missing = (0..asked).filter(|ordinal| seen.pods.iter().all(|pod| pod.ordinal != *ordinal));
    let missing = missing.map(|ordinal| format!("the pod of ordinal {ordinal}"));
    let deaf = seen.pods.iter().filter(|pod| !seen.accepting.contains(&pod.name));
    let names: Vec<_> = deaf.map(|pod| pod.name.clone()).chain(missing).collect();
    (!names.is_empty()).then(|| names.join(", "))
}

/// The change of the Secret for this turn, for the very version that was read; none if it is not to change.
pub fn drawn(turn: &Turn, asked: Asked<'_>, secret: &Secret) -> Option<Value> {
    let new = || draw_cookie().remove(KEY_CURRENT).map(|bytes| json!(bytes));
    let kept = |key: &str| {
        let bytes = secret.data.as_ref().and_then(|data| data.get(key));
        bytes.map(|bytes| json!(bytes))
    };
    text(secret, KEY_CURRENT)?;
    let (data, annotations) = match turn {
        Turn::Rest | Turn::Wait(_) => return None,
        Turn::Stage => (
            json!({KEY_NEXT: new()?, KEY_PREVIOUS: null}),
            json!({ANNOTATION_STAGE: "staged", ANNOTATION_TRIGGER: asked.trigger, ANNOTATION_SINCE: asked.at.to_string(), ANNOTATION_GENERATION: (generation(secret) + 1).to_string()}),
        ),
        Turn::Activate => (
            json!({KEY_CURRENT: kept(KEY_NEXT)?, KEY_PREVIOUS: kept(KEY_CURRENT)?, KEY_NEXT: new()?}),
            json!({ANNOTATION_STAGE: "activated"}),
        ),
        Turn::Retire => (
            json!({KEY_NEXT: null, KEY_PREVIOUS: null}),
            json!({ANNOTATION_STAGE: null}),
        ),
        Turn::Replace => (
            json!({KEY_CURRENT: new()?, KEY_NEXT: null, KEY_PREVIOUS: null, KEY_REVOKED: revoked(asked)}),
            json!({ANNOTATION_STAGE: "replaced", ANNOTATION_COMPROMISED: asked.compromised, ANNOTATION_TRIGGER: asked.trigger, ANNOTATION_SINCE: asked.at.to_string(), ANNOTATION_GENERATION: (generation(secret) + 1).to_string()}),
        ),
        Turn::Settle => (json!({}), json!({ANNOTATION_STAGE: null})),
    };
    let version = secret.metadata.resource_version.clone();
    Some(json!({"metadata": {"resourceVersion": version, "annotations": annotations}, "data": data}))
}

/// The same word may come again after another one, and a node must see a change all the same.
fn revoked(asked: Asked<'_>) -> ByteString {
    ByteString(format!("{} {}", asked.compromised.unwrap_or_default(), asked.at).into_bytes())
}

/// Annotations of a Secret that is drawn now: the words of today are not ones to rotate for.
pub fn annotations(asked: Asked<'_>) -> Option<BTreeMap<String, String>> {
    let words = [
        (ANNOTATION_TRIGGER, asked.trigger),
        (ANNOTATION_COMPROMISED, asked.compromised),
    ];
    let noted = words
        .into_iter()
        .filter_map(|(key, word)| Some((key.to_owned(), word?.to_owned())));
    Some(noted.collect()).filter(|noted: &BTreeMap<_, _>| !noted.is_empty())
}

#[cfg(test)]
mod tests {
    use super::super::situation::{PodSeen, SetSeen};
    use super::*;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    fn secret() -> Secret {
        Secret {
            data: Some(draw_cookie()),
            ..Secret::default()
        }
    }

    fn asked(trigger: &str) -> Asked<'_> {
        Asked {
            trigger: Some(trigger),
            at: "2026-01-31T00:00:00Z".parse().unwrap(),
            ..Asked::default()
        }
    }

    /// A patch as the API server carries it out.
    fn patched(secret: &Secret, patch: &Value) -> Secret {
        let mut whole = serde_json::to_value(secret).unwrap();
        for part in ["data", "annotations"] {
            let (change, place) = match part {
                "data" => (&patch["data"], &mut whole["data"]),
                _ => (&patch["metadata"]["annotations"], &mut whole["metadata"]["annotations"]),
            };
            if place.is_null() {
                *place = json!({});
            }
            let place = place.as_object_mut().unwrap();
            for (key, value) in change.as_object().unwrap() {
                match value {
                    Value::Null => place.remove(key),
                    value => place.insert(key.clone(), value.clone()),
                };
            }
        }
        serde_json::from_value(whole).unwrap()
    }

    fn two(accepting: &[&str]) -> Situation {
        let pod = |ordinal: u32| PodSeen {
            name: format!("pod-{ordinal}"),
            ordinal,
            ..PodSeen::default()
        };
        Situation {
            set: Some(SetSeen {
                replicas: 2,
                ..SetSeen::default()
            }),
            pods: (0..2).map(pod).collect(),
            accepting: accepting.iter().map(|pod| (*pod).to_owned()).collect(),
            ..Situation::default()
        }
    }

    #[test]
    fn old_and_new_are_both_accepted_until_every_node_shows_the_new_one() {
        let (first, all) = (secret(), two(&["pod-0", "pod-1"]));
        let next = |secret: &Secret, seen: &Situation| turn(asked("today"), Some(secret), true, seen);
        assert_eq!(next(&first, &all), Turn::Stage);
        let staged = patched(&first, &drawn(&Turn::Stage, asked("today"), &first).unwrap());
        assert_eq!(text(&staged, KEY_CURRENT), text(&first, KEY_CURRENT));
        let waits = next(&staged, &two(&["pod-0"]));
        assert_eq!(
            waits,
            Turn::Wait("pod-1 have yet to read the cluster's new secret".into())
        );
        assert_eq!(next(&staged, &all), Turn::Activate);
        let active = patched(&staged, &drawn(&Turn::Activate, asked("today"), &staged).unwrap());
        assert_eq!(text(&active, KEY_CURRENT), text(&staged, KEY_NEXT));
        assert_eq!(text(&active, KEY_PREVIOUS), text(&first, KEY_CURRENT));
        assert_ne!(
            text(&active, KEY_NEXT),
            text(&staged, KEY_NEXT),
            "who accepts it has read this stage"
        );
        assert_eq!(next(&active, &all), Turn::Retire);
        let done = patched(&active, &drawn(&Turn::Retire, asked("today"), &active).unwrap());
        assert_eq!(done.data.as_ref().unwrap().len(), 1);
        assert_eq!(text(&done, KEY_CURRENT), text(&active, KEY_CURRENT));
        assert_eq!(next(&done, &all), Turn::Rest, "once for a trigger");
        let count = |secret: &Secret| (told(secret).generation, told(secret).stage);
        assert_eq!(
            [&first, &staged, &active, &done].map(count),
            [
                (1, SecretStage::Idle),
                (2, SecretStage::Staged),
                (2, SecretStage::Activated),
                (2, SecretStage::Idle)
            ]
        );
        assert_eq!(turn(asked("tomorrow"), Some(&done), true, &all), Turn::Stage);
    }

    #[test]
    fn nothing_is_begun_while_something_else_is_under_way_or_nobody_asks() {
        let (first, all) = (secret(), two(&[]));
        assert!(matches!(turn(asked("x"), Some(&first), false, &all), Turn::Wait(_)));
        assert_eq!(turn(Asked::default(), Some(&first), true, &all), Turn::Rest);
        assert_eq!(turn(asked("x"), None, true, &all), Turn::Rest);
        let mut given = first;
        given.metadata.annotations = annotations(asked("x"));
        assert_eq!(
            turn(asked("x"), Some(&given), true, &all),
            Turn::Rest,
            "drawn with that trigger"
        );
    }

    #[test]
    fn a_secret_that_strangers_know_is_replaced_at_once_and_counts_no_more_whatever_is_under_way() {
        let (first, all) = (secret(), two(&["pod-0", "pod-1"]));
        let leaked = |word: &'static str| Asked {
            compromised: Some(word),
            ..asked("today")
        };
        let staged = patched(&first, &drawn(&Turn::Stage, asked("today"), &first).unwrap());
        let active = patched(&staged, &drawn(&Turn::Activate, asked("today"), &staged).unwrap());
        for before in [&first, &staged, &active] {
            assert_eq!(turn(leaked("a"), Some(before), false, &two(&[])), Turn::Replace);
            let after = patched(before, &drawn(&Turn::Replace, leaked("a"), before).unwrap());
            let known: Vec<_> = [before, &active]
                .iter()
                .flat_map(|secret| secret.data.clone().unwrap().into_values())
                .collect();
            let left = after.data.clone().unwrap();
            assert_eq!(left.keys().collect::<Vec<_>>(), [KEY_CURRENT, KEY_REVOKED]);
            assert!(
                !known.contains(&left[KEY_CURRENT]),
                "none that was there before is kept"
            );
            assert_eq!(newest(&after), text(&after, KEY_CURRENT));
            let waits = turn(leaked("a"), Some(&after), true, &two(&["pod-1"]));
            assert_eq!(
                waits,
                Turn::Wait("pod-0 have yet to read the cluster's new secret".into())
            );
            assert_eq!(turn(leaked("a"), Some(&after), true, &all), Turn::Settle);
            let done = patched(&after, &drawn(&Turn::Settle, leaked("a"), &after).unwrap());
            assert_eq!(done.data, after.data, "nodes see nothing of it");
            assert_eq!(
                turn(leaked("a"), Some(&done), true, &all),
                Turn::Rest,
                "once for a word"
            );
            assert_eq!(turn(leaked("b"), Some(&done), true, &all), Turn::Replace);
            let later = Asked {
                at: "2026-02-01T00:00:00Z".parse().unwrap(),
                ..leaked("a")
            };
            assert_ne!(revoked(leaked("a")), revoked(later));
        }
    }

    #[test]
    fn a_secret_is_drawn_anew_when_it_has_become_as_old_as_was_asked_for_and_then_not_at_once_again() {
        let (mut first, all) = (secret(), two(&["pod-0", "pod-1"]));
        first.metadata.creation_timestamp = Some(Time("2026-01-01T00:00:00Z".parse().unwrap()));
        let at = |period: &'static str, at: &str| Asked {
            period: Some(period),
            at: at.parse().unwrap(),
            ..Asked::default()
        };
        let next = |secret: &Secret, asked: Asked<'_>| turn(asked, Some(secret), true, &all);
        assert_eq!(next(&first, at("30d", "2026-01-30T23:59:59Z")), Turn::Rest);
        let due = at("30d", "2026-01-31T00:00:00Z");
        assert_eq!(next(&first, due), Turn::Stage);
        let staged = patched(&first, &drawn(&Turn::Stage, due, &first).unwrap());
        let active = patched(&staged, &drawn(&Turn::Activate, due, &staged).unwrap());
        let done = patched(&active, &drawn(&Turn::Retire, due, &active).unwrap());
        assert_eq!(next(&done, due), Turn::Rest);
        assert_eq!(next(&done, at("30d", "2026-03-01T23:59:59Z")), Turn::Rest);
        assert_eq!(next(&done, at("30d", "2026-03-02T00:00:00Z")), Turn::Stage);
    }

    #[test]
    fn a_period_is_hours_or_days() {
        assert_eq!((seconds("2h"), seconds("30d")), (Some(7200), Some(2_592_000)));
        for wrong in ["", "h", "0d", "1", "1w", "-1h", "+1h", "1.5d", "99999d", "ä"] {
            assert_eq!(seconds(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_pod_that_is_missing_has_read_nothing() {
        let mut seen = two(&["pod-0", "pod-1"]);
        seen.pods.pop();
        assert_eq!(unread(&seen).unwrap(), "the pod of ordinal 1");
        seen.set = None;
        assert_eq!(unread(&seen), None);
    }
}
