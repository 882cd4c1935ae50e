//! The load generator behind `warren perf`: it makes a chosen load on any AMQP 0-9-1 broker and says what came of it.
//!
//! One thread does everything, so that its own cost stays small and visible; only yardsticks have their own. It decides nothing about the broker, and
//! what it declares it deletes again unless told to keep it.

mod client;
mod clock;
mod confirms;
mod consumer;
mod cpu;
mod error;
mod forwarder;
mod latency;
mod load;
mod meter;
mod options;
mod producer;
mod report;
mod run;
mod topology;
mod yardstick;

pub use error::Error;
pub use forwarder::Ports;
pub use options::Options;
pub use report::Report;
pub use run::{main, run};
pub use yardstick::Machine;
