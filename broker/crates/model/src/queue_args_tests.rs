//! Arguments of queues: what is taken, what is refused and in which words.
//! The texts were seen on a running RabbitMQ.

use super::*;

fn refusal(table: Table) -> String {
    QueueArgs::parse(table).unwrap_err().text("queue 'q' in vhost '/'")
}

#[test]
fn bad_arguments_are_refused_in_rabbitmqs_words() {
    let what = "for queue 'q' in vhost '/'";
    let cases: Vec<(Table, &str)> = vec![
        (
            [("x-max-length", Value::I32(-1))].into(),
            "'x-max-length' WHAT: {value_negative,-1}",
        ),
        (
            [("x-max-length", "5".into())].into(),
            "'x-max-length' WHAT: \"expected integer, got longstr\"",
        ),
        ([("x-expires", Value::I8(0))].into(), "'x-expires' WHAT: {value_zero,0}"),
        (
            [("x-max-priority", Value::I32(256))].into(),
            "'x-max-priority' WHAT: {max_value_exceeded,256}",
        ),
        (
            [("x-overflow", "zz".into())].into(),
            "'x-overflow' WHAT: invalid_overflow",
        ),
        (
            [("x-queue-mode", "zz".into())].into(),
            "'x-queue-mode' WHAT: \"unsupported queue mode 'zz'\"",
        ),
        (
            [("x-queue-type", "zz".into())].into(),
            "'x-queue-type' WHAT: \"unsupported queue type 'zz'\"",
        ),
        (
            [("x-dead-letter-routing-key", "k".into())].into(),
            "'x-dead-letter-routing-key' WHAT: routing_key_but_no_dlx_defined",
        ),
        (
            [("x-single-active-consumer", "yes".into())].into(),
            "'x-single-active-consumer' WHAT: {unacceptable_type,longstr}",
        ),
        (
            [("x-delivery-limit", Value::I32(3))].into(),
            "'x-delivery-limit' WHAT of queue type rabbit_classic_queue",
        ),
        (
            [("x-expires", Value::I64(3_153_600_000_001))].into(),
            "'x-expires' WHAT: {value_too_large,3153600000001}",
        ),
        (
            [("x-delivery-limit", "a".into())].into(),
            "'x-delivery-limit' WHAT of queue type rabbit_classic_queue",
        ),
        (
            [("x-queue-type", "quorum".into()), ("x-max-priority", Value::I32(3))].into(),
            "'x-max-priority' WHAT of queue type rabbit_quorum_queue",
        ),
    ];
    for (table, text) in cases {
        assert_eq!(refusal(table), format!("invalid arg {}", text.replace("WHAT", what)));
    }
}

#[test]
fn of_several_faults_the_first_in_rabbitmqs_order_is_told() {
    let what = "for queue 'q' in vhost '/'";
    let cases: Vec<(Table, &str)> = vec![
        (
            [("x-max-length", Value::I32(-1)), ("x-expires", Value::I32(0))].into(),
            "'x-expires' WHAT: {value_zero,0}",
        ),
        (
            [("x-expires", Value::I32(0)), ("x-queue-type", "zz".into())].into(),
            "'x-queue-type' WHAT: \"unsupported queue type 'zz'\"",
        ),
        (
            [("x-delivery-limit", Value::I32(1)), ("x-expires", Value::I32(0))].into(),
            "'x-expires' WHAT: {value_zero,0}",
        ),
        (
            [("x-max-age", "zz".into()), ("x-delivery-limit", Value::I32(1))].into(),
            "'x-max-age' WHAT of queue type rabbit_classic_queue",
        ),
    ];
    for (table, text) in cases {
        assert_eq!(refusal(table), format!("invalid arg {}", text.replace("WHAT", what)));
    }
}

#[test]
fn unknown_arguments_are_kept_and_not_compared() {
    let first = QueueArgs::parse([("x-mine", Value::I8(1))].into()).unwrap();
    let second = QueueArgs::parse([("x-mine", "other".into())].into()).unwrap();
    assert_eq!(first.table.get("x-mine"), Some(&Value::I8(1)));
    assert_eq!(first.check_redeclared(&second.table), Ok(()));
}

#[test]
fn redeclaration_compares_numbers_by_value_and_names_the_difference() {
    let parse = |value| QueueArgs::parse([("x-message-ttl", value)].into()).unwrap();
    let plain = QueueArgs::default();
    assert_eq!(
        parse(Value::I32(5)).check_redeclared(&parse(Value::I64(5)).table),
        Ok(())
    );
    let text = |current: &QueueArgs, received: &QueueArgs| {
        current
            .check_redeclared(&received.table)
            .unwrap_err()
            .text("queue 'q' in vhost '/'")
    };
    assert_eq!(
        text(&plain, &parse(Value::I32(5))),
        "inequivalent arg 'x-message-ttl' for queue 'q' in vhost '/': received the value '5' of type 'signedint' but current is none"
    );
    assert_eq!(
        text(&parse(Value::I32(5)), &plain),
        "inequivalent arg 'x-message-ttl' for queue 'q' in vhost '/': received none but current is the value '5' of type 'signedint'"
    );
}

#[test]
fn no_queue_type_is_the_same_as_classic() {
    let parse = |kind: &str| QueueArgs::parse([("x-queue-type", kind.into())].into()).unwrap();
    let (none, classic, quorum) = (QueueArgs::default(), parse("classic"), parse("quorum"));
    assert_eq!(none.check_redeclared(&classic.table), Ok(()));
    assert_eq!(classic.check_redeclared(&none.table), Ok(()));
    assert_eq!(
        classic
            .check_redeclared(&quorum.table)
            .unwrap_err()
            .text("queue 'q' in vhost '/'"),
        "inequivalent arg 'x-queue-type' for queue 'q' in vhost '/': received 'quorum' but current is 'classic'"
    );
    assert!(quorum.check_redeclared(&none.table).is_err());
}

#[test]
fn arguments_survive_a_round_trip_through_their_table() {
    let table: Table = [
        ("x-dead-letter-exchange", "dlx".into()),
        ("x-dead-letter-routing-key", "k".into()),
        ("x-max-priority", Value::U8(9)),
        ("x-single-active-consumer", Value::Bool(true)),
    ]
    .into();
    let args = QueueArgs::parse(table).unwrap();
    assert_eq!(QueueArgs::try_from(Table::from(args.clone())), Ok(args));
}
