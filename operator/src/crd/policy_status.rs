//! What the operator tells about a policy. Every number is one that a broker told, never one that was hoped for.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the operator last saw.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PolicyStatus {
    /// The generation of the spec that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Fingerprint of what the brokers were last given; empty until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied_hash: Option<String>,
    /// Uid of the RabbitCluster whose brokers were given it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied_to: Option<String>,
    /// The columns of `kubectl get`.
    #[serde(default)]
    pub summary: PolicySummary,
    /// The objects that obey it.
    #[serde(default)]
    pub matched: Matched,
    /// The mirrors of its queues.
    #[serde(default)]
    pub mirrors: Mirrors,
    /// Queues whose mirrors are not all in sync: the first few by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub behind: Vec<String>,
    /// Policies that objects obey although this one fits them too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shadowed_by: Vec<Shadow>,
    /// Conditions: Ready, Applied, Feasible, MirrorsSynced, DriftRepaired, Reconciling, Stalled.
    #[serde(default)]
    pub conditions: Vec<Condition>,
}

/// What `kubectl get` shows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PolicySummary {
    /// Mirrors in sync of mirrors wanted, such as 27/28; - for a policy that mirrors nothing.
    #[serde(default)]
    pub synced: String,
    /// The most important reason why it is not in force or not in sync; empty when all is well.
    #[serde(default)]
    pub reason: String,
}

/// The objects that obey a policy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Matched {
    /// Queues.
    #[serde(default)]
    pub queues: u64,
    /// Exchanges.
    #[serde(default)]
    pub exchanges: u64,
}

/// Mirrors, the leaders' own copies not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Mirrors {
    /// Wanted, as far as there are nodes.
    #[serde(default)]
    pub desired: u64,
    /// In sync.
    #[serde(default)]
    pub synced: u64,
    /// Being synchronised.
    #[serde(default)]
    pub syncing: u64,
    /// There, without all messages.
    #[serde(default)]
    pub unsynced: u64,
}

/// A policy that stands in the way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Shadow {
    /// Its name in the brokers.
    pub name: String,
    /// Its priority.
    pub priority: i64,
    /// Queues that obey it instead.
    #[serde(default)]
    pub queues: u64,
    /// Exchanges that obey it instead.
    #[serde(default)]
    pub exchanges: u64,
}
