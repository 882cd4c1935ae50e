//! The auditor can fail: each way in which a server may break its word is shown to it as a falsified state, beside the
//! states that are right. No server takes part.

use super::*;
use crate::shelf::Spec;

const CRASH: Crash = Crash {
    at: 10_000,
    clean: false,
    kills: 1,
};

fn id(number: u32) -> Id {
    Id {
        round: 1,
        publisher: 0,
        number,
    }
}

fn confirmed() -> Copy {
    Copy {
        confirmed_at: Some(5_000),
        ..Copy::sent(true, 0, 5_000)
    }
}

fn shelf(copies: &[(u32, Copy)]) -> Shelf {
    let mut shelf = Shelf::new(Spec::plain("q"));
    for (number, copy) in copies {
        shelf.send(id(*number), copy.clone());
    }
    shelf
}

/// Messages 1 to 5, all confirmed and never touched.
fn five() -> Shelf {
    shelf(&[1, 2, 3, 4, 5].map(|number| (number, confirmed())))
}

fn look(numbers: &[u32]) -> Look {
    let seen = |number: &u32| Observed {
        id: Ok(id(*number)),
        redelivered: false,
    };
    Look {
        messages: numbers.iter().map(seen).collect(),
        began: 12_000,
        ended: 12_100,
    }
}

/// What is found, as kinds and numbers.
fn found(shelf: &Shelf, numbers: &[u32]) -> Vec<(Fault, u32)> {
    found_after(shelf, &look(numbers), CRASH)
}

fn found_after(shelf: &Shelf, look: &Look, crash: Crash) -> Vec<(Fault, u32)> {
    let findings = judge(shelf, look, crash, Rules::WARREN);
    let number = |finding: &Finding| finding.id.map_or(0, |id| id.number);
    findings
        .iter()
        .map(|finding| (finding.fault, number(finding)))
        .collect()
}

const NOTHING: [(Fault, u32); 0] = [];

#[test]
fn a_queue_that_holds_what_was_confirmed_in_order_is_right() {
    assert_eq!(found(&five(), &[1, 2, 3, 4, 5]), NOTHING);
}

#[test]
fn a_lost_message_is_found_at_every_place() {
    assert_eq!(found(&five(), &[2, 3, 4, 5]), [(Fault::Lost, 1)]);
    assert_eq!(found(&five(), &[1, 2, 4, 5]), [(Fault::Lost, 3)]);
    assert_eq!(found(&five(), &[1, 2, 3]), [(Fault::Lost, 4), (Fault::Lost, 5)]);
    assert_eq!(found(&five(), &[]).len(), 5);
}

#[test]
fn a_message_that_is_there_twice_is_found() {
    assert_eq!(found(&five(), &[1, 2, 2, 3, 4, 5]), [(Fault::Twice, 2)]);
    assert!(found(&five(), &[1, 2, 3, 4, 5, 1]).contains(&(Fault::Twice, 1)));
}

#[test]
fn swapped_messages_are_found() {
    assert_eq!(found(&five(), &[1, 3, 2, 4, 5]), [(Fault::Disorder, 2)]);
    assert_eq!(found(&five(), &[5, 1, 2, 3, 4]), [(Fault::Disorder, 1)]);
}

#[test]
fn messages_of_two_publishers_that_change_places_are_found() {
    let other = Id { publisher: 1, ..id(1) };
    let mut shelf = five();
    shelf.send(other, confirmed());
    let mut seen = look(&[1, 2, 3, 4, 5]);
    seen.messages.insert(
        2,
        Observed {
            id: Ok(other),
            redelivered: true,
        },
    );
    settle(&mut shelf, &seen);
    for message in &mut seen.messages {
        message.redelivered = true;
    }
    let again = Crash { at: 13_000, ..CRASH };
    assert_eq!(found_after(&shelf, &seen, again), NOTHING);
    seen.messages.swap(2, 3);
    assert_eq!(
        found_after(&shelf, &seen, again).len(),
        1,
        "each publisher's own order is kept"
    );
}

#[test]
fn a_newer_message_before_one_that_was_there_at_the_last_restart_is_found() {
    let mut shelf = five();
    settle(&mut shelf, &look(&[1, 2, 3, 4, 5]));
    let newer = Id { round: 2, ..id(1) };
    shelf.send(newer, confirmed());
    let mut seen = look(&[1, 2, 3, 4, 5]);
    for message in &mut seen.messages {
        message.redelivered = true;
    }
    seen.messages.insert(
        4,
        Observed {
            id: Ok(newer),
            redelivered: false,
        },
    );
    assert_eq!(found_after(&shelf, &seen, CRASH), [(Fault::Disorder, 5)]);
}

#[test]
fn an_unconfirmed_message_may_be_there_or_not_but_not_before_its_time() {
    let mut shelf = five();
    shelf.send(id(6), Copy::sent(true, 0, 9_000));
    assert_eq!(found(&shelf, &[1, 2, 3, 4, 5, 6]), NOTHING);
    assert_eq!(found(&shelf, &[1, 2, 3, 4, 5]), NOTHING);
    assert_eq!(found(&shelf, &[1, 2, 3, 4, 6, 5]), [(Fault::Disorder, 5)]);
}

#[test]
fn once_missing_always_missing_and_once_found_never_lost() {
    let mut shelf = five();
    shelf.send(id(6), Copy::sent(true, 0, 9_000));
    shelf.send(id(7), Copy::sent(true, 0, 9_000));
    settle(&mut shelf, &look(&[1, 2, 3, 4, 5, 7]));
    let again = Crash { at: 0, ..CRASH };
    assert_eq!(found_after(&shelf, &look(&[1, 2, 3, 4, 5, 7]), again), NOTHING);
    assert_eq!(found_after(&shelf, &look(&[1, 2, 3, 4, 5]), again), [(Fault::Lost, 7)]);
    assert_eq!(
        found_after(&shelf, &look(&[1, 2, 3, 4, 5, 6, 7]), again),
        [(Fault::Phantom, 6)]
    );
}

#[test]
fn a_phantom_and_a_damaged_body_are_found() {
    assert_eq!(found(&five(), &[1, 2, 3, 4, 5, 9]), [(Fault::Phantom, 9)]);
    let mut seen = look(&[1, 2, 3, 4, 5]);
    seen.messages[4].id = Err("torn".to_owned());
    assert_eq!(
        found_after(&five(), &seen, CRASH),
        [(Fault::Damaged, 0), (Fault::Lost, 5)]
    );
}

#[test]
fn an_ack_in_flight_allows_both_and_one_older_than_the_grace_allows_one() {
    let acked = |gone_from| Copy {
        leaving: true,
        gone_from,
        delivered_at: None,
        ..confirmed()
    };
    let both = shelf(&[(1, acked(None)), (2, acked(Some(CRASH.at + 1)))]);
    assert_eq!(found(&both, &[1, 2]), NOTHING);
    assert_eq!(found(&both, &[]), NOTHING);
    let settled = shelf(&[(1, acked(Some(CRASH.at)))]);
    assert_eq!(found(&settled, &[1]), [(Fault::Resurrected, 1)]);
    assert_eq!(found(&settled, &[]), NOTHING);
}

#[test]
fn after_a_clean_stop_every_settled_ack_counts() {
    let acked = Copy {
        leaving: true,
        gone_from: Some(CRASH.at + 200),
        ..confirmed()
    };
    let clean = Crash { clean: true, ..CRASH };
    assert_eq!(
        found_after(&shelf(&[(1, acked)]), &look(&[1]), clean),
        [(Fault::Resurrected, 1)]
    );
}

#[test]
fn a_transient_message_never_survives_and_is_never_missed() {
    let transient = Copy {
        persistent: false,
        ..confirmed()
    };
    assert_eq!(
        found(&shelf(&[(1, transient.clone())]), &[1]),
        [(Fault::Resurrected, 1)]
    );
    assert_eq!(found(&shelf(&[(1, transient)]), &[]), NOTHING);
}

#[test]
fn a_delivered_message_comes_back_marked_if_the_mark_had_time() {
    let delivered = |at| Copy {
        delivered_at: Some(at),
        ..confirmed()
    };
    let old = shelf(&[(1, delivered(CRASH.at - ACK_GRACE_MS))]);
    assert_eq!(found(&old, &[1]), [(Fault::Unmarked, 1)]);
    assert_eq!(found(&shelf(&[(1, delivered(CRASH.at - 10))]), &[1]), NOTHING);
}

#[test]
fn an_expired_message_may_go_at_its_time_and_must_be_gone_some_time_after() {
    let with_ttl = |ttl| {
        let mut shelf = five();
        shelf.spec.ttl_ms = Some(ttl);
        shelf
    };
    assert_eq!(found(&with_ttl(60_000), &[2, 3, 4, 5]), [(Fault::Lost, 1)]);
    assert_eq!(found(&with_ttl(7_000), &[3, 4, 5]), NOTHING);
    assert_eq!(found(&with_ttl(7_000), &[1, 2, 3, 4, 5]), NOTHING);
    assert_eq!(found(&with_ttl(1_000), &[5]), [(Fault::Resurrected, 5)]);
}

#[test]
fn only_the_head_is_dropped_from_a_full_queue() {
    let mut full = five();
    full.spec.length_max = Some(2);
    assert_eq!(found(&full, &[4, 5]), NOTHING);
    assert_eq!(found(&full, &[5]), [(Fault::Lost, 4)]);
    assert_eq!(found(&full, &[3, 5]), [(Fault::Lost, 4)]);
    assert_eq!(found(&full, &[3, 4, 5]), [(Fault::Count, 0)]);
    full.send(id(6), Copy::sent(true, 0, 9_000));
    assert_eq!(
        found(&full, &[5]),
        NOTHING,
        "6 may have pushed 4 out and then been lost itself"
    );
}

#[test]
fn a_higher_priority_comes_first_and_order_holds_within_each() {
    let of = |priority| Copy {
        priority,
        ..confirmed()
    };
    let shelf = shelf(&[(1, of(0)), (2, of(5)), (3, of(0)), (4, of(5))]);
    assert_eq!(found(&shelf, &[2, 4, 1, 3]), NOTHING);
    assert_eq!(found(&shelf, &[4, 2, 1, 3]), [(Fault::Disorder, 2)]);
    assert_eq!(found(&shelf, &[2, 1, 4, 3]), [(Fault::Disorder, 4)]);
}

#[test]
fn an_unanswered_get_excuses_one_message_and_no_more() {
    let mut loose = five();
    loose.loose = 1;
    assert_eq!(found(&loose, &[2, 3, 4, 5]), NOTHING);
    assert_eq!(found(&loose, &[3, 4, 5]), [(Fault::Lost, 2)]);
}
