//! Counts in a status change with whatever clients do, and each write of a status is told to all who watch. A status that differs from the
//! stored one in counts alone is therefore written once in a while and no more often; any other change is written at once.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use crate::crd::{
    Matched, Member, Mirrors, Operation, PolicyStatus, PolicySummary, RabbitClusterStatus, Shadow, Summary,
};

/// A status with counts in it.
pub trait Counted: PartialEq + Sized {
    /// How old counts may be.
    const AGE_MAX: Duration;

    /// It without them.
    fn uncounted(&self) -> Self;
}

/// When the status of each object of a kind was last written; as many as there are objects.
#[derive(Debug, Default)]
pub struct Written(Mutex<BTreeMap<String, Instant>>);

impl Written {
    /// Whether the new status of this object is to be written now.
    pub fn is_due<S: Counted>(&self, key: &str, old: Option<&S>, new: &S, at: Instant) -> bool {
        self.due_in(key, old, new, at) == Some(Duration::ZERO)
    }

    /// How long it stays unwritten; never, if it says nothing new.
    pub fn due_in<S: Counted>(&self, key: &str, old: Option<&S>, new: &S, at: Instant) -> Option<Duration> {
        if old == Some(new) {
            return None;
        }
        let written = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let age = written.get(key).map(|last| at.duration_since(*last));
        let counts_alone = old.is_some_and(|old| old.uncounted() == new.uncounted());
        let rest = age.filter(|_| counts_alone).and_then(|age| S::AGE_MAX.checked_sub(age));
        Some(rest.unwrap_or_default())
    }

    /// It was.
    pub fn note(&self, key: &str, at: Instant) {
        let mut written = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        written.insert(key.to_owned(), at);
    }

    /// It is no more.
    pub fn forget(&self, key: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}

impl Counted for RabbitClusterStatus {
    const AGE_MAX: Duration = Duration::from_secs(55);

    fn uncounted(&self) -> Self {
        let member = |member: &Member| Member {
            masters: None,
            mirrors: None,
            unsynced: None,
            ..member.clone()
        };
        let operation = |operation: &Operation| Operation {
            remaining_queues: None,
            ..operation.clone()
        };
        Self {
            operation: self.operation.as_ref().map(operation),
            summary: Summary {
                at_risk: 0,
                ..self.summary.clone()
            },
            members: self.members.iter().map(member).collect(),
            ..self.clone()
        }
    }
}

/// What its conditions say in words has counts in it, too.
impl Counted for PolicyStatus {
    const AGE_MAX: Duration = Duration::from_secs(10);

    fn uncounted(&self) -> Self {
        let shadow = |shadow: &Shadow| Shadow {
            queues: 0,
            exchanges: 0,
            ..shadow.clone()
        };
        let condition = |condition: &Condition| Condition {
            message: String::new(),
            ..condition.clone()
        };
        Self {
            summary: PolicySummary::default(),
            matched: Matched::default(),
            mirrors: Mirrors::default(),
            behind: Vec::new(),
            shadowed_by: self.shadowed_by.iter().map(shadow).collect(),
            conditions: self.conditions.iter().map(condition).collect(),
            ..self.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(masters: Option<u64>, ready_replicas: i32) -> RabbitClusterStatus {
        RabbitClusterStatus {
            ready_replicas,
            members: vec![Member {
                masters,
                ..Member::default()
            }],
            ..RabbitClusterStatus::default()
        }
    }

    #[test]
    fn counts_alone_are_written_once_a_minute_and_everything_else_at_once() {
        let (written, start) = (Written::default(), Instant::now());
        let (old, counted, other) = (status(Some(1), 1), status(Some(2), 1), status(Some(2), 2));
        let due = |new: &RabbitClusterStatus, seconds| {
            written.is_due("orders", Some(&old), new, start + Duration::from_secs(seconds))
        };
        assert!(due(&counted, 0), "an operator that has just begun knows of no write");
        written.note("orders", start);
        assert!(!due(&counted, 54) && due(&counted, 55));
        assert!(due(&other, 1));
        assert!(!due(&old, 100), "nothing is new");
        assert!(written.is_due("orders", None, &old, start));
        written.forget("orders");
        assert!(due(&counted, 1));
    }

    #[test]
    fn counts_of_a_policy_are_ten_seconds_apart_and_what_waits_is_known() {
        let (written, start) = (Written::default(), Instant::now());
        let status = |synced, holds: &str| PolicyStatus {
            mirrors: Mirrors {
                synced,
                ..Mirrors::default()
            },
            conditions: vec![Condition {
                type_: "MirrorsSynced".into(),
                status: holds.into(),
                message: format!("{synced} of 3 are in sync"),
                reason: "Any".into(),
                observed_generation: None,
                last_transition_time: k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(
                    k8s_openapi::jiff::Timestamp::UNIX_EPOCH,
                ),
            }],
            ..PolicyStatus::default()
        };
        written.note("ha", start);
        let due = |new: &PolicyStatus, seconds| {
            written.due_in(
                "ha",
                Some(&status(1, "False")),
                new,
                start + Duration::from_secs(seconds),
            )
        };
        assert_eq!(due(&status(1, "False"), 3), None);
        assert_eq!(due(&status(2, "False"), 3), Some(Duration::from_secs(7)));
        assert_eq!(due(&status(2, "False"), 11), Some(Duration::ZERO));
        assert_eq!(
            due(&status(3, "True"), 3),
            Some(Duration::ZERO),
            "a condition is no count"
        );
    }
}
