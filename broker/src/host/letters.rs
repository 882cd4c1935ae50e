//! Messages that died in a queue and have not been routed, in the order in which they died.
//!
//! Whoever routes them takes its turn, so that they keep that order, whatever task they died in. Beyond the limits no
//! message dies by its time or a length limit: it waits in its queue, where it may leave memory (I7). One that a client
//! rejects is taken always, and its client is held (`Batch::help`).

use model::Seq;
use parking_lot::Mutex;
use queue::Death;
use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use super::{counters::Counter, message::Message};

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
    fn octets(&self) -> u64 {
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
}

#[derive(Debug, Default)]
struct Waiting {
    dead: VecDeque<Dead>,
    /// Sent, and not known to be safe where they went. The store and the mirrors have them still.
    leaving: BTreeMap<Seq, Dead>,
    /// Of both.
    octets: u64,
    /// The queue stands in the node's line.
    in_line: bool,
    /// The queue was told that there is no room.
    held_up: bool,
}

/// What concerns all letters of the node.
#[derive(Debug, Default)]
pub struct AllLetters {
    /// Octets of those that wait.
    octets: AtomicU64,
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
    /// They are counted as letters that arrive at least once.
    are_assured: AtomicBool,
    of_node: Arc<AllLetters>,
}

impl Waiting {
    fn count(&self) -> usize {
        self.dead.len() + self.leaving.len()
    }
}

impl Letters {
    /// Looks at those that the store or mirrors still have in their places.
    pub fn each_stored(&self, mut each: impl FnMut(Seq, &Dead)) {
        let waiting = self.waiting.lock();
        for dead in waiting.leaving.values().chain(&waiting.dead) {
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
            of_node,
        }
    }

    /// Whether the queue's settings assure them.
    pub fn assure(&self, are_assured: bool) {
        self.are_assured.store(are_assured, Ordering::Relaxed);
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
        waiting.octets += dead.octets();
        self.of_node.octets.fetch_add(dead.octets(), Ordering::Relaxed);
        if self.are_assured.load(Ordering::Relaxed) {
            self.of_node.note(dead.why);
        }
        waiting.dead.push_back(dead);
    }

    /// True if one more message may die; else the queue counts as held up. `is_enough`: enough have died at once.
    pub fn has_room(&self, is_enough: bool) -> bool {
        let mut waiting = self.waiting.lock();
        let has_room = waiting.count() < LETTERS_MAX
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
                Sent::Done if dead.stored.is_none() => self.lighten(&mut self.waiting.lock(), &dead),
                Sent::Done => {}
            }
        }
    }

    /// The next one, which may arrive before it is known to be sent.
    fn next(&self) -> Option<Dead> {
        let mut waiting = self.waiting.lock();
        let dead = waiting.dead.pop_front()?;
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

    fn lighten(&self, waiting: &mut Waiting, dead: &Dead) {
        waiting.octets -= dead.octets();
        self.of_node.octets.fetch_sub(dead.octets(), Ordering::Relaxed);
    }

    /// Nobody will ever know whether one is safe where it went: it is sent once more.
    pub fn send_again(&self, seq: Seq) {
        let mut waiting = self.waiting.lock();
        if let Some(dead) = waiting.leaving.remove(&seq) {
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
        let is_low = waiting.count() <= LOW && self.of_node.octets.load(Ordering::Relaxed) < NODE_BYTES_MAX;
        is_low && std::mem::take(&mut waiting.held_up)
    }

    /// True if something is left to be done for this queue.
    pub fn are_waiting(&self) -> bool {
        let waiting = self.waiting.lock();
        waiting.held_up || !waiting.dead.is_empty()
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
