//! Log lines as messages: the topic exchange `amq.rabbitmq.log` of the default virtual host, routed by level.
//!
//! What is published here causes no log line of its own that is published again (`observe::log`).

use catalog::{Command, ExchangeSpec};
use model::{ExchangeKind, ExchangeName, Refusal, Table, UserName, Value, VhostName};
use session::Publication;

use super::node::Node;

/// Where log lines go.
pub const EXCHANGE: &str = "amq.rabbitmq.log";
/// Who declares it.
const USER: &str = "rmq-internal";

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
        let wrong = |what: &str| Refusal::connection(model::ReplyCode::InternalError, what.to_owned());
        let vhost: VhostName = self
            .config()
            .access
            .default_vhost
            .parse()
            .map_err(|_| wrong("default_vhost names no virtual host"))?;
        let name: ExchangeName = EXCHANGE.parse().map_err(|_| wrong("no exchange name"))?;
        let user: UserName = USER.parse().map_err(|_| wrong("no user name"))?;
        if !self.has_exchange(&vhost, EXCHANGE) {
            let spec = ExchangeSpec {
                vhost: vhost.clone(),
                name,
                kind: ExchangeKind::Topic,
                durable: true,
                auto_delete: false,
                internal: true,
                arguments: Table::default(),
                user,
            };
            self.commit(Command::DeclareExchange(spec)).await?;
        }
        Ok(vhost)
    }

    fn has_exchange(&self, vhost: &VhostName, name: &str) -> bool {
        let snapshot = self.snapshot();
        let record = snapshot.catalog.vhost(vhost.as_str());
        record.is_some_and(|record| record.exchange(name).is_some())
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
        let (mut touched, mut errands) = (Vec::new(), Vec::new());
        let route = self.snapshot().route_unchecked(vhost, EXCHANGE, &publication);
        self.send_on(&route, &publication, &mut touched, &mut errands);
        self.run_errands(errands, &mut touched);
        self.flush(&mut touched);
    }
}
