//! Length limits and what they do to the overflowing message.
//!
//! Only ready messages count; the order of drop, expiry and delivery is RabbitMQ's as measured.

use crate::machine::check;

#[test]
fn drop_head_drops_the_oldest() {
    check(
        "queue dlx max-length=2; publish a; publish b; publish c; get; get",
        "keep a | keep b | keep c, dead a maxlen | got#1 b left=1 | got#2 c left=0",
    );
}

#[test]
fn unacked_messages_do_not_count() {
    check(
        "queue dlx max-length=1; publish a; get; publish b; publish c",
        "keep a | got#1 a left=0 | keep b | keep c, dead b maxlen",
    );
}

#[test]
fn max_length_bytes_counts_bodies() {
    check(
        "queue dlx max-bytes=3; publish a bytes=2; publish b bytes=1; publish c bytes=1",
        "keep a | keep b | keep c, dead a maxlen",
    );
}

#[test]
fn a_body_above_the_limit_drives_out_everything_and_itself() {
    check(
        "queue dlx max-bytes=3; publish a bytes=2; publish b bytes=5; get",
        "keep a | keep b, dead a maxlen, dead b maxlen | empty",
    );
}

#[test]
fn the_first_limit_reached_counts() {
    check(
        "queue dlx max-length=2 max-bytes=10; publish a bytes=9; publish b bytes=2; publish c; publish d",
        "keep a | keep b, dead a maxlen | keep c | keep d, dead b maxlen",
    );
}

#[test]
fn max_length_zero_means_direct_delivery_only() {
    check(
        "queue dlx max-length=0; publish a; subscribe c1 prefetch=1; publish b; publish c",
        "keep a, dead a maxlen | ok c1 | c1#1 b, keep b | keep c, dead c maxlen",
    );
}

#[test]
fn a_message_returned_to_a_full_queue_is_at_the_head_and_dropped() {
    check(
        "queue dlx max-length=2; publish a; publish b; get; get; publish c; publish d; requeue 1,2; get; get",
        "keep a | keep b | got#1 a left=1 | got#2 b left=0 | keep c | keep d | dead a maxlen, dead b maxlen \
         | got#3 c left=1 | got#4 d left=0",
    );
}

#[test]
fn a_message_returned_at_max_length_zero_dies_before_anybody_is_asked() {
    check(
        "queue dlx max-length=0; subscribe c1 prefetch=1; publish a; requeue 1",
        "ok c1 | c1#1 a, keep a | dead a maxlen",
    );
}

#[test]
fn reject_publish_refuses_the_newest_and_dead_letters_nothing() {
    check(
        "queue dlx reject-publish max-length=1; publish a; publish b; get; publish c",
        "keep a | rejected | got#1 a left=0 | keep c",
    );
}

#[test]
fn reject_publish_dlx_refuses_and_dead_letters() {
    check(
        "queue dlx reject-publish-dlx max-length=1; publish a; publish b",
        "keep a | keep b, dead b maxlen, rejected",
    );
    check(
        "queue reject-publish-dlx max-length=1; publish a; publish b",
        "keep a | rejected",
    );
}

#[test]
fn reject_publish_judges_before_it_looks_for_a_consumer() {
    check(
        "queue reject-publish max-length=0; subscribe c1; publish a",
        "ok c1 | rejected",
    );
}

#[test]
fn reject_publish_by_bytes_lets_a_smaller_one_in() {
    check(
        "queue reject-publish max-bytes=3; publish a bytes=2; publish b bytes=2; publish c; publish d",
        "keep a | rejected | keep c | rejected",
    );
}

#[test]
fn reject_publish_takes_a_returned_message_above_the_limit() {
    check(
        "queue reject-publish max-length=1; publish a; get; publish b; requeue 1; get; get",
        "keep a | got#1 a left=0 | keep b | - | got#2 a*1 left=1 | got#3 b left=0",
    );
}

#[test]
fn a_lowered_limit_holds_at_once() {
    check(
        "queue dlx; publish a; publish b; publish c; set dlx max-length=1",
        "keep a | keep b | keep c | dead a maxlen, dead b maxlen",
    );
    check(
        "publish a; publish b; set reject-publish max-length=1; publish c",
        "keep a | keep b | - | rejected",
    );
}

#[test]
fn without_dead_letter_exchange_dropped_messages_just_vanish() {
    check(
        "queue max-length=1; publish a; publish b; get",
        "keep a | keep b | got#1 b left=0",
    );
}
