//! What whoever looks after a cluster says of copies of queues on a node's admin port.

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// A queue by its virtual host and name.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct QueueName {
    /// Virtual host.
    pub vhost: String,
    /// Name.
    pub name: String,
}

/// `GET /queues?from=N`: the queues of which the node has a copy, a part of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueCopies {
    /// Some, in an order that stays.
    pub queues: Vec<QueueCopy>,
    /// What `from` is for those that follow, if there are more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
}

/// A queue of which the node has a copy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueCopy {
    /// Which one.
    #[serde(flatten)]
    pub queue: QueueName,
    /// `classic` or `quorum`.
    #[serde(rename = "type")]
    pub kind: String,
    /// It survives restarts.
    pub durable: bool,
    /// It belongs to one connection.
    pub exclusive: bool,
    /// The node that leads it.
    pub leader: String,
    /// Nodes that run and have a copy beside the leader's.
    pub mirrors: Vec<String>,
    /// Those of them that have every confirmed message.
    pub synchronised: Vec<String>,
    /// Messages, where the node leads it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub messages: Option<u64>,
    /// Nodes to which a policy ties it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tied_to: Vec<String>,
}

/// `POST /transfers`: queues that the node leads are to be led elsewhere.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TransferOrder {
    /// These; all if none is named.
    #[serde(default)]
    pub queues: BTreeSet<QueueName>,
    /// By these nodes; by any if none is named.
    #[serde(default)]
    pub to: BTreeSet<String>,
}

/// What came of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transferred {
    /// Queues that another node leads now.
    pub moved: u64,
    /// Queues that were meant and stay: no such node has a mirror in sync.
    pub stay: u64,
}

/// `POST /rebalance`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RebalanceOrder {
    /// Say what would be done, and do nothing.
    #[serde(default)]
    pub dry_run: bool,
    /// Virtual hosts, by a pattern; all if there is none.
    #[serde(default = "any")]
    pub vhost_pattern: String,
    /// Queues, by a pattern; all if there is none.
    #[serde(default = "any")]
    pub queue_pattern: String,
}

fn any() -> String {
    ".*".to_owned()
}

/// A queue's way to another leader.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Move {
    /// Which one.
    #[serde(flatten)]
    pub queue: QueueName,
    /// Who leads it.
    pub from: String,
    /// Who would.
    pub to: String,
}

/// What is done, or would be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rebalanced {
    /// How many queues.
    pub count: u64,
    /// Queue by queue, the first 10,000 of them.
    pub moves: Vec<Move>,
}
