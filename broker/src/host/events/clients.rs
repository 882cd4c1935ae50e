//! Log-ins, connections, channels, consumers and alarms as events, worded as RabbitMQ words them.
//!
//! Told by the node that a client is connected to. Passwords never come here.

use model::{Table, Value};
use session::ConsumeRequest;

use super::{
    super::{client::Client, node::Node},
    definitions::Told,
    number, term, text,
};

/// What RabbitMQ's events call AMQP 0-9-1.
const PROTOCOL: &str = "{0,9,1}";

/// A consumer of which events tell.
pub(in crate::host) struct Subscriber<'a> {
    /// Who.
    pub client: &'a Client,
    /// Channel number.
    pub channel: u16,
    /// Tag.
    pub tag: &'a str,
    /// From which queue.
    pub queue: &'a str,
}

impl Node {
    /// As the command line shows processes: node, start, number, part.
    pub fn pid(&self, number: u64, part: u64) -> String {
        format!("<{}.{}.{number}.{part}>", self.name(), self.started_at().0 / 1000)
    }

    /// Somebody has logged in over AMQP, or tried; with the reason of a refusal.
    pub(in crate::host) fn tell_login(&self, client: &Client, user: &str, mechanism: &str, refused: Option<&str>) {
        self.tell(|| {
            let mut headers = Vec::new();
            headers.extend(refused.map(|reason| ("error", term::characters(reason))));
            headers.extend([
                ("ssl", Value::Bool(client.outbox().socket.is_tls())),
                ("auth_mechanism", text(mechanism)),
                ("protocol", text(PROTOCOL)),
                ("peer_port", number(client.peer.port())),
                ("peer_host", text(term::address(client.peer.ip()))),
                ("connection_name", text(client.name())),
                ("host", text(term::address(client.local.ip()))),
                ("name", text(user)),
                ("connection_type", text("network")),
            ]);
            match refused {
                Some(_) => ("user.authentication.failure", headers),
                None => ("user.authentication.success", headers),
            }
        });
    }

    /// A connection is open.
    pub(in crate::host) fn tell_connected(&self, client: &Client) {
        self.tell(|| self.connected(client));
    }

    fn connected(&self, client: &Client) -> Told {
        let mut headers = Vec::new();
        if let Some(profile) = client.profile() {
            let tuned = &profile.tuned;
            headers.extend([
                ("user_who_performed_action", text(profile.user.as_str())),
                ("node", text(self.name())),
                ("connected_at", number(client.connected_at.0)),
                ("client_properties", term::shown(&profile.client_properties)),
                ("channel_max", number(tuned.channel_max)),
                ("frame_max", number(tuned.frame_max)),
                ("timeout", number(tuned.heartbeat)),
                ("vhost", text(profile.vhost.as_str())),
                ("user", text(profile.user.as_str())),
                ("protocol", text(PROTOCOL)),
            ]);
            headers.extend(tls(client, &profile.mechanism));
        }
        headers.extend([
            ("peer_host", text(term::address(client.peer.ip()))),
            ("host", text(term::address(client.local.ip()))),
            ("peer_port", number(client.peer.port())),
            ("port", number(client.local.port())),
            ("name", text(client.name())),
            ("pid", text(self.pid(client.id.0, 0))),
            ("type", text("network")),
        ]);
        headers.extend(client.given_name().map(|name| ("user_provided_name", text(name))));
        ("connection.created", headers)
    }

    /// A connection on which a client has said something is gone.
    pub(in crate::host) fn tell_disconnected(&self, client: &Client) {
        self.tell(|| {
            let properties = client.with_profile(|profile| term::shown(&profile.client_properties));
            let mut headers = vec![
                (
                    "client_properties",
                    properties.unwrap_or_else(|| term::shown(&Table::default())),
                ),
                ("node", text(self.name())),
                ("pid", text(self.pid(client.id.0, 0))),
                ("name", text(client.name())),
            ];
            headers.extend(client.given_name().map(|name| ("user_provided_name", text(name))));
            ("connection.closed", headers)
        });
    }

    /// A channel is open.
    pub(in crate::host) fn tell_channel_opened(&self, client: &Client, channel: u16) {
        self.tell(|| {
            let mut headers = vec![by(client)];
            headers.extend(client.with_profile(|profile| ("vhost", text(profile.vhost.as_str()))));
            headers.extend(client.user().map(|user| ("user", text(user.as_str()))));
            headers.extend([
                ("number", number(channel)),
                ("connection", text(self.pid(client.id.0, 0))),
                ("name", text(format!("{} ({channel})", client.name()))),
                ("pid", text(self.pid(client.id.0, channel.into()))),
            ]);
            ("channel.created", headers)
        });
    }

    /// A channel is gone.
    pub(in crate::host) fn tell_channel_closed(&self, client: &Client, channel: u16) {
        self.tell(|| {
            let pid = text(self.pid(client.id.0, channel.into()));
            ("channel.closed", vec![by(client), ("pid", pid)])
        });
    }

    /// A consumer has begun.
    pub(in crate::host) fn tell_consumer_created(&self, who: &Subscriber<'_>, wish: &ConsumeRequest) {
        self.tell(|| {
            let mut headers = vec![
                by(who.client),
                ("arguments", term::shown(&wish.arguments)),
                ("prefetch_count", number(wish.prefetch)),
            ];
            headers.extend(self.place_of(who));
            headers.extend([
                ("ack_required", Value::Bool(!wish.no_ack)),
                ("exclusive", Value::Bool(wish.exclusive)),
                ("consumer_tag", text(who.tag)),
            ]);
            ("consumer.created", headers)
        });
    }

    /// A consumer has ended.
    pub(in crate::host) fn tell_consumer_deleted(&self, who: &Subscriber<'_>) {
        self.tell(|| {
            let mut headers = vec![by(who.client)];
            headers.extend(self.place_of(who));
            headers.push(("consumer_tag", text(who.tag)));
            ("consumer.deleted", headers)
        });
    }

    fn place_of(&self, who: &Subscriber<'_>) -> Vec<(&'static str, Value)> {
        let mut place = vec![("queue", text(who.queue))];
        place.extend(
            who.client
                .with_profile(|profile| ("vhost", text(profile.vhost.as_str()))),
        );
        place.push(("channel", text(self.pid(who.client.id.0, who.channel.into()))));
        place
    }

    /// An alarm of this node was set or cleared.
    pub(in crate::host) fn tell_alarm(&self, source: &'static str, is_on: bool) {
        self.tell(|| {
            let key = if is_on { "alarm.set" } else { "alarm.cleared" };
            (key, vec![("node", text(self.name())), ("source", text(source))])
        });
    }
}

fn by(client: &Client) -> (&'static str, Value) {
    let user = client.user().map_or("", |user| user.as_str());
    ("user_who_performed_action", text(user))
}

fn tls(client: &Client, mechanism: &str) -> [(&'static str, Value); 9] {
    let facts = client.outbox().socket.tls_facts();
    let shown = |fact: Option<&str>| text(fact.unwrap_or_default());
    [
        ("ssl_hash", shown(facts.hash)),
        ("ssl_cipher", shown(facts.cipher.as_deref())),
        ("ssl_key_exchange", shown(facts.key_exchange.as_deref())),
        ("ssl_protocol", shown(facts.protocol)),
        ("auth_mechanism", text(mechanism)),
        ("peer_cert_validity", shown(facts.validity.as_deref())),
        ("peer_cert_issuer", shown(facts.issuer.as_deref())),
        ("peer_cert_subject", shown(facts.subject.as_deref())),
        ("ssl", Value::Bool(client.outbox().socket.is_tls())),
    ]
}
