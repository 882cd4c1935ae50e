//! Virtual hosts. Statistics are there once something happened in one.
//! Limits have their own shape, as they have their own path.

use crate::{Limits, Rates};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// `GET /vhosts/{vhost}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Vhost {
    /// Name.
    pub name: String,
    /// For people.
    pub description: String,
    /// For people.
    pub tags: Vec<String>,
    /// Type of queues that do not say; the word `undefined` when there is none.
    pub default_queue_type: String,
    /// Description and tags once more.
    pub metadata: BTreeMap<String, Value>,
    /// Whether messages are traced.
    pub tracing: bool,
    /// Whether it cannot be deleted; not said of one that can, of which RabbitMQ 3 knows nothing else.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub protected_from_deletion: bool,
    /// `running` or `stopped` by node.
    pub cluster_state: BTreeMap<String, String>,
    /// What happened to messages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_stats: Option<Rates>,
    /// Messages and octets, with their rates.
    #[serde(flatten)]
    pub totals: Rates,
}

/// `GET /vhost-limits`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct VhostLimits {
    /// Where.
    pub vhost: String,
    /// Its limits.
    pub value: Limits,
}
