//! Publishing and getting over HTTP: for people who look, not for programs that work.
//! Bodies that are no UTF-8 travel as base64.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

/// Body of `POST /exchanges/{vhost}/{exchange}/publish`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Publish {
    /// AMQP properties by name.
    pub properties: Map<String, Value>,
    /// Routing key.
    pub routing_key: String,
    /// The body.
    pub payload: String,
    /// `string` or `base64`.
    pub payload_encoding: String,
}

/// Its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Published {
    /// Whether a queue took it.
    pub routed: bool,
}

/// An item of the answer of `POST /queues/{vhost}/{queue}/get`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GotMessage {
    /// Octets of the whole body.
    pub payload_bytes: u64,
    /// Whether it was delivered before.
    pub redelivered: bool,
    /// Where it was published.
    pub exchange: String,
    /// With what key.
    pub routing_key: String,
    /// How many are left.
    pub message_count: u64,
    /// AMQP properties by name; no property is written as `[]`.
    #[serde(serialize_with = "list_when_empty", deserialize_with = "map_or_list")]
    pub properties: Map<String, Value>,
    /// The body, perhaps cut.
    pub payload: String,
    /// `string` or `base64`.
    pub payload_encoding: String,
}

fn list_when_empty<S: serde::Serializer>(map: &Map<String, Value>, serializer: S) -> Result<S::Ok, S::Error> {
    match map.is_empty() {
        true => serializer.collect_seq(std::iter::empty::<Value>()),
        false => map.serialize(serializer),
    }
}

fn map_or_list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Map<String, Value>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        Map(Map<String, Value>),
        List([Value; 0]),
    }
    Ok(match Either::deserialize(deserializer)? {
        Either::Map(map) => map,
        Either::List([]) => Map::new(),
    })
}
