//! What the node tells about itself: its log, how fast its counters change, the state of its machine.
//!
//! Reads state and never changes it; nothing here decides anything about messages.

mod log;
mod machine;
mod samples;

pub use log::{LogError, start as start_log};
pub use machine::{Machine, look};
pub use samples::{Change, QueueReading, Samples, sample, together};
