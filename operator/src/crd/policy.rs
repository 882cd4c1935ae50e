//! The `Policy` resource: what a user may ask of the queues and exchanges of a cluster by their names. Doc comments here are what
//! `kubectl explain` shows.
//!
//! Mirroring has fields with types; every other key of a RabbitMQ policy goes into `definition` as it is. The `ha-*` keys are declared
//! there all the same, since a rule can speak of declared fields only.

use std::collections::BTreeMap;

use kube::{CustomResource, KubeSchema};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::policy_status::PolicyStatus;

/// A policy of the brokers of a RabbitCluster: which queues and exchanges it is for, and what holds for them.
#[derive(CustomResource, Clone, Debug, PartialEq, Deserialize, Serialize, KubeSchema)]
#[kube(
    group = "warren.dev",
    version = "v1alpha1",
    kind = "Policy",
    plural = "policies",
    shortname = "rmqpolicy",
    category = "rabbit",
    namespaced,
    doc = "A policy of the brokers of a RabbitCluster: which queues and exchanges it is for, and what holds for them.",
    status = "PolicyStatus",
    derive = "PartialEq",
    printcolumn(name = "Cluster", type_ = "string", json_path = ".spec.clusterRef.name"),
    printcolumn(name = "Vhost", type_ = "string", json_path = ".spec.vhost"),
    printcolumn(name = "Pattern", type_ = "string", json_path = ".spec.pattern"),
    printcolumn(name = "ApplyTo", type_ = "string", json_path = ".spec.applyTo"),
    printcolumn(name = "Priority", type_ = "integer", json_path = ".spec.priority"),
    printcolumn(
        name = "Applied",
        type_ = "string",
        description = "Whether the brokers have it as it is written here",
        json_path = ".status.conditions[?(@.type==\"Applied\")].status"
    ),
    printcolumn(
        name = "Synced",
        type_ = "string",
        description = "Mirrors in sync of mirrors wanted; - for a policy that mirrors nothing",
        json_path = ".status.summary.synced"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(
        name = "Queues",
        type_ = "integer",
        description = "Queues that obey it",
        priority = 1,
        json_path = ".status.matched.queues"
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        description = "Why it is not in force, not feasible, or not in sync",
        priority = 1,
        json_path = ".status.summary.reason"
    ),
    validation = Rule::new(
        "has(self.spec.name) == has(oldSelf.spec.name) && (!has(self.spec.name) || self.spec.name == oldSelf.spec.name)"
    ).message("name cannot change: make another Policy and delete this one"),
    validation = Rule::new("self.spec.vhost == oldSelf.spec.vhost")
        .message("vhost cannot change: make another Policy and delete this one"),
    validation = Rule::new(
        "self.spec.clusterRef.name == oldSelf.spec.clusterRef.name && has(self.spec.clusterRef.__namespace__) == has(oldSelf.spec.clusterRef.__namespace__) && (!has(self.spec.clusterRef.__namespace__) || self.spec.clusterRef.__namespace__ == oldSelf.spec.clusterRef.__namespace__)"
    ).message("clusterRef cannot change: make another Policy and delete this one"),
    validation = Rule::new("has(self.spec.mirroring) || has(self.spec.definition)")
        .message("give mirroring, or a definition such as {message-ttl: 60000}, or both: a policy must say something"),
    validation = Rule::new(
        "!has(self.spec.mirroring) || !has(self.spec.definition) || !(has(self.spec.definition.ha__dash__mode) || has(self.spec.definition.ha__dash__sync__dash__mode) || has(self.spec.definition.ha__dash__sync__dash__batch__dash__size) || has(self.spec.definition.ha__dash__promote__dash__on__dash__shutdown) || has(self.spec.definition.ha__dash__promote__dash__on__dash__failure))"
    ).message("definition cannot hold ha-* keys beside mirroring: say it in one of them"),
    validation = Rule::new("!has(self.spec.mirroring) || self.spec.applyTo != 'exchanges'")
        .message("mirroring is for queues: applyTo must be queues, classic_queues or all")
)]
#[serde(rename_all = "camelCase")]
pub struct PolicySpec {
    /// The cluster whose brokers get the policy. It cannot change.
    pub cluster_ref: ClusterRef,

    /// Name of the policy in the brokers. Default: the name of this object. It cannot change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255))]
    pub name: Option<String>,

    /// Virtual host of the queues and exchanges. It cannot change.
    #[serde(default = "default::vhost")]
    #[schemars(length(min = 1, max = 255))]
    pub vhost: String,

    /// Regular expression that is searched in names: ^orders\. for all that begins with 'orders.', the empty text for all.
    #[schemars(length(max = 4096))]
    pub pattern: String,

    /// What the pattern is tried on.
    #[serde(default)]
    pub apply_to: ApplyTo,

    /// Of several policies that fit an object it obeys the one with the highest priority alone.
    #[serde(default)]
    pub priority: i64,

    /// How the queues are mirrored. It becomes the ha-* keys of the policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mirroring: Option<Mirroring>,

    /// Keys of a RabbitMQ policy as they are, such as message-ttl or dead-letter-exchange. Without mirroring it may hold ha-* keys too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "definition")]
    pub definition: Option<BTreeMap<String, Value>>,

    /// What becomes of the brokers' policy when this object is deleted.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
}

/// A RabbitCluster.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub struct ClusterRef {
    /// Its name.
    #[schemars(length(min = 1, max = 40))]
    pub name: String,
    /// Its namespace, if that is another one; the cluster's policyNamespaces must then name ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub namespace: Option<String>,
}

/// What a pattern is tried on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
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

/// How queues are mirrored.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("(self.mode == 'Exactly') == has(self.count)")
        .message("mirroring.count and mode Exactly go together: count says how many nodes hold each queue, the leader counted"),
    validation = Rule::new("(self.mode == 'Nodes') == has(self.nodes)")
        .message("mirroring.nodes and mode Nodes go together: nodes are pods such as orders-server-0, or full node names")
)]
pub struct Mirroring {
    /// Which nodes hold a copy of each queue.
    pub mode: MirrorMode,
    /// With mode Exactly: how many nodes hold each queue, the leader counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(
        validation = Rule::new("self >= 1 && self <= 99")
            .message("mirroring.count must be between 1 (the leader alone) and 99")
    )]
    pub count: Option<i32>,
    /// With mode Nodes: pods such as orders-server-0, or node names such as rabbit@orders-server-0.orders-nodes.shop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 99), inner(length(min = 1, max = 255)))]
    pub nodes: Option<Vec<String>>,
    /// Whether a new mirror gets the messages that are there already by itself.
    #[serde(default)]
    pub sync_mode: SyncMode,
    /// Messages in one batch of a synchronisation. Default: the brokers'.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(
        validation = Rule::new("self >= 1").message("mirroring.syncBatchSize must be at least 1 message")
    )]
    pub sync_batch_size: Option<i32>,
    /// Who may lead when the leader's node stops in order. Default: WhenSynced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promote_on_shutdown: Option<Promote>,
    /// Who may lead when the leader's node is lost. Default: WhenSynced, so that no confirmed message is lost; RabbitMQ's is Always.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promote_on_failure: Option<Promote>,
}

/// Which nodes hold a copy of each queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum MirrorMode {
    /// Every node.
    All,
    /// As many as `count` says.
    Exactly,
    /// Those in `nodes`.
    Nodes,
}

/// Whether a new mirror gets old messages by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum SyncMode {
    /// At once, while the queue goes on.
    #[default]
    Automatic,
    /// When somebody says so: rabbitmqctl sync_queue.
    Manual,
}

/// Which mirrors may lead; by default those in sync alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum Promote {
    /// Those in sync; without one the queue waits for its node.
    WhenSynced,
    /// Any; without one in sync messages are lost.
    Always,
}

/// What becomes of the brokers' policy with the object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum DeletionPolicy {
    /// It is removed.
    #[default]
    Delete,
    /// It stays.
    Retain,
}

/// An open object in which the `ha-*` keys are declared, for the rules.
fn definition(_: &mut SchemaGenerator) -> Schema {
    let text = |description: &str| serde_json::json!({"type": "string", "description": description});
    json_schema!({
        "type": "object",
        "description": "Keys of a RabbitMQ policy as they are, such as message-ttl or dead-letter-exchange. Without mirroring it may hold ha-* keys too.",
        "maxProperties": 100,
        "x-kubernetes-preserve-unknown-fields": true,
        "properties": {
            "ha-mode": text("all, exactly or nodes; mirroring says the same with types."),
            "ha-sync-mode": text("automatic or manual."),
            "ha-sync-batch-size": {"type": "integer", "description": "Messages in one batch of a synchronisation."},
            "ha-promote-on-shutdown": text("when-synced or always."),
            "ha-promote-on-failure": text("when-synced or always."),
        },
    })
}

mod default {
    pub(super) fn vhost() -> String {
        "/".into()
    }
}
