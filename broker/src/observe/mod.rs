//! What the node tells about itself: its log now, its counters and metrics beside it.
//!
//! Reads state and never changes it; nothing here decides anything about messages.

mod log;

pub use log::{LogError, start as start_log};
