//! Nanoseconds since the run was set up: what is stamped into bodies and compared when they arrive.

use std::time::{Duration, Instant};

/// Counts from its making.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock(Instant);

impl Clock {
    pub(crate) fn start() -> Self {
        Clock(Instant::now())
    }

    /// Nanoseconds so far; enough for 580 years.
    pub(crate) fn nanos(self) -> u64 {
        self.0.elapsed().as_nanos() as u64
    }

    pub(crate) fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}
