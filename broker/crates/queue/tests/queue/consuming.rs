//! Who gets a message: round robin, credit, priorities, exclusive consumers, blocked connections.
//!
//! The round is RabbitMQ's as measured: see `consumers.rs` on who keeps a place in it.

use crate::machine::{after, check};

#[test]
fn consumers_take_turns() {
    check(
        "subscribe c1 no-ack; subscribe c2 no-ack; subscribe c3 no-ack; publish a; publish b; publish c; publish d",
        "ok c1 | ok c2 | ok c3 | c1 a | c2 b | c3 c | c1 d",
    );
}

#[test]
fn a_consumer_out_of_credit_is_passed_over() {
    check(
        "subscribe c1 prefetch=1; subscribe c2 prefetch=2; publish a; publish b; publish c; publish d; ack 1",
        "ok c1 | ok c2 | c1#1 a, keep a | c2#2 b, keep b | c2#3 c, keep c | keep d | c1#4 d",
    );
}

#[test]
fn credit_regained_before_its_turn_keeps_the_place_in_the_round() {
    check(
        "subscribe c1 prefetch=1; subscribe c2 prefetch=1; publish a; publish b; ack 2; ack 1; publish c; publish d",
        "ok c1 | ok c2 | c1#1 a, keep a | c2#2 b, keep b | - | - | c1#3 c, keep c | c2#4 d, keep d",
    );
}

#[test]
fn credit_regained_after_being_passed_over_queues_up_anew() {
    check(
        "subscribe c1 prefetch=1; subscribe c2 prefetch=1; publish a; publish b; publish c; get; ack 2; ack 1; \
         publish d; publish e",
        "ok c1 | ok c2 | c1#1 a, keep a | c2#2 b, keep b | keep c | got#3 c left=0 | - | - \
         | c2#4 d, keep d | c1#5 e, keep e",
    );
}

#[test]
fn unlimited_prefetch_takes_everything() {
    check(
        "publish a; publish b; subscribe c1 prefetch=0",
        "keep a | keep b | ok c1, c1#1 a, c1#2 b",
    );
}

#[test]
fn prefetch_does_not_bind_a_no_ack_consumer() {
    check(
        "publish a; publish b; subscribe c1 no-ack prefetch=1",
        "keep a | keep b | ok c1, c1 a, c1 b",
    );
}

#[test]
fn lower_priority_gets_messages_only_while_no_higher_one_is_able() {
    check(
        "subscribe c1 priority=-1; subscribe c2 priority=5 prefetch=1; publish a; publish b; ack 1; publish c",
        "ok c1 | ok c2 | c2#1 a, keep a | c1#2 b, keep b | - | c2#3 c, keep c",
    );
}

#[test]
fn equals_of_the_highest_priority_take_turns_among_themselves() {
    check(
        "subscribe c1 no-ack; subscribe c2 no-ack priority=1; subscribe c3 no-ack priority=1; publish a; publish b; \
         publish c; cancel c3; publish d; cancel c2; publish e",
        "ok c1 | ok c2 | ok c3 | c2 a | c3 b | c2 c | - | c2 d | - | c1 e",
    );
}

#[test]
fn an_exclusive_consumer_suffers_no_other() {
    check(
        "subscribe c1 exclusive; subscribe c2; subscribe c3 exclusive; cancel c1; subscribe c2",
        "ok c1 | in exclusive use | in exclusive use | - | ok c2",
    );
}

#[test]
fn exclusive_is_refused_where_anybody_consumes() {
    check(
        "subscribe c1; subscribe c2 exclusive; publish a",
        "ok c1 | in exclusive use | c1#1 a, keep a",
    );
}

#[test]
fn get_is_allowed_beside_an_exclusive_consumer() {
    check(
        "subscribe c1 exclusive prefetch=1; publish a; publish b; get",
        "ok c1 | c1#1 a, keep a | keep b | got#2 b left=0",
    );
}

#[test]
fn a_consumer_id_is_not_given_twice() {
    check("subscribe c1; subscribe c1", "ok c1 | id in use");
}

#[test]
fn a_blocked_consumer_is_parked_and_asked_no_more() {
    check(
        "subscribe c1 no-ack; block c1; publish a; publish b; ready c1",
        "ok c1 | - | c1 blocked, keep a | keep b | c1 a, c1 b",
    );
}

#[test]
fn the_offer_passes_to_the_next_when_one_is_blocked() {
    check(
        "subscribe c1; subscribe c2; block c1; publish a; publish b; ready c1; publish c; publish d",
        "ok c1 | ok c2 | - | c1 blocked, c2#1 a, keep a | c2#2 b, keep b | - | c2#3 c, keep c | c1#4 d, keep d",
    );
}

#[test]
fn a_consumer_blocked_in_the_middle_of_a_backlog_loses_nothing() {
    check(
        "publish a; publish b; block c1; subscribe c1; subscribe c2 prefetch=1; ready c1",
        "keep a | keep b | - | ok c1, c1 blocked | ok c2, c2#1 a | c1#2 b",
    );
}

#[test]
fn a_low_priority_consumer_helps_while_the_high_one_is_blocked() {
    check(
        "subscribe c1 no-ack; subscribe c2 no-ack priority=9; block c2; publish a; ready c2; publish b",
        "ok c1 | ok c2 | - | c2 blocked, c1 a | - | c2 b",
    );
}

#[test]
fn readiness_of_a_consumer_that_left_is_no_news() {
    check("ready c7; cancel c7", "- | unknown consumer");
}

#[test]
fn a_cancelled_consumer_gets_nothing_more() {
    check(
        "subscribe c1 no-ack; publish a; cancel c1; publish b",
        "ok c1 | c1 a | - | keep b",
    );
}

#[test]
fn a_departing_channel_gets_none_of_its_messages_back() {
    check(
        "subscribe c1; subscribe c2; subscribe c3 prefetch=1; publish a; publish b; publish c; depart c1 c2 1,2; ack 3",
        "ok c1 | ok c2 | ok c3 | c1#1 a, keep a | c2#2 b, keep b | c3#3 c, keep c | - | c3#4 a*1",
    );
}

#[test]
fn listings_show_each_consumer_as_it_is() {
    let machine = after("subscribe c1 prefetch=3 priority=2; subscribe c2 no-ack; block c2; publish a; publish b");
    let seen: Vec<_> = machine
        .queue
        .consumers()
        .map(|c| (c.id.0, c.prefetch, c.priority, c.unacked, c.no_ack))
        .collect();
    assert_eq!(seen, [(1, 3, 2, 2, false), (2, 0, 0, 0, true)]);
}
