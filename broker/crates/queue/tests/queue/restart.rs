//! A queue after a restart: everything that lasts is in pages, which may overlap, and order is as before.

use model::Millis;

use crate::machine::{after, check_store};

const FOUR: &str =
    "queue durable; publish a persistent; publish b persistent; publish c persistent; publish d persistent";

#[track_caller]
fn check_four(then: &str, expected: &str) {
    let stored = "store a 1, keep a | store b 2, keep b | store c 3, keep c | store d 4, keep d";
    check_store(&format!("{FOUR}; {then}"), &format!("{stored} | {expected}"));
}

#[test]
fn nothing_is_loaded_until_somebody_wants_it() {
    check_four("restart; publish e; tick; get", "- | keep e | - | load p1, loading");
    check_four(
        "restart; subscribe c1; load",
        "- | ok c1, load p1 | c1#1 a, c1#2 b, c1#3 c, c1#4 d",
    );
}

#[test]
fn transient_messages_are_gone_and_persistent_ones_are_ready_at_their_old_places() {
    check_store(
        "queue durable; publish a; publish b persistent; publish c persistent; get; get; restart; get; load; get; get",
        "keep a | store b 2, keep b | store c 3, keep c | got#1 a left=2 | got#2 b left=1 | - | load p1, loading \
         | - | got#3 b*0 left=1 | got#4 c left=0",
    );
}

#[test]
fn what_was_handed_out_before_is_marked_redelivered() {
    check_four(
        "get; get; ack 1; restart; get; load; get; get",
        "got#1 a left=3 | got#2 b left=2 | removed 1 | - | load p1, loading | - | got#3 b*0 left=2 | got#4 c left=1",
    );
}

#[test]
fn pages_that_overlap_are_served_in_order() {
    check_four(
        "restart 0,1; get; load; get no-ack; get; load; get no-ack; get no-ack; get no-ack",
        "- | load p1, loading | - | load p2, removed 1, got a left=3 | loading | - | removed 2, got b left=2 \
         | removed 3, got c left=1 | removed 4, got d left=0",
    );
}

#[test]
fn pages_behind_one_another_stay_apart() {
    check_four(
        "restart 0,0,1,1; subscribe c1 no-ack; load; load",
        "- | ok c1, load p1 | c1 a, load p2, removed 1, c1 b, removed 2 | c1 c, removed 3, c1 d, removed 4",
    );
}

#[test]
fn time_asks_for_the_head_at_once() {
    let machine = after("queue durable; publish a persistent ttl=5; restart");
    assert_eq!(machine.queue.next_deadline(), Some(Millis(0)));
    check_store(
        "queue durable; publish a persistent ttl=5; restart; tick; wait 5; load",
        "store a 1, keep a | - | load p1 | - | removed 1",
    );
}

#[test]
fn a_limit_asks_for_the_head_when_something_arrives() {
    check_store(
        "queue durable max-length=2; publish a persistent; publish b persistent; restart; publish c; load; get no-ack",
        "store a 1, keep a | store b 2, keep b | - | keep c, load p1 | removed 1 | removed 2, got b left=1",
    );
}

#[test]
fn a_limit_asks_for_a_page_that_begins_before_what_is_in_memory() {
    check_four(
        "restart 0,1,0,0; set durable max-length=2; load; load; get no-ack",
        "- | load p1 \
         | removed 1, load p2 | removed 2 | removed 3, got c left=1",
    );
}

#[test]
fn sorted_pages_count_as_read_ahead() {
    check_four(
        "publish e persistent; publish f persistent; restart 0,1,0,1,2,2; get; load; get; load; get; get",
        "store e 5, keep e | store f 6, keep f | - | load p1, loading | - | load p2, got#1 a left=5 | - \
         | got#2 b left=4 | load p3, got#3 c left=3",
    );
}
