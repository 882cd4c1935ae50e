//! What a durable queue tells the store: what it holds on to, and what is gone for good.
//!
//! Nothing leaves the memory here; `paging` and `restart` are about that.

use crate::machine::{after, check_store};

#[test]
fn a_persistent_message_in_a_durable_queue_is_stored_until_it_is_acknowledged() {
    check_store(
        "queue durable; publish a persistent; get; ack 1",
        "store a 1, keep a | got#1 a left=0 | removed 1",
    );
    check_store(
        "queue durable; publish a; publish b persistent; get; get; ack 1,2",
        "keep a | store b 2, keep b | got#1 a left=1 | got#2 b left=0 | removed 2",
    );
    check_store("publish a persistent; get; ack 1", "keep a | got#1 a left=0 | -");
}

#[test]
fn what_a_consumer_without_acknowledgement_takes_at_once_is_never_stored() {
    check_store(
        "queue durable; subscribe c1 no-ack; publish a persistent",
        "ok c1 | c1 a",
    );
    check_store(
        "queue durable; subscribe c1; publish a persistent; ack 1",
        "ok c1 | c1#1 a, store a 1, keep a | removed 1",
    );
}

#[test]
fn what_waits_and_is_taken_without_acknowledgement_is_gone() {
    check_store(
        "queue durable; publish a persistent; publish b persistent; get no-ack; subscribe c1 no-ack",
        "store a 1, keep a | store b 2, keep b | removed 1, got a left=1 | ok c1, c1 b, removed 2",
    );
}

#[test]
fn a_returned_message_stays_stored() {
    check_store(
        "queue durable; publish a persistent; get; requeue 1; get no-ack",
        "store a 1, keep a | got#1 a left=0 | - | removed 1, got a*1 left=0",
    );
}

#[test]
fn a_message_that_dies_unwanted_is_gone() {
    check_store(
        "queue durable; publish a persistent; get; reject 1",
        "store a 1, keep a | got#1 a left=0 | removed 1",
    );
    check_store(
        "queue durable max-length=0; publish a persistent",
        "store a 1, keep a, removed 1",
    );
    check_store(
        "queue durable; publish a persistent ttl=5; wait 5; tick",
        "store a 1, keep a | - | removed 1",
    );
    check_store(
        "queue durable delivery-limit=0; publish a persistent; get; requeue 1",
        "store a 1, keep a | got#1 a left=0 | removed 1",
    );
}

#[test]
fn a_dead_letter_takes_its_position_with_it() {
    check_store(
        "queue durable dlx; publish a persistent; publish b; get; get; reject 1,2",
        "store a 1, keep a | keep b | got#1 a left=1 | got#2 b left=0 | dead a rejected, stored 1, dead b rejected",
    );
    check_store(
        "queue durable dlx reject-publish-dlx max-length=0; publish a persistent",
        "keep a, dead a maxlen, rejected",
    );
}

#[test]
fn a_purge_reports_whole_runs_and_leaves_what_is_handed_out() {
    check_store(
        "queue durable; publish a persistent; publish b persistent; publish c; publish d persistent; get; get; \
         requeue 1; purge; ack 2",
        "store a 1, keep a | store b 2, keep b | keep c | store d 4, keep d | got#1 a left=3 | got#2 b left=2 | - \
         | removed 1, removed 3-4, purged 3 | removed 2",
    );
}

#[test]
fn a_deleted_queue_reports_nothing() {
    check_store(
        "queue durable; publish a persistent; publish b persistent; get; delete",
        "store a 1, keep a | store b 2, keep b | got#1 a left=1 | deleted ready=1 unacked=1",
    );
}

#[test]
fn a_replicated_queue_tells_of_every_message_and_of_its_end() {
    check_store(
        "queue replicated; publish a; publish b persistent; get; get; requeue 1; get no-ack; ack 2",
        "store a 1, keep a | store b 2, keep b | got#1 a left=1 | got#2 b left=0 | returned 1*1 \
         | removed 1, got a*1 left=0 | removed 2",
    );
    check_store(
        "queue replicated durable dlx; publish a ttl=5; wait 5; tick",
        "store a 1, keep a | - | dead a expired, stored 1",
    );
}

#[test]
fn what_a_replicated_queue_hands_over_without_acknowledgement_is_never_told() {
    check_store(
        "queue replicated; subscribe c1 no-ack; publish a; subscribe c2 prefetch=1; cancel c1; publish b; publish c",
        "ok c1 | c1 a | ok c2 | - | c2#1 b, store b 2, keep b | store c 3, keep c",
    );
}

#[test]
fn a_purge_of_a_replicated_queue_names_all_that_was_ready() {
    check_store(
        "queue replicated durable; publish a; publish b; publish c; get; get; requeue 1; purge",
        "store a 1, keep a | store b 2, keep b | store c 3, keep c | got#1 a left=2 | got#2 b left=1 | returned 1*1 \
         | removed 1, removed 3, purged 2",
    );
}

#[test]
fn a_queue_that_becomes_replicated_tells_of_what_follows() {
    check_store(
        "publish a; publish b; get; set replicated; ack 1; get no-ack; publish c; set; get no-ack",
        "keep a | keep b | got#1 a left=1 | - | removed 1 | removed 2, got b left=0 | store c 3, keep c | - | got c left=0",
    );
    let machine = after("publish a; publish b; get; set replicated");
    assert_eq!(machine.queue.delivered_to(), [model::Seq(1)]);
}
