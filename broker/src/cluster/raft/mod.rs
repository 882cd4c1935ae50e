//! Nodes that agree on one log, by the library `openraft`: the only room that knows it.
//!
//! Entries are batches of commands: the library writes one entry at a time, so all that comes while one is written goes
//! into the next.

mod log_store;
mod network;
mod proposer;
mod state_machine;
mod store;
#[cfg(test)]
mod tests;
mod types;
mod waiting;

pub use store::RaftStore;
