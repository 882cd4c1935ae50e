//! First words on a leg, once both ends have proven the secret: whose work it is. What follows is not known here.

use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// Most octets of the first words and of their answer.
pub const LEG_OPENING_BYTES_MAX: usize = 4096;

/// On behalf of whom a leg is opened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LegOpening {
    /// The node that the client is connected to.
    pub node: String,
    /// Its identity.
    pub uuid: String,
    /// How often it has been started.
    pub incarnation: u64,
    /// The client's connection there.
    pub connection: u64,
    /// Who the client is.
    pub user: String,
    /// Where it works.
    pub vhost: String,
    /// The client's end of its connection.
    pub peer: SocketAddr,
    /// The node's end of it.
    pub local: SocketAddr,
}

/// What the leader of the queues says to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LegVerdict {
    /// Go on.
    Welcome,
    /// It cannot be; why.
    Refused(String),
}
