//! Queues. Statistics are left out until the first ones are there, and by `disable_stats`.
//! Absent numbers read as zero.

use crate::{Arguments, Consumer, Rates};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// A queue in another object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct QueueRef {
    /// Name.
    pub name: String,
    /// Where.
    pub vhost: String,
}

/// The connection that owns an exclusive queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OwnerDetails {
    /// Its name.
    pub name: String,
    /// The client's address.
    pub peer_host: String,
    /// The client's port.
    pub peer_port: u16,
}

/// `GET /queues/{vhost}/{queue}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Queue {
    /// Name.
    pub name: String,
    /// Where.
    pub vhost: String,
    /// Whether it survives a restart.
    pub durable: bool,
    /// Whether it goes when its last consumer does.
    pub auto_delete: bool,
    /// Whether only one connection may use it.
    pub exclusive: bool,
    /// Arguments of its declaration.
    pub arguments: Arguments,
    /// Such as `classic`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Node of the leader.
    pub node: String,
    /// Such as `running`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Policy that applies; null is none.
    #[serde(default)]
    pub policy: Option<String>,
    /// Operator policy that applies; null is none.
    #[serde(default)]
    pub operator_policy: Option<String>,
    /// What both say together.
    #[serde(default)]
    pub effective_policy_definition: Map<String, Value>,
    /// How many consumers.
    #[serde(default)]
    pub consumers: u64,
    /// Share of time in which messages could leave at once, 0 to 1.
    #[serde(default)]
    pub consumer_capacity: f64,
    /// The same under its older name.
    #[serde(default)]
    pub consumer_utilisation: f64,
    /// Tag of the exclusive consumer.
    #[serde(default)]
    pub exclusive_consumer_tag: Option<String>,
    /// Tag of the single active consumer.
    #[serde(default)]
    pub single_active_consumer_tag: Option<String>,
    /// Octets of memory.
    #[serde(default)]
    pub memory: u64,
    /// Since when nothing happens, as `2026-01-02T03:04:05.678+00:00`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_since: Option<String>,
    /// Timestamp property of the oldest message, null if it has none; nothing of a quorum queue.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "some")]
    pub head_message_timestamp: Option<Option<u64>>,
    /// Owner of an exclusive queue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner_pid_details: Option<OwnerDetails>,
    /// Nodes that mirror it; of a queue that has ever been mirrored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slave_nodes: Option<Vec<String>>,
    /// Those of them that have every confirmed message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub synchronised_slave_nodes: Option<Vec<String>>,
    /// Nodes with a copy that may be relied upon, when they run; null of a queue without mirrors, and nothing of a quorum queue.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "some")]
    pub recoverable_slaves: Option<Option<Vec<String>>>,
    /// The node that leads it; quorum queues only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leader: Option<String>,
    /// All nodes that have a copy; quorum queues only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub members: Option<Vec<String>>,
    /// Those of them that run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub online: Option<Vec<String>>,
    /// Messages that mirrors already have, while some are synchronised.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sync_messages: Option<u64>,
    /// What happened to messages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_stats: Option<Rates>,
    /// How it keeps its messages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backing_queue_status: Option<BackingQueueStatus>,
    /// Its consumers; single queue only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consumer_details: Option<Vec<Consumer>>,
    /// Deliveries by channel; single queue only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deliveries: Option<Vec<Value>>,
    /// Publishers by exchange; single queue only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incoming: Option<Vec<Value>>,
    /// Messages and octets by state, `messages`, `messages_ready` and `messages_unacknowledged` with rates.
    #[serde(flatten)]
    pub totals: Totals,
}

/// A null that is there is something.
fn some<'de, D: Deserializer<'de>, T: Deserialize<'de>>(source: D) -> Result<Option<T>, D::Error> {
    T::deserialize(source).map(Some)
}

/// How a queue keeps its messages, as far as that is the same here as in RabbitMQ. Rates are per second.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BackingQueueStatus {
    /// `default` or `lazy`.
    pub mode: String,
    /// Ready messages.
    pub len: u64,
    /// Publishes.
    pub avg_ingress_rate: f64,
    /// Deliveries and gets.
    pub avg_egress_rate: f64,
    /// Deliveries and gets that want an acknowledgement.
    pub avg_ack_ingress_rate: f64,
    /// Acknowledgements.
    pub avg_ack_egress_rate: f64,
    /// Ready messages by priority; of a queue with priorities.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority_lengths: Option<BTreeMap<String, u64>>,
}

/// Messages of a queue.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Totals {
    /// Ready and unacknowledged.
    #[serde(default)]
    pub messages: u64,
    /// Its change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub messages_details: Option<crate::Rate>,
    /// Waiting for a consumer.
    #[serde(default)]
    pub messages_ready: u64,
    /// Its change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub messages_ready_details: Option<crate::Rate>,
    /// Delivered and waiting for an acknowledgement.
    #[serde(default)]
    pub messages_unacknowledged: u64,
    /// Its change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub messages_unacknowledged_details: Option<crate::Rate>,
    /// In memory.
    #[serde(default)]
    pub messages_ram: u64,
    /// Ready ones in memory.
    #[serde(default)]
    pub messages_ready_ram: u64,
    /// Unacknowledged ones in memory.
    #[serde(default)]
    pub messages_unacknowledged_ram: u64,
    /// On disk alone.
    #[serde(default)]
    pub messages_paged_out: u64,
    /// Persistent.
    #[serde(default)]
    pub messages_persistent: u64,
    /// Octets of all bodies.
    #[serde(default)]
    pub message_bytes: u64,
    /// Octets of ready bodies.
    #[serde(default)]
    pub message_bytes_ready: u64,
    /// Octets of unacknowledged bodies.
    #[serde(default)]
    pub message_bytes_unacknowledged: u64,
    /// Octets of bodies in memory.
    #[serde(default)]
    pub message_bytes_ram: u64,
    /// Octets of bodies that are on disk alone.
    #[serde(default)]
    pub message_bytes_paged_out: u64,
    /// Octets of persistent bodies.
    #[serde(default)]
    pub message_bytes_persistent: u64,
    /// Of a quorum queue that dead-letters at least once: dead, and in no other queue yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub messages_dlx: Option<u64>,
    /// Octets of the bodies of those.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_bytes_dlx: Option<u64>,
}
