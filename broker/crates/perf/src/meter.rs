//! The counters of a run, shared by all tasks of its one thread.

use crate::clock::Clock;
use crate::latency::Latencies;
use std::cell::{Cell, RefCell};
use tokio::sync::Notify;

/// A number that is added to.
#[derive(Default)]
pub(crate) struct Count(Cell<u64>);

impl Count {
    pub(crate) fn add(&self, more: u64) {
        self.0.set(self.0.get() + more);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.get()
    }
}

/// What has happened so far.
pub(crate) struct Meter {
    pub(crate) clock: Clock,
    /// Marks the bodies of this run.
    pub(crate) run: u32,
    pub(crate) published: Count,
    pub(crate) consumed: Count,
    pub(crate) redelivered: Count,
    /// Consumed, but sent by somebody else or an earlier run.
    pub(crate) foreign: Count,
    pub(crate) confirmed: Count,
    pub(crate) nacked: Count,
    /// Producers whose last publish was taken by the broker.
    pub(crate) finished: Count,
    /// Producers that the broker has blocked.
    pub(crate) blocked: Cell<u64>,
    /// When the last message was consumed, in nanoseconds.
    pub(crate) consumed_last: Cell<u64>,
    /// No more publishing.
    pub(crate) stopping: Cell<bool>,
    pub(crate) latencies: RefCell<Latencies>,
    pub(crate) confirm_latencies: RefCell<Latencies>,
    /// Since the last progress line.
    pub(crate) recent: RefCell<Latencies>,
    /// Something was consumed or confirmed, or publishing is over.
    pub(crate) progress: Notify,
}

impl Meter {
    pub(crate) fn new(run: u32) -> Self {
        Meter {
            clock: Clock::start(),
            run,
            published: Count::default(),
            consumed: Count::default(),
            redelivered: Count::default(),
            foreign: Count::default(),
            confirmed: Count::default(),
            nacked: Count::default(),
            finished: Count::default(),
            blocked: Cell::new(0),
            consumed_last: Cell::new(0),
            stopping: Cell::new(false),
            latencies: RefCell::new(Latencies::new()),
            confirm_latencies: RefCell::new(Latencies::new()),
            recent: RefCell::new(Latencies::new()),
            progress: Notify::new(),
        }
    }

    /// `count` messages that took `nanos` from publish to here.
    pub(crate) fn took(&self, nanos: u64, count: u64) {
        self.latencies.borrow_mut().record(nanos, count);
        self.recent.borrow_mut().record(nanos, count);
    }

    pub(crate) fn stop(&self) {
        self.stopping.set(true);
        self.progress.notify_waiters();
    }
}
