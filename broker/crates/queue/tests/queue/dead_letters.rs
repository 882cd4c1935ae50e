//! Reasons to die, and what is never dead-lettered.
//!
//! Where dead letters go is the host's business and not tested here.

use crate::machine::check;

#[test]
fn rejected_messages_die_of_rejection() {
    check(
        "queue dlx; publish a; get; reject 1",
        "keep a | got#1 a left=0 | dead a rejected",
    );
}

#[test]
fn a_batch_dies_in_the_order_in_which_it_was_named() {
    check(
        "queue dlx; subscribe c1; publish a; publish b; reject 1,2",
        "ok c1 | c1#1 a, keep a | c1#2 b, keep b | dead a rejected, dead b rejected",
    );
}

#[test]
fn a_message_returned_more_often_than_the_limit_dies() {
    check(
        "queue dlx delivery-limit=2; subscribe c1 prefetch=1; publish a; requeue 1; requeue 2; requeue 3",
        "ok c1 | c1#1 a, keep a | c1#2 a*1 | c1#3 a*2 | dead a delivery_limit",
    );
}

#[test]
fn delivery_limit_zero_allows_one_delivery() {
    check(
        "queue dlx delivery-limit=0; publish a; get; requeue 1",
        "keep a | got#1 a left=0 | dead a delivery_limit",
    );
}

#[test]
fn without_dead_letter_exchange_the_limit_drops() {
    check(
        "queue delivery-limit=0; publish a; get; requeue 1; get",
        "keep a | got#1 a left=0 | - | empty",
    );
}

#[test]
fn a_departing_channel_counts_as_a_return() {
    check(
        "queue dlx delivery-limit=0; subscribe c1; publish a; depart c1 1",
        "ok c1 | c1#1 a, keep a | dead a delivery_limit",
    );
}

#[test]
fn acks_purges_and_deletion_dead_letter_nothing() {
    check(
        "queue dlx; publish a; publish b; publish c; get; ack 1; purge; publish d; publish e; get; delete",
        "keep a | keep b | keep c | got#1 a left=2 | - | purged 2 | keep d | keep e | got#2 d left=1 \
         | deleted ready=1 unacked=1",
    );
}

#[test]
fn a_death_frees_credit() {
    check(
        "queue dlx; subscribe c1 prefetch=1; publish a; publish b; reject 1",
        "ok c1 | c1#1 a, keep a | keep b | dead a rejected, c1#2 b",
    );
}
