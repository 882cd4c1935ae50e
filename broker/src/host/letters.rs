//! Messages that died in a queue and have not been routed, in the order in which they died.
//!
//! Whoever routes them takes its turn, so that they keep that order, whatever task they died in. Beyond the limits no
//! message dies by its time or a length limit: it waits in its queue, where it may leave memory (I7). One that a client
//! rejects is taken always, and its client is held (`Batch::help`). Those of a queue that assures them stay here while no
//! queue takes them (`nowhere`), beside the others and with bounds of their own: when these are reached, the queue hands
//! nothing out, so that nothing more can be rejected.

use model::Seq;
use parking_lot::Mutex;
use queue::{Death, Tally};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use super::{counters::Counter, message::Message, nowhere::Kept};

/// Letters of one queue beyond which nothing more dies in it ...
const LETTERS_MAX: usize = 8_192;
/// ... and octets of them.
const LETTER_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Octets of all letters of the node beyond which nothing more dies.
const NODE_BYTES_MAX: u64 = 128 * 1024 * 1024;
/// A queue that was held up goes on when no more than so many wait.
const LOW: usize = 512;
/// Above this many of a queue, whoever caused them helps before it causes more.
const MANY: usize = 1_024;

/// A message that died.
#[derive(Clone, Debug)]
pub struct Dead {
    /// The message.
    pub message: Message,
    /// Its position, if the store has it: it is taken out once the letter is there.
    pub stored: Option<Seq>,
    /// Why.
    pub why: Death,
}

impl Dead {
    /// Memory that it takes.
    pub(super) fn octets(&self) -> u64 {
        queue::Message::resident_bytes(&self.message)
    }
}

/// How much may be done before others have their turn.
#[derive(Debug)]
pub struct Slice {
    copies: usize,
    octets: usize,
}

impl Slice {
    /// Copies in a slice ...
    const COPIES: usize = 256;
    /// ... and octets of their bodies.
    const OCTETS: usize = 1024 * 1024;

    /// Nothing done yet.
    pub fn new() -> Self {
        Slice {
            copies: Self::COPIES,
            octets: Self::OCTETS,
        }
    }

    /// So many copies of so many octets were made; even none costs a look.
    pub fn spend(&mut self, copies: usize, octets: usize) {
        self.copies = self.copies.saturating_sub(copies.max(1));
        self.octets = self.octets.saturating_sub(copies.saturating_mul(octets));
    }

    /// True when others have their turn.
    pub fn is_over(&self) -> bool {
        self.copies == 0 || self.octets == 0
    }

    /// True if nothing was done.
    pub fn is_whole(&self) -> bool {
        self.copies == Self::COPIES
    }
}

/// What became of a letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// It is where it was to go.
    Done,
    /// It cannot go now, and nothing behind it either.
    NotNow,
    /// No queue takes it; it is to be kept.
    Nowhere,
}

#[derive(Debug, Default)]
struct Waiting {
    dead: VecDeque<Dead>,
    /// Sent, and not known to be safe where they went. The store and the mirrors have them still.
    leaving: BTreeMap<Seq, Dead>,
    /// Of both.
    octets: u64,
    /// Those that no queue takes.
    kept: Kept,
    /// The queue stands in the node's line.
    in_line: bool,
    /// The queue was told that there is no room.
    held_up: bool,
}

/// What concerns all letters of the node.
#[derive(Debug, Default)]
pub struct AllLetters {
    /// Octets of those that wait ...
    octets: AtomicU64,
    /// ... and of those that no queue takes.
    pub(super) kept_octets: AtomicU64,
    /// Those that there ever were of queues that assure them, by why they died ...
    rejected: Counter,
    expired: Counter,
    limited: Counter,
    /// ... and those of them that a queue took and has safely.
    arrived: Counter,
}

/// Letters of queues that assure them, ever since the node began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Assured {
    /// Rejected by a client.
    pub rejected: u64,
    /// Dead by age.
    pub expired: u64,
    /// Returned too often.
    pub limited: u64,
    /// Safe in another queue.
    pub arrived: u64,
}

impl AllLetters {
    /// The numbers now.
    pub fn assured(&self) -> Assured {
        Assured {
            rejected: self.rejected.get(),
            expired: self.expired.get(),
            limited: self.limited.get(),
            arrived: self.arrived.get(),
        }
    }

    fn note(&self, why: Death) {
        match why {
            Death::Rejected => self.rejected.add(1),
            Death::Expired => self.expired.add(1),
            Death::DeliveryLimit => self.limited.add(1),
            // A queue that assures its letters drops nothing.
            Death::MaxLen => {}
        }
    }
}

/// The letters of one queue.
#[derive(Debug, Default)]
pub struct Letters {
    waiting: Mutex<Waiting>,
    turn: Mutex<()>,
    /// They are to arrive at least once.
    are_assured: AtomicBool,
    /// No more can be kept.
    are_full: AtomicBool,
    of_node: Arc<AllLetters>,
}

impl Waiting {
    fn count(&self) -> usize {
        self.dead.len() + self.leaving.len()
    }

    fn all(&self) -> impl Iterator<Item = &Dead> {
        self.leaving.values().chain(&self.dead).chain(self.kept.iter())
    }
}

impl Letters {
    /// Looks at those that the store or mirrors still have in their places.
    pub fn each_stored(&self, mut each: impl FnMut(Seq, &Dead)) {
        let waiting = self.waiting.lock();
        for dead in waiting.all() {
            dead.stored.into_iter().for_each(|seq| each(seq, dead));
        }
    }

    /// Where those are.
    pub fn stored(&self) -> impl Iterator<Item = Seq> + use<> {
        let mut stored = Vec::new();
        self.each_stored(|seq, _| stored.push(seq));
        stored.into_iter()
    }

    /// Of a queue; all are counted together, too.
    pub fn new(of_node: Arc<AllLetters>) -> Self {
        Letters {
            waiting: Mutex::default(),
            turn: Mutex::default(),
            are_assured: AtomicBool::new(false),
            are_full: AtomicBool::new(false),
            of_node,
        }
    }

    /// Whether the queue's settings assure them.
    pub fn assure(&self, are_assured: bool) {
        self.are_assured.store(are_assured, Ordering::Relaxed);
    }

    /// Whether they are kept until a queue takes them.
    pub fn are_assured(&self) -> bool {
        self.are_assured.load(Ordering::Relaxed)
    }

    /// How many there are, as RabbitMQ counts them: those that are assured.
    pub fn tally(&self) -> Tally {
        if !self.are_assured() {
            return Tally::default();
        }
        let waiting = self.waiting.lock();
        let bodies = waiting.all().map(|dead| dead.message.body().len() as u64);
        let (messages, bytes) = bodies.fold((0, 0), |(messages, bytes), body| (messages + 1, bytes + body));
        Tally {
            messages,
            bytes,
            persistent: messages,
            persistent_bytes: bytes,
        }
    }

    /// So many are safe in queues that took them.
    pub fn have_arrived(&self, count: u64) {
        if self.are_assured.load(Ordering::Relaxed) {
            self.of_node.arrived.add(count);
        }
    }

    /// A message has died. The queue is locked, so they come in order.
    pub fn push(&self, dead: Dead) {
        let mut waiting = self.waiting.lock();
        self.weigh(&mut waiting, &dead);
        if self.are_assured.load(Ordering::Relaxed) {
            self.of_node.note(dead.why);
        }
        waiting.dead.push_back(dead);
    }

    /// True if one more message may die; else the queue counts as held up. `is_enough`: enough have died at once.
    pub fn has_room(&self, is_enough: bool) -> bool {
        let mut waiting = self.waiting.lock();
        let has_room = waiting.count() < LETTERS_MAX
            && !self.are_full()
            && waiting.octets < LETTER_BYTES_MAX
            && self.of_node.octets.load(Ordering::Relaxed) < NODE_BYTES_MAX;
        waiting.held_up |= is_enough || !has_room;
        has_room && !is_enough
    }

    /// Routes what waits, one after the other, until the slice is over or one cannot go. No queue may be locked.
    pub fn route(&self, slice: &mut Slice, mut each: impl FnMut(&Dead, &mut Slice) -> Sent) {
        let _turn = self.turn.lock();
        while !slice.is_over()
            && let Some(dead) = self.next()
        {
            match each(&dead, slice) {
                Sent::NotNow => return self.put_back(dead),
                Sent::Nowhere if dead.stored.is_some() => self.keep(dead),
                Sent::Done | Sent::Nowhere if dead.stored.is_none() => self.lighten(&mut self.waiting.lock(), &dead),
                Sent::Done | Sent::Nowhere => {}
            }
        }
    }

    fn keep(&self, dead: Dead) {
        let mut waiting = self.waiting.lock();
        dead.stored.and_then(|seq| waiting.leaving.remove(&seq));
        self.lighten(&mut waiting, &dead);
        waiting.kept.push(dead, &self.of_node);
        if waiting.kept.are_full(&self.of_node) {
            self.are_full.store(true, Ordering::Release);
        }
    }

    /// All that are kept are tried once more; false if there are none, and the queue leaves the round.
    pub fn try_kept(&self) -> bool {
        self.waiting.lock().kept.begin_round()
    }

    /// The queue takes part in rounds from now on; false if it does, or keeps nothing.
    pub fn join_rounds(&self) -> bool {
        self.waiting.lock().kept.join()
    }

    /// No more can be kept: nothing dies, and nothing is handed out.
    pub fn are_full(&self) -> bool {
        self.are_full.load(Ordering::Acquire)
    }

    /// True if more can be kept again: what the queue has is to be offered.
    pub fn hand_out_again(&self) -> bool {
        let waiting = self.waiting.lock();
        let is_over = self.are_full() && !waiting.kept.are_full(&self.of_node);
        if is_over {
            self.are_full.store(false, Ordering::Release);
        }
        is_over
    }

    /// The next one, which may arrive before it is known to be sent. Those that are tried once more come last.
    fn next(&self) -> Option<Dead> {
        let mut waiting = self.waiting.lock();
        let dead = match waiting.dead.pop_front() {
            Some(dead) => dead,
            None => {
                let dead = waiting.kept.next(&self.of_node)?;
                self.weigh(&mut waiting, &dead);
                dead
            }
        };
        if let Some(seq) = dead.stored {
            waiting.leaving.insert(seq, dead.clone());
        }
        Some(dead)
    }

    fn put_back(&self, dead: Dead) {
        let mut waiting = self.waiting.lock();
        dead.stored.and_then(|seq| waiting.leaving.remove(&seq));
        waiting.dead.push_front(dead);
    }

    fn weigh(&self, waiting: &mut Waiting, dead: &Dead) {
        waiting.octets += dead.octets();
        self.of_node.octets.fetch_add(dead.octets(), Ordering::Relaxed);
    }

    fn lighten(&self, waiting: &mut Waiting, dead: &Dead) {
        waiting.octets -= dead.octets();
        self.of_node.octets.fetch_sub(dead.octets(), Ordering::Relaxed);
    }

    /// Nobody will ever know whether one is safe where it went: it is sent once more. One that is assured is kept until the
    /// next round, since a queue elsewhere may refuse it for long.
    pub fn send_again(&self, seq: Seq) {
        let mut waiting = self.waiting.lock();
        let Some(dead) = waiting.leaving.remove(&seq) else {
            return;
        };
        if self.are_assured() {
            drop(waiting);
            self.keep(dead);
        } else {
            waiting.dead.push_back(dead);
        }
    }

    /// They are safe where they went, or are looked for there no more.
    pub fn let_go(&self, gone: impl IntoIterator<Item = Seq>) {
        let mut waiting = self.waiting.lock();
        for seq in gone {
            if let Some(dead) = waiting.leaving.remove(&seq) {
                self.lighten(&mut waiting, &dead);
            }
        }
    }

    /// True if the queue was held up and there is room again: it must be told.
    pub fn may_go_on(&self) -> bool {
        let mut waiting = self.waiting.lock();
        let is_low =
            waiting.count() <= LOW && !self.are_full() && self.of_node.octets.load(Ordering::Relaxed) < NODE_BYTES_MAX;
        is_low && std::mem::take(&mut waiting.held_up)
    }

    /// True if something is left to be done for this queue.
    pub fn are_waiting(&self) -> bool {
        let waiting = self.waiting.lock();
        let may_go_on = waiting.held_up && !self.are_full();
        may_go_on || !waiting.dead.is_empty() || waiting.kept.has_next()
    }

    /// True if so many wait that whoever causes them has to help.
    pub fn are_many(&self) -> bool {
        let waiting = self.waiting.lock();
        let is_node_laden = self.of_node.octets.load(Ordering::Relaxed) >= NODE_BYTES_MAX / 2;
        waiting.dead.len() > MANY || (is_node_laden && !waiting.dead.is_empty())
    }

    /// The queue joins the line; false if it stands there.
    pub fn join_line(&self) -> bool {
        !std::mem::replace(&mut self.waiting.lock().in_line, true)
    }

    /// The queue's turn has come.
    pub fn leave_line(&self) {
        self.waiting.lock().in_line = false;
    }
}

impl Drop for Letters {
    fn drop(&mut self) {
        let left = self.waiting.get_mut().octets;
        self.of_node.octets.fetch_sub(left, Ordering::Relaxed);
        self.waiting.get_mut().kept.clear(&self.of_node);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use store::{Content, StoredMessage};

    fn dead(seq: Option<u64>) -> Dead {
        let content = Content {
            exchange: b"",
            routing_key: b"k",
            properties: &[0, 0],
            body: b"letter",
        };
        Dead {
            message: Message::of(&content, true),
            stored: seq.map(Seq),
            why: Death::Rejected,
        }
    }

    fn in_their_places(letters: &Letters) -> Vec<Seq> {
        letters.stored().collect()
    }

    #[test]
    fn a_letter_is_in_its_place_until_it_is_known_to_be_safe_where_it_went() {
        let (of_node, mut sent) = (Arc::new(AllLetters::default()), Vec::new());
        let letters = Letters::new(of_node.clone());
        for dead in [dead(Some(1)), dead(None), dead(Some(2))] {
            letters.push(dead);
        }
        letters.route(&mut Slice::new(), |dead, _| {
            sent.push(dead.stored);
            if dead.stored == Some(Seq(2)) {
                Sent::NotNow
            } else {
                Sent::Done
            }
        });
        assert_eq!(sent, [Some(Seq(1)), None, Some(Seq(2))]);
        assert_eq!(in_their_places(&letters), [Seq(1), Seq(2)]);
        letters.let_go([Seq(1)]);
        letters.route(&mut Slice::new(), |_, _| Sent::Done);
        letters.send_again(Seq(2));
        letters.route(&mut Slice::new(), |_, _| Sent::Done);
        assert_eq!(in_their_places(&letters), [Seq(2)], "sent twice, and safe nowhere");
        letters.let_go([Seq(2), Seq(3)]);
        assert_eq!(
            (in_their_places(&letters), of_node.octets.load(Ordering::Relaxed)),
            (vec![], 0)
        );
    }

    fn assured(of_node: &Arc<AllLetters>) -> Letters {
        let letters = Letters::new(of_node.clone());
        letters.assure(true);
        letters
    }

    /// Routes all; these go nowhere, the others arrive. Returns which were tried.
    fn tried(letters: &Letters, nowhere: impl Fn(Seq) -> bool) -> Vec<Seq> {
        let (mut tried, mut arrived) = (Vec::new(), Vec::new());
        while letters.are_waiting() {
            letters.route(&mut Slice::new(), |dead, slice| {
                let seq = dead.stored.unwrap();
                slice.spend(0, 0);
                tried.push(seq);
                if nowhere(seq) {
                    return Sent::Nowhere;
                }
                arrived.push(seq);
                Sent::Done
            });
        }
        letters.let_go(arrived);
        tried
    }

    #[test]
    fn a_letter_that_no_queue_takes_is_kept_and_tried_once_in_each_round() {
        let of_node = Arc::new(AllLetters::default());
        let letters = assured(&of_node);
        for seq in 1..=3 {
            letters.push(dead(Some(seq)));
        }
        assert_eq!(tried(&letters, |seq| seq != Seq(2)), [Seq(1), Seq(2), Seq(3)]);
        assert_eq!(in_their_places(&letters), [Seq(1), Seq(3)]);
        let tally = letters.tally();
        assert_eq!((tally.messages, tally.bytes), (2, 12));
        assert!(tried(&letters, |_| true).is_empty(), "no round has begun");
        assert!(letters.join_rounds() && !letters.join_rounds());
        assert!(letters.try_kept());
        letters.push(dead(Some(4)));
        assert_eq!(
            tried(&letters, |seq| seq == Seq(3)),
            [Seq(4), Seq(1), Seq(3)],
            "what died just now comes first"
        );
        assert!(letters.try_kept());
        assert_eq!(tried(&letters, |_| false), [Seq(3)]);
        assert!(!letters.try_kept() && !letters.join_rounds(), "nothing is kept");
        let octets = [&of_node.octets, &of_node.kept_octets].map(|octets| octets.load(Ordering::Relaxed));
        assert_eq!((in_their_places(&letters), octets), (vec![], [0, 0]));
    }

    #[test]
    fn one_of_which_it_is_never_known_whether_it_arrived_is_kept_until_the_next_round() {
        let letters = assured(&Arc::default());
        letters.push(dead(Some(1)));
        letters.route(&mut Slice::new(), |_, _| Sent::Done);
        letters.send_again(Seq(1));
        assert_eq!(tried(&letters, |_| true), []);
        assert!(letters.join_rounds() && letters.try_kept());
        assert_eq!(tried(&letters, |_| false), [Seq(1)]);
    }

    #[test]
    fn a_queue_that_can_keep_no_more_lets_nothing_die_until_a_letter_is_taken() {
        let of_node = Arc::new(AllLetters::default());
        let letters = assured(&of_node);
        for seq in 1..=8_192 {
            assert!(!letters.are_full() && letters.has_room(false), "{seq}");
            letters.push(dead(Some(seq)));
            tried(&letters, |_| true);
        }
        assert!(letters.are_full() && !letters.has_room(false));
        assert!(!letters.may_go_on() && !letters.hand_out_again());
        assert!(!letters.are_waiting(), "nothing can be done until the next round");
        assert!(letters.try_kept());
        assert_eq!(tried(&letters, |_| true).len(), 8_192);
        assert!(letters.are_full() && !letters.hand_out_again(), "all are here still");
        assert!(letters.try_kept());
        tried(&letters, |seq| seq != Seq(5));
        assert!(letters.hand_out_again() && !letters.hand_out_again(), "told once");
        assert!(letters.may_go_on() && letters.has_room(false));
        drop(letters);
        assert_eq!(of_node.kept_octets.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn letters_of_a_queue_that_assures_them_are_counted_with_those_of_all_such_queues() {
        let of_node = Arc::new(AllLetters::default());
        let [assured, other] = [true, false].map(|are_assured| {
            let letters = Letters::new(of_node.clone());
            letters.assure(are_assured);
            letters
        });
        for letters in [&assured, &other] {
            for why in [Death::Rejected, Death::Expired, Death::Expired, Death::DeliveryLimit] {
                letters.push(Dead { why, ..dead(Some(1)) });
            }
            letters.have_arrived(3);
        }
        let counted = Assured {
            rejected: 1,
            expired: 2,
            limited: 1,
            arrived: 3,
        };
        assert_eq!(of_node.assured(), counted);
    }
}
