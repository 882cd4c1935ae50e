//! Log lines as messages: the topic exchange `amq.rabbitmq.log` of the default virtual host, routed by level.
//!
//! What is published here causes no log line of its own that is published again (`observe::log`).

use model::{Refusal, Table, Value, VhostName};
use session::Publication;

use super::node::Node;

/// Where log lines go.
pub const EXCHANGE: &str = "amq.rabbitmq.log";

/// A log line as a message.
#[derive(Clone, Debug)]
pub struct LogMessage {
    /// Level, the routing key.
    pub level: String,
    /// Seconds since the Unix epoch.
    pub at: u64,
    /// `text/plain` or `application/json`.
    pub content_type: &'static str,
    /// The line.
    pub body: String,
}

impl Node {
    /// Declares the exchange unless it is there.
    ///
    /// # Errors
    /// The default virtual host is gone, or names something that cannot be.
    pub async fn declare_log_exchange(&self) -> Result<VhostName, Refusal> {
        self.declare_own_exchange(&self.config().access.default_vhost, "default_vhost", EXCHANGE)
            .await
    }

    /// Publishes a log line. Nobody is there to be told that it found no room.
    pub fn publish_log(&self, vhost: &VhostName, message: &LogMessage) {
        let properties = wire::Properties {
            content_type: Some(message.content_type.to_owned()),
            headers: Some(Table::from([("node", Value::from(self.name().as_ref()))])),
            timestamp: Some(message.at),
            ..wire::Properties::default()
        };
        // A node's name and a time always fit.
        let Ok(properties) = properties.encode() else { return };
        let publication = Publication {
            exchange: EXCHANGE.as_bytes(),
            routing_key: message.level.as_bytes(),
            mandatory: false,
            properties: &properties,
            headers: None,
            extra_keys: &[],
            body: message.body.as_bytes(),
            persistent: false,
            priority: 0,
            ttl: None,
            fault: None,
        };
        self.publish_to_own_exchange(vhost, EXCHANGE, &publication);
    }
}
