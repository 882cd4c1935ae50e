//! One timer for all queues and delayed exchanges: message expiry, unused queues, delays that are over, by next deadline
//! and never by scan.
//!
//! A queue is entered once per earliest deadline; a stale entry costs one look.

use model::{Millis, QueueId};
use parking_lot::Mutex;
use std::{
    collections::BTreeMap,
    sync::{Arc, Weak, atomic::Ordering},
    time::Duration,
};
use tokio::sync::Notify;

use super::{
    cell::{CellSink, Errand, QueueCell},
    client::Client,
    node::Node,
};

/// Queues by the time at which they want to be looked at.
#[derive(Debug, Default)]
pub struct Timers {
    due: Mutex<BTreeMap<(Millis, QueueId), Weak<QueueCell>>>,
    left: Mutex<(Vec<Errand>, Vec<Arc<Client>>)>,
    earlier: Notify,
}

impl Timers {
    /// Enters a queue.
    pub fn wake_at(&self, at: Millis, cell: &Arc<QueueCell>) {
        let first = {
            let mut due = self.due.lock();
            due.insert((at, cell.id), Arc::downgrade(cell));
            due.first_key_value().is_some_and(|((first, _), _)| *first == at)
        };
        if first {
            self.earlier.notify_one();
        }
    }

    /// Something may be due earlier than the timer knows.
    pub fn rouse(&self) {
        self.earlier.notify_one();
    }

    /// Leaves work that cannot be done where it came up: errands to run and clients to flush.
    pub fn leave_errands(&self, mut errands: Vec<Errand>, mut touched: Vec<Arc<Client>>) {
        if errands.is_empty() && touched.is_empty() {
            return;
        }
        let mut left = self.left.lock();
        left.0.append(&mut errands);
        left.1.append(&mut touched);
        self.earlier.notify_one();
    }

    fn take_due(&self, now: Millis) -> Vec<Arc<QueueCell>> {
        let mut due = self.due.lock();
        let later = due.split_off(&(now.next(), QueueId(0)));
        std::mem::replace(&mut *due, later)
            .into_values()
            .filter_map(|cell| cell.upgrade())
            .collect()
    }

    fn next(&self) -> Option<Millis> {
        self.due.lock().first_key_value().map(|((at, _), _)| *at)
    }
}

/// Longest sleep of the timer when nothing is due.
const IDLE_MS: u64 = 3_600_000;

/// Runs until the node stops.
pub async fn run(node: Arc<Node>) {
    loop {
        let next = [node.timers().next(), node.delayed().next()]
            .into_iter()
            .flatten()
            .min();
        let wait = next.map_or(IDLE_MS, |at| at.0.saturating_sub(node.now().0).min(IDLE_MS));
        tokio::select! {
            () = node.stopping().cancelled() => return,
            () = node.timers().earlier.notified() => look(&node),
            () = tokio::time::sleep(Duration::from_millis(wait)) => look(&node),
        }
    }
}

fn look(node: &Arc<Node>) {
    let now = node.now();
    let (mut errands, mut touched) = std::mem::take(&mut *node.timers().left.lock());
    for cell in node.timers().take_due(now) {
        cell.wakes_at.store(u64::MAX, Ordering::Release);
        let mut held = cell.hold();
        let mut sink = CellSink {
            cell: &cell,
            touched: &mut touched,
            errands: &mut errands,
            now,
        };
        held.queue.tick(now, &mut sink);
        let wake = cell.wants_waking(&held);
        drop(held);
        if let Some(at) = wake {
            node.timers().wake_at(at, &cell);
        }
    }
    node.release_delayed(now, &mut touched, &mut errands);
    node.run_errands(errands, &mut touched);
    node.flush(&mut touched);
}
