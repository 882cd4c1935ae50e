//! The firehose: while a virtual host is traced, what is published and delivered there is copied to `amq.rabbitmq.trace`.
//!
//! Copies are made where the message passes and routed as errands, when no queue is locked. A copy is never copied
//! again, not even one that came back as a dead letter. Without tracing, a message costs one look at a flag.

use model::{QueueName, Table, Value, VhostName};
use session::Publication;
use std::sync::Arc;

use super::{
    cell::QueueCell,
    client::Client,
    errands::Errand,
    message::Message,
    node::{Node, Snapshot},
    route::Route,
};

/// Where copies are published.
pub const EXCHANGE: &str = "amq.rabbitmq.trace";
/// Longest routing key, in octets.
const KEY_BYTES_MAX: usize = 255;

/// Who publishes, or to whom is delivered.
#[derive(Clone, Debug)]
pub struct Party {
    /// The connection's name.
    pub connection: String,
    /// Channel number.
    pub channel: u16,
    /// User.
    pub user: String,
}

/// A message seen in passing, to be copied.
#[derive(Debug)]
pub struct Sighting {
    vhost: VhostName,
    key: Vec<u8>,
    message: Message,
    /// Keys from CC and BCC.
    extra_keys: Vec<Vec<u8>>,
    redelivered: Option<bool>,
    party: Party,
    routed: Option<Vec<Value>>,
}

impl Party {
    /// A channel of an AMQP connection.
    pub fn of(client: &Client, channel: u16) -> Self {
        Party {
            connection: client.name(),
            channel,
            user: client
                .with_profile(|profile| profile.user.to_string())
                .unwrap_or_default(),
        }
    }

    /// Somebody who came over HTTP and has no connection to name.
    pub fn over_http(identity: &catalog::Client) -> Self {
        Party {
            connection: "management".to_owned(),
            channel: 1,
            user: identity.user.to_string(),
        }
    }
}

impl Sighting {
    /// A message that is published.
    pub fn of_publish(vhost: &VhostName, party: Party, publication: &Publication<'_>, route: &Route) -> Self {
        let here = route.cells.iter().map(|cell| cell.name.as_str());
        let there = route.remotes.iter().flat_map(|remote| &remote.names);
        let queues = here.chain(there.map(QueueName::as_str));
        let routed = queues.chain(route.direct_reply.as_deref()).map(Value::from).collect();
        Sighting {
            vhost: vhost.clone(),
            key: key("publish.", publication.exchange),
            message: Message::keep(publication, &mut Vec::new()),
            extra_keys: publication.extra_keys.to_vec(),
            redelivered: None,
            party,
            routed: Some(routed),
        }
    }

    /// A message that goes out of a queue; none if it is a copy itself.
    pub fn of_delivery(cell: &QueueCell, party: Party, message: Message, redelivered: bool) -> Option<Self> {
        let headers = || {
            wire::Properties::decode(message.properties())
                .unwrap_or_default()
                .headers
        };
        let headers = (!is_copy(&message, None)).then(headers)?.unwrap_or_default();
        (!is_copy(&message, Some(&headers))).then(|| Sighting {
            vhost: cell.vhost.clone(),
            key: key("deliver.", cell.name.as_str().as_bytes()),
            extra_keys: carbon_copies(&headers),
            message,
            redelivered: Some(redelivered),
            party,
            routed: None,
        })
    }

    /// In RabbitMQ's order.
    fn headers(&self, node: &str) -> Table {
        let octets = |octets: &[u8]| Value::LongStr(octets.to_vec());
        let keys = std::iter::once(self.message.routing_key()).chain(self.extra_keys.iter().map(Vec::as_slice));
        let mut headers = Table::from([
            ("exchange_name", octets(self.message.exchange())),
            ("routing_keys", Value::Array(keys.map(octets).collect())),
            ("properties", Value::Table(shown(self.message.properties()))),
            ("node", node.into()),
        ]);
        if let Some(redelivered) = self.redelivered {
            headers.set("redelivered", Value::I32(redelivered.into()));
        }
        headers.set("vhost", self.vhost.as_str().into());
        headers.set("connection", self.party.connection.as_str().into());
        headers.set("channel", Value::I32(self.party.channel.into()));
        headers.set("user", self.party.user.as_str().into());
        if let Some(routed) = &self.routed {
            headers.set("routed_queues", Value::Array(routed.clone()));
        }
        headers
    }
}

fn key(event: &str, name: &[u8]) -> Vec<u8> {
    let mut key = [event.as_bytes(), name].concat();
    key.truncate(KEY_BYTES_MAX);
    key
}

/// Copies keep the exchange that they were published to; as dead letters they tell it in their headers.
fn is_copy(message: &Message, headers: Option<&Table>) -> bool {
    let first_death = || headers?.get("x-first-death-exchange")?.as_text();
    message.exchange() == EXCHANGE.as_bytes() || first_death() == Some(EXCHANGE)
}

fn carbon_copies(headers: &Table) -> Vec<Vec<u8>> {
    let Some(Value::Array(keys)) = headers.get("CC") else {
        return Vec::new();
    };
    let octets = |key: &Value| match key {
        Value::LongStr(octets) => Some(octets.clone()),
        _ => None,
    };
    keys.iter().filter_map(octets).collect()
}

/// Properties as a table, in RabbitMQ's order: last first.
fn shown(properties: &[u8]) -> Table {
    // Checked when the message came in.
    let properties = wire::Properties::decode(properties).unwrap_or_default();
    let text = |text: Option<String>| text.map(|text| Value::from(text.as_str()));
    let number = |number: u64| i32::try_from(number).map_or_else(|_| Value::U64(number), Value::I32);
    let pairs = [
        ("cluster_id", text(properties.cluster_id)),
        ("app_id", text(properties.app_id)),
        ("user_id", text(properties.user_id)),
        ("type", text(properties.kind)),
        ("timestamp", properties.timestamp.map(number)),
        ("message_id", text(properties.message_id)),
        ("expiration", text(properties.expiration)),
        ("reply_to", text(properties.reply_to)),
        ("correlation_id", text(properties.correlation_id)),
        ("priority", properties.priority.map(|priority| number(priority.into()))),
        (
            "delivery_mode",
            properties.delivery_mode.map(|mode| number(mode.into())),
        ),
        ("headers", properties.headers.map(Value::Table)),
        ("content_encoding", text(properties.content_encoding)),
        ("content_type", text(properties.content_type)),
    ];
    let present = pairs
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Table(present.collect())
}

impl Snapshot {
    /// True while the virtual host is traced.
    pub fn is_traced(&self, vhost: &VhostName) -> bool {
        let record = self.catalog.vhost(vhost.as_str());
        record.is_some_and(|record| record.metadata().tracing)
    }

    /// Tells the queues of a virtual host whether it is traced.
    pub(super) fn follow_tracing(&self, vhost: &VhostName) {
        let traced = self.is_traced(vhost);
        let record = self.catalog.vhost(vhost.as_str());
        for queue in record.iter().flat_map(|record| record.queues()) {
            if let Some(cell) = self.cell(queue.id) {
                cell.set_traced(traced);
            }
        }
    }
}

impl Node {
    /// Publishes the copy. Nobody is there to be told that it found no room.
    pub(super) fn copy(&self, seen: &Sighting, touched: &mut Vec<Arc<Client>>, caused: &mut Vec<Errand>) {
        let properties = wire::Properties {
            headers: Some(seen.headers(self.name())),
            ..wire::Properties::default()
        };
        let properties = match properties.encode() {
            Ok(properties) => properties,
            Err(error) => return tracing::warn!(vhost = %seen.vhost, "message not traced: {error}"),
        };
        let publication = Publication {
            exchange: EXCHANGE.as_bytes(),
            routing_key: &seen.key,
            mandatory: false,
            properties: &properties,
            headers: None,
            extra_keys: &[],
            body: seen.message.body(),
            persistent: false,
            priority: 0,
            ttl: None,
            fault: None,
        };
        let route = self.snapshot().route_unchecked(&seen.vhost, EXCHANGE, &publication);
        self.send_on(&route, &publication, touched, caused);
    }
}

#[cfg(test)]
mod tests {
    use super::{super::journal::Journal, *};

    fn message(exchange: &[u8], properties: wire::Properties) -> Message {
        let publication = Publication {
            exchange,
            routing_key: b"k",
            mandatory: false,
            properties: &properties.encode().unwrap(),
            headers: None,
            extra_keys: &[],
            body: b"body",
            persistent: false,
            priority: 0,
            ttl: None,
            fault: None,
        };
        Message::keep(&publication, &mut Vec::new())
    }

    fn with_headers<const N: usize>(pairs: [(&str, Value); N]) -> wire::Properties {
        wire::Properties {
            headers: Some(Table::from(pairs)),
            ..wire::Properties::default()
        }
    }

    fn delivered(message: Message) -> Option<Sighting> {
        let settings = queue::Settings::default();
        let queue = queue::Queue::new(settings, false, model::Millis(0));
        let name = "q".repeat(255).parse().unwrap();
        let cell = QueueCell::new(
            model::QueueId(1),
            "v".parse().unwrap(),
            name,
            queue,
            Journal::idle(),
            super::super::letters::Letters::default(),
        );
        let party = Party {
            connection: "c".to_owned(),
            channel: 3,
            user: "u".to_owned(),
        };
        Sighting::of_delivery(&cell, party, message, true)
    }

    #[test]
    fn a_copy_is_never_copied_again_even_as_a_dead_letter() {
        let death = with_headers([("x-first-death-exchange", EXCHANGE.into())]);
        assert!(delivered(message(EXCHANGE.as_bytes(), wire::Properties::default())).is_none());
        assert!(delivered(message(b"dlx", death)).is_none());
        assert!(delivered(message(b"x", wire::Properties::default())).is_some());
    }

    #[test]
    fn a_delivery_is_described_with_all_its_keys_and_a_key_that_fits_the_wire() {
        let keys = Value::Array(vec!["cc".into(), Value::I32(1)]);
        let seen = delivered(message(b"x", with_headers([("CC", keys.clone())]))).unwrap();
        assert_eq!(seen.key.len(), KEY_BYTES_MAX);
        assert!(seen.key.starts_with(b"deliver.qqq"));
        let expected = Table::from([
            ("exchange_name", "x".into()),
            ("routing_keys", Value::Array(vec!["k".into(), "cc".into()])),
            (
                "properties",
                Value::Table(Table::from([("headers", Value::Table(Table::from([("CC", keys)])))])),
            ),
            ("node", "rabbit@h".into()),
            ("redelivered", Value::I32(1)),
            ("vhost", "v".into()),
            ("connection", "c".into()),
            ("channel", Value::I32(3)),
            ("user", "u".into()),
        ]);
        assert_eq!(seen.headers("rabbit@h"), expected);
    }
}
