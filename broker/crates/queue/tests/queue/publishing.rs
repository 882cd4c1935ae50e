//! Publish and get: the direct path, the backlog, order, counters.
//!
//! `keep` in a transcript is an allocation; the direct path without acknowledgement has none.

use crate::machine::{after, check};

#[test]
fn a_message_without_consumer_is_kept_and_waits() {
    check(
        "publish a; publish b; get; get; get",
        "keep a | keep b | got#1 a left=1 | got#2 b left=0 | empty",
    );
}

#[test]
fn a_message_for_a_no_ack_consumer_is_never_kept() {
    check("subscribe c1 no-ack; publish a; publish b", "ok c1 | c1 a | c1 b");
}

#[test]
fn a_message_for_an_acking_consumer_is_kept_only_after_it_was_taken() {
    check("subscribe c1; publish a", "ok c1 | c1#1 a, keep a");
}

#[test]
fn a_message_behind_a_full_consumer_waits_and_follows_the_ack() {
    check(
        "publish a; subscribe c1 prefetch=1; publish b; ack 1",
        "keep a | ok c1, c1#1 a | keep b | c1#2 b",
    );
}

#[test]
fn subscription_is_confirmed_before_the_first_delivery() {
    check(
        "publish a; publish b; subscribe c1",
        "keep a | keep b | ok c1, c1#1 a, c1#2 b",
    );
}

#[test]
fn get_is_not_bound_by_the_credit_of_consumers() {
    check(
        "subscribe c1 prefetch=1; publish a; publish b; get; get no-ack",
        "ok c1 | c1#1 a, keep a | keep b | got#2 b left=0 | empty",
    );
}

#[test]
fn get_without_acknowledgement_leaves_nothing_to_settle() {
    let machine = after("publish a; get no-ack");
    assert_eq!(machine.queue.counts().unacked.messages, 0);
}

#[test]
fn purge_takes_ready_messages_only() {
    check(
        "publish a; get; publish b; publish c; purge; get; requeue 1; get",
        "keep a | got#1 a left=0 | keep b | keep c | purged 2 | empty | - | got#2 a*1 left=0",
    );
}

#[test]
fn counts_tell_ready_from_unacked_and_persistent_from_transient() {
    let counts = after("publish a bytes=3 persistent; publish b bytes=5; publish c bytes=7 persistent; get")
        .queue
        .counts();
    assert_eq!((counts.ready.messages, counts.ready.bytes), (2, 12));
    assert_eq!((counts.ready.persistent, counts.ready.persistent_bytes), (1, 7));
    assert_eq!(
        (counts.unacked.messages, counts.unacked.bytes, counts.unacked.persistent),
        (1, 3, 1)
    );
}

#[test]
fn counters_tell_every_fate_apart() {
    let script = "queue delivery-limit=1; subscribe c1 prefetch=1; publish a; ack 1; cancel c1; subscribe c2 no-ack; \
                  publish b; cancel c2; publish c; get; requeue 2; get; requeue 3; get; publish d; get; reject 4; \
                  publish e; get no-ack; publish f; purge; publish g ttl=0";
    let machine = after(script);
    let counters = machine.queue.counters();
    assert_eq!(
        (counters.published, counters.acked, counters.purged, counters.expired),
        (7, 1, 1, 1)
    );
    assert_eq!((counters.delivered, counters.delivered_no_ack), (1, 1));
    assert_eq!((counters.got, counters.got_no_ack, counters.get_empty), (3, 1, 1));
    assert_eq!((counters.redelivered, counters.requeued), (1, 1));
    assert_eq!((counters.rejected, counters.delivery_limited), (1, 1));
}

#[test]
fn a_deep_backlog_keeps_its_order() {
    let mut script = String::new();
    (0..1_000).for_each(|n| script.push_str(&format!("publish m{n};")));
    let mut machine = after(&script);
    for n in 0..1_000 {
        let (_, commands) = crate::script::parse("get no-ack");
        let effects = machine.apply(&commands[0]);
        assert_eq!(effects, [format!("got m{n} left={}", 999 - n)]);
    }
}
