//! Nodes among themselves on the peer port: after the handshake both introduce themselves, then questions and answers
//! cross each other on one connection a direction.
//!
//! What is asked and answered is `cluster`'s business.

mod call;
mod packet;
mod serve;
#[cfg(test)]
mod tests;

pub use call::TcpTransport;
pub(super) use serve::{Serving, serve};
