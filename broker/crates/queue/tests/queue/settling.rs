//! Ack, requeue, reject: places, credit, slots.
//!
//! Every delivery is settled once; what comes back stands where it stood.

use crate::machine::check;

#[test]
fn nack_with_requeue_returns_message_to_its_old_place() {
    check(
        "publish a; publish b; publish c; get; get; requeue 1; get; get",
        "keep a | keep b | keep c | got#1 a left=2 | got#2 b left=1 | - | got#3 a*1 left=1 | got#4 c left=0",
    );
}

#[test]
fn third_returned_before_first_still_comes_after_it() {
    check(
        "publish a; publish b; publish c; get; get; get; requeue 3; requeue 1; get; get",
        "keep a | keep b | keep c | got#1 a left=2 | got#2 b left=1 | got#3 c left=0 | - | - \
         | got#4 a*1 left=1 | got#5 c*1 left=0",
    );
}

#[test]
fn a_batch_is_requeued_whole_before_anything_is_delivered() {
    check(
        "subscribe c1 prefetch=2; publish a; publish b; requeue 2,1",
        "ok c1 | c1#1 a, keep a | c1#2 b, keep b | c1#3 a*1, c1#4 b*1",
    );
}

#[test]
fn requeue_with_one_consumer_gives_it_the_message_again() {
    check(
        "subscribe c1 prefetch=1; publish a; requeue 1; requeue 2",
        "ok c1 | c1#1 a, keep a | c1#2 a*1 | c1#3 a*2",
    );
}

#[test]
fn a_batch_of_acks_frees_all_its_credit_at_once() {
    check(
        "subscribe c1 prefetch=2; publish a; publish b; publish c; publish d; ack 1,2",
        "ok c1 | c1#1 a, keep a | c1#2 b, keep b | keep c | keep d | c1#3 c, c1#4 d",
    );
}

#[test]
fn a_slot_is_settled_once() {
    check(
        "publish a; get; ack 1; ack 1; requeue 1",
        "keep a | got#1 a left=0 | - | unknown slot | unknown slot",
    );
}

#[test]
fn a_slot_used_again_does_not_answer_to_its_old_name() {
    check(
        "publish a; publish b; get; ack 1; get; ack 1; requeue 2; get",
        "keep a | keep b | got#1 a left=1 | - | got#2 b left=0 | unknown slot | - | got#3 b*1 left=0",
    );
}

#[test]
fn the_known_ones_of_a_batch_are_settled_even_if_one_is_not() {
    check(
        "publish a; publish b; get; get; ack 1; ack 1,2; ack 2",
        "keep a | keep b | got#1 a left=1 | got#2 b left=0 | - | unknown slot | unknown slot",
    );
}

#[test]
fn unacked_messages_outlive_their_consumer() {
    check(
        "subscribe c1 prefetch=1; publish a; cancel c1; subscribe c2; requeue 1; ack 2",
        "ok c1 | c1#1 a, keep a | - | ok c2 | c2#2 a*1 | -",
    );
}

#[test]
fn settling_for_a_gone_consumer_gives_no_credit_to_its_successor() {
    check(
        "subscribe c1 prefetch=1; publish a; cancel c1; subscribe c2 prefetch=1; publish b; publish c; ack 1; ack 2",
        "ok c1 | c1#1 a, keep a | - | ok c2 | c2#2 b, keep b | keep c | - | c2#3 c",
    );
}

#[test]
fn rejected_without_dead_letter_exchange_is_gone() {
    check("publish a; get; reject 1; get", "keep a | got#1 a left=0 | - | empty");
}

#[test]
fn what_a_consumer_returns_to_a_queue_that_serves_in_turn_is_behind_what_is_there_and_before_what_comes() {
    check(
        "queue in-turn; publish a; publish b; publish c; get; get; requeue 2; requeue 1; publish d; get; get; get; get",
        "keep a | keep b | keep c | got#1 a left=2 | got#2 b left=1 | - | - | keep d | got#3 c left=3 | got#4 b*1 left=2 \
         | got#5 a*1 left=1 | got#6 d left=0",
    );
}

#[test]
fn with_a_delivery_limit_or_when_its_channel_goes_what_comes_back_is_served_before_everything() {
    check(
        "queue in-turn delivery-limit=9; publish a; publish b; publish c; get; get; requeue 2; requeue 1; get; get; get",
        "keep a | keep b | keep c | got#1 a left=2 | got#2 b left=1 | - | - | got#3 b*1 left=2 | got#4 a*1 left=1 \
         | got#5 c left=0",
    );
    check(
        "queue in-turn; publish a; publish b; publish c; get; get; depart 1,2; get; get; get",
        "keep a | keep b | keep c | got#1 a left=2 | got#2 b left=1 | - | got#3 a*1 left=2 | got#4 b*1 left=1 | got#5 c left=0",
    );
}
