//! Sentences about a leader: whom a confirm waits for, who is given up and who comes to count. Only what is seen from
//! outside is looked at.

use super::*;
use crate::record::Copy;
use model::Epoch;

const L: NodeUuid = NodeUuid(1);
const A: NodeUuid = NodeUuid(2);
const B: NodeUuid = NodeUuid(3);
const SYNCED: State = State::InSync { incarnation: 1 };

fn record(version: u64, copies: &[(NodeUuid, State)]) -> Record {
    Record {
        epoch: Epoch(5),
        version,
        leader: L,
        incarnation: 1,
        copies: copies
            .iter()
            .map(|(node, state)| Copy {
                node: *node,
                state: *state,
            })
            .collect(),
        min_counted: 1,
    }
}

fn at(held: u64, durable: u64) -> Progress {
    Progress {
        held: Some(held),
        durable: Some(durable),
    }
}

fn leader(copies: &[(NodeUuid, State)]) -> Leader {
    Leader::new(record(1, copies), Timing::default(), Millis(0))
}

/// A mirror comes to hold the base.
fn complete(leader: &mut Leader, node: NodeUuid) {
    leader.attach(node, 1, Millis(0));
    assert!(leader.base_is_whole(node, Millis(0)));
}

#[test]
fn alone_a_leader_waits_for_nobody() {
    let mut leader = leader(&[(L, SYNCED)]);
    let pos = leader.step(true);
    assert!(leader.is_reached(pos, true));
    assert_eq!(leader.due(Millis(10_000)), None);
}

#[test]
fn a_confirm_waits_for_every_copy_that_counts() {
    let mut leader = leader(&[(L, SYNCED), (A, SYNCED), (B, State::Disk)]);
    complete(&mut leader, A);
    complete(&mut leader, B);
    let pos = leader.step(true);
    assert!(!leader.acked(A, at(1, 1)));
    assert!(!leader.is_reached(pos, false));
    assert!(leader.acked(
        B,
        Progress {
            held: Some(1),
            durable: Some(0)
        }
    ));
    assert!(leader.is_reached(pos, false) && !leader.is_reached(pos, true));
    assert!(leader.acked(B, at(1, 1)));
    assert!(leader.is_reached(pos, true));
}

#[test]
fn nothing_inherited_is_confirmed_before_the_mirrors_have_the_base() {
    let mut leader = leader(&[(L, SYNCED), (A, SYNCED)]);
    leader.attach(A, 1, Millis(0));
    assert!(!leader.acked(A, at(0, 0)), "nothing counts before the base is whole");
    assert!(!leader.is_reached(0, true));
    assert!(leader.base_is_whole(A, Millis(0)) && leader.acked(A, at(0, 0)));
    assert!(leader.is_reached(0, true));
}

#[test]
fn an_evicted_mirror_is_waited_for_until_the_entry_is_learned() {
    let mut leader = leader(&[(L, SYNCED), (A, SYNCED)]);
    let pos = leader.step(true);
    assert_eq!(leader.due(Millis(400)), None, "its link may come back");
    assert_eq!(leader.due(Millis(600)), Some((1, Act::Evict(A))));
    assert!(!leader.is_reached(pos, true));
    assert_eq!(leader.due(Millis(700)), None, "one proposal at once");
    leader.learn(record(2, &[(L, SYNCED), (A, State::Syncing)]), Millis(800));
    assert!(leader.is_reached(pos, true));
}

#[test]
fn who_waits_for_what_was_inherited_has_an_absent_mirror_evicted() {
    let mut leader = leader(&[(L, SYNCED), (A, SYNCED)]);
    assert_eq!(leader.due(Millis(600)), None);
    assert_eq!(leader.want_all(), 0);
    assert_eq!(leader.due(Millis(700)), Some((1, Act::Evict(A))));
    leader.learn(record(2, &[(L, SYNCED), (A, State::Syncing)]), Millis(800));
    assert!(leader.is_reached(0, true));
}

#[test]
fn nobody_is_evicted_while_no_answer_waits() {
    let mut leader = leader(&[(L, SYNCED), (A, SYNCED)]);
    leader.step(false);
    assert_eq!(leader.due(Millis(60_000)), None);
}

#[test]
fn a_mirror_that_leaves_an_operation_unacknowledged_too_long_is_evicted() {
    let mut leader = leader(&[(L, SYNCED), (A, SYNCED)]);
    complete(&mut leader, A);
    leader.acked(A, at(0, 0));
    for tick in 0..30 {
        leader.step(true);
        leader.acked(A, at(tick, tick));
        assert_eq!(
            leader.due(Millis(tick * 100)),
            None,
            "one that is a little behind stays"
        );
    }
    assert_eq!(leader.due(Millis(4000)), None, "the last one is not old enough");
    assert_eq!(leader.due(Millis(5100)), Some((1, Act::Evict(A))));
}

#[test]
fn the_least_number_of_counted_copies_stays() {
    let mut record = record(1, &[(L, SYNCED), (A, SYNCED), (B, State::Syncing)]);
    record.min_counted = 2;
    let mut leader = Leader::new(record, Timing::default(), Millis(0));
    leader.step(true);
    assert_eq!(leader.due(Millis(60_000)), None);
}

#[test]
fn a_mirror_is_counted_once_it_has_all_that_was_confirmed_and_is_waited_for_before() {
    let mut leader = leader(&[(L, SYNCED), (A, State::Syncing)]);
    for _ in 0..10 {
        leader.step(true);
    }
    assert!(leader.is_reached(10, true), "nobody counts but the leader");
    complete(&mut leader, A);
    leader.acked(A, at(9, 9));
    assert_eq!(leader.due(Millis(100)), None);
    leader.acked(A, at(10, 10));
    assert_eq!(
        leader.due(Millis(200)),
        Some((
            1,
            Act::AddInSync {
                node: A,
                incarnation: 1
            }
        ))
    );
    let pos = leader.step(true);
    assert!(!leader.is_reached(pos, true), "the entry may be committed already");
    leader.acked(A, at(11, 11));
    assert!(leader.is_reached(pos, true));
    leader.learn(record(2, &[(L, SYNCED), (A, SYNCED)]), Millis(300));
    let pos = leader.step(true);
    assert!(!leader.is_reached(pos, true));
}

#[test]
fn under_constant_load_a_mirror_that_keeps_up_comes_to_count() {
    let mut leader = leader(&[(L, SYNCED), (A, State::Syncing)]);
    complete(&mut leader, A);
    leader.acked(A, at(0, 0));
    let mut proposed = None;
    for tick in 0..20 {
        for _ in 0..100 {
            leader.step(true);
        }
        // What it acknowledges is always a little behind.
        let acked = leader.pos() - 30;
        leader.acked(A, at(acked, acked));
        proposed = proposed.or(leader.due(Millis(tick * 100)));
    }
    assert_eq!(
        proposed,
        Some((
            1,
            Act::AddInSync {
                node: A,
                incarnation: 1
            }
        ))
    );
}

#[test]
fn a_refused_addition_is_settled_by_an_eviction_before_the_mirror_is_waited_for_no_more() {
    let mut leader = leader(&[(L, SYNCED), (A, State::Syncing)]);
    complete(&mut leader, A);
    leader.acked(A, at(0, 0));
    let (version, act) = leader.due(Millis(100)).unwrap();
    assert_eq!(
        act,
        Act::AddInSync {
            node: A,
            incarnation: 1
        }
    );
    leader.detach(A, Millis(150));
    let pos = leader.step(true);
    leader.answered(version, Millis(200));
    assert!(!leader.is_reached(pos, true), "it may have been committed");
    assert_eq!(leader.due(Millis(300)), Some((1, Act::Evict(A))));
    leader.learn(record(2, &[(L, SYNCED), (A, State::Syncing)]), Millis(400));
    assert!(leader.is_reached(pos, true));
}

#[test]
fn where_too_few_would_count_an_addition_of_which_nobody_knows_is_proposed_again_and_keeps_no_other_mirror_out() {
    let copies = [(L, SYNCED), (A, State::Disk), (B, State::Syncing)];
    let least_two = Record {
        min_counted: 2,
        ..record(1, &copies)
    };
    let mut leader = Leader::new(least_two, Timing::default(), Millis(0));
    for mirror in [A, B] {
        complete(&mut leader, mirror);
        leader.acked(mirror, at(0, 0));
    }
    let (node, incarnation) = (A, 1);
    assert_eq!(leader.due(Millis(0)), Some((1, Act::AddInSync { node, incarnation })));
    leader.answered(1, Millis(10));
    assert_eq!(
        leader.due(Millis(10_000)),
        Some((1, Act::AddInSync { node, incarnation })),
        "the eviction of A would be refused"
    );
    let copies = [(L, SYNCED), (A, SYNCED), (B, State::Syncing)];
    let settled = Record {
        min_counted: 2,
        ..record(2, &copies)
    };
    leader.learn(settled, Millis(10_010));
    let node = B;
    assert_eq!(
        leader.due(Millis(20_000)),
        Some((2, Act::AddInSync { node, incarnation }))
    );
}

#[test]
fn what_is_reached_stays_reached_when_a_mirror_comes_back_with_a_new_base() {
    let mut leader = leader(&[(L, SYNCED), (A, SYNCED)]);
    complete(&mut leader, A);
    let pos = leader.step(true);
    leader.acked(A, at(1, 1));
    leader.detach(A, Millis(10));
    leader.attach(A, 1, Millis(20));
    assert!(leader.is_reached(pos, true));
    assert!(!leader.base_is_whole(B, Millis(20)), "no mirror of this queue");
}

#[test]
fn mirrors_begin_and_end_with_the_record() {
    let mut leader = leader(&[(L, SYNCED), (A, SYNCED)]);
    let ended = leader.learn(record(2, &[(L, SYNCED), (B, State::Syncing)]), Millis(1));
    assert_eq!(ended, [A]);
    assert_eq!(leader.mirrors().collect::<Vec<_>>(), [(B, false)], "to be attached");
    let pos = leader.step(true);
    assert!(leader.is_reached(pos, true), "nobody counts but the leader");
}

#[test]
fn a_leader_hands_over_only_to_who_is_in_sync_and_once_all_copies_that_count_have_everything() {
    let mut leader = leader(&[(L, SYNCED), (A, SYNCED), (B, State::Disk)]);
    complete(&mut leader, A);
    complete(&mut leader, B);
    let pos = leader.step(true);
    leader.acked(A, at(1, 1));
    assert_eq!(
        leader.hand_over(A, pos),
        None,
        "another copy that counts has not acknowledged"
    );
    leader.acked(B, at(1, 1));
    assert_eq!(leader.hand_over(B, pos), None, "it is not in sync");
    let act = Act::HandOver {
        node: A,
        incarnation: 1,
    };
    assert_eq!(leader.hand_over(A, pos), Some((1, act)));
    assert_eq!(leader.hand_over(A, pos), None, "one proposal at once");
    leader.refused(1);
    leader.step(true);
    assert_eq!(leader.hand_over(A, pos), None, "somebody waits for what came since");
}

#[test]
fn a_hand_over_of_which_nobody_knows_is_settled_by_an_eviction() {
    let mut leader = leader(&[(L, SYNCED), (A, SYNCED)]);
    complete(&mut leader, A);
    leader.acked(A, at(0, 0));
    assert!(leader.hand_over(A, 0).is_some());
    leader.answered(1, Millis(100));
    assert_eq!(leader.due(Millis(200)), Some((1, Act::Evict(A))));
}

#[test]
fn a_mirror_whose_node_is_known_to_be_gone_is_not_waited_for() {
    let mut leader = leader(&[(L, SYNCED), (A, SYNCED)]);
    complete(&mut leader, A);
    leader.acked(A, at(0, 0));
    leader.lose(A, Millis(5000));
    assert_eq!(leader.due(Millis(5001)), None, "nobody waits");
    leader.step(true);
    assert_eq!(leader.due(Millis(5002)), Some((1, Act::Evict(A))));
}
