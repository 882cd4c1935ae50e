//! Policies, operator policies and parameters. A definition is kept as JSON: what it means is decided where it is applied.
//! An unknown `apply-to` does not read, so it cannot be stored.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What a policy applies to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApplyTo {
    /// Queues and exchanges.
    #[default]
    All,
    /// Queues of every type.
    Queues,
    /// Exchanges.
    Exchanges,
    /// Classic queues.
    ClassicQueues,
    /// Quorum queues.
    QuorumQueues,
    /// Streams.
    Streams,
}

/// `GET /policies/{vhost}/{name}`, and the same for operator policies.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    /// Where.
    pub vhost: String,
    /// Name.
    pub name: String,
    /// Pattern of names it applies to.
    pub pattern: String,
    /// What it applies to.
    #[serde(rename = "apply-to", default)]
    pub apply_to: ApplyTo,
    /// Settings by name, such as `message-ttl`.
    pub definition: Map<String, Value>,
    /// The highest wins.
    #[serde(default)]
    pub priority: i64,
}

/// `GET /parameters/{component}/{vhost}/{name}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Parameter {
    /// Such as `vhost-limits`.
    pub component: String,
    /// Where.
    pub vhost: String,
    /// Name.
    pub name: String,
    /// Whatever the component wants.
    pub value: Value,
}

/// `GET /global-parameters/{name}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GlobalParameter {
    /// Name.
    pub name: String,
    /// Any JSON.
    pub value: Value,
}
