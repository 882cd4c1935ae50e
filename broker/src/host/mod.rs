//! The shell around the machines: sockets, tasks, locks, clocks and chance.
//!
//! Here things are done and nothing is decided. The data path is described in ARCHITECTURE.md, "The life of a publish".

pub mod alarms;
mod batch;
mod cell;
mod client;
mod clients;
mod connection;
mod consumers;
mod content;
mod control;
mod dead_letter;
mod direct_reply;
mod first_start;
pub mod listener;
mod message;
mod names;
mod node;
mod notes;
mod outbox;
mod pool;
mod proxy;
mod requests;
mod route;
mod socket;
mod timers;
pub mod tls;

pub use client::Client;
pub use node::{Node, Snapshot};
pub use timers::run as run_timers;
