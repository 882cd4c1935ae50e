//! The definitions file: all that a broker is told, to save and to load. A missing section is an empty one, and a queue
//! that does not say is durable. The order of the fields is the order of the export.

use crate::exchange::DestinationType;
use crate::{Arguments, GlobalParameter, Limits, Parameter, Permission, Policy, TopicPermission};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// A definitions file of a whole broker or of one virtual host.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Definitions {
    /// Version that wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rabbit_version: Option<String>,
    /// The same under its newer name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rabbitmq_version: Option<String>,
    /// Product that wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product_name: Option<String>,
    /// Its version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product_version: Option<String>,
    /// Users; none in the file of a virtual host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub users: Option<Vec<UserDefinition>>,
    /// Virtual hosts; none in the file of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vhosts: Option<Vec<VhostDefinition>>,
    /// Permissions; none in the file of a virtual host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permissions: Option<Vec<Permission>>,
    /// Topic permissions; none in the file of a virtual host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic_permissions: Option<Vec<TopicPermission>>,
    /// Parameters.
    #[serde(default)]
    pub parameters: Vec<Parameter>,
    /// Global parameters; none in the file of a virtual host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub global_parameters: Option<Vec<GlobalParameter>>,
    /// Policies.
    #[serde(default)]
    pub policies: Vec<Policy>,
    /// Queues.
    #[serde(default)]
    pub queues: Vec<QueueDefinition>,
    /// Exchanges.
    #[serde(default)]
    pub exchanges: Vec<ExchangeDefinition>,
    /// Bindings.
    #[serde(default)]
    pub bindings: Vec<BindingDefinition>,
}

/// A user in a definitions file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct UserDefinition {
    /// Name.
    pub name: String,
    /// Base64 of salt and hash; empty is no password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_hash: Option<String>,
    /// A password in plain text, in hand-written files; never exported.
    #[serde(default, skip_serializing)]
    pub password: Option<String>,
    /// How it was hashed; when missing, MD5, since only old exports leave it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hashing_algorithm: Option<String>,
    /// A list, or text with commas in older files. It must be there.
    #[serde(default, deserialize_with = "some_tags", skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<String>>,
    /// Limits.
    #[serde(default)]
    pub limits: Limits,
}

/// A virtual host in a definitions file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct VhostDefinition {
    /// Name.
    pub name: String,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// For people.
    #[serde(default, deserialize_with = "tags", skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Type of queues that do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_queue_type: Option<String>,
    /// Description and tags once more.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, Value>,
}

/// A queue in a definitions file; exclusive ones are never there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct QueueDefinition {
    /// Name.
    pub name: String,
    /// Where; the path says it for the file of one virtual host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vhost: Option<String>,
    /// Whether it survives a restart.
    #[serde(default = "yes")]
    pub durable: bool,
    /// Whether it goes when its last consumer does.
    #[serde(default)]
    pub auto_delete: bool,
    /// Such as `classic`; left out by older exports.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Arguments.
    #[serde(default)]
    pub arguments: Arguments,
}

/// An exchange in a definitions file; built-in ones are never there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ExchangeDefinition {
    /// Name.
    pub name: String,
    /// Where; the path says it for the file of one virtual host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vhost: Option<String>,
    /// Such as `topic`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Whether it survives a restart.
    #[serde(default = "yes")]
    pub durable: bool,
    /// Whether it goes when its last binding does.
    #[serde(default)]
    pub auto_delete: bool,
    /// Whether clients may not publish to it.
    #[serde(default)]
    pub internal: bool,
    /// Arguments.
    #[serde(default)]
    pub arguments: Arguments,
}

/// A binding in a definitions file; those of the default exchange are never there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BindingDefinition {
    /// The exchange.
    pub source: String,
    /// Where; the path says it for the file of one virtual host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vhost: Option<String>,
    /// What it leads to.
    pub destination: String,
    /// Which of both that is.
    pub destination_type: DestinationType,
    /// Routing key or pattern.
    #[serde(default)]
    pub routing_key: String,
    /// Arguments.
    #[serde(default)]
    pub arguments: Arguments,
}

fn yes() -> bool {
    true
}

fn some_tags<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<String>>, D::Error> {
    tags(deserializer).map(Some)
}

fn tags<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Tags {
        List(Vec<String>),
        Text(String),
    }
    Ok(match Tags::deserialize(deserializer)? {
        Tags::List(tags) => tags,
        Tags::Text(text) => text
            .split(',')
            .map(str::trim)
            .filter(|tag| !tag.is_empty())
            .map(str::to_owned)
            .collect(),
    })
}
