//! The protocol of one client connection as pure machines: handshake, channels, content assembly,
//! confirms, transactions, unacknowledged deliveries, heartbeats.
//!
//! Octets and answers come in; octets, questions to the node and data-plane calls go out. This room alone
//! closes channels and connections (I10). It must never read a clock, a socket or the catalogue.

mod carbon;
mod channel;
mod close;
mod confirms;
mod connection;
mod content;
mod credentials;
mod death;
mod dispatch;
mod handshake;
mod heartbeat;
mod host;
mod ledger;
mod leg;
mod names;
mod publish;
mod replies;
mod request;

pub use confirms::Point;
pub use connection::{ChannelFacts, Connection, Limits, Step, Tuned};
pub use credentials::Credentials;
pub use death::{DeadLetter, Death, dead_letter, is_cycle};
pub use handshake::server_capabilities;
pub use heartbeat::{Beat, Heartbeat};
pub use host::{Fate, Host, Note, Publication, Receipt, Settle};
pub use ledger::{Ledger, Unacked, UnknownTag};
pub use leg::routed;
pub use publish::publish_alone;
pub use request::{
    Answer, Ask, ConsumeRequest, DeclareExchange, DeclareQueue, ExchangeEnds, LoginOutcome, QueueBinding, Release,
    Request,
};
