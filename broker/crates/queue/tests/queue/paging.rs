//! Ready messages above the memory limit: what goes to the store, when it comes back, and what waits for it.
//!
//! A letter takes 2 KiB here and a page is two letters, or a quarter of the limit if that is more.

use model::Millis;

use crate::machine::{LETTER_BYTES, after, check_store};

/// Five letters and room for four: a stays, b and c are a page, d and e another.
const FIVE: &str = "queue kib=8; publish a; publish b; publish c; publish d; publish e";

#[track_caller]
fn check_five(then: &str, expected: &str) {
    let out = "keep a | keep b | keep c | keep d | keep e, out p1 b c, out p2 d e";
    check_store(&format!("{FIVE}; {then}"), &format!("{out} | {expected}"));
}

#[test]
fn above_the_limit_the_newest_leave_in_pages_and_the_oldest_quarter_stays() {
    let mut machine = after(FIVE);
    assert_eq!(machine.store().take_outgoing().len(), 2);
    assert_eq!(machine.queue.resident_bytes(), LETTER_BYTES);
    assert_eq!(machine.queue.counts().ready.messages, 5);
    assert_eq!(machine.queue.counts().ready.bytes, 5);
}

#[test]
fn the_next_page_is_asked_for_when_less_than_it_is_ahead() {
    check_five(
        "get; load; get; load; get; get; get; get",
        "load p1, got#1 a left=4 | - | load p2, got#2 b left=3 | - | got#3 c left=2 | got#4 d left=1 \
         | got#5 e left=0 | empty",
    );
}

#[test]
fn nobody_gets_a_message_that_is_not_there_yet() {
    check_five(
        "get; get; load; get",
        "load p1, got#1 a left=4 | loading | - | load p2, got#2 b left=3",
    );
    check_five(
        "subscribe c1 no-ack; load; load",
        "ok c1, c1 a, load p1 | c1 b, load p2, c1 c | c1 d, c1 e",
    );
}

#[test]
fn what_arrives_meanwhile_waits_behind_the_pages() {
    check_five(
        "publish f; publish g; publish h; publish i; get no-ack; load; subscribe c1 no-ack; load; load",
        "keep f | keep g | keep h | keep i, out p3 f g, out p4 h i | load p1, got a left=8 | - \
         | ok c1, c1 b, load p2, c1 c | c1 d, load p3, c1 e | c1 f, load p4, c1 g",
    );
}

#[test]
fn only_whole_pages_leave_the_back() {
    check_five(
        "publish f; publish g; publish h; publish i",
        "keep f | keep g | keep h | keep i, out p3 f g, out p4 h i",
    );
}

#[test]
fn messages_that_come_back_are_served_before_the_pages() {
    check_five(
        "get; requeue 1; get; load; get; requeue 2; get; get",
        "load p1, got#1 a left=4 | - | got#2 a*1 left=4 | - | load p2, got#3 b left=3 | - | got#4 a*2 left=3 \
         | got#5 c left=2",
    );
}

#[test]
fn a_message_that_waits_for_its_page_lets_nobody_past() {
    check_five(
        "get no-ack; subscribe c1 prefetch=1; publish f; load",
        "load p1, got a left=4 | ok c1 | keep f | c1#1 b, load p2",
    );
}

#[test]
fn lost_messages_are_not_ready_any_more() {
    check_five(
        "get no-ack; load lost=b,c; get no-ack; load lost=e; get no-ack; get no-ack",
        "load p1, got a left=4 | lost 2 | load p2, loading | lost 1 | got d left=0 | empty",
    );
}

#[test]
fn a_purge_discards_pages_and_an_answer_that_comes_too_late_is_ignored() {
    check_five(
        "get no-ack; purge; load; get; publish f; get",
        "load p1, got a left=4 | discard p1, discard p2, purged 4 | - | empty | keep f | got#1 f left=0",
    );
}

#[test]
fn a_purge_reports_what_is_in_pages_as_runs() {
    check_store(
        "queue kib=8 durable; publish a persistent; publish b persistent; publish c persistent; publish d persistent; \
         publish e persistent; publish f persistent; get; purge; ack 1",
        "store a 1, keep a | store b 2, keep b | store c 3, keep c | store d 4, keep d \
         | store e 5, keep e, out p1 b c, out p2 d e | store f 6, keep f | load p1, got#1 a left=5 \
         | removed 2-3, removed 4-5, removed 6, discard p1, discard p2, purged 5 | removed 1",
    );
}

#[test]
fn a_deleted_queue_discards_its_pages() {
    check_five(
        "delete; get",
        "discard p1, discard p2, deleted ready=5 unacked=0 | empty",
    );
}

#[test]
fn an_overflow_drops_the_head_once_it_is_there() {
    check_store(
        "queue kib=8 max-length=5 dlx; publish a; publish b; publish c; publish d; publish e; publish f; publish g; \
         load",
        "keep a | keep b | keep c | keep d | keep e, out p1 b c, out p2 d e | keep f, load p1, dead a maxlen \
         | keep g | load p2, dead b maxlen",
    );
}

#[test]
fn a_head_that_expires_is_loaded_by_itself() {
    check_store(
        "queue kib=8 ttl=10 dlx; publish a; publish b; publish c; publish d; publish e; get no-ack; load; wait 10; tick; \
         load",
        "keep a | keep b | keep c | keep d | keep e, out p1 b c, out p2 d e | load p1, got a left=4 | - | - \
         | load p2, dead b expired, dead c expired | dead d expired, dead e expired",
    );
    let machine = after("queue kib=8; publish a; publish b ttl=10; publish c; publish d; publish e; get no-ack; load");
    assert_eq!(machine.queue.next_deadline(), Some(Millis(1_010)));
}

#[test]
fn each_level_pages_for_itself() {
    check_store(
        "queue kib=16 max-priority=1; publish a; publish b; publish c; publish d; publish e; publish x priority=1; \
         get no-ack; get no-ack; load; get no-ack",
        "keep a | keep b | keep c | keep d | keep e, out p1 b c, out p2 d e | keep x | load p1, got x left=5 \
         | got a left=4 | - | load p2, got b left=3",
    );
}

#[test]
fn a_higher_level_is_served_while_a_lower_one_loads() {
    check_store(
        "queue kib=16 max-priority=1; publish a; publish b; publish c; publish d; publish e; get no-ack; \
         subscribe c1 no-ack; publish x priority=1; load",
        "keep a | keep b | keep c | keep d | keep e, out p1 b c, out p2 d e | load p1, got a left=4 | ok c1 \
         | keep x, c1 x | c1 b, load p2, c1 c",
    );
}

#[test]
fn short_of_memory_everything_leaves_and_nothing_comes_back_unasked() {
    check_store(
        "publish a; publish b; publish c; shrink 0; publish d; get; load; get no-ack",
        "keep a | keep b | keep c | out p1 a b c | keep d | load p1, loading | - | got a left=3",
    );
    check_store(
        "publish a; publish b; publish c; shrink 4; shrink 4; shrink 3; get no-ack; get no-ack; load",
        "keep a | keep b | keep c | out p1 c | - | out p2 b | load p2, got a left=2 | loading | -",
    );
}

#[test]
fn short_of_memory_the_head_stays_if_its_time_must_be_known() {
    check_store(
        "publish a ttl=5; publish b; shrink 0; wait 5; tick; load; get no-ack",
        "keep a | keep b | out p1 b | - | load p1 | - | got b left=0",
    );
}

#[test]
fn what_came_back_stays_in_memory() {
    check_store(
        "publish a; publish b; get; requeue 1; shrink 0; get; get",
        "keep a | keep b | got#1 a left=1 | - | out p1 b | load p1, got#2 a*1 left=1 | loading",
    );
}

#[test]
fn a_limit_of_nothing_still_fills_pages() {
    check_store(
        "queue kib=0; publish a; publish b; publish c; publish d; publish e",
        "keep a | keep b, out p1 b | keep c | keep d, out p2 c d | keep e",
    );
}
