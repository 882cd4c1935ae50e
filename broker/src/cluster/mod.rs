//! The definitions made durable and agreed on: a log that every member keeps, and snapshots of what it comes to.
//!
//! One node is a cluster of one. Only `raft` knows the library that agrees; only `log` and `snapshot` know octets; what
//! nodes say to each other is in `transport`, and who may say it is judged at the `door`. What the definitions mean is
//! `catalog`'s business, and who obeys them the host's.

mod bare;
pub mod door;
pub mod lease;
pub mod log;
#[cfg(test)]
pub mod memory;
mod meta;
pub mod offline;
pub mod outside;
pub mod presence;
pub mod raft;
pub mod resolver;
pub mod snapshot;
pub mod successor;
pub mod transport;
pub mod voters;

pub use bare::Bare;
pub use meta::{Identity, Machine, MetaStore, Outcome};
