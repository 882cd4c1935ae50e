//! `GET /overview`: what the broker is and how much goes through it. Users without the tag `monitoring` see the
//! totals of their own virtual hosts, and neither listeners nor contexts.

use crate::{Context, Described, Listener, Rates};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How many there are; what the user may not see is left out and counts as zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ObjectTotals {
    /// Channels.
    pub channels: u64,
    /// Connections.
    pub connections: u64,
    /// Consumers.
    pub consumers: u64,
    /// Exchanges.
    pub exchanges: u64,
    /// Queues.
    pub queues: u64,
}

/// Seconds for which samples are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SampleRetention {
    /// Of the whole.
    pub global: Vec<u64>,
    /// Of objects.
    pub basic: Vec<u64>,
    /// Of pairs of objects.
    pub detailed: Vec<u64>,
}

/// `GET /overview`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Overview {
    /// Version of RabbitMQ that the API is compatible with.
    pub management_version: String,
    /// `basic` or `none`.
    pub rates_mode: String,
    /// For how long samples are kept.
    pub sample_retention_policies: SampleRetention,
    /// Exchange types.
    pub exchange_types: Vec<Described>,
    /// Version of the product.
    pub product_version: String,
    /// Name of the product.
    pub product_name: String,
    /// Tags of the cluster, as the node's configuration has them.
    #[serde(default)]
    pub cluster_tags: BTreeMap<String, String>,
    /// Tags of the node that answers.
    #[serde(default)]
    pub node_tags: BTreeMap<String, String>,
    /// Version of RabbitMQ that the broker is compatible with.
    pub rabbitmq_version: String,
    /// Name of the cluster.
    pub cluster_name: String,
    /// Kept because clients read it.
    pub erlang_version: String,
    /// Kept because clients read it.
    pub erlang_full_version: String,
    /// `supported`.
    #[serde(default)]
    pub release_series_support_status: String,
    /// Whether statistics are left out.
    pub disable_stats: bool,
    /// Whether queues show totals all the same.
    pub enable_queue_totals: bool,
    /// What happened to messages.
    pub message_stats: Rates,
    /// What came and went.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub churn_rates: Option<Rates>,
    /// Messages in all queues.
    pub queue_totals: Rates,
    /// How many objects there are.
    pub object_totals: ObjectTotals,
    /// Events that wait to be counted.
    #[serde(default)]
    pub statistics_db_event_queue: u64,
    /// Node that answers; for users with the tag `monitoring` only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// Listeners of all nodes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listeners: Option<Vec<Listener>>,
    /// HTTP applications of all nodes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contexts: Option<Vec<Context>>,
}
