//! Policies, operator policies and parameters. A definition is kept as JSON: what it means is decided where it is applied.
//! An unknown `apply-to` does not read, so it cannot be stored.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What a policy applies to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GlobalParameter {
    /// Name.
    pub name: String,
    /// Any JSON.
    pub value: Value,
}

/// `GET /policies/{vhost}/{name}` on the admin port: a policy, and what it does to the objects of its virtual host.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PolicyReport {
    /// The policy; absent when there is none of that name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<Policy>,
    /// Queues that obey it.
    #[serde(default)]
    pub queues: u64,
    /// Exchanges that obey it.
    #[serde(default)]
    pub exchanges: u64,
    /// The mirrors of the queues that obey it.
    #[serde(default)]
    pub mirrors: MirrorCounts,
    /// Queues whose mirrors are not all in sync: the first few by name.
    #[serde(default)]
    pub behind: Vec<String>,
    /// Other policies that objects obey although this one fits them too, by name.
    #[serde(default)]
    pub shadowed_by: Vec<ShadowingPolicy>,
}

/// How many mirrors the queues of a policy have. The leader's own copy is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MirrorCounts {
    /// That the policy asks for, as far as there are nodes.
    pub desired: u64,
    /// In sync.
    pub synced: u64,
    /// Being synchronised now.
    pub syncing: u64,
    /// There, without all messages.
    pub unsynced: u64,
}

/// A policy that objects obey in place of another.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ShadowingPolicy {
    /// Its name.
    pub name: String,
    /// Its priority.
    pub priority: i64,
    /// Queues that obey it.
    pub queues: u64,
    /// Exchanges that obey it.
    pub exchanges: u64,
}
