//! Time to live of messages.
//!
//! Messages die at the head only, and at the millisecond at which their time is over.

use model::Millis;

use crate::machine::{after, check};

#[test]
fn a_message_lives_until_its_ttl_and_not_longer() {
    check(
        "queue dlx; publish a ttl=10; wait 9; tick; wait 1; tick",
        "keep a | - | - | - | dead a expired",
    );
}

#[test]
fn the_shorter_of_queue_ttl_and_own_ttl_counts() {
    check(
        "queue dlx ttl=10; publish a ttl=50; publish b ttl=5; wait 5; tick; wait 5; tick",
        "keep a | keep b | - | - | - | dead a expired, dead b expired",
    );
}

#[test]
fn queue_ttl_is_exact_for_every_message() {
    check(
        "queue dlx ttl=10; publish a; wait 4; publish b; wait 6; tick; wait 4; tick",
        "keep a | - | keep b | - | dead a expired | - | dead b expired",
    );
}

#[test]
fn an_expired_message_behind_a_living_one_waits_for_its_turn() {
    check(
        "queue dlx; publish a; publish b ttl=0; tick; get; tick",
        "keep a | keep b | - | got#1 a left=1 | dead b expired",
    );
}

#[test]
fn an_expired_message_is_never_delivered() {
    check(
        "queue dlx; publish a ttl=5; publish b; wait 5; subscribe c1",
        "keep a | keep b | - | ok c1, dead a expired, c1#1 b",
    );
    check(
        "queue dlx; publish a ttl=5; wait 5; get",
        "keep a | - | dead a expired, empty",
    );
}

#[test]
fn an_expired_message_reached_in_the_middle_of_a_delivery_run_dies() {
    check(
        "queue dlx; publish a; publish b ttl=5; publish c; wait 5; subscribe c1",
        "keep a | keep b | keep c | - | ok c1, c1#1 a, dead b expired, c1#2 c",
    );
}

#[test]
fn ttl_zero_means_now_or_never() {
    check(
        "queue dlx; publish a ttl=0; subscribe c1 prefetch=1; publish b ttl=0; publish c ttl=0",
        "keep a, dead a expired | ok c1 | c1#1 b, keep b | keep c, dead c expired",
    );
    check("queue ttl=0; publish a; get", "keep a | empty");
}

#[test]
fn a_requeued_message_keeps_its_expiry() {
    check(
        "queue dlx ttl=10; publish a; get; wait 6; requeue 1; wait 4; tick",
        "keep a | got#1 a left=0 | - | - | - | dead a expired",
    );
}

#[test]
fn a_message_that_expired_while_unacked_dies_when_it_comes_back() {
    check(
        "queue dlx ttl=10; subscribe c1; publish a; wait 10; tick; requeue 1",
        "ok c1 | c1#1 a, keep a | - | - | dead a expired",
    );
}

#[test]
fn an_expired_message_makes_no_room_for_itself_at_a_limit() {
    check(
        "queue reject-publish max-length=1; publish a ttl=5; publish b; wait 5; publish c",
        "keep a | rejected | - | keep c",
    );
}

#[test]
fn the_deadline_is_that_of_the_head() {
    let machine = after("publish a ttl=50; publish b ttl=10");
    assert_eq!(machine.queue.next_deadline(), Some(Millis(machine.now.0 + 50)));
    assert_eq!(after("publish a; publish b ttl=10").queue.next_deadline(), None);
    assert_eq!(after("publish a ttl=10; get no-ack").queue.next_deadline(), None);
}

#[test]
fn a_new_queue_ttl_holds_for_later_messages() {
    check(
        "queue dlx; publish a; set dlx ttl=5; publish b; wait 5; get; tick",
        "keep a | - | keep b | - | got#1 a left=1 | dead b expired",
    );
}

#[test]
fn the_largest_ttl_never_wraps_into_the_past() {
    check(
        &format!("queue dlx; publish a ttl={}; wait 5; get", u64::MAX),
        "keep a | - | got#1 a left=0",
    );
}
