//! Arguments of `exchange.declare`, read once from their table.
//!
//! Only keys that an exchange of this type obeys are typed; the rest is kept for display.

use crate::queue_args::Inequivalent;
use crate::{ExchangeKind, ExchangeName, Table, Value};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A message property that a consistent-hash exchange may hash instead of the routing key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HashProperty {
    /// `correlation_id`
    CorrelationId,
    /// `message_id`
    MessageId,
    /// `timestamp`
    Timestamp,
}

/// What a consistent-hash exchange hashes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum HashOn {
    /// The routing key.
    #[default]
    RoutingKey,
    /// The header of this name (`hash-header`).
    Header(Arc<str>),
    /// A property (`hash-property`).
    Property(HashProperty),
}

/// Arguments of an exchange: typed, with the table as it came.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ExchangeArgs {
    /// `alternate-exchange`.
    pub alternate: Option<ExchangeName>,
    /// `hash-header` or `hash-property` of `x-consistent-hash`.
    pub hash_on: HashOn,
    /// `x-delayed-type` of `x-delayed-message`.
    pub delayed_kind: Option<ExchangeKind>,
    /// `x-recent-history-length` of `x-recent-history`, default 20.
    pub history_length: u64,
    /// All arguments, for display and comparison.
    pub table: Table,
}

/// Messages that a recent-history exchange keeps unless told otherwise.
const HISTORY_LENGTH_DEFAULT: u64 = 20;

/// An exchange argument that is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExchangeArgsError {
    /// `alternate-exchange` is no text of at most 255 octets.
    Alternate {
        /// RabbitMQ's name of the type that came.
        type_name: &'static str,
    },
    /// The type's own rule; the text is whole.
    Kind(String),
}

impl ExchangeArgsError {
    /// The explanation, for `what` such as `exchange 'x' in vhost '/'`.
    pub fn text(&self, what: &str) -> String {
        match self {
            ExchangeArgsError::Alternate { type_name } => {
                format!("invalid type '{type_name}' for arg 'alternate-exchange' in {what}")
            }
            ExchangeArgsError::Kind(text) => text.clone(),
        }
    }
}

impl ExchangeArgs {
    /// Reads the arguments for an exchange of type `kind`.
    ///
    /// # Errors
    /// The first argument that cannot be obeyed: `alternate-exchange` first, then those of the type.
    pub fn parse(kind: ExchangeKind, table: Table) -> Result<Self, ExchangeArgsError> {
        let alternate = table.get("alternate-exchange").map(alternate).transpose()?;
        let delayed_kind = if kind == ExchangeKind::Delayed {
            Some(delayed_kind(&table)?)
        } else {
            None
        };
        let routes_as = delayed_kind.unwrap_or(kind);
        let hash_on = if routes_as == ExchangeKind::ConsistentHash {
            hash_on(&table)?
        } else {
            HashOn::RoutingKey
        };
        let history_length = if routes_as == ExchangeKind::RecentHistory {
            history_length(&table)?
        } else {
            0
        };
        Ok(ExchangeArgs {
            alternate,
            hash_on,
            delayed_kind,
            history_length,
            table,
        })
    }

    /// Compares with the arguments of a redeclaration: RabbitMQ looks at the alternate exchange alone.
    ///
    /// # Errors
    /// When it differs.
    pub fn check_redeclared(&self, received: &Table) -> Result<(), Inequivalent> {
        let key = "alternate-exchange";
        Inequivalent::check(key, received.get(key), self.table.get(key))
    }
}

fn alternate(value: &Value) -> Result<ExchangeName, ExchangeArgsError> {
    let name = value.as_text().and_then(|text| text.parse().ok());
    name.ok_or(ExchangeArgsError::Alternate {
        type_name: value.type_name(),
    })
}

fn hash_on(table: &Table) -> Result<HashOn, ExchangeArgsError> {
    match (table.get("hash-header"), table.get("hash-property")) {
        (None, None) => Ok(HashOn::RoutingKey),
        (Some(header), None) => match header.as_text() {
            Some(name) => Ok(HashOn::Header(name.into())),
            None => Err(kind_error(format!(
                "hash-header must be a string, got {}",
                header.type_name()
            ))),
        },
        (None, Some(property)) => hash_property(property).map(HashOn::Property),
        (Some(_), Some(_)) => Err(kind_error("hash-header and hash-property are mutually exclusive")),
    }
}

fn hash_property(value: &Value) -> Result<HashProperty, ExchangeArgsError> {
    match value.as_text() {
        Some("correlation_id") => Ok(HashProperty::CorrelationId),
        Some("message_id") => Ok(HashProperty::MessageId),
        Some("timestamp") => Ok(HashProperty::Timestamp),
        _ => Err(kind_error(format!("Unsupported property: {}", value.plain()))),
    }
}

fn delayed_kind(table: &Table) -> Result<ExchangeKind, ExchangeArgsError> {
    let invalid = || kind_error("Invalid argument, 'x-delayed-type' must be an existing exchange type");
    let text = table
        .get("x-delayed-type")
        .and_then(Value::as_text)
        .ok_or_else(invalid)?;
    match text.parse() {
        Ok(ExchangeKind::Delayed) => Err(invalid()),
        Ok(kind) => Ok(kind),
        Err(_) => Err(kind_error(format!("unknown exchange type '{text}'"))),
    }
}

fn history_length(table: &Table) -> Result<u64, ExchangeArgsError> {
    match table.get("x-recent-history-length") {
        None => Ok(HISTORY_LENGTH_DEFAULT),
        Some(value) => match value.as_integer().and_then(|n| u64::try_from(n).ok()) {
            Some(n) if n > 0 => Ok(n),
            _ => Err(kind_error(format!(
                "Invalid argument {}, 'x-recent-history-length' must be a positive integer",
                value.term()
            ))),
        },
    }
}

fn kind_error(text: impl Into<String>) -> ExchangeArgsError {
    ExchangeArgsError::Kind(text.into())
}
