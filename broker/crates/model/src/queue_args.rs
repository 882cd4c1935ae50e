//! Arguments of `queue.declare`, read once from their table with RabbitMQ's checks, in its order and words.
//!
//! Keys that no queue type knows are kept in the table, shown, and otherwise ignored. Nobody looks a key up in the
//! table later; what a queue then does is decided by [`crate::QueueSettings`].

use crate::argument::{ArgumentError, bool_of, integer_of, not_negative, one_of, text_of};
use crate::{ExchangeName, Millis, Table, Value};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr, sync::Arc};

/// Longest time that RabbitMQ takes for a TTL or lease: a hundred years.
pub(crate) const EXPIRY_MS_MAX: u64 = 3_153_600_000_000;

/// How a queue keeps its messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum QueueKind {
    /// One leader, mirrors by policy.
    #[default]
    Classic,
    /// A majority of replicas.
    Quorum,
    /// An append-only log.
    Stream,
}

impl QueueKind {
    /// The value of `x-queue-type`.
    pub fn as_str(self) -> &'static str {
        match self {
            QueueKind::Classic => "classic",
            QueueKind::Quorum => "quorum",
            QueueKind::Stream => "stream",
        }
    }

    /// The name that RabbitMQ's error texts print.
    pub fn module(self) -> &'static str {
        match self {
            QueueKind::Classic => "rabbit_classic_queue",
            QueueKind::Quorum => "rabbit_quorum_queue",
            QueueKind::Stream => "rabbit_stream_queue",
        }
    }
}

impl fmt::Display for QueueKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text is no queue type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unsupported queue type '{0}'")]
pub struct UnknownQueueType(pub String);

impl FromStr for QueueKind {
    type Err = UnknownQueueType;
    fn from_str(text: &str) -> Result<Self, UnknownQueueType> {
        let kinds = [QueueKind::Classic, QueueKind::Quorum, QueueKind::Stream];
        let found = kinds.into_iter().find(|kind| kind.as_str() == text);
        found.ok_or_else(|| UnknownQueueType(text.to_owned()))
    }
}

/// What happens to a publish when the queue is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Overflow {
    /// The oldest messages go (dead-lettered).
    #[default]
    DropHead,
    /// The publish is refused and discarded.
    RejectPublish,
    /// The publish is refused and dead-lettered.
    RejectPublishDlx,
}

impl FromStr for Overflow {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "drop-head" => Ok(Overflow::DropHead),
            "reject-publish" => Ok(Overflow::RejectPublish),
            "reject-publish-dlx" => Ok(Overflow::RejectPublishDlx),
            _ => Err(()),
        }
    }
}

/// Arguments of a queue: typed, with the table as it came.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Table", into = "Table")]
pub struct QueueArgs {
    /// `x-queue-type`.
    pub kind: QueueKind,
    /// `x-message-ttl`.
    pub message_ttl: Option<Millis>,
    /// `x-expires`, at least 1 ms.
    pub expires: Option<Millis>,
    /// `x-max-length`, ready messages.
    pub max_length: Option<u64>,
    /// `x-max-length-bytes`, bodies of ready messages.
    pub max_length_bytes: Option<u64>,
    /// `x-overflow`.
    pub overflow: Option<Overflow>,
    /// `x-dead-letter-exchange`.
    pub dead_letter_exchange: Option<ExchangeName>,
    /// `x-dead-letter-routing-key`.
    pub dead_letter_routing_key: Option<Arc<[u8]>>,
    /// `x-max-priority`.
    pub max_priority: Option<u8>,
    /// `x-queue-mode` is `lazy`.
    pub lazy: Option<bool>,
    /// `x-single-active-consumer`.
    pub single_active_consumer: bool,
    /// `x-consumer-timeout`.
    pub consumer_timeout: Option<Millis>,
    /// `x-delivery-limit`, quorum queues.
    pub delivery_limit: Option<u64>,
    /// `x-quorum-initial-group-size`, quorum queues; at least 1.
    pub group_size: Option<u64>,
    /// All arguments, for display and comparison.
    pub table: Table,
}

type Checked = Result<(), ArgumentError>;

/// One argument: its key, the types that know it, and how it is read.
struct Rule {
    key: &'static str,
    kinds: &'static [QueueKind],
    read: fn(&mut QueueArgs, &Value) -> Checked,
}

const CLASSIC: &[QueueKind] = &[QueueKind::Classic];
const QUORUM: &[QueueKind] = &[QueueKind::Quorum];
const STREAM: &[QueueKind] = &[QueueKind::Stream];
const NOT_CLASSIC: &[QueueKind] = &[QueueKind::Quorum, QueueKind::Stream];
const NOT_STREAM: &[QueueKind] = &[QueueKind::Classic, QueueKind::Quorum];
const ALL: &[QueueKind] = &[QueueKind::Classic, QueueKind::Quorum, QueueKind::Stream];

const fn rule(key: &'static str, kinds: &'static [QueueKind], read: fn(&mut QueueArgs, &Value) -> Checked) -> Rule {
    Rule { key, kinds, read }
}

/// In RabbitMQ's order: the first fault found is the one that is told.
const RULES: &[Rule] = &[
    rule("x-expires", NOT_STREAM, expires),
    rule("x-message-ttl", NOT_STREAM, message_ttl),
    rule("x-dead-letter-exchange", NOT_STREAM, dead_letter_exchange),
    rule("x-dead-letter-routing-key", NOT_STREAM, dead_letter_routing_key),
    rule("x-dead-letter-strategy", QUORUM, dead_letter_strategy),
    rule("x-max-length", NOT_STREAM, |args, value| {
        keep(&mut args.max_length, not_negative(value))
    }),
    rule("x-max-length-bytes", ALL, |args, value| {
        keep(&mut args.max_length_bytes, not_negative(value))
    }),
    rule("x-max-in-memory-length", QUORUM, |_, value| {
        not_negative(value).map(drop)
    }),
    rule("x-max-in-memory-bytes", QUORUM, |_, value| {
        not_negative(value).map(drop)
    }),
    rule("x-max-priority", CLASSIC, max_priority),
    rule("x-overflow", NOT_STREAM, overflow),
    rule("x-queue-mode", CLASSIC, queue_mode),
    rule("x-queue-version", CLASSIC, queue_version),
    rule("x-single-active-consumer", NOT_STREAM, single_active_consumer),
    rule(KIND, ALL, |_, value| queue_kind(value).map(drop)),
    rule("x-quorum-initial-group-size", QUORUM, |args, value| {
        keep(&mut args.group_size, at_least_one(value))
    }),
    rule("x-max-age", STREAM, max_age),
    rule("x-stream-max-segment-size-bytes", STREAM, |_, value| {
        not_negative(value).map(drop)
    }),
    rule("x-stream-filter-size-bytes", STREAM, |_, value| {
        not_negative(value).map(drop)
    }),
    rule("x-initial-cluster-size", STREAM, |_, value| {
        at_least_one(value).map(drop)
    }),
    rule("x-delivery-limit", QUORUM, |args, value| {
        keep(&mut args.delivery_limit, not_negative(value))
    }),
    rule("x-consumer-timeout", NOT_STREAM, consumer_timeout),
    rule("x-queue-leader-locator", NOT_CLASSIC, leader_locator),
    rule("x-queue-master-locator", CLASSIC, master_locator),
];

/// Names the type itself.
const KIND: &str = "x-queue-type";

/// Kept and obeyed, but a redeclaration with another value is no fault.
const NOT_COMPARED: &str = "x-consumer-timeout";

impl QueueArgs {
    /// Reads the arguments of a declaration.
    ///
    /// # Errors
    /// The argument that RabbitMQ would tell: a wrong type first, then the first wrong value among the arguments of that
    /// type, then the first argument, as sent, that means nothing to it.
    pub fn parse(table: Table) -> Result<Self, ArgumentError> {
        let kind = table
            .get(KIND)
            .map(queue_kind)
            .transpose()
            .map_err(|error| error.of(KIND))?;
        let kind = kind.unwrap_or_default();
        let mut args = QueueArgs {
            kind,
            table,
            ..QueueArgs::default()
        };
        for rule in RULES.iter().filter(|rule| rule.kinds.contains(&kind)) {
            if let Some(value) = args.table.get(rule.key).cloned() {
                (rule.read)(&mut args, &value).map_err(|error| error.of(rule.key))?;
            }
        }
        let mut known = args
            .table
            .0
            .iter()
            .filter_map(|(key, _)| RULES.iter().find(|rule| rule.key == key));
        match known.find(|rule| !rule.kinds.contains(&kind)) {
            Some(rule) => Err(ArgumentError::Foreign {
                key: rule.key,
                module: kind.module(),
            }),
            None => Ok(args),
        }
    }

    /// Compares with the arguments of a redeclaration, key by key, integers by value whatever their width. These are
    /// not checked otherwise: a bad value simply differs.
    ///
    /// # Errors
    /// The first difference.
    pub fn check_redeclared(&self, received: &Table) -> Result<(), Inequivalent> {
        let compared = RULES
            .iter()
            .filter(|rule| rule.kinds.contains(&self.kind) && rule.key != NOT_COMPARED);
        for rule in compared {
            let (sent, own) = (received.get(rule.key), self.table.get(rule.key));
            let both_classic = rule.key == KIND && is_classic(sent) && is_classic(own);
            if !both_classic {
                Inequivalent::check(rule.key, sent, own)?;
            }
        }
        Ok(())
    }
}

impl TryFrom<Table> for QueueArgs {
    type Error = ArgumentError;
    fn try_from(table: Table) -> Result<Self, ArgumentError> {
        QueueArgs::parse(table)
    }
}

impl From<QueueArgs> for Table {
    fn from(args: QueueArgs) -> Table {
        args.table
    }
}

/// An argument that differs from the one the object was declared with.
#[derive(Clone, Debug, PartialEq)]
pub struct Inequivalent {
    /// Which.
    pub key: &'static str,
    /// What the client sent.
    pub received: Option<Value>,
    /// What the object has.
    pub current: Option<Value>,
}

impl Inequivalent {
    pub(crate) fn check(key: &'static str, received: Option<&Value>, current: Option<&Value>) -> Result<(), Self> {
        let same = match (received, current) {
            (Some(a), Some(b)) => a.is_equivalent(b),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        let (received, current) = (received.cloned(), current.cloned());
        if same {
            Ok(())
        } else {
            Err(Inequivalent { key, received, current })
        }
    }

    /// The explanation, for `what` such as `queue 'q' in vhost '/'`.
    pub fn text(&self, what: &str) -> String {
        let (received, current) = match (&self.received, &self.current) {
            (Some(received), Some(current)) => (quoted(received), quoted(current)),
            (received, current) => (described(received.as_ref()), described(current.as_ref())),
        };
        format!(
            "inequivalent arg '{}' for {what}: received {received} but current is {current}",
            self.key
        )
    }
}

fn quoted(value: &Value) -> String {
    format!("'{}'", value.plain())
}

/// The type is told only where there is nothing to compare with.
fn described(value: Option<&Value>) -> String {
    value.map_or_else(
        || "none".to_owned(),
        |value| format!("the value '{}' of type '{}'", value.plain(), value.type_name()),
    )
}

fn keep<T>(place: &mut Option<T>, value: Result<T, ArgumentError>) -> Checked {
    *place = Some(value?);
    Ok(())
}

/// No type means classic.
fn is_classic(kind: Option<&Value>) -> bool {
    kind.is_none_or(|value| value.as_text() == Some("classic"))
}

fn queue_kind(value: &Value) -> Result<QueueKind, ArgumentError> {
    let text = text_of(value)?;
    text.parse()
        .map_err(|error: UnknownQueueType| ArgumentError::quoted(error.to_string()))
}

fn expiry(value: &Value) -> Result<Millis, ArgumentError> {
    match integer_of(value)? {
        ms if ms < 0 => Err(ArgumentError::value(format!("{{value_negative,{ms}}}"))),
        ms if ms > i128::from(EXPIRY_MS_MAX) => Err(ArgumentError::value(format!("{{value_too_large,{ms}}}"))),
        ms => Ok(Millis(u64::try_from(ms).unwrap_or(EXPIRY_MS_MAX))),
    }
}

fn at_least_one(value: &Value) -> Result<u64, ArgumentError> {
    match not_negative(value)? {
        0 => Err(ArgumentError::value("{value_zero,0}")),
        n => Ok(n),
    }
}

fn expires(args: &mut QueueArgs, value: &Value) -> Checked {
    match expiry(value)? {
        Millis(0) => Err(ArgumentError::value("{value_zero,0}")),
        ms => keep(&mut args.expires, Ok(ms)),
    }
}

fn message_ttl(args: &mut QueueArgs, value: &Value) -> Checked {
    keep(&mut args.message_ttl, expiry(value))
}

fn consumer_timeout(args: &mut QueueArgs, value: &Value) -> Checked {
    keep(&mut args.consumer_timeout, not_negative(value).map(Millis))
}

fn dead_letter_exchange(args: &mut QueueArgs, value: &Value) -> Checked {
    let name = text_of(value)?.parse();
    keep(
        &mut args.dead_letter_exchange,
        name.map_err(|error: crate::NameError| ArgumentError::quoted(error.to_string())),
    )
}

fn dead_letter_routing_key(args: &mut QueueArgs, value: &Value) -> Checked {
    let Value::LongStr(key) = value else {
        return Err(ArgumentError::unacceptable(value));
    };
    if args.table.get("x-dead-letter-exchange").is_none() {
        return Err(ArgumentError::value("routing_key_but_no_dlx_defined"));
    }
    match key.len() {
        0..=crate::name::NAME_BYTES_MAX => keep(&mut args.dead_letter_routing_key, Ok(Arc::from(key.as_slice()))),
        bytes => Err(ArgumentError::quoted(format!(
            "a routing key has at most 255 octets, this one has {bytes}"
        ))),
    }
}

fn dead_letter_strategy(_: &mut QueueArgs, value: &Value) -> Checked {
    one_of(value, &["at-most-once", "at-least-once"], "invalid_dlx_strategy")
}

fn max_priority(args: &mut QueueArgs, value: &Value) -> Checked {
    let level = not_negative(value)?;
    let fits = u8::try_from(level).map_err(|_| ArgumentError::value(format!("{{max_value_exceeded,{level}}}")));
    keep(&mut args.max_priority, fits)
}

fn overflow(args: &mut QueueArgs, value: &Value) -> Checked {
    let choice = text_of(value)?.parse();
    keep(
        &mut args.overflow,
        choice.map_err(|()| ArgumentError::value("invalid_overflow")),
    )
}

fn queue_mode(args: &mut QueueArgs, value: &Value) -> Checked {
    match text_of(value)? {
        "default" => keep(&mut args.lazy, Ok(false)),
        "lazy" => keep(&mut args.lazy, Ok(true)),
        other => Err(ArgumentError::quoted(format!("unsupported queue mode '{other}'"))),
    }
}

fn queue_version(_: &mut QueueArgs, value: &Value) -> Checked {
    match integer_of(value)? {
        1 | 2 => Ok(()),
        other => Err(ArgumentError::quoted(format!("unsupported queue version '{other}'"))),
    }
}

fn single_active_consumer(args: &mut QueueArgs, value: &Value) -> Checked {
    args.single_active_consumer = bool_of(value)?;
    Ok(())
}

fn max_age(_: &mut QueueArgs, value: &Value) -> Checked {
    let text = text_of(value)?;
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit = &text[digits.len()..];
    let known = ["Y", "M", "D", "h", "m", "s"].contains(&unit) && digits.parse::<u64>().is_ok_and(|n| n > 0);
    if known {
        Ok(())
    } else {
        Err(ArgumentError::value("invalid_max_age"))
    }
}

fn leader_locator(_: &mut QueueArgs, value: &Value) -> Checked {
    one_of(
        value,
        &["client-local", "balanced", "random", "least-leaders"],
        "invalid_queue_locator_arg",
    )
}

fn master_locator(_: &mut QueueArgs, value: &Value) -> Checked {
    one_of(
        value,
        &["min-masters", "client-local", "random"],
        "invalid_queue_locator_arg",
    )
}

#[cfg(test)]
#[path = "queue_args_tests.rs"]
mod tests;
