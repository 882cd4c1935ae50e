//! Message priorities.
//!
//! One head for all levels: RabbitMQ 3.x drops and expires there too, whatever one may expect.

use crate::machine::check;

#[test]
fn higher_priorities_first_and_arrival_within_one() {
    check(
        "queue max-priority=5; publish a; publish b priority=3; publish c priority=5; publish d priority=3; \
         subscribe c1",
        "keep a | keep b | keep c | keep d | ok c1, c1#1 c, c1#2 b, c1#3 d, c1#4 a",
    );
}

#[test]
fn above_the_maximum_is_the_maximum() {
    check(
        "queue max-priority=2; publish a priority=2; publish b priority=255; get; get",
        "keep a | keep b | got#1 a left=1 | got#2 b left=0",
    );
}

#[test]
fn without_max_priority_the_property_means_nothing() {
    check(
        "publish a; publish b priority=9; get",
        "keep a | keep b | got#1 a left=1",
    );
}

#[test]
fn maximum_zero_is_one_level() {
    check(
        "queue max-priority=0; publish a; publish b priority=9; get",
        "keep a | keep b | got#1 a left=1",
    );
}

#[test]
fn all_256_levels_are_levels() {
    check(
        "queue max-priority=255; publish a priority=254; publish b priority=255; get; get",
        "keep a | keep b | got#1 b left=1 | got#2 a left=0",
    );
}

#[test]
fn requeue_returns_to_the_place_within_the_own_priority() {
    check(
        "queue max-priority=1; publish a; publish b; publish c priority=1; get; get; requeue 2; requeue 1; get; get; get",
        "keep a | keep b | keep c | got#1 c left=2 | got#2 a left=1 | - | - \
         | got#3 c*1 left=2 | got#4 a*1 left=1 | got#5 b left=0",
    );
}

#[test]
fn a_message_delivered_directly_returns_to_its_own_priority() {
    check(
        "queue max-priority=9; subscribe c1 prefetch=1; publish a priority=7; publish b priority=8; publish c priority=6; \
         cancel c1; requeue 1; get; get; get",
        "ok c1 | c1#1 a, keep a | keep b | keep c | - | - | got#2 b left=2 | got#3 a*1 left=1 | got#4 c left=0",
    );
}

#[test]
fn prefetch_can_hide_a_priority() {
    check(
        "queue max-priority=9; subscribe c1; publish a; publish b priority=9",
        "ok c1 | c1#1 a, keep a | c1#2 b, keep b",
    );
}

#[test]
fn overflow_drops_the_head_which_is_of_the_highest_priority() {
    check(
        "queue dlx max-priority=5 max-length=2; publish a priority=5; publish b priority=1; publish c priority=3",
        "keep a | keep b | keep c, dead a maxlen",
    );
}

#[test]
fn an_expired_message_of_low_priority_waits_behind_a_living_one_of_high() {
    check(
        "queue dlx max-priority=5; publish a priority=5; publish b ttl=5; wait 5; tick; get; tick",
        "keep a | keep b | - | - | got#1 a left=1 | dead b expired",
    );
}

#[test]
fn purge_empties_every_level() {
    check(
        "queue max-priority=3; publish a priority=3; publish b; purge; get; publish c priority=2; get",
        "keep a | keep b | purged 2 | empty | keep c | got#1 c left=0",
    );
}
