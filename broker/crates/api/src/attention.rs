//! `GET /attention`: what an administrator should look at now. Warren's own; RabbitMQ has no such resource.
//!
//! What is a concern and how grave it is, is decided by the server; here is only how it is told.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What there is to look at, the gravest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Attention {
    /// The node that answers.
    #[serde(default)]
    pub node: String,
    /// One item for each kind of concern.
    pub items: Vec<Concern>,
}

/// How grave a concern is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Something does not work.
    Error,
    /// Something will not work for long.
    Warning,
}

/// A kind of concern with what it concerns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Concern {
    /// Such as `memory_alarm`. Those of queues are also values of the parameter `attention` of `/queues`.
    pub kind: String,
    /// How grave it is.
    pub severity: Severity,
    /// How many nodes or queues it concerns.
    pub count: usize,
    /// The first of them.
    pub examples: Vec<Troubled>,
}

/// A node or a queue with the numbers that are the reason.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Troubled {
    /// The node, or the node that leads the queue.
    pub node: String,
    /// The queue's virtual host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vhost: Option<String>,
    /// The queue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<String>,
    /// What there is: messages of a queue, octets or descriptors of a node.
    pub value: u64,
    /// What was gained in the last minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gained: Option<u64>,
    /// Where the limit is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
}
