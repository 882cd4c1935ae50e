//! The broker as a process, seen by a foreign client: TLS, log-in by certificate, the PROXY protocol, delayed messages,
//! definitions that outlive the process, backups, disks and directories that cannot be used, an app that is stopped and
//! started in it, plugins switched while it runs, nodes of two releases, settings that take effect, log lines.
//!
//! Nothing here looks behind the sockets and the log.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod admin_definitions;
mod backup;
mod broker;
mod certificates;
mod cluster;
mod definitions;
mod delayed;
mod detached;
mod disk_trouble;
mod evacuation;
mod events;
mod external;
mod given;
mod hand_over;
mod leadership;
mod leaving;
mod lifecycle;
mod lists;
mod logging;
mod machines;
mod messages;
mod mirroring;
mod monitoring;
mod plugins;
#[path = "../ports/mod.rs"]
mod ports;
mod proxy;
mod releases;
mod settings;
mod tls;
