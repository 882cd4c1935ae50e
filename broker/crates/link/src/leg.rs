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
    /// Drawn by its process.
    pub boot_id: u64,
    /// The cluster that it belongs to.
    pub cluster: String,
    /// What it understands.
    pub level: u32,
    /// The process that it looks for.
    pub leader: LegEnd,
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

/// A process of a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LegEnd {
    /// The node's identity.
    pub uuid: String,
    /// How often it has been started.
    pub incarnation: u64,
}

/// What the leader of the queues says to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LegVerdict {
    /// Go on.
    Welcome,
    /// It cannot be; why.
    Refused(String),
}
