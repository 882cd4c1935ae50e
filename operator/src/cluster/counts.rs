//! Counts in a status change with whatever clients do, and each write of a status is told to all who watch, ourselves among them. A status that
//! differs from the stored one in counts alone is therefore written once a minute and no more often; any other change is written at once.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::crd::{Member, Operation, RabbitClusterStatus, Summary};

/// How old counts may be.
const AGE_MAX: Duration = Duration::from_secs(55);

/// When the status of each cluster was last written; as many as there are clusters.
#[derive(Debug, Default)]
pub struct Written(Mutex<BTreeMap<String, Instant>>);

impl Written {
    /// Whether the new status of this cluster is to be written now.
    pub fn is_due(
        &self,
        cluster: &str,
        old: Option<&RabbitClusterStatus>,
        new: &RabbitClusterStatus,
        at: Instant,
    ) -> bool {
        let Some(old) = old else { return true };
        if old == new {
            return false;
        }
        let last = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(cluster)
            .copied();
        uncounted(old) != uncounted(new) || last.is_none_or(|last| at.duration_since(last) >= AGE_MAX)
    }

    /// It was.
    pub fn note(&self, cluster: &str, at: Instant) {
        let mut written = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        written.insert(cluster.to_owned(), at);
    }

    /// It is no more.
    pub fn forget(&self, cluster: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(cluster);
    }
}

fn uncounted(status: &RabbitClusterStatus) -> RabbitClusterStatus {
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
    RabbitClusterStatus {
        operation: status.operation.as_ref().map(operation),
        summary: Summary {
            at_risk: 0,
            ..status.summary.clone()
        },
        members: status.members.iter().map(member).collect(),
        ..status.clone()
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
}
