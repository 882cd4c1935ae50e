//! Mirrors: a copy that follows its leader has what the leader has, whatever happens, and is a queue when it has to be.
//!
//! Leaders are random ones; their mirrors have stores of their own, with pages of their own.

use std::collections::BTreeMap;

use model::{Millis, Seq};
use proptest::prelude::*;
use queue::{Copied, Copy, NEVER, Portion, Queue, Restored, RestoredPage, Settings, Tally};

use crate::machine::{KeptLetter, LETTER_BYTES, Machine, Operation, check};
use crate::random::{lead, replicated, step};
use crate::script::{Command, Letter};
use crate::store::Store;

/// What is known of a message: level, expiry, name, and how often it came back, unless its page is on its way.
type Known = (u8, Millis, String, Option<u32>);

/// All that a queue holds. Pages are read beside it, as a host does.
fn held(machine: &mut Machine) -> BTreeMap<Seq, Known> {
    let all = all_runs(|from| machine.queue.runs(from, 3));
    let mut held = BTreeMap::new();
    let peeked = machine.queue.peek(&all, Portion::ALL, |copied| {
        held.insert(copied.seq, known(&copied, copied.message));
    });
    for wanted in &peeked.pages {
        let messages = machine.store().read(wanted.page);
        let again = machine.queue.peek_page(wanted, messages, |copied| {
            held.insert(copied.seq, known(&copied, &copied.message));
        });
        assert!(again.is_empty());
    }
    let on_their_way = |seq: &Seq| peeked.later.iter().any(|run| (run.0..=run.1).contains(seq));
    let loading: Vec<_> = machine
        .store()
        .loading_messages()
        .filter(|(_, paged)| on_their_way(&paged.seq))
        .collect();
    held.extend(loading.into_iter().map(|(level, paged)| {
        let name = paged.message.0.name.clone();
        (paged.seq, (level, paged.expires, name, None))
    }));
    assert_eq!(
        held.len() as u64,
        all.iter().map(|run| run.1.0 - run.0.0 + 1).sum::<u64>()
    );
    held
}

fn known<M>(copied: &Copied<M>, message: &KeptLetter) -> Known {
    let name = message.0.name.clone();
    (copied.level, copied.expires, name, Some(copied.delivery_count))
}

/// All runs, asked for a few at a time.
fn all_runs(runs: impl Fn(Seq) -> Vec<(Seq, Seq)>) -> Vec<(Seq, Seq)> {
    let (mut all, mut from) = (Vec::<(Seq, Seq)>::new(), Seq(0));
    loop {
        let some = runs(from);
        assert!(some.len() <= 3);
        let Some((_, last)) = some.last() else { return all };
        from = last.next();
        for run in some {
            match all.last_mut().filter(|before| before.1.next() == run.0) {
                Some(before) => before.1 = run.1,
                None => all.push(run),
            }
        }
    }
}

#[track_caller]
fn assert_same(leader: &BTreeMap<Seq, Known>, mirror: &BTreeMap<Seq, Known>) {
    assert_eq!(leader.keys().collect::<Vec<_>>(), mirror.keys().collect::<Vec<_>>());
    for (seq, (level, expires, name, count)) in leader {
        let (other_level, other_expires, other_name, other_count) = &mirror[seq];
        assert_eq!(
            (level, expires, name),
            (other_level, other_expires, other_name),
            "{seq:?}"
        );
        let known = count.zip(*other_count);
        assert!(
            known.is_none_or(|(count, other)| count == other),
            "{name} came back {known:?} times"
        );
    }
}

/// A mirror's copy and its store.
struct Mirror {
    copy: Copy<KeptLetter>,
    store: Store,
    settings: Settings,
}

impl Mirror {
    fn new(settings: Settings) -> Self {
        Self {
            copy: Copy::new(&settings),
            store: Store::default(),
            settings,
        }
    }

    fn apply(&mut self, operation: Operation) {
        match operation {
            Operation::Enqueue(copied) => self.enqueue(copied),
            Operation::Remove(first, last) => {
                self.copy.remove(first, last, &mut self.store);
            }
            Operation::Returned(seq, count) => self.copy.returned(seq, count),
            Operation::Delivered(level, upto) => self.copy.delivered(level, upto),
        }
        let bytes_max = self.settings.resident_bytes_max.max(16 * 1_024);
        assert!(self.copy.resident_bytes() <= bytes_max.saturating_add(2 * LETTER_BYTES));
    }

    fn enqueue(&mut self, copied: Copied<KeptLetter>) {
        if self.settings.durable && copied.message.0.persistent {
            self.store.keep(&copied);
        }
        assert!(self.copy.enqueue(copied, &mut self.store));
    }

    /// Becomes a queue, is looked at, and is a copy again.
    fn held(&mut self, now: Millis) -> BTreeMap<Seq, Known> {
        let (copy, store) = (Copy::new(&self.settings), Store::default());
        let copy = std::mem::replace(&mut self.copy, copy);
        let delivered_to = copy.delivered_to().to_vec();
        let (last_seq, tally) = (copy.last_seq(), copy.tally());
        let store = std::mem::replace(&mut self.store, store);
        let mut machine = Machine::promote(copy, store, self.settings, now);
        let held = held(&mut machine);
        (self.copy, self.store) = machine.demote();
        assert_eq!((self.copy.last_seq(), self.copy.tally()), (last_seq, tally));
        assert!(self.copy.delivered_to().starts_with(&delivered_to));
        held
    }
}

/// Takes everything out of a queue, in its order: names, and whether it may have been handed out before, how often.
fn drain(machine: &mut Machine) -> Vec<String> {
    let mut taken = Vec::new();
    let neutral = Settings::default();
    taken.extend(machine.apply(&Command::Set(neutral)));
    loop {
        let wanted = !machine.store().wanted().is_empty();
        let command = match wanted {
            true => Command::Load {
                which: 0,
                lost: Vec::new(),
            },
            false => Command::Get { no_ack: true },
        };
        let effects = machine.apply(&command);
        let is_empty = effects.iter().any(|effect| effect == "empty");
        taken.extend(effects.into_iter().filter(|effect| effect.starts_with("got")));
        if is_empty {
            return taken;
        }
    }
}

/// A base as a leader sends it, a range or an answer at a time, while the queue goes on.
struct Base {
    next: Option<Seq>,
    upto: Seq,
    missing: Vec<(Seq, Seq)>,
}

impl Base {
    fn new(queue: &Queue<KeptLetter, u64>) -> Self {
        Self {
            next: Some(Seq(0)),
            upto: queue.last_seq(),
            missing: Vec::new(),
        }
    }

    fn step(&mut self, leader: &mut Machine, mirror: &mut Mirror) {
        if self.missing.is_empty() {
            return self.send_range(leader, mirror);
        }
        let mut old = Vec::new();
        let peeked = leader
            .queue
            .peek(&self.missing, Portion { messages: 2, bytes: 3 }, |copied| {
                let message = copied.message.clone();
                old.push(Copied {
                    seq: copied.seq,
                    level: copied.level,
                    expires: copied.expires,
                    delivery_count: copied.delivery_count,
                    delivered: copied.delivered,
                    message,
                });
            });
        self.missing = peeked.later;
        for wanted in &peeked.pages {
            let messages = leader.store().read(wanted.page);
            let middle = messages.get(messages.len() / 2).map_or(Seq(0), |paged| paged.seq);
            for part in [wanted.part(Seq(0), middle), wanted.part(middle.next(), Seq(u64::MAX))] {
                let some = messages.iter().filter(|paged| part.holds(paged.seq)).cloned();
                let again = leader.queue.peek_page(&part, some, |copied| old.push(copied));
                self.missing.extend(again);
            }
        }
        self.missing.sort();
        old.into_iter().for_each(|copied| mirror.enqueue(copied));
    }

    fn send_range(&mut self, leader: &mut Machine, mirror: &mut Mirror) {
        let Some(first) = self.next.take() else { return };
        let runs = leader.queue.runs(first, 2);
        let last = runs.last().map_or(self.upto, |run| run.1.min(self.upto));
        self.next = (last < self.upto).then(|| last.next());
        self.missing = mirror.copy.hold_to(first, last, &runs, &mut mirror.store);
        let returns = leader.queue.returns(first, last);
        returns
            .into_iter()
            .for_each(|(seq, count)| mirror.copy.returned(seq, count));
    }

    fn is_done(&self) -> bool {
        self.next.is_none() && self.missing.is_empty()
    }
}

/// Loads what is on its way, so that a base can end.
fn settle_loads(leader: &mut Machine) {
    if !leader.store().wanted().is_empty() {
        leader.apply(&Command::Load {
            which: 0,
            lost: Vec::new(),
        });
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_copy_that_follows_has_what_its_leader_has(
        setup in replicated(),
        steps in prop::collection::vec(step(), 1..60),
        resident_bytes_max in prop::sample::select(vec![0, 20_000, u64::MAX]),
        looks in 1..8usize,
    ) {
        let mut mirror = Mirror::new(Settings { resident_bytes_max, ..setup.settings });
        let mut number = 0;
        lead(&setup, &steps, |leader| {
            leader.take_operations().into_iter().for_each(|operation| mirror.apply(operation));
            assert_eq!(all_runs(|from| leader.queue.runs(from, 3)), all_runs(|from| mirror.copy.runs(from, 3)));
            number += 1;
            if number % looks == 0 {
                assert_same(&held(leader), &mirror.held(leader.now));
                assert_eq!(leader.lasting(), mirror.store.lasting().map(|letter| &*letter.name).collect::<Vec<_>>());
            }
        });
    }

    #[test]
    fn a_promoted_copy_delivers_what_its_leader_would_have_redelivered(
        setup in replicated(),
        steps in prop::collection::vec(step(), 1..60),
        resident_bytes_max in prop::sample::select(vec![0, 20_000, u64::MAX]),
        looks in 1..8usize,
    ) {
        let mut mirror = Mirror::new(Settings { resident_bytes_max, ..setup.settings });
        let mut number = 0;
        let leader = lead(&setup, &steps, |leader| {
            leader.take_operations().into_iter().for_each(|operation| mirror.apply(operation));
            number += 1;
            if number % looks == 0 {
                mirror.held(leader.now);
            }
        });
        let now = leader.now;
        let (copy, store) = leader.demote();
        let mut expected = Machine::promote(copy, store, mirror.settings, now);
        let mut promoted = Machine::promote(mirror.copy, mirror.store, mirror.settings, now);
        promoted.queue.reign(Seq(1 << 44));
        prop_assert_eq!(drain(&mut promoted), drain(&mut expected));
        promoted.apply(&Command::Publish(letter("new")));
        prop_assert_eq!(promoted.queue.runs(Seq(0), 3), [(Seq(1 << 44), Seq(1 << 44))]);
    }

    #[test]
    fn the_places_of_ready_messages_are_the_order_in_which_they_are_taken(
        setup in replicated(),
        steps in prop::collection::vec(step(), 1..80),
    ) {
        let mut leader = lead(&setup, &steps, |_| {});
        let places: Vec<Seq> = (0..).map_while(|place| leader.queue.ready_at(place)).collect();
        prop_assert_eq!(places.len() as u64, leader.queue.counts().ready.messages);
        let names = held(&mut leader);
        let mut names: Vec<String> = places.iter().map(|seq| names[seq].2.clone()).collect();
        let taken = drain(&mut leader);
        let taken: Vec<&str> = taken.iter().filter_map(|got| got.split([' ', '*']).nth(1)).collect();
        // Those whose time is over die instead.
        names.retain(|name| taken.contains(&name.as_str()));
        prop_assert_eq!(names, taken);
    }

    #[test]
    fn a_base_makes_any_stale_copy_the_same_while_the_queue_goes_on(
        setup in replicated(),
        steps in prop::collection::vec(step(), 1..80),
        resident_bytes_max in prop::sample::select(vec![0, 20_000, u64::MAX]),
        (stale_from, based_from) in (0..40usize, 0..60usize),
    ) {
        let mut mirror = Mirror::new(Settings { resident_bytes_max, ..setup.settings });
        let (mut number, mut base) = (0, None);
        let mut leader = lead(&setup, &steps, |leader| {
            let operations = leader.take_operations();
            number += 1;
            if number <= stale_from {
                operations.into_iter().for_each(|operation| mirror.apply(operation));
            } else if let Some(base) = &mut base {
                operations.into_iter().for_each(|operation| mirror.apply(operation));
                Base::step(base, leader, &mut mirror);
            } else if number > based_from {
                // What this command did is in the base.
                base = Some(Base::new(&leader.queue));
            }
        });
        let mut base = base.unwrap_or_else(|| Base::new(&leader.queue));
        while !base.is_done() {
            base.step(&mut leader, &mut mirror);
            settle_loads(&mut leader);
            leader.take_operations().into_iter().for_each(|operation| mirror.apply(operation));
        }
        let delivered = (0..=u8::MAX).zip(leader.queue.delivered_to());
        delivered.for_each(|(level, upto)| mirror.copy.delivered(level, *upto));
        assert_same(&held(&mut leader), &mirror.held(leader.now));
    }
}

fn letter(name: &str) -> Letter {
    Letter {
        name: name.to_owned(),
        bytes: 1,
        priority: 0,
        ttl: None,
        persistent: false,
    }
}

impl Mirror {
    fn publish(&mut self, seqs: std::ops::RangeInclusive<u64>, level: u8, persistent: bool) {
        for seq in seqs {
            let letter = Letter {
                persistent,
                ..letter(&format!("m{seq}"))
            };
            self.enqueue(Copied {
                seq: Seq(seq),
                level,
                expires: self.settings.message_ttl.unwrap_or(NEVER),
                delivery_count: 0,
                delivered: false,
                message: KeptLetter(std::rc::Rc::new(letter)),
            });
        }
    }

    fn remove(&mut self, first: u64, last: u64) -> u64 {
        self.copy.remove(Seq(first), Seq(last), &mut self.store)
    }

    /// Pages that went out since the last time, as their first and last messages.
    fn outgoing(&mut self) -> Vec<String> {
        let pages = self.store.take_outgoing().into_iter();
        pages
            .map(|(_, names)| format!("{}-{}", names[0], names[names.len() - 1]))
            .collect()
    }
}

/// A mirror of a queue with three levels that keeps sixteen letters in memory.
fn mirror() -> Mirror {
    Mirror::new(Settings {
        durable: true,
        max_priority: Some(2),
        resident_bytes_max: 16 * (LETTER_BYTES + 8),
        ..Settings::default()
    })
}

#[test]
fn above_its_limit_a_copy_keeps_the_oldest_and_what_fills_no_page() {
    let mut mirror = mirror();
    mirror.publish(1..=16, 0, false);
    assert!(mirror.outgoing().is_empty());
    mirror.publish(17..=17, 0, false);
    assert_eq!(mirror.outgoing(), ["m5-m8", "m9-m12", "m13-m16"]);
    assert_eq!((mirror.copy.paged().messages, mirror.copy.tally().messages), (12, 17));
    assert_eq!(mirror.copy.runs(Seq(0), 9), [(Seq(1), Seq(17))]);
}

#[test]
fn what_comes_behind_pages_goes_to_pages_from_its_first_on() {
    let mut mirror = mirror();
    mirror.publish(1..=17, 0, false);
    mirror.remove(1, 4);
    mirror.outgoing();
    mirror.publish(18..=33, 0, false);
    assert_eq!(mirror.outgoing(), ["m17-m20", "m21-m24", "m25-m28", "m29-m32"]);
}

#[test]
fn a_queue_that_was_a_copy_looks_at_the_time_of_what_is_left_in_pages() {
    let mut mirror = mirror();
    mirror.settings.message_ttl = Some(Millis(5));
    mirror.publish(1..=17, 0, false);
    mirror.remove(1, 7);
    mirror.remove(9, 17);
    let promoted = Machine::promote(mirror.copy, mirror.store, mirror.settings, Millis(0));
    assert_eq!(promoted.queue.next_deadline(), Some(Millis(0)));
}

#[test]
fn how_often_messages_came_back_is_what_the_present_leader_says() {
    let mut mirror = mirror();
    mirror.publish(1..=3, 0, false);
    (1..=3).for_each(|seq| mirror.copy.returned(Seq(seq), 7));
    let listed = [(Seq(1), Seq(3))];
    assert!(
        mirror
            .copy
            .hold_to(Seq(0), Seq(3), &listed, &mut mirror.store)
            .is_empty()
    );
    mirror.copy.returned(Seq(2), 1);
    let mut promoted = Machine::promote(mirror.copy, mirror.store, mirror.settings, Millis(0));
    assert_eq!(
        drain(&mut promoted),
        ["got m1*0 left=2", "got m2*1 left=1", "got m3*0 left=0"]
    );
}

#[test]
fn pages_of_a_copy_are_of_one_level_each() {
    let mut mirror = mirror();
    for round in 0..9 {
        mirror.publish(2 * round + 1..=2 * round + 1, 0, false);
        mirror.publish(2 * round + 2..=2 * round + 2, 2, false);
    }
    let mut outgoing = mirror.outgoing();
    outgoing.sort();
    assert_eq!(outgoing, ["m5-m11", "m6-m12"]);
}

#[test]
fn what_is_gone_of_a_page_is_not_in_the_queue_that_the_copy_becomes() {
    let mut mirror = mirror();
    mirror.publish(1..=17, 0, false);
    assert_eq!(
        (mirror.remove(1, 5), mirror.remove(7, 7), mirror.remove(1, 7)),
        (5, 1, 1)
    );
    assert_eq!(mirror.copy.runs(Seq(0), 9), [(Seq(8), Seq(17))]);
    let mut promoted = Machine::promote(mirror.copy, mirror.store, mirror.settings, Millis(0));
    let names: Vec<String> = (8..=17).map(|seq| format!("got m{seq} left={}", 17 - seq)).collect();
    assert_eq!(drain(&mut promoted), names);
}

#[test]
fn a_page_of_which_nothing_is_left_is_discarded() {
    let mut mirror = mirror();
    mirror.publish(1..=17, 0, true);
    let pages = mirror.store.take_outgoing();
    mirror.remove(5, 8);
    assert!(!mirror.store.has(pages[0].0) && mirror.store.has(pages[1].0));
    mirror.copy.purge(Seq(16), &mut mirror.store);
    assert_eq!(
        mirror
            .store
            .lasting()
            .map(|letter| letter.name.as_str())
            .collect::<Vec<_>>(),
        ["m17"]
    );
    assert!(!pages.iter().any(|(page, _)| mirror.store.has(*page)));
}

#[test]
fn a_page_that_was_asked_for_comes_to_the_copy_without_what_is_gone_by_then() {
    let settings = mirror().settings;
    let mut mirror = mirror();
    mirror.publish(1..=17, 0, true);
    let mut machine = Machine::promote(mirror.copy, mirror.store, settings, Millis(0));
    (0..4).for_each(|_| drop(machine.apply(&Command::Get { no_ack: false })));
    let (page, _) = machine.store().wanted()[0];
    (mirror.copy, mirror.store) = machine.demote();
    let messages = mirror.store.answer(page, &[]);
    assert_eq!(mirror.remove(6, 7), 2);
    assert_eq!(mirror.copy.loaded(page, messages, &mut mirror.store), 0);
    assert_eq!(mirror.copy.runs(Seq(0), 9), [(Seq(1), Seq(5)), (Seq(8), Seq(17))]);
    assert_eq!(mirror.copy.loaded(page, Vec::new(), &mut mirror.store), 0);
}

#[test]
fn what_is_gone_of_a_page_does_not_come_back_if_the_store_was_told_too_late() {
    let settings = mirror().settings;
    let mut mirror = mirror();
    mirror.publish(1..=17, 0, false);
    let (page, _) = mirror.store.take_outgoing()[0];
    let whole = mirror.store.read(page);
    mirror.remove(1, 6);
    let mut promoted = Machine::promote(mirror.copy, mirror.store, settings, Millis(0));
    promoted.apply(&Command::Get { no_ack: true });
    promoted.store().answer(page, &[]);
    assert_eq!(promoted.bring(page, whole), 0);
    assert_eq!(promoted.queue.runs(Seq(0), 9), [(Seq(7), Seq(17))]);
    assert_eq!(drain(&mut promoted).len(), 11);
}

#[test]
fn a_copy_begins_after_a_restart_with_what_its_store_found() {
    let page = |id: u64, seqs: &[(u64, u64)]| RestoredPage {
        id: model::PageId(id),
        seqs: seqs.iter().map(|(first, last)| (Seq(*first), Seq(*last))).collect(),
        tally: Tally {
            messages: seqs.iter().map(|(first, last)| last - first + 1).sum(),
            ..Tally::default()
        },
        ..RestoredPage::default()
    };
    let restored = Restored {
        last_seq: Seq(30),
        delivered_to: vec![Seq(3)],
        pages: vec![page(1, &[(1, 4), (9, 9)]), page(2, &[(5, 8), (10, 20)])],
    };
    let mut mirror = mirror();
    mirror.copy = Copy::restore(&mirror.settings, restored);
    assert_eq!((mirror.copy.tally().messages, mirror.copy.last_seq()), (20, Seq(30)));
    assert_eq!(mirror.copy.runs(Seq(3), 9), [(Seq(3), Seq(20))]);
    let missing = mirror.copy.hold_to(
        Seq(0),
        Seq(24),
        &[(Seq(4), Seq(5)), (Seq(19), Seq(24))],
        &mut mirror.store,
    );
    assert_eq!(missing, [(Seq(21), Seq(24))]);
    assert_eq!(mirror.copy.runs(Seq(0), 9), [(Seq(4), Seq(5)), (Seq(19), Seq(20))]);
}

#[test]
fn what_was_out_is_ready_again_after_a_hand_over_and_its_delivery_means_nothing() {
    check(
        "publish a; publish b; publish c; get; get; requeue 1; hand-over; ack 2; get; get; get",
        "keep a | keep b | keep c | got#1 a left=2 | got#2 b left=1 | - | - | unknown slot \
         | got#3 a*1 left=2 | got#4 b*0 left=1 | got#5 c left=0",
    );
}
