//! Exchanges and bindings. The default exchange has the empty name and one implicit binding for each queue.
//! Neither is checked here: a shape may hold what no broker would accept.

use crate::{Arguments, Rates};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// `GET /exchanges/{vhost}/{exchange}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Exchange {
    /// Name.
    pub name: String,
    /// Where.
    pub vhost: String,
    /// Such as `topic`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Whether it survives a restart.
    pub durable: bool,
    /// Whether it goes when its last binding does.
    pub auto_delete: bool,
    /// Whether clients may not publish to it.
    pub internal: bool,
    /// Arguments of its declaration.
    pub arguments: Arguments,
    /// Policy that applies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// Who declared it.
    pub user_who_performed_action: String,
    /// What happened to messages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_stats: Option<Rates>,
    /// Publishers by channel; single exchange only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incoming: Option<Vec<Value>>,
    /// Queues it routed to; single exchange only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outgoing: Option<Vec<Value>>,
}

/// What a binding leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DestinationType {
    /// A queue.
    Queue,
    /// Another exchange.
    Exchange,
}

/// `GET /bindings/{vhost}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Binding {
    /// The exchange.
    pub source: String,
    /// Where.
    pub vhost: String,
    /// What it leads to.
    pub destination: String,
    /// Which of both that is.
    pub destination_type: DestinationType,
    /// Routing key or pattern.
    pub routing_key: String,
    /// Arguments.
    pub arguments: Arguments,
    /// Names this binding among those of the same pair; opaque to clients.
    pub properties_key: String,
}
