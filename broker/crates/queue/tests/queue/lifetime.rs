//! When a queue wants to go: auto-delete, expiry of the unused, deletion; and how small it is.
//!
//! The queue only asks to be deleted; the host decides and deletes.

use model::Millis;

use crate::machine::{after, check};

#[test]
fn an_auto_delete_queue_goes_with_its_last_consumer() {
    check(
        "queue auto-delete; subscribe c1; subscribe c2; cancel c1; cancel c2",
        "ok c1 | ok c2 | - | retire: last consumer gone",
    );
}

#[test]
fn an_auto_delete_queue_that_never_had_a_consumer_stays() {
    check(
        "queue auto-delete; publish a; get; ack 1; tick; cancel c1",
        "keep a | got#1 a left=0 | - | - | unknown consumer",
    );
}

#[test]
fn a_departing_channel_without_consumers_here_deletes_nothing() {
    check(
        "queue auto-delete; publish a; get; depart 1",
        "keep a | got#1 a left=0 | -",
    );
    check(
        "queue auto-delete; subscribe c1; depart c1",
        "ok c1 | retire: last consumer gone",
    );
}

#[test]
fn other_queues_stay_without_consumers() {
    check("subscribe c1; cancel c1", "ok c1 | -");
}

#[test]
fn an_unused_queue_asks_to_go_and_asks_again() {
    check(
        "queue expires=10; wait 9; tick; wait 1; tick; tick; wait 10; tick",
        "- | - | - | retire: unused | - | - | retire: unused",
    );
}

#[test]
fn get_and_redeclare_are_use_and_publish_is_not() {
    check(
        "queue expires=10; wait 9; get; wait 9; tick; wait 1; tick",
        "- | empty | - | - | - | retire: unused",
    );
    check(
        "queue expires=10; wait 9; redeclare; wait 9; tick; wait 1; tick",
        "- | - | - | - | - | retire: unused",
    );
    check(
        "queue expires=10; wait 9; publish a; wait 1; tick",
        "- | keep a | - | retire: unused",
    );
}

#[test]
fn a_queue_with_a_consumer_is_used_and_idle_from_when_it_goes() {
    check(
        "queue expires=10; subscribe c1; wait 50; tick; cancel c1; wait 9; tick; wait 1; tick",
        "ok c1 | - | - | - | - | - | - | retire: unused",
    );
}

#[test]
fn the_deadline_is_the_earlier_of_message_and_queue() {
    let machine = after("queue expires=10; publish a ttl=20");
    assert_eq!(machine.queue.next_deadline(), Some(Millis(machine.now.0 + 10)));
    let machine = after("queue expires=30; publish a ttl=20");
    assert_eq!(machine.queue.next_deadline(), Some(Millis(machine.now.0 + 20)));
    assert_eq!(after("queue expires=30; subscribe c1").queue.next_deadline(), None);
    assert_eq!(after("publish a").queue.next_deadline(), None);
}

#[test]
fn a_new_expiry_counts_from_its_arrival() {
    check(
        "wait 50; set expires=10; wait 9; tick; wait 1; tick",
        "- | - | - | - | - | retire: unused",
    );
}

#[test]
fn deletion_tells_consumers_in_order_of_subscription_and_forgets_everything() {
    check(
        "publish a; get; subscribe c2; subscribe c1; block c1; block c2; publish b; delete; get; requeue 1",
        "keep a | got#1 a left=0 | ok c2 | ok c1 | - | - | c2 blocked, c1 blocked, keep b \
         | cancelled c2, cancelled c1, deleted ready=1 unacked=1 | empty | unknown slot",
    );
}

#[test]
fn an_empty_queue_is_small() {
    let octets = size_of::<queue::Queue<std::rc::Rc<()>, u64>>();
    assert!(octets <= 768, "{octets} octets");
}
