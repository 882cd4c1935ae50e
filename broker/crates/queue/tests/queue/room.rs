//! What should be dead while the host has no room for its letter: it waits in its place, and nobody gets it.

use crate::machine::{after, check};

#[test]
fn expired_messages_without_room_die_in_order_when_there_is_room() {
    check(
        "queue dlx; publish a ttl=5; publish b ttl=5; publish c ttl=5; room 1; wait 5; tick; tick; room 1; go-on; room 9; go-on",
        "keep a | keep b | keep c | - | - | dead a expired | - | - | dead b expired | - | dead c expired",
    );
}

#[test]
fn an_expired_message_that_waits_for_room_is_given_to_nobody() {
    check(
        "queue dlx; room 0; publish a ttl=5; publish b; wait 5; subscribe c1; get; publish c; room 1; go-on",
        "- | keep a | keep b | - | ok c1 | loading | keep c | - | dead a expired, c1#1 b, c1#2 c",
    );
}

#[test]
fn a_queue_without_room_keeps_more_than_its_limit_and_delivers_it() {
    check(
        "queue dlx max-length=1; room 0; publish a; publish b; get; publish c; room 9; go-on",
        "- | keep a | keep b | got#1 a left=1 | keep c | - | dead b maxlen",
    );
}

#[test]
fn a_message_whose_refusal_would_leave_a_letter_is_taken_when_there_is_no_room() {
    check(
        "queue dlx max-length=1 reject-publish-dlx; publish a; room 1; publish b; publish c; get; get",
        "keep a | - | keep b, dead b maxlen, rejected | keep c | got#1 a left=1 | got#2 c left=0",
    );
}

#[test]
fn a_rejected_message_needs_no_room_and_a_queue_without_letters_asks_for_none() {
    check(
        "queue dlx; room 0; publish a; get; reject 1",
        "- | keep a | got#1 a left=0 | dead a rejected",
    );
    check(
        "queue max-length=0; room 0; publish a; publish b ttl=0; tick; get",
        "- | keep a | keep b | - | empty",
    );
}

#[test]
fn the_timer_leaves_a_queue_alone_that_waits_for_room() {
    let held = after("queue dlx; room 0; publish a ttl=5; wait 5; tick");
    assert_eq!(held.queue.next_deadline(), None);
    let gone_on = after("queue dlx; room 0; publish a ttl=5; publish b ttl=9; wait 5; tick; room 1; go-on");
    assert_eq!(gone_on.queue.next_deadline(), Some(model::Millis(1_009)));
}

#[test]
fn a_queue_whose_letters_are_no_longer_wanted_waits_for_nothing() {
    check(
        "queue dlx; room 0; publish a ttl=5; publish b; wait 5; tick; set; get",
        "- | keep a | keep b | - | - | - | got#1 b left=0",
    );
}
