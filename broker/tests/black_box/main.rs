//! The broker as a process, seen by a foreign client: TLS, log-in by certificate, the PROXY protocol, delayed messages.
//!
//! Nothing here looks behind the sockets and the log.

mod broker;
mod certificates;
mod delayed;
mod external;
mod proxy;
mod tls;
