//! What a queue shows of the order of its messages: the foremost ones, and how many wait at each level.

use crate::machine::after;

/// The next message and the oldest that is handed out, and how many wait at each level.
#[track_caller]
fn check_shown(script: &str, foremost: &[&str], lengths: &[u64]) {
    let machine = after(script);
    let shown: Vec<&str> = machine
        .queue
        .foremost()
        .map(|message| message.0.name.as_str())
        .collect();
    assert_eq!(
        (shown.as_slice(), machine.queue.lengths().as_slice()),
        (foremost, lengths),
        "{script}"
    );
}

#[test]
fn the_next_message_and_the_oldest_that_is_handed_out_are_foremost() {
    check_shown("publish a; publish b", &["a"], &[]);
    check_shown("publish a; publish b; publish c; get; get", &["c", "a"], &[]);
    check_shown("publish a; publish b; get; get; ack 1", &["b"], &[]);
    check_shown("publish a; publish b; get; get; requeue 1", &["a", "b"], &[]);
    check_shown("publish a; get no-ack", &[], &[]);
}

#[test]
fn of_a_queue_with_priorities_those_of_the_highest_level_that_has_any() {
    let three = "queue max-priority=2; publish a; publish b priority=2; publish c priority=2";
    check_shown(three, &["b"], &[1, 0, 2]);
    check_shown(&format!("{three}; get"), &["c", "b"], &[1, 0, 1]);
    check_shown(&format!("{three}; get; get"), &["b"], &[1, 0, 0]);
    check_shown(&format!("{three}; get; get; ack 1; ack 2"), &["a"], &[1, 0, 0]);
}

#[test]
fn what_is_in_the_store_counts_and_is_not_shown() {
    check_shown(
        "queue kib=8 max-priority=0; publish a; publish b; publish c; publish d; publish e; publish f; get no-ack",
        &[],
        &[5],
    );
}
