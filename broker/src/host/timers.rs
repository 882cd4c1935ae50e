//! One timer for all queues and delayed exchanges: message expiry, unused queues, delays that are over, by next deadline
//! and never by scan.
//!
//! A queue is entered once, under its earliest deadline; a stale entry costs one look. A deleted one is struck off.

use model::{Millis, QueueId};
use parking_lot::Mutex;
use std::{
    collections::BTreeMap,
    sync::{Arc, Weak, atomic::Ordering},
    time::Duration,
};
use tokio::sync::Notify;

use super::{cell::QueueCell, client::Client, errands::Errand, node::Node};

/// Queues by the time at which they want to be looked at.
#[derive(Debug, Default)]
pub struct Timers {
    due: Mutex<Due>,
    left: Mutex<(Vec<Errand>, Vec<Arc<Client>>)>,
    earlier: Notify,
}

/// One entry per queue, found by time and by queue.
#[derive(Debug, Default)]
struct Due {
    by_time: BTreeMap<(Millis, QueueId), Weak<QueueCell>>,
    of_queue: BTreeMap<QueueId, Millis>,
}

impl Due {
    /// Enters a queue unless it is entered earlier.
    fn enter(&mut self, at: Millis, cell: &Arc<QueueCell>) {
        if self.of_queue.get(&cell.id).is_none_or(|entered| *entered > at) {
            self.strike(cell.id);
            self.of_queue.insert(cell.id, at);
            self.by_time.insert((at, cell.id), Arc::downgrade(cell));
        }
    }

    fn strike(&mut self, queue: QueueId) {
        if let Some(at) = self.of_queue.remove(&queue) {
            self.by_time.remove(&(at, queue));
        }
    }

    fn first(&self) -> Option<Millis> {
        self.by_time.first_key_value().map(|((at, _), _)| *at)
    }
}

impl Timers {
    /// Enters a queue.
    pub fn wake_at(&self, at: Millis, cell: &Arc<QueueCell>) {
        let mut due = self.due.lock();
        due.enter(at, cell);
        if due.first() == Some(at) {
            self.earlier.notify_one();
        }
    }

    /// A deleted queue is not looked at any more, however far its deadline was.
    pub fn forget(&self, queue: QueueId) {
        self.due.lock().strike(queue);
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

    /// Queues whose time has come, but no more than others have the patience for.
    fn take_due(&self, now: Millis) -> Vec<Arc<QueueCell>> {
        let mut due = self.due.lock();
        let mut cells = Vec::new();
        while cells.len() < LOOKED_AT_ONCE_MAX
            && let Some(first) = due.by_time.first_entry()
            && first.key().0 <= now
        {
            let ((_, queue), cell) = first.remove_entry();
            due.of_queue.remove(&queue);
            cells.extend(cell.upgrade());
        }
        cells
    }

    fn next(&self) -> Option<Millis> {
        self.due.lock().first()
    }
}

/// Queues looked at before other tasks have their turn.
const LOOKED_AT_ONCE_MAX: usize = 256;
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
        tokio::task::yield_now().await;
    }
}

fn look(node: &Arc<Node>) {
    let now = node.now();
    let (mut errands, mut touched) = std::mem::take(&mut *node.timers().left.lock());
    for cell in node.timers().take_due(now) {
        cell.wakes_at.store(u64::MAX, Ordering::Release);
        node.on_cell(&cell, &mut touched, &mut errands, |work| {
            work.queue.tick(work.now, &mut work.sink);
        });
    }
    node.release_delayed(now, &mut touched, &mut errands);
    node.run_errands(errands, &mut touched);
    node.flush(&mut touched);
}
