//! Nodes that agree on one log, by the library `openraft`: the only room that knows it.
//!
//! Entries are batches of commands: the library writes one entry at a time, so all that comes while one is written goes
//! into the next.

mod alone;
mod log_store;
#[cfg(test)]
mod many_tests;
mod members;
mod messages;
mod network;
mod proposer;
mod service;
mod state_machine;
mod store;
mod take_over;
#[cfg(test)]
mod tests;
mod turns;
mod types;
mod waiting;

pub use members::{Change, Reigns};
pub use store::{Opening, RaftStore, Timing};
pub use take_over::MoveError;
