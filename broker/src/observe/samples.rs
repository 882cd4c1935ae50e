//! How fast numbers change: every few seconds the counters of all queues and of the node are read, and the last two
//! readings are kept.
//!
//! Reads only, one queue's lock at a time. Without a second reading a rate is zero.

use model::{Millis, QueueId};
use parking_lot::Mutex;
use queue::{Counters, Counts};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

use crate::host::{Node, NodeCounts, sum_counters};

/// Time between two readings, as RabbitMQ's `collect_statistics_interval`.
const INTERVAL: Duration = Duration::from_secs(5);

/// What a queue showed when it was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueReading {
    /// What it held.
    pub counts: Counts,
    /// What it had done.
    pub counters: Counters,
}

/// Two readings with the seconds between them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Change<T> {
    /// The earlier one.
    pub before: T,
    /// The later one.
    pub after: T,
    seconds: f64,
}

#[derive(Clone, Debug, Default)]
struct Reading {
    at: Millis,
    node: NodeCounts,
    queues: BTreeMap<QueueId, QueueReading>,
}

/// The last two readings.
#[derive(Debug, Default)]
pub struct Samples(Mutex<(Arc<Reading>, Arc<Reading>)>);

impl<T> Change<T> {
    /// Change per second of one of the numbers; what shrinks has a negative rate.
    pub fn rate(&self, number: impl Fn(&T) -> u64) -> f64 {
        let (before, after) = (number(&self.before), number(&self.after));
        match self.seconds > 0.0 {
            true => (after as f64 - before as f64) / self.seconds,
            false => 0.0,
        }
    }
}

impl Samples {
    fn take(&self, node: &Node) {
        let snapshot = node.snapshot();
        let read = |record: &Arc<catalog::QueueRecord>| {
            let (counts, counters) = node.queue_numbers(record);
            (record.id, QueueReading { counts, counters })
        };
        let reading = Reading {
            at: node.now(),
            node: node.counters().read(),
            queues: snapshot.catalog.queues().map(read).collect(),
        };
        let mut last = self.0.lock();
        last.0 = std::mem::replace(&mut last.1, Arc::new(reading));
    }

    fn both(&self) -> (Arc<Reading>, Arc<Reading>, f64) {
        let (before, after) = self.0.lock().clone();
        let seconds = match before.at {
            Millis(0) => 0.0,
            at => after.at.0.saturating_sub(at.0) as f64 / 1000.0,
        };
        (before, after, seconds)
    }

    /// How a queue changed; a queue that began meanwhile began with nothing.
    pub fn of_queue(&self, id: QueueId) -> Change<QueueReading> {
        let (before, after, seconds) = self.both();
        Change {
            before: before.queues.get(&id).copied().unwrap_or_default(),
            after: after.queues.get(&id).copied().unwrap_or_default(),
            seconds,
        }
    }

    /// How some queues changed together. A queue that ended meanwhile is in neither reading.
    pub fn of_queues(&self, ids: impl IntoIterator<Item = QueueId>) -> Change<QueueReading> {
        let (before, after, seconds) = self.both();
        let mut change = Change {
            seconds,
            ..Change::default()
        };
        for id in ids {
            if let Some(reading) = before.queues.get(&id) {
                change.before = together(&change.before, reading);
            }
            if let Some(reading) = after.queues.get(&id) {
                change.after = together(&change.after, reading);
            }
        }
        change
    }

    /// How the node's own counters changed.
    pub fn of_node(&self) -> Change<NodeCounts> {
        let (before, after, seconds) = self.both();
        Change {
            before: before.node,
            after: after.node,
            seconds,
        }
    }
}

/// What two queues hold and did together.
pub fn together(a: &QueueReading, b: &QueueReading) -> QueueReading {
    let tally = |a: queue::Tally, b: queue::Tally| queue::Tally {
        messages: a.messages + b.messages,
        bytes: a.bytes + b.bytes,
        persistent: a.persistent + b.persistent,
        persistent_bytes: a.persistent_bytes + b.persistent_bytes,
    };
    QueueReading {
        counts: Counts {
            ready: tally(a.counts.ready, b.counts.ready),
            unacked: tally(a.counts.unacked, b.counts.unacked),
            consumers: a.counts.consumers + b.counts.consumers,
        },
        counters: sum_counters(&a.counters, &b.counters),
    }
}

/// Reads until the node stops.
pub async fn sample(samples: Arc<Samples>, node: Arc<Node>) {
    let mut every = tokio::time::interval(INTERVAL);
    loop {
        tokio::select! {
            () = node.stopping().cancelled() => return,
            _ = every.tick() => samples.take(&node),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_change_over_time_and_zero_without_two_readings() {
        let change = Change {
            before: 10u64,
            after: 35,
            seconds: 5.0,
        };
        assert!((change.rate(|n| *n) - 5.0).abs() < f64::EPSILON);
        assert!(Change { seconds: 0.0, ..change }.rate(|n| *n) == 0.0);
        let shrunk = Change {
            before: 10u64,
            after: 0,
            seconds: 5.0,
        };
        assert!((shrunk.rate(|n| *n) + 2.0).abs() < f64::EPSILON);
    }

    #[test]
    fn samples_without_readings_know_no_change() {
        let change = Samples::default().of_queue(QueueId(1));
        assert_eq!((change.before, change.after), Default::default());
        assert!(change.rate(|reading| reading.counts.ready.messages) == 0.0);
    }
}
