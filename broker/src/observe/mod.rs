//! What the node tells about itself: its log, how fast its counters change, the state of its machine.
//!
//! Reads state and never changes it; nothing here decides anything about messages.

mod client_metrics;
mod environment;
mod exposition;
mod history;
mod log;
mod machine;
mod memory;
mod memory_metrics;
mod metrics;
mod mirror_metrics;
mod node_metrics;
mod pairs;
mod prometheus;
mod queue_metrics;
mod reading;
mod samples;

pub use environment::{environment, variables};
pub use history::{Past, Span};
pub use log::{LogError, LogFiles, publish_log, renew_log_levels, set_log_level, start as start_log, timestamp};
pub use machine::{CRYPTO, Machine, look, run_queue};
pub use memory::{MEMORY_STRATEGY, Memory, bodies, memory};
pub use prometheus::{bind as bind_scrapes, routes as scrape_routes};
pub use reading::{ChannelId, QueueReading, Reading};
pub use samples::{Change, Samples, WholeReading, sample};
