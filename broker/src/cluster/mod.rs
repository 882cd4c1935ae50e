//! The definitions made durable and agreed on: a log that every member keeps, and snapshots of what it comes to.
//!
//! One node is a cluster of one. Only `raft` knows the library that agrees; only `log` and `snapshot` know octets. What
//! the definitions mean is `catalog`'s business, and who obeys them the host's.

pub mod log;
mod meta;
pub mod offline;
pub mod raft;
pub mod snapshot;

pub use meta::{Identity, Machine, MetaStore, Outcome};
