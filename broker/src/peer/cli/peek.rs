//! One message of a quorum queue as a tool shows it: its properties, where it came from, the begin of its body, its headers.
//!
//! Nothing is taken. What may be looked at is said in RabbitMQ's words.

use link::{Failure, Term};
use model::Value;
use std::sync::Arc;
use wire::Properties;

use super::{Outcome, map, objects, queues::wait_for};
use crate::host::{Message, Node, Seen};

/// Octets of a body that are shown.
const SHOWN_BYTES_MAX: usize = 64;

pub(super) fn peek(node: &Node, vhost: &str, name: &str, place: u64) -> Outcome {
    let found = node.snapshot().catalog.queue(vhost, name).cloned();
    let record: Arc<catalog::QueueRecord> = found.ok_or(Failure::NotFound)?;
    if !record.is_quorum() {
        let kind = record.args.kind.as_str();
        return Err(Failure::Refused(format!("Cannot peek into a {kind} queue")));
    }
    if node.is_away(&record) {
        return Err(Failure::Refused(format!("node {} is down", record.leader)));
    }
    if node.snapshot().is_remote(&record) {
        return wait_for(node.peek_far(&record, place));
    }
    let cell = node.cell(&record).map_err(|_| Failure::NotFound)?;
    wait_for(async {
        let none = || Failure::Refused("Target queue does not have a message at that position".to_owned());
        node.peek(&cell, place).await.map(|seen| shown(&seen)).ok_or_else(none)
    })
}

fn shown(seen: &Seen) -> Term {
    let message = &seen.message;
    // Checked when the message came in.
    let properties = Properties::decode(message.properties()).unwrap_or_default();
    let headers = properties.headers.clone().unwrap_or_default();
    let count = ("x-delivery-count".to_owned(), Value::I64(seen.returns.into()));
    let headers = headers
        .0
        .into_iter()
        .filter(|(name, _)| *name != count.0)
        .chain([count.clone()]);
    let headers = headers.map(|(name, value)| (format!("header.{name}"), objects::term(&value)));
    let Term::Map(mut pairs) = map(origin(message)) else {
        return Term::none();
    };
    pairs.splice(0..0, set(properties));
    pairs.extend(headers);
    Term::Map(pairs)
}

/// The properties that are set, in the order in which RabbitMQ shows them.
fn set(properties: Properties) -> impl Iterator<Item = (String, Term)> {
    let number = |number: Option<u64>| number.map(Term::count);
    let text = |text: Option<String>| text.map(Term::text);
    let all = [
        ("cluster_id", text(properties.cluster_id)),
        ("app_id", text(properties.app_id)),
        ("user_id", text(properties.user_id)),
        ("type", text(properties.kind)),
        ("timestamp", number(properties.timestamp)),
        ("message_id", text(properties.message_id)),
        ("expiration", text(properties.expiration)),
        ("reply_to", text(properties.reply_to)),
        ("correlation_id", text(properties.correlation_id)),
        ("priority", number(properties.priority.map(u64::from))),
        ("delivery_mode", number(properties.delivery_mode.map(u64::from))),
        ("content_encoding", text(properties.content_encoding)),
        ("content_type", text(properties.content_type)),
    ];
    all.into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)))
}

fn origin(message: &Message) -> [(&'static str, Term); 3] {
    let text = |octets: &[u8]| Term::text(String::from_utf8_lossy(octets));
    [
        ("routing_keys", Term::List(vec![text(message.routing_key())])),
        ("exchange", text(message.exchange())),
        ("payload (max 64 bytes)", Term::text(begin(message.body()))),
    ]
}

/// The begin of a body: as text if it is one, else its octets as Erlang's tools write them.
fn begin(body: &[u8]) -> String {
    let begin = &body[..body.len().min(SHOWN_BYTES_MAX)];
    let octets = || begin.iter().map(u8::to_string).collect::<Vec<_>>().join(",");
    let is_plain = |text: &str| text.chars().all(|c| !c.is_control() || c.is_whitespace());
    match std::str::from_utf8(begin) {
        Ok(text) if is_plain(text) => text.to_owned(),
        Ok(_) | Err(_) => format!("<<{}>>", octets()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_body_its_begin_is_shown_as_text_or_as_octets() {
        assert_eq!(begin(b"hello"), "hello");
        assert_eq!(begin(b""), "");
        assert_eq!(begin(b"hello\0\xff"), "<<104,101,108,108,111,0,255>>");
        assert_eq!(begin("x".repeat(100).as_bytes()), "x".repeat(64));
    }
}
