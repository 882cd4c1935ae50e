//! Policy definitions: what is taken, what is refused and how two policies combine.
//! The texts are RabbitMQ's.

use super::*;

fn parse(table: Table) -> Result<PolicyDefinition, PolicyError> {
    PolicyDefinition::parse(PolicyLevel::User, table)
}

#[test]
fn bad_definitions_are_refused_in_rabbitmqs_words() {
    let cases: Vec<(Table, &str)> = vec![
        (Table::default(), "no policy provided"),
        (
            [("nosuch", Value::I64(1))].into(),
            "[{<<\"nosuch\">>,1}] are not recognised policy settings",
        ),
        (
            [("message-ttl", "x".into())].into(),
            "<<\"x\">> is not a valid message TTL",
        ),
        ([("expires", Value::I64(0))].into(), "0 is not a valid queue expiry"),
        (
            [("ha-mode", "zz".into())].into(),
            "<<\"zz\">> is not a valid ha-mode value",
        ),
        (
            [("ha-mode", "exactly".into())].into(),
            "ha-mode=\"exactly\" takes an integer, none given",
        ),
        (
            [("ha-mode", "all".into()), ("ha-params", Value::I64(1))].into(),
            "ha-mode=\"all\" does not take parameters",
        ),
        (
            [
                ("ha-mode", "nodes".into()),
                (
                    "ha-params",
                    Value::Array(vec!["a".into(), Value::I64(5), Value::I64(6)]),
                ),
            ]
            .into(),
            "ha-mode=\"nodes\" takes a list of strings, [5,6] was not a string",
        ),
        (
            [("ha-mode", "all".into()), ("ha-sync-mode", "zz".into())].into(),
            "ha-sync-mode must be \"manual\" or \"automatic\", got <<\"zz\">>",
        ),
        (
            [("queue-version", Value::I64(5))].into(),
            "5 is not a valid queue-version value",
        ),
        (
            [("ha-sync-mode", "manual".into())].into(),
            "ha-mode must be specified to specify ha-params, ha-sync-mode or ha-promote-on-shutdown",
        ),
        (
            [("max-length", Value::I64(1)), ("max-length", Value::I64(2))].into(),
            "[<<\"max-length\">>] duplicate keys not allowed",
        ),
    ];
    for (table, text) in cases {
        assert_eq!(parse(table).unwrap_err().to_string(), text);
    }
}

#[test]
fn an_operator_may_not_choose_a_dead_letter_exchange() {
    let table: Table = [("dead-letter-exchange", "x".into())].into();
    assert!(PolicyDefinition::parse(PolicyLevel::Operator, table.clone()).is_err());
    assert!(parse(table).is_ok());
}

#[test]
fn both_policies_combine_to_the_stricter_limit_and_the_more_mirrors() {
    let user = parse(
        [
            ("max-length", Value::I64(5)),
            ("overflow", "drop-head".into()),
            ("ha-mode", "all".into()),
            ("ha-sync-mode", "manual".into()),
        ]
        .into(),
    )
    .unwrap();
    let operator = PolicyDefinition::parse(
        PolicyLevel::Operator,
        [
            ("max-length", Value::I64(9)),
            ("expires", Value::I64(4)),
            ("overflow", "reject-publish".into()),
            ("ha-mode", "exactly".into()),
            ("ha-params", Value::I64(2)),
            ("ha-sync-mode", "automatic".into()),
        ]
        .into(),
    )
    .unwrap();
    let merged = PolicyDefinition::merged(Some(&user), Some(&operator));
    assert_eq!((merged.max_length, merged.expires), (Some(5), Some(Millis(4))));
    assert_eq!(merged.overflow, Some(Overflow::RejectPublish));
    let ha = merged.ha.unwrap();
    assert_eq!((ha.mode, ha.sync_automatic), (crate::ha::HaMode::All, Some(true)));
    assert_eq!(merged.table.get("ha-params"), None);
}

#[test]
fn one_key_foreign_to_a_queue_type_keeps_the_whole_policy_away() {
    let policy = parse([("max-length", Value::I64(1)), ("delivery-limit", Value::I64(1))].into()).unwrap();
    assert!(!policy.concerns(QueueKind::Classic) && policy.concerns(QueueKind::Quorum));
    let memory = parse(
        [
            ("max-in-memory-length", Value::I64(1)),
            ("alternate-exchange", "a".into()),
        ]
        .into(),
    )
    .unwrap();
    assert!(memory.concerns(QueueKind::Classic));
    let mirrored = parse([("ha-mode", "all".into())].into()).unwrap();
    assert!(mirrored.concerns(QueueKind::Classic) && !mirrored.concerns(QueueKind::Quorum));
}
