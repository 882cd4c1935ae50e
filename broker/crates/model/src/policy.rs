//! Policy definitions: keys and values checked once, typed, with the pairs as they came.
//!
//! A key that this broker does not know is refused in RabbitMQ's words, never stored in silence. How policies, operator
//! policies and arguments combine is decided by [`crate::QueueSettings`] and [`PolicyDefinition::merged`].

use crate::ha::Ha;
use crate::{ExchangeName, Millis, Overflow, QueueKind, Table, Value};
use serde::{Deserialize, Serialize};
use std::{str::FromStr, sync::Arc};

/// Whose policy it is: operators may only set limits, and the stricter one wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PolicyLevel {
    /// A user's policy.
    User,
    /// An operator's.
    Operator,
}

/// What a policy applies to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ApplyTo {
    /// Exchanges and queues.
    #[default]
    #[serde(rename = "all")]
    All,
    /// Exchanges.
    #[serde(rename = "exchanges")]
    Exchanges,
    /// Queues of every type.
    #[serde(rename = "queues")]
    Queues,
    /// Classic queues.
    #[serde(rename = "classic_queues")]
    ClassicQueues,
    /// Quorum queues.
    #[serde(rename = "quorum_queues")]
    QuorumQueues,
    /// Streams.
    #[serde(rename = "streams")]
    Streams,
}

const APPLY_TO: [(ApplyTo, &str); 6] = [
    (ApplyTo::All, "all"),
    (ApplyTo::Exchanges, "exchanges"),
    (ApplyTo::Queues, "queues"),
    (ApplyTo::ClassicQueues, "classic_queues"),
    (ApplyTo::QuorumQueues, "quorum_queues"),
    (ApplyTo::Streams, "streams"),
];

impl ApplyTo {
    /// True if queues of this type are meant.
    pub fn covers_queues(self, kind: QueueKind) -> bool {
        match self {
            ApplyTo::All | ApplyTo::Queues => true,
            ApplyTo::Exchanges => false,
            ApplyTo::ClassicQueues => kind == QueueKind::Classic,
            ApplyTo::QuorumQueues => kind == QueueKind::Quorum,
            ApplyTo::Streams => kind == QueueKind::Stream,
        }
    }

    /// True if exchanges are meant.
    pub fn covers_exchanges(self) -> bool {
        matches!(self, ApplyTo::All | ApplyTo::Exchanges)
    }

    /// The name in JSON and on the command line.
    pub fn as_str(self) -> &'static str {
        APPLY_TO
            .iter()
            .find(|(this, _)| *this == self)
            .map_or("all", |(_, name)| name)
    }
}

impl FromStr for ApplyTo {
    type Err = PolicyError;
    fn from_str(text: &str) -> Result<Self, PolicyError> {
        let found = APPLY_TO.iter().find(|(_, name)| *name == text);
        found.map(|(this, _)| *this).ok_or_else(|| {
            let (one_of, more) = (
                "'queues', 'classic_queues', ",
                " 'quorum_queues', 'streams', 'exchanges', or 'all'",
            );
            PolicyError(format!(
                "apply-to '{text}' unrecognised; should be one of: {one_of}{more}"
            ))
        })
    }
}

/// A policy that is refused; the text is RabbitMQ's explanation without `Validation failed`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PolicyError(pub String);

/// Keys and values of a policy: typed, with the pairs as they came.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Table", into = "Table")]
pub struct PolicyDefinition {
    /// `message-ttl`
    pub message_ttl: Option<Millis>,
    /// `expires`
    pub expires: Option<Millis>,
    /// `max-length`
    pub max_length: Option<u64>,
    /// `max-length-bytes`
    pub max_length_bytes: Option<u64>,
    /// `overflow`
    pub overflow: Option<Overflow>,
    /// `dead-letter-exchange`
    pub dead_letter_exchange: Option<ExchangeName>,
    /// `dead-letter-routing-key`
    pub dead_letter_routing_key: Option<Arc<[u8]>>,
    /// `queue-mode` is `lazy`
    pub lazy: Option<bool>,
    /// `alternate-exchange`
    pub alternate_exchange: Option<ExchangeName>,
    /// `consumer-timeout`
    pub consumer_timeout: Option<Millis>,
    /// `delivery-limit`
    pub delivery_limit: Option<u64>,
    /// The `ha-*` keys.
    pub ha: Option<Ha>,
    /// All pairs, for display.
    pub table: Table,
}

type Checked = Result<(), PolicyError>;

struct Rule {
    key: &'static str,
    /// Operators may set it.
    operator: bool,
    /// The smaller one wins where both policies set it.
    smaller: bool,
    /// Names the value in the error text: `X is not a valid …`.
    noun: &'static str,
    read: fn(&mut PolicyDefinition, &Value) -> bool,
}

const fn limit(key: &'static str, noun: &'static str, read: fn(&mut PolicyDefinition, &Value) -> bool) -> Rule {
    Rule {
        key,
        operator: true,
        smaller: true,
        noun,
        read,
    }
}

const fn choice(
    key: &'static str,
    operator: bool,
    noun: &'static str,
    read: fn(&mut PolicyDefinition, &Value) -> bool,
) -> Rule {
    Rule {
        key,
        operator,
        smaller: false,
        noun,
        read,
    }
}

const RULES: &[Rule] = &[
    choice("alternate-exchange", false, "alternate exchange name", |p, v| {
        keep(&mut p.alternate_exchange, name(v))
    }),
    choice("dead-letter-exchange", false, "dead letter exchange name", |p, v| {
        keep(&mut p.dead_letter_exchange, name(v))
    }),
    choice("dead-letter-routing-key", false, "dead letter routing key", |p, v| {
        keep(&mut p.dead_letter_routing_key, key(v))
    }),
    limit("message-ttl", "message TTL", |p, v| {
        keep(&mut p.message_ttl, whole(v, 0).map(Millis))
    }),
    limit("expires", "queue expiry", |p, v| {
        keep(&mut p.expires, whole(v, 1).map(Millis))
    }),
    limit("max-length", "maximum length", |p, v| {
        keep(&mut p.max_length, whole(v, 0))
    }),
    limit("max-length-bytes", "maximum length in bytes", |p, v| {
        keep(&mut p.max_length_bytes, whole(v, 0))
    }),
    limit("max-in-memory-length", "maximum memory in bytes", |_, v| {
        whole(v, 0).is_some()
    }),
    limit("max-in-memory-bytes", "maximum memory in bytes", |_, v| {
        whole(v, 0).is_some()
    }),
    limit("delivery-limit", "delivery limit", |p, v| {
        keep(&mut p.delivery_limit, whole(v, 0))
    }),
    choice("consumer-timeout", false, "consumer timeout", |p, v| {
        keep(&mut p.consumer_timeout, whole(v, 0).map(Millis))
    }),
    choice("overflow", true, "overflow value", |p, v| {
        keep(&mut p.overflow, v.as_text().and_then(|t| t.parse().ok()))
    }),
    choice("queue-mode", false, "queue-mode value", |p, v| {
        keep(&mut p.lazy, mode(v))
    }),
    choice("queue-version", true, "queue-version value", |_, v| {
        matches!(v.as_integer(), Some(1 | 2))
    }),
    choice("queue-master-locator", false, "master locator", |_, v| {
        matches!(v.as_text(), Some("min-masters" | "client-local" | "random"))
    }),
    choice("queue-leader-locator", false, "queue leader locator value", |_, v| {
        matches!(
            v.as_text(),
            Some("client-local" | "balanced" | "random" | "least-leaders")
        )
    }),
    choice("dead-letter-strategy", false, "dead letter strategy", |_, v| {
        matches!(v.as_text(), Some("at-most-once" | "at-least-once"))
    }),
];

/// Keys that mean nothing to classic queues.
const FOREIGN_TO_CLASSIC: &[&str] = &["delivery-limit", "dead-letter-strategy", "queue-leader-locator"];
/// Keys that mean nothing to quorum queues.
const FOREIGN_TO_QUORUM: &[&str] = &[
    "ha-mode",
    "ha-params",
    "ha-sync-mode",
    "ha-promote-on-shutdown",
    "ha-promote-on-failure",
    "queue-mode",
    "queue-master-locator",
];

impl PolicyDefinition {
    /// Reads the definition of a policy of this level.
    ///
    /// # Errors
    /// Nothing in it, a key twice, an unknown key, a wrong value: in RabbitMQ's words.
    pub fn parse(level: PolicyLevel, table: Table) -> Result<Self, PolicyError> {
        if table.is_empty() {
            return Err(PolicyError("no policy provided".into()));
        }
        check_keys(level, &table)?;
        let mut policy = PolicyDefinition {
            ha: Ha::parse(&table)?,
            ..PolicyDefinition::default()
        };
        for rule in RULES {
            if let Some(value) = table.get(rule.key) {
                rule.apply(&mut policy, value)?;
            }
        }
        Ok(PolicyDefinition { table, ..policy })
    }

    /// True if every key means something to queues of this type; otherwise the next policy is looked at, as RabbitMQ
    /// does.
    pub fn concerns(&self, kind: QueueKind) -> bool {
        let foreign: &[&str] = match kind {
            QueueKind::Classic => FOREIGN_TO_CLASSIC,
            QueueKind::Quorum => FOREIGN_TO_QUORUM,
            QueueKind::Stream => &[],
        };
        self.table.0.iter().all(|(key, _)| !foreign.contains(&key.as_str()))
    }

    /// What holds for an object that a user's and an operator's policy match: the smaller of two numbers, the
    /// operator's word on all else.
    #[must_use]
    pub fn merged(user: Option<&PolicyDefinition>, operator: Option<&PolicyDefinition>) -> PolicyDefinition {
        let (user, operator) = match (user, operator) {
            (None, None) => return PolicyDefinition::default(),
            (Some(only), None) | (None, Some(only)) => return only.clone(),
            (Some(user), Some(operator)) => (user, operator),
        };
        let mut table = user.table.clone();
        for (key, value) in &operator.table.0 {
            let keep_users = table.get(key).is_some_and(|users| is_smaller(key, users, value));
            if !keep_users {
                table.set(key, value.clone());
            }
        }
        let ha = Ha::merged(user.ha.as_ref(), operator.ha.as_ref(), &mut table);
        let mut merged = PolicyDefinition {
            ha,
            ..PolicyDefinition::default()
        };
        for rule in RULES {
            // Both halves have been checked, so each value is one that its rule takes.
            let _taken = table.get(rule.key).is_some_and(|value| (rule.read)(&mut merged, value));
        }
        PolicyDefinition { table, ..merged }
    }
}

impl Rule {
    fn apply(&self, policy: &mut PolicyDefinition, value: &Value) -> Checked {
        if (self.read)(policy, value) {
            return Ok(());
        }
        Err(PolicyError(format!("{} is not a valid {}", value.term(), self.noun)))
    }
}

impl TryFrom<Table> for PolicyDefinition {
    type Error = PolicyError;
    fn try_from(table: Table) -> Result<Self, PolicyError> {
        PolicyDefinition::parse(PolicyLevel::User, table)
    }
}

impl From<PolicyDefinition> for Table {
    fn from(policy: PolicyDefinition) -> Table {
        policy.table
    }
}

fn check_keys(level: PolicyLevel, table: &Table) -> Checked {
    let mut keys: Vec<&str> = table.0.iter().map(|(key, _)| key.as_str()).collect();
    keys.sort_unstable();
    if let Some(pair) = keys.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(PolicyError(format!("[<<{:?}>>] duplicate keys not allowed", pair[0])));
    }
    let strange: Vec<String> = table
        .0
        .iter()
        .filter(|(key, _)| !is_known(level, key))
        .map(pair_term)
        .collect();
    if strange.is_empty() {
        return Ok(());
    }
    Err(PolicyError(format!(
        "[{}] are not recognised policy settings",
        strange.join(",")
    )))
}

fn pair_term((key, value): &(String, Value)) -> String {
    format!("{{<<{key:?}>>,{}}}", value.term())
}

fn is_known(level: PolicyLevel, key: &str) -> bool {
    let allowed = |rule: &Rule| rule.key == key && (level == PolicyLevel::User || rule.operator);
    Ha::knows(level, key) || RULES.iter().any(allowed)
}

fn is_smaller(key: &str, users: &Value, operators: &Value) -> bool {
    let by_size = RULES.iter().any(|rule| rule.key == key && rule.smaller);
    by_size && users.as_integer() < operators.as_integer()
}

fn keep<T>(place: &mut Option<T>, value: Option<T>) -> bool {
    let found = value.is_some();
    *place = value;
    found
}

fn whole(value: &Value, least: u64) -> Option<u64> {
    u64::try_from(value.as_integer()?).ok().filter(|n| *n >= least)
}

fn name(value: &Value) -> Option<ExchangeName> {
    value.as_text()?.parse().ok()
}

fn key(value: &Value) -> Option<Arc<[u8]>> {
    let key = value.as_text()?.as_bytes();
    (key.len() <= crate::name::NAME_BYTES_MAX).then(|| key.into())
}

fn mode(value: &Value) -> Option<bool> {
    match value.as_text()? {
        "default" => Some(false),
        "lazy" => Some(true),
        _ => None,
    }
}

#[cfg(test)]
#[path = "policy_tests.rs"]
mod tests;
