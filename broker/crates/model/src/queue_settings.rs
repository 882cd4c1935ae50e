//! What a queue obeys: its arguments, its policy and the operator's policy combined.
//!
//! Of an argument and a policy the smaller number wins; where there is no smaller, the argument does.

use crate::{ExchangeName, Millis, Overflow, PolicyDefinition, QueueArgs, QueueKind, Value};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Where messages go that are rejected, expired or pushed out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// To this exchange.
    pub exchange: ExchangeName,
    /// With this key; without one, with the message's own keys.
    pub routing_key: Option<Arc<[u8]>>,
}

/// The rules that one queue machine obeys. They change while it runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueSettings {
    /// Messages expire after this time in the queue.
    pub message_ttl: Option<Millis>,
    /// The queue is deleted after this time without use.
    pub expires: Option<Millis>,
    /// Most ready messages.
    pub max_length: Option<u64>,
    /// Most octets in bodies of ready messages.
    pub max_length_bytes: Option<u64>,
    /// What happens when a limit is reached.
    pub overflow: Overflow,
    /// Where dead messages go.
    pub dead_letter: Option<DeadLetter>,
    /// The strategy is at-least-once, and nothing is in its way: letters are kept until another queue takes them.
    pub assures_letters: bool,
    /// Highest priority; fixed by the declaration.
    pub max_priority: Option<u8>,
    /// One consumer at a time; fixed by the declaration.
    pub single_active_consumer: bool,
    /// Longest time that a delivery may stay unacknowledged, instead of the node's own limit.
    pub consumer_timeout: Option<Millis>,
    /// Most returns of one message.
    pub delivery_limit: Option<u64>,
    /// Keep messages on disk rather than in memory.
    pub lazy: bool,
}

impl QueueSettings {
    /// Combines a declaration with the policies that match the queue.
    pub fn merge(args: &QueueArgs, user: Option<&PolicyDefinition>, operator: Option<&PolicyDefinition>) -> Self {
        let policy = PolicyDefinition::merged(user, operator);
        let (overflow, dead_letter) = (overflow(args, &policy), dead_letter(args, &policy));
        QueueSettings {
            message_ttl: smaller(args.message_ttl, policy.message_ttl),
            expires: smaller(args.expires, policy.expires),
            max_length: smaller(args.max_length, policy.max_length),
            max_length_bytes: smaller(args.max_length_bytes, policy.max_length_bytes),
            assures_letters: asks_for_assurance(args, &policy)
                && dead_letter.is_some()
                && overflow == Overflow::RejectPublish,
            overflow,
            dead_letter,
            max_priority: args.max_priority,
            single_active_consumer: args.single_active_consumer,
            consumer_timeout: smaller(args.consumer_timeout, policy.consumer_timeout),
            delivery_limit: delivery_limit(args, &policy),
            lazy: args.lazy.or(policy.lazy).unwrap_or_default(),
        }
    }
}

fn smaller<T: Ord>(a: Option<T>, b: Option<T>) -> Option<T> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

/// Classic queues count no returns, whatever a policy for all queues says.
fn delivery_limit(args: &QueueArgs, policy: &PolicyDefinition) -> Option<u64> {
    match args.kind {
        QueueKind::Quorum => smaller(args.delivery_limit, policy.delivery_limit),
        QueueKind::Classic | QueueKind::Stream => None,
    }
}

fn overflow(args: &QueueArgs, policy: &PolicyDefinition) -> Overflow {
    args.overflow.or(policy.overflow).unwrap_or_default()
}

/// Whether a quorum queue is asked to dead-letter at least once.
fn asks_for_assurance(args: &QueueArgs, policy: &PolicyDefinition) -> bool {
    let own = args.table.get("x-dead-letter-strategy");
    let strategy = own.or_else(|| policy.table.get("dead-letter-strategy"));
    args.kind == QueueKind::Quorum && strategy.and_then(Value::as_text) == Some("at-least-once")
}

fn dead_letter(args: &QueueArgs, policy: &PolicyDefinition) -> Option<DeadLetter> {
    let exchange = args
        .dead_letter_exchange
        .as_ref()
        .or(policy.dead_letter_exchange.as_ref())?
        .clone();
    let routing_key = args
        .dead_letter_routing_key
        .as_ref()
        .or(policy.dead_letter_routing_key.as_ref())
        .cloned();
    Some(DeadLetter { exchange, routing_key })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{PolicyLevel, Table, Value};

    fn args(table: Table) -> QueueArgs {
        QueueArgs::parse(table).unwrap()
    }

    fn policy(table: Table) -> PolicyDefinition {
        PolicyDefinition::parse(PolicyLevel::User, table).unwrap()
    }

    #[test]
    fn letters_are_assured_where_a_quorum_queue_asks_for_it_and_drops_nothing() {
        let text = |text: &str| Value::from(text);
        let quorum = |more: &[(&str, Value)]| {
            let mut table = Table::from([
                ("x-queue-type", text("quorum")),
                ("x-dead-letter-exchange", text("dlx")),
            ]);
            more.iter().for_each(|(key, value)| table.set(key, value.clone()));
            args(table)
        };
        let assures = |args: &QueueArgs, policy: Option<&PolicyDefinition>| {
            QueueSettings::merge(args, policy, None).assures_letters
        };
        let (strategy, overflow) = ("x-dead-letter-strategy", "x-overflow");
        let at_least_once = (strategy, text("at-least-once"));
        let rejects = (overflow, text("reject-publish"));
        assert!(assures(&quorum(&[at_least_once.clone(), rejects.clone()]), None));
        assert!(
            !assures(&quorum(&[at_least_once]), None),
            "what is dropped at the head is not assured"
        );
        assert!(!assures(&quorum(std::slice::from_ref(&rejects)), None));
        let asks = policy([("dead-letter-strategy", text("at-least-once"))].into());
        assert!(assures(&quorum(std::slice::from_ref(&rejects)), Some(&asks)));
        let at_most_once = (strategy, text("at-most-once"));
        assert!(
            !assures(&quorum(&[rejects, at_most_once]), Some(&asks)),
            "the declaration wins"
        );
    }

    #[test]
    fn the_smallest_number_of_argument_and_policies_wins() {
        let args = args([("x-max-length", Value::I32(10)), ("x-message-ttl", Value::I32(1))].into());
        let user = policy([("max-length", Value::I64(7)), ("message-ttl", Value::I64(9))].into());
        let operator = policy([("max-length", Value::I64(8)), ("expires", Value::I64(60))].into());
        let settings = QueueSettings::merge(&args, Some(&user), Some(&operator));
        assert_eq!(settings.max_length, Some(7));
        assert_eq!(settings.message_ttl, Some(Millis(1)));
        assert_eq!(settings.expires, Some(Millis(60)));
    }

    #[test]
    fn an_argument_wins_where_there_is_no_smaller() {
        let args = args(
            [
                ("x-dead-letter-exchange", "a".into()),
                ("x-overflow", "drop-head".into()),
            ]
            .into(),
        );
        let user = policy(
            [
                ("dead-letter-exchange", "p".into()),
                ("dead-letter-routing-key", "k".into()),
                ("overflow", "reject-publish".into()),
            ]
            .into(),
        );
        let settings = QueueSettings::merge(&args, Some(&user), None);
        let dead_letter = settings.dead_letter.unwrap();
        assert_eq!(dead_letter.exchange.as_str(), "a");
        assert_eq!(dead_letter.routing_key.as_deref(), Some(b"k".as_slice()));
        assert_eq!(settings.overflow, Overflow::DropHead);
    }
}
