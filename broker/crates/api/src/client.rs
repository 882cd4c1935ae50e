//! Connections, channels and consumers of clients. Names are `peer:port -> host:port`, and with ` (n)` for channels.
//! A value of a single object that lists leave out is optional.

use crate::{Arguments, QueueRef, Rate, Rates};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// `GET /connections/{name}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Connection {
    /// `peer:port -> host:port`.
    pub name: String,
    /// The client property `connection_name`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_provided_name: Option<String>,
    /// Node it is connected to.
    pub node: String,
    /// `network`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Such as `running` or `blocked`.
    pub state: String,
    /// Who.
    pub user: String,
    /// Who, once more.
    pub user_who_performed_action: String,
    /// Where.
    pub vhost: String,
    /// `AMQP 0-9-1`.
    pub protocol: String,
    /// Such as `PLAIN`.
    pub auth_mechanism: String,
    /// Whether TLS is used.
    pub ssl: bool,
    /// Such as `tlsv1.3`; none without TLS.
    #[serde(default)]
    pub ssl_protocol: Option<String>,
    /// Such as `ecdhe_rsa`; `any` where the protocol leaves no choice.
    #[serde(default)]
    pub ssl_key_exchange: Option<String>,
    /// Such as `aes_256_gcm`.
    #[serde(default)]
    pub ssl_cipher: Option<String>,
    /// `aead`: the cipher proves its octets itself.
    #[serde(default)]
    pub ssl_hash: Option<String>,
    /// Whose certificate the client has proved.
    #[serde(default)]
    pub peer_cert_subject: Option<String>,
    /// Who says so.
    #[serde(default)]
    pub peer_cert_issuer: Option<String>,
    /// From when until when it counts.
    #[serde(default)]
    pub peer_cert_validity: Option<String>,
    /// Our address.
    pub host: String,
    /// Our port.
    pub port: u16,
    /// The client's address.
    pub peer_host: String,
    /// The client's port.
    pub peer_port: u16,
    /// Negotiated number of channels.
    pub channel_max: u64,
    /// Negotiated size of frames.
    pub frame_max: u64,
    /// Negotiated heartbeat in seconds.
    pub timeout: u64,
    /// Milliseconds since the Unix epoch.
    pub connected_at: u64,
    /// What the client says of itself.
    pub client_properties: Arguments,
    /// How many channels.
    pub channels: u64,
    /// Octets received.
    pub recv_oct: u64,
    /// Their rate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recv_oct_details: Option<Rate>,
    /// Reads that brought them.
    #[serde(default)]
    pub recv_cnt: u64,
    /// Octets sent.
    pub send_oct: u64,
    /// Their rate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub send_oct_details: Option<Rate>,
    /// Writes that took them.
    #[serde(default)]
    pub send_cnt: u64,
    /// Octets that wait to be sent.
    pub send_pend: u64,
}

/// The connection of a channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ConnectionDetails {
    /// Its name.
    pub name: String,
    /// The client's address.
    pub peer_host: String,
    /// The client's port.
    pub peer_port: u16,
}

/// `GET /channels/{name}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Channel {
    /// Its connection's name and ` (number)`.
    pub name: String,
    /// Number on its connection.
    pub number: u16,
    /// Node.
    pub node: String,
    /// Its connection.
    pub connection_details: ConnectionDetails,
    /// Who.
    pub user: String,
    /// Who, once more.
    pub user_who_performed_action: String,
    /// Where.
    pub vhost: String,
    /// Such as `running` or `flow`.
    pub state: String,
    /// Since when nothing happens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_since: Option<String>,
    /// Limit of each new consumer; 0 is none.
    pub prefetch_count: u64,
    /// Limit of the channel; 0 is none.
    pub global_prefetch_count: u64,
    /// How many consumers.
    pub consumer_count: u64,
    /// Whether publishes are confirmed.
    pub confirm: bool,
    /// Whether it is in transactions.
    pub transactional: bool,
    /// Deliveries that wait for an acknowledgement.
    pub messages_unacknowledged: u64,
    /// Publishes that wait for a confirm.
    pub messages_unconfirmed: u64,
    /// Publishes in the open transaction.
    pub messages_uncommitted: u64,
    /// Acknowledgements in the open transaction.
    pub acks_uncommitted: u64,
    /// What happened to messages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_stats: Option<Rates>,
    /// Its consumers; single channel only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consumer_details: Option<Vec<Consumer>>,
    /// Deliveries by queue; single channel only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deliveries: Option<Vec<Value>>,
    /// Publishes by exchange; single channel only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub publishes: Option<Vec<Value>>,
}

/// The channel of a consumer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChannelDetails {
    /// Name.
    pub name: String,
    /// Number on its connection.
    pub number: u16,
    /// Name of its connection.
    pub connection_name: String,
    /// Node.
    pub node: String,
    /// The client's address.
    pub peer_host: String,
    /// The client's port.
    pub peer_port: u16,
    /// Who.
    pub user: String,
}

/// `GET /consumers`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Consumer {
    /// Tag.
    pub consumer_tag: String,
    /// What it consumes.
    pub queue: QueueRef,
    /// On which channel.
    pub channel_details: ChannelDetails,
    /// Whether it acknowledges.
    pub ack_required: bool,
    /// Whether it is the only one.
    pub exclusive: bool,
    /// Its limit; 0 is none.
    pub prefetch_count: u64,
    /// Whether it gets messages.
    pub active: bool,
    /// `up`, `single_active` or `waiting`.
    pub activity_status: String,
    /// Arguments.
    pub arguments: Arguments,
}
