//! The broker's shell: everything that has sockets, clocks, files and chance, around the pure machines.
//!
//! A library so that its rooms have doors and tests can open them; the binary `warren` only picks a name.

#![allow(
    unreachable_pub,
    reason = "in the shell `pub` says what a file offers to its neighbours; the door is this file"
)]

pub mod admin;
mod app;
mod cluster;
pub mod config;
pub mod detached;
pub mod host;
mod http;
pub mod management;
mod notify;
pub mod observe;
pub mod offline;
pub mod peer;
#[cfg(test)]
#[path = "../tests/ports/mod.rs"]
mod ports;
mod process;
mod renewal;
#[cfg(test)]
mod scratch;
pub mod server;
mod services;
