//! Which publishes of which origin a queue has taken, so that what comes again after a broken way is not taken twice.
//!
//! An origin numbers what it sends to a queue in ascending order, keeps what is unanswered, and sends it again in that
//! order. Decides whether a publish is new; enqueues nothing and answers nobody. Bounded: intervals above the origin's
//! floor only, and so many origins, of which those that were silent longest are forgotten first.
//!
//! Nothing of it is on disk. A queue that may hold messages of which nothing is known here, as one that was read from disk,
//! refuses what comes again from an origin of which it has heard nothing: it may be there. What an origin sends for the first
//! time is new in any case, and all that it sends after that is known.

use model::NodeUuid;
use std::collections::{BTreeMap, VecDeque};

/// Origins remembered for one queue.
const ORIGINS_MAX: usize = 4096;
/// So many of them are left when there were too many.
const ORIGINS_LEFT: usize = ORIGINS_MAX / 4 * 3;
/// Intervals of one origin; an origin's window of unanswered publishes is not larger.
const INTERVALS_MAX: usize = 32_768;

/// Who sends publishes in one order: a connection at a node. The node's own are of connection 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    /// The node.
    pub node: NodeUuid,
    /// Which of its streams of publishes.
    pub stream: u64,
}

/// Where a publish stands among those of its origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Whose it is.
    pub origin: Origin,
    /// Which start of the origin's node.
    pub incarnation: u64,
    /// Its number.
    pub sequence: u64,
    /// The lowest number that has not been answered: nothing below is sent again.
    pub floor: u64,
    /// It was sent before, perhaps to another leader.
    pub again: bool,
}

/// What a publish is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judged {
    /// Never seen: it is enqueued.
    New,
    /// Taken before: it is answered as that one was.
    Again,
    /// Not taken, though a later one was: enqueued now it would stand behind that one. Or nobody knows whether it was taken.
    /// It is refused.
    Late,
    /// Of a process that is over.
    Stale,
}

/// What is known of one origin.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    incarnation: u64,
    floor: u64,
    /// First and last of each run of numbers that were taken, ascending, none below the floor.
    seen: VecDeque<(u64, u64)>,
    /// When it was heard last, in publishes.
    heard: u64,
}

/// What a queue knows of its origins. Empty, it holds no memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dedup {
    origins: BTreeMap<Origin, Entry>,
    heard: u64,
    /// Of origins that are not here nothing is known: they may have been heard.
    is_partial: bool,
}

impl Entry {
    fn new(stamp: &Stamp) -> Self {
        Entry {
            incarnation: stamp.incarnation,
            floor: stamp.floor,
            seen: VecDeque::new(),
            heard: 0,
        }
    }

    fn judge(&self, stamp: &Stamp) -> Judged {
        if stamp.incarnation < self.incarnation {
            return Judged::Stale;
        }
        match self.seen.back() {
            // As nearly always.
            Some((_, last)) if *last < stamp.sequence && stamp.sequence >= self.floor => Judged::New,
            _ if stamp.sequence < self.floor || self.has(stamp.sequence) => Judged::Again,
            None => Judged::New,
            Some(_) => Judged::Late,
        }
    }

    fn has(&self, sequence: u64) -> bool {
        let at = self.seen.partition_point(|(_, last)| *last < sequence);
        self.seen.get(at).is_some_and(|(first, _)| *first <= sequence)
    }

    /// Takes a number that is above all others.
    fn note(&mut self, sequence: u64) {
        match self.seen.back_mut() {
            Some((_, last)) if sequence <= *last => {}
            Some((_, last)) if *last + 1 == sequence => *last = sequence,
            Some(_) | None => self.seen.push_back((sequence, sequence)),
        }
    }

    fn raise(&mut self, floor: u64) {
        self.floor = self.floor.max(floor);
        while self.seen.len() > INTERVALS_MAX {
            // More than any window: the oldest have been answered, whatever the origin says.
            self.floor = self.floor.max(self.seen[1].0);
            self.seen.pop_front();
        }
        while let Some((first, last)) = self.seen.front_mut()
            && *first < self.floor
        {
            if *last >= self.floor {
                *first = self.floor;
                break;
            }
            // The last run stays, since it tells what is late.
            if self.seen.len() == 1 {
                break;
            }
            self.seen.pop_front();
        }
    }
}

/// All that is known of one origin, to be told to others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// Who.
    pub origin: Origin,
    /// Which start of its node.
    pub incarnation: u64,
    /// The lowest number that may come again.
    pub floor: u64,
    /// Numbers that were taken, as ascending runs.
    pub seen: Vec<(u64, u64)>,
}

impl Dedup {
    /// Of a queue that may hold messages of which nobody knows who published them.
    #[must_use]
    pub fn partial() -> Self {
        Dedup {
            is_partial: true,
            ..Dedup::default()
        }
    }

    /// True if there may be messages of which nobody knows who published them.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        self.is_partial
    }

    /// All has been learned that another knows, who may not know all.
    pub fn learned_all(&mut self, is_partial: bool) {
        self.is_partial = is_partial;
    }

    /// All that is known.
    pub fn known(&self) -> impl Iterator<Item = Known> + '_ {
        self.origins.iter().map(|(origin, entry)| Known {
            origin: *origin,
            incarnation: entry.incarnation,
            floor: entry.floor,
            seen: entry.seen.iter().copied().collect(),
        })
    }

    /// Another knows this of an origin: it replaces what was known here.
    pub fn learn(&mut self, known: Known) {
        if self.origins.len() >= ORIGINS_MAX && !self.origins.contains_key(&known.origin) {
            self.forget_silent();
        }
        self.heard += 1;
        let entry = Entry {
            incarnation: known.incarnation,
            floor: known.floor,
            seen: known.seen.into(),
            heard: self.heard,
        };
        self.origins.insert(known.origin, entry);
    }

    /// Judges a publish. What is `New` and enqueued is noted next.
    #[must_use]
    pub fn judge(&self, stamp: &Stamp) -> Judged {
        let entry = self.origins.get(&stamp.origin);
        match entry.filter(|entry| entry.incarnation >= stamp.incarnation) {
            Some(entry) => entry.judge(stamp),
            None if stamp.again && self.is_partial => Judged::Late,
            None => Judged::New,
        }
    }

    /// A publish that is new was taken.
    pub fn note(&mut self, stamp: &Stamp) {
        self.heard += 1;
        let heard = self.heard;
        if let Some(entry) = self.origins.get_mut(&stamp.origin)
            && entry.incarnation == stamp.incarnation
        {
            entry.note(stamp.sequence);
            entry.raise(stamp.floor);
            entry.heard = heard;
            return;
        }
        self.begin(stamp, heard);
    }

    fn begin(&mut self, stamp: &Stamp, heard: u64) {
        // A node that was started again has lost its clients: what its former process sent is never sent again.
        self.origins
            .retain(|origin, entry| origin.node != stamp.origin.node || entry.incarnation >= stamp.incarnation);
        if self.origins.len() >= ORIGINS_MAX {
            self.forget_silent();
        }
        let mut entry = Entry::new(stamp);
        entry.note(stamp.sequence);
        entry.heard = heard;
        self.origins.insert(stamp.origin, entry);
    }

    fn forget_silent(&mut self) {
        let mut heard: Vec<u64> = self.origins.values().map(|entry| entry.heard).collect();
        heard.sort_unstable();
        let oldest_left = heard[heard.len() - ORIGINS_LEFT];
        self.origins.retain(|_, entry| entry.heard >= oldest_left);
        self.is_partial = true;
    }

    /// An origin has ended: it sends nothing again.
    pub fn forget(&mut self, origin: Origin) {
        self.origins.remove(&origin);
    }

    /// A node is no member any more.
    pub fn forget_node(&mut self, node: NodeUuid) {
        self.origins.retain(|origin, _| origin.node != node);
    }

    /// How many origins are remembered.
    #[must_use]
    pub fn origins(&self) -> usize {
        self.origins.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const fn stamp(stream: u64, incarnation: u64, sequence: u64, floor: u64) -> Stamp {
        Stamp {
            origin: Origin {
                node: NodeUuid(7),
                stream,
            },
            incarnation,
            sequence,
            floor,
            again: false,
        }
    }

    /// Judges, and takes what is new.
    fn hear(dedup: &mut Dedup, stamp: &Stamp) -> Judged {
        let judged = dedup.judge(stamp);
        if judged == Judged::New {
            dedup.note(stamp);
        }
        judged
    }

    #[test]
    fn what_was_taken_is_not_taken_again_and_what_is_next_is_new() {
        let mut dedup = Dedup::default();
        for sequence in [1, 2, 5] {
            assert_eq!(hear(&mut dedup, &stamp(0, 1, sequence, 1)), Judged::New);
        }
        for sequence in [1, 2, 5] {
            assert_eq!(hear(&mut dedup, &stamp(0, 1, sequence, 1)), Judged::Again);
        }
        assert_eq!(hear(&mut dedup, &stamp(0, 1, 6, 1)), Judged::New);
        assert_eq!(dedup.judge(&stamp(1, 1, 1, 1)), Judged::New, "another stream");
    }

    #[test]
    fn what_was_not_taken_though_a_later_one_was_is_refused() {
        let mut dedup = Dedup::default();
        dedup.note(&stamp(0, 1, 1, 1));
        dedup.note(&stamp(0, 1, 3, 1));
        assert_eq!(dedup.judge(&stamp(0, 1, 2, 1)), Judged::Late);
        assert_eq!(dedup.judge(&stamp(0, 1, 1, 1)), Judged::Again);
    }

    #[test]
    fn everything_below_the_floor_was_answered() {
        let mut dedup = Dedup::default();
        dedup.note(&stamp(0, 1, 1, 1));
        dedup.note(&stamp(0, 1, 9, 8));
        assert_eq!(dedup.judge(&stamp(0, 1, 4, 4)), Judged::Again);
        assert_eq!(dedup.judge(&stamp(0, 1, 8, 8)), Judged::Late);
        assert_eq!(dedup.judge(&stamp(0, 1, 9, 8)), Judged::Again);
    }

    #[test]
    fn a_node_started_again_begins_anew_and_its_former_process_is_refused() {
        let mut dedup = Dedup::default();
        dedup.note(&stamp(0, 1, 4, 1));
        dedup.note(&stamp(5, 1, 4, 1));
        assert_eq!(hear(&mut dedup, &stamp(0, 2, 1, 1)), Judged::New);
        assert_eq!(dedup.judge(&stamp(0, 1, 5, 1)), Judged::Stale);
        assert_eq!(dedup.origins(), 1, "all of the former process are forgotten");
    }

    #[test]
    fn who_may_have_been_heard_is_not_taken_again_and_who_sends_for_the_first_time_is_known_from_then_on() {
        let again = |stream, sequence| Stamp {
            again: true,
            ..stamp(stream, 1, sequence, 1)
        };
        let mut dedup = Dedup::partial();
        assert_eq!(dedup.judge(&again(0, 4)), Judged::Late, "it may be there");
        assert_eq!(hear(&mut dedup, &stamp(0, 1, 5, 1)), Judged::New);
        assert_eq!(dedup.judge(&again(0, 4)), Judged::Late);
        assert_eq!(dedup.judge(&again(0, 5)), Judged::Again);
        assert_eq!(
            dedup.judge(&again(0, 6)),
            Judged::New,
            "on its way when the leader was lost"
        );
        let restarted = Stamp {
            incarnation: 2,
            ..again(0, 1)
        };
        assert_eq!(
            dedup.judge(&restarted),
            Judged::Late,
            "what its former process sent tells nothing"
        );
        dedup.learned_all(false);
        assert_eq!(dedup.judge(&again(1, 1)), Judged::New, "all is known");
    }

    #[test]
    fn memory_is_bounded_by_origins_and_by_what_is_unanswered() {
        let mut dedup = Dedup::default();
        for stream in 0..3 * ORIGINS_MAX as u64 {
            dedup.note(&stamp(stream, 1, 1, 1));
            dedup.note(&stamp(0, 1, stream + 2, stream + 2));
        }
        assert!(dedup.origins() <= ORIGINS_MAX);
        let busy = stamp(0, 1, 3 * ORIGINS_MAX as u64 + 1, 1);
        assert_eq!(dedup.judge(&busy), Judged::Again, "who is heard is remembered");
        for number in 0..3 * INTERVALS_MAX as u64 {
            dedup.note(&stamp(1, 2, 2 * number, 0));
        }
        assert!(dedup.origins.values().all(|entry| entry.seen.len() <= INTERVALS_MAX));
        dedup.forget(busy.origin);
        dedup.forget_node(NodeUuid(7));
        assert_eq!(
            dedup,
            Dedup {
                heard: dedup.heard,
                ..Dedup::partial()
            }
        );
    }

    proptest! {
        /// An origin with a window sends over ways that break at any moment; some answers are lost, some publishes are
        /// for other queues. Whatever happens, each is taken once, in order, and nothing is refused.
        #[test]
        fn an_honest_origin_is_taken_once_and_in_order(
            steps in proptest::collection::vec((0usize..6, 0usize..6, 0usize..6, any::<bool>()), 1..80),
        ) {
            let mut dedup = Dedup::default();
            let (mut next, mut open, mut queue) = (1u64, VecDeque::<u64>::new(), Vec::<u64>::new());
            for (sends, arrive, answers, breaks) in steps {
                let before = open.len();
                for _ in 0..sends {
                    open.push_back(next);
                    next += 1 + u64::from(breaks);
                }
                // After a break all go again, from the lowest, and only so many arrive.
                let from = if breaks { 0 } else { before };
                let way: Vec<u64> = open.iter().skip(from).copied().collect();
                let floor = open.front().copied().unwrap_or(next);
                let arrived = if breaks { arrive.min(way.len()) } else { way.len() };
                for sequence in &way[..arrived] {
                    match hear(&mut dedup, &stamp(0, 1, *sequence, floor)) {
                        Judged::New => queue.push(*sequence),
                        Judged::Again => prop_assert!(queue.contains(sequence), "{sequence} was never taken"),
                        other => prop_assert!(false, "{sequence} is {other:?}"),
                    }
                }
                if breaks && arrived < way.len() {
                    // The rest comes before anything new does.
                    for sequence in &way[arrived..] {
                        if hear(&mut dedup, &stamp(0, 1, *sequence, floor)) == Judged::New {
                            queue.push(*sequence);
                        }
                    }
                }
                for _ in 0..answers.min(open.len()) {
                    open.pop_front();
                }
            }
            prop_assert!(queue.is_sorted_by(|a, b| a < b), "{queue:?}");
        }

        /// Against the plain rules over a set: equal for every order of publishes.
        #[test]
        fn intervals_say_what_a_plain_set_says(
            numbers in proptest::collection::vec((1u64..40, 0u64..40, 1u64..3), 0..120),
        ) {
            let mut dedup = Dedup::default();
            let (mut incarnation, mut floor, mut seen) = (0, 0, std::collections::BTreeSet::<u64>::new());
            for (sequence, below, own) in numbers {
                let heard = stamp(0, own, sequence, sequence.min(below));
                let expected = if own < incarnation {
                    Judged::Stale
                } else if own > incarnation {
                    Judged::New
                } else if sequence < floor || seen.contains(&sequence) {
                    Judged::Again
                } else if seen.range(sequence..).next().is_some() {
                    Judged::Late
                } else {
                    Judged::New
                };
                prop_assert_eq!(hear(&mut dedup, &heard), expected, "{:?}", heard);
                if expected == Judged::New {
                    if own > incarnation {
                        (incarnation, floor) = (own, 0);
                        seen.clear();
                    }
                    floor = floor.max(heard.floor);
                    seen.insert(sequence);
                }
            }
        }
    }
}
