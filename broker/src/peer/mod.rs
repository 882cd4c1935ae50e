//! The peer port: who knows the cluster's secret comes in, and is served by channel. The command line is one.
//!
//! Strangers get a challenge and little time; nothing they send is believed, stored or answered with more than a word.

mod cli;
mod listener;
mod secret;
mod stream;

pub use listener::{Peers, serve};
pub use secret::Secrets;
