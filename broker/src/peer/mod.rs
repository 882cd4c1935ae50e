//! The peer port: who knows the cluster's secret comes in, and is served by channel. The command line is one.
//!
//! Strangers get a challenge and little time; nothing they send is believed, stored or answered with more than a word.

mod cli;
mod enter;
mod legs;
mod links;
mod listener;
mod mirrors;
pub mod names;
mod node;
mod pace;
mod secret;
mod stream;
mod tls;

pub use enter::enter;
pub use legs::Dialer;
pub use listener::{Neighbours, Peers, serve};
pub use node::TcpTransport;
pub use secret::Secrets;
pub use stream::write_frames;
