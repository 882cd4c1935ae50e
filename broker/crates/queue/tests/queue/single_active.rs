//! Single active consumer: one gets everything, the others wait.
//!
//! The successor is chosen by priority, then by age; nobody is displaced.

use crate::machine::{after, check};

#[test]
fn the_first_consumer_is_active_even_if_a_later_one_has_higher_priority() {
    check(
        "queue single-active; subscribe c1; subscribe c2 priority=5; publish a; publish b",
        "ok c1, active c1 | ok c2 | c1#1 a, keep a | c1#2 b, keep b",
    );
}

#[test]
fn the_successor_is_the_highest_priority_then_the_oldest() {
    check(
        "queue single-active; subscribe c1; subscribe c2; subscribe c3 priority=5; subscribe c4 priority=5; \
         cancel c1; cancel c3; cancel c4; cancel c2",
        "ok c1, active c1 | ok c2 | ok c3 | ok c4 | active c3 | active c4 | active c2 | -",
    );
}

#[test]
fn the_successor_takes_over_at_once_and_the_old_one_settles_its_own() {
    check(
        "queue single-active; subscribe c1 prefetch=1; subscribe c2; publish a; publish b; cancel c1; requeue 1",
        "ok c1, active c1 | ok c2 | c1#1 a, keep a | keep b | active c2, c2#2 b | c2#3 a*1",
    );
}

#[test]
fn while_the_active_one_is_full_or_blocked_nobody_gets_anything() {
    check(
        "queue single-active; subscribe c1 prefetch=1; subscribe c2; publish a; publish b; block c1; ack 1; ready c1",
        "ok c1, active c1 | ok c2 | c1#1 a, keep a | keep b | - | c1 blocked | c1#2 b",
    );
}

#[test]
fn a_waiting_one_that_leaves_changes_nothing() {
    check(
        "queue single-active; subscribe c1; subscribe c2; cancel c2; publish a",
        "ok c1, active c1 | ok c2 | - | c1#1 a, keep a",
    );
}

#[test]
fn exclusive_and_single_active_exclude_each_other() {
    check("queue single-active; subscribe c1 exclusive", "in exclusive use");
}

#[test]
fn a_departing_channel_never_hands_over_to_its_own_second_consumer() {
    check(
        "queue single-active; subscribe c1; subscribe c2; subscribe c3; publish a; depart c1 c2 1",
        "ok c1, active c1 | ok c2 | ok c3 | c1#1 a, keep a | active c3, c3#2 a*1",
    );
}

#[test]
fn listings_tell_the_active_one_from_the_waiting() {
    let machine = after("queue single-active; subscribe c1; subscribe c2");
    let active: Vec<_> = machine.queue.consumers().map(|c| (c.id.0, c.active)).collect();
    assert_eq!(active, [(1, true), (2, false)]);
    assert_eq!(machine.queue.single_active_consumer().map(|id| id.0), Some(1));
}
