//! What numbers were: the last ten minutes of every queue, exchange, connection and channel, and up to a day of the node
//! as a whole.
//!
//! A thing costs memory only for the readings in which it changed: each tick keeps what the changed ones read before it, and
//! walking back from the newest reading undoes one tick after the other. Bounded by ticks and by entries of all of
//! them; when there are more, the oldest tick goes. When each thing changed last is kept for as long as it is there. Reads
//! no clock and no queue: readings are handed in.

use model::Millis;
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use super::{reading::Reading, samples::WholeReading};

/// Milliseconds between two ticks.
pub const TICK_MS: u64 = 5_000;
/// Ticks that are kept of things: ten minutes, and one to begin with.
const TICKS_MAX: usize = 121;
/// Changes of things of one kind that are kept in all ticks together, at most some 150 octets each.
const CHANGES_MAX: usize = 100_000;
/// Milliseconds between two readings of the whole, and how many are kept: RabbitMQ's retention.
const RINGS: [(u64, usize); 4] = [(TICK_MS, 122), (60_000, 62), (600_000, 50), (1_800_000, 49)];

/// What was read when, the newest first.
pub type Past<T> = Vec<(Millis, T)>;

/// Which part of the past is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// How far back.
    pub age_ms: u64,
    /// Time between two samples.
    pub step_ms: u64,
}

#[derive(Debug)]
struct Tick<K, R> {
    at: Millis,
    /// What changed in this tick, with what it read before; by id.
    changed: Readings<K, R>,
}

/// The readings of all things of one kind, by id.
pub type Readings<K, R> = Vec<(K, R)>;

/// The past of things of one kind.
#[derive(Debug)]
pub struct Pasts<K, R> {
    current: Arc<Readings<K, R>>,
    /// When each of the current ones was found changed last, or first seen.
    changed_at: Vec<Millis>,
    ticks: VecDeque<Tick<K, R>>,
    changes: usize,
    /// What the readings before the current ones were in, for the next.
    room: Readings<K, R>,
}

impl<K, R> Default for Pasts<K, R> {
    fn default() -> Self {
        Pasts {
            current: Arc::default(),
            changed_at: Vec::new(),
            ticks: VecDeque::new(),
            changes: 0,
            room: Vec::new(),
        }
    }
}

/// The past of the node as a whole, the finest ring first.
#[derive(Debug, Default)]
pub struct Whole {
    rings: [VecDeque<(Millis, WholeReading)>; 4],
}

fn found<K: Copy + Ord, R: Copy>(readings: &Readings<K, R>, id: K) -> Option<R> {
    let at = readings.binary_search_by_key(&id, |(id, _)| *id).ok()?;
    Some(readings[at].1)
}

/// Those of some things. Whichever list is shorter is walked through. `ids` are sorted.
fn of_these<K: Copy + Ord, R: Copy>(readings: &Readings<K, R>, ids: &[K]) -> Readings<K, R> {
    if ids.len() < readings.len() {
        let own = ids.iter().filter_map(|id| Some((*id, found(readings, *id)?)));
        return own.collect();
    }
    let is_one = |(id, _): &&(K, R)| ids.binary_search(id).is_ok();
    readings.iter().filter(is_one).copied().collect()
}

/// What differs, with what it was; what is new was nothing before.
fn changes<K: Copy + Ord, R: Reading>(before: &Readings<K, R>, now: &Readings<K, R>) -> Readings<K, R> {
    let mut old = before.iter().peekable();
    let mut changed = Vec::new();
    for (id, reading) in now {
        while old.next_if(|(other, _)| other < id).is_some() {}
        let was = old.next_if(|(other, _)| other == id).map(|(_, was)| *was);
        if was != Some(*reading) {
            changed.push((*id, was.unwrap_or_default()));
        }
    }
    changed
}

/// When each thing changed last, if it did so just now where it reads something else than it did.
fn last_changes<K: Copy + Ord, R: Reading>(
    (before, then): (&Readings<K, R>, &[Millis]),
    now: &Readings<K, R>,
    at: Millis,
) -> Vec<Millis> {
    let mut old = before.iter().zip(then).peekable();
    let changed_at = |reading: &(K, R)| {
        while old.next_if(|((other, _), _)| *other < reading.0).is_some() {}
        let same = old.next_if(|(was, _)| *was == reading);
        same.map_or(at, |(_, then)| *then)
    };
    now.iter().map(changed_at).collect()
}

/// As `changes`, in one walk, where both are of the same things, as nearly always; the times of those that differ are brought up to date.
fn changes_of_same<K: Copy + Ord, R: Reading>(
    (before, changed_at): (&Readings<K, R>, &mut [Millis]),
    now: &Readings<K, R>,
    at: Millis,
) -> Option<Readings<K, R>> {
    if before.len() != now.len() {
        return None;
    }
    let mut changed = Vec::new();
    for ((old, new), changed_at) in before.iter().zip(now).zip(changed_at) {
        if old.0 != new.0 {
            return None;
        }
        if old.1 != new.1 {
            changed.push(*old);
            *changed_at = at;
        }
    }
    Some(changed)
}

impl<K: Copy + Ord, R: Reading> Pasts<K, R> {
    /// Takes the next reading of all things, by id.
    pub fn push(&mut self, at: Millis, now: Readings<K, R>) {
        let same = changes_of_same((&self.current, &mut self.changed_at), &now, at);
        let changed = same.unwrap_or_else(|| self.changes_of_others(&now, at));
        let before = std::mem::replace(&mut self.current, Arc::new(now));
        self.room = Arc::into_inner(before).unwrap_or_default();
        self.changes += changed.len();
        self.ticks.push_back(Tick { at, changed });
        while self.ticks.len() > TICKS_MAX || (self.changes > CHANGES_MAX && self.ticks.len() > 1) {
            let Some(oldest) = self.ticks.pop_front() else { return };
            self.changes -= oldest.changed.len();
        }
    }

    /// What changed where things came or went.
    fn changes_of_others(&mut self, now: &Readings<K, R>, at: Millis) -> Readings<K, R> {
        // What was there before the first tick has not just appeared.
        let changed = match self.ticks.is_empty() {
            true => Vec::new(),
            false => changes(&self.current, now),
        };
        self.changed_at = last_changes((&self.current, &self.changed_at), now, at);
        changed
    }

    /// An empty list with room for as many as there were: megabytes, where there are many, that need not be asked for at every tick.
    pub fn take_room(&mut self) -> Readings<K, R> {
        let mut room = std::mem::take(&mut self.room);
        room.clear();
        room
    }

    /// The newest reading of all things.
    pub fn current(&self) -> Arc<Readings<K, R>> {
        self.current.clone()
    }

    /// When something began to read what it reads now; none when that was in the newest tick.
    pub fn idle_since(&self, id: K) -> Option<Millis> {
        let place = self.current.binary_search_by_key(&id, |(id, _)| *id).ok()?;
        let newest = self.ticks.back()?.at;
        self.changed_at.get(place).copied().filter(|at| *at < newest)
    }

    /// What one read before and in the newest tick; none when it did not change.
    pub fn last_change(&self, id: K) -> Option<(R, R)> {
        let before = found(&self.ticks.back()?.changed, id)?;
        Some((before, found(&self.current, id)?))
    }

    /// The same for all that changed.
    pub fn last_changes(&self) -> Vec<(K, R, R)> {
        let changed = self.ticks.back().map_or(&[][..], |tick| &tick.changed);
        let with_after = |(id, before): &(K, R)| Some((*id, *before, found(&self.current, *id)?));
        changed.iter().filter_map(with_after).collect()
    }

    /// The same for some together.
    pub fn last_change_of(&self, ids: impl Iterator<Item = K>) -> (R, R) {
        let nothing = (R::default(), R::default());
        if self.ticks.back().is_none_or(|tick| tick.changed.is_empty()) {
            return nothing;
        }
        ids.filter_map(|id| self.last_change(id)).fold(nothing, |sum, change| {
            (sum.0.together(&change.0), sum.1.together(&change.1))
        })
    }

    /// What some read together. `ids` are sorted.
    pub fn past(&self, ids: &[K], span: Span) -> Past<R> {
        let mut known: BTreeMap<K, R> = BTreeMap::new();
        let mut sum = ids
            .iter()
            .filter_map(|id| found(&self.current, *id))
            .fold(R::default(), |sum, reading| sum.together(&reading));
        let mut readings = Vec::new();
        for tick in self.ticks.iter().rev() {
            readings.push((tick.at, sum));
            for (id, before) in &of_these(&tick.changed, ids) {
                let after = known.insert(*id, *before).or_else(|| found(&self.current, *id));
                sum = sum.without(&after.unwrap_or_default()).together(before);
            }
        }
        spaced(&readings, span)
    }

    /// How much those gained that grew over each of the last `spans`, in ticks; the first span counts.
    pub fn grown(&self, spans: [usize; 2], least: u64, held: impl Fn(&R) -> u64) -> BTreeMap<K, u64> {
        if self.ticks.len() <= spans[0] {
            return BTreeMap::new();
        }
        let [long, short] = spans.map(|ticks| self.before(ticks));
        let gained = |id: &K, before: &BTreeMap<K, R>| {
            let now = held(&found(&self.current, *id)?);
            now.checked_sub(held(before.get(id)?))
        };
        let grown = |id: &K| {
            gained(id, &short).filter(|gain| *gain > 0)?;
            gained(id, &long).filter(|gain| *gain >= least)
        };
        let ids = long.keys().copied();
        ids.filter_map(|id| Some((id, grown(&id)?))).collect()
    }

    /// What those that changed in the last `ticks` read before those.
    fn before(&self, ticks: usize) -> BTreeMap<K, R> {
        let last = self.ticks.iter().rev().take(ticks);
        last.flat_map(|tick| tick.changed.iter().copied()).collect()
    }
}

impl Whole {
    /// Takes the next reading.
    pub fn push(&mut self, at: Millis, reading: WholeReading) {
        for (ring, (every_ms, kept)) in self.rings.iter_mut().zip(RINGS) {
            // At whole minutes and hours, where samples are asked for.
            let is_due = ring.back().is_none_or(|(last, _)| at.0 / every_ms > last.0 / every_ms);
            if !is_due {
                continue;
            }
            ring.push_back((at, reading));
            if ring.len() > kept {
                ring.pop_front();
            }
        }
    }

    /// What was read, from the finest ring that goes back far enough.
    pub fn past(&self, span: Span) -> Past<WholeReading> {
        let reaches = |(every_ms, kept): &(u64, usize)| every_ms * (*kept as u64 - 2) >= span.age_ms;
        let ring = RINGS.iter().position(reaches).unwrap_or(RINGS.len() - 1);
        let readings: Past<WholeReading> = self.rings[ring].iter().rev().copied().collect();
        spaced(&readings, span)
    }
}

/// One reading for each step of the span, as far back as there are any. A reading holds until the next, and the first one for the step that it
/// lies in: whoever asks for steps longer than all we know is told of one, as RabbitMQ tells of every step that it is asked for.
fn spaced<T: Copy>(readings: &Past<T>, span: Span) -> Past<T> {
    let (Some((newest, _)), Some((oldest, _))) = (readings.first(), readings.last()) else {
        return Vec::new();
    };
    let last = newest.0 - newest.0 % span.step_ms;
    let first = last.saturating_sub(span.age_ms).max(oldest.0).min(last);
    let mut past = Vec::new();
    let mut at = last;
    let mut rest = readings.iter().peekable();
    while at >= first {
        while rest.next_if(|(read, _)| read.0 > at).is_some() {}
        let Some((_, reading)) = rest.peek().copied().or(readings.last()) else {
            break;
        };
        past.push((Millis(at), *reading));
        let Some(before) = at.checked_sub(span.step_ms) else {
            break;
        };
        at = before;
    }
    past
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::{QueueReading, samples::held};
    use model::QueueId;

    type Queues = Pasts<QueueId, QueueReading>;

    fn reading(messages: u64) -> QueueReading {
        let mut reading = QueueReading::default();
        reading.counts.ready.messages = messages;
        reading
    }

    fn queues(ticks: &[&[(u64, u64)]]) -> Queues {
        let mut queues = Queues::default();
        for (tick, readings) in ticks.iter().enumerate() {
            let now = readings.iter().map(|(id, n)| (QueueId(*id), reading(*n))).collect();
            queues.push(Millis(TICK_MS * (tick as u64 + 1)), now);
        }
        queues
    }

    fn past(queues: &Queues, ids: &[u64], span: Span) -> Vec<(u64, u64)> {
        let ids: Vec<QueueId> = ids.iter().map(|id| QueueId(*id)).collect();
        let past = queues.past(&ids, span);
        past.iter()
            .map(|(at, r)| (at.0 / 1000, r.counts.ready.messages))
            .collect()
    }

    #[test]
    fn whether_things_came_and_went_or_stayed_the_same_changes_are_known() {
        let mut queues = queues(&[
            &[(1, 5), (2, 7)],
            &[(1, 5), (2, 8)],
            &[(1, 5), (2, 8)],
            &[(2, 9), (3, 1)],
        ]);
        let known = |queues: &Queues| queues.ticks.iter().map(|tick| tick.changed.len()).collect::<Vec<_>>();
        assert_eq!(known(&queues), [0, 1, 0, 2]);
        let room = queues.take_room();
        assert!(room.is_empty() && room.capacity() >= 2);
        let looked_at = queues.current();
        queues.push(Millis(TICK_MS * 5), looked_at.to_vec());
        assert_eq!(
            (known(&queues)[4], queues.take_room().capacity()),
            (0, 0),
            "somebody looks at it still"
        );
    }

    const ALL: Span = Span {
        age_ms: 600_000,
        step_ms: 5_000,
    };

    #[test]
    fn a_queues_past_is_told_back_from_its_newest_reading() {
        let queues = queues(&[&[(1, 5), (2, 1)], &[(1, 5), (2, 3)], &[(1, 0), (2, 3), (7, 9)]]);
        assert_eq!(past(&queues, &[1], ALL), [(15, 0), (10, 5), (5, 5)]);
        assert_eq!(past(&queues, &[1, 2], ALL), [(15, 3), (10, 8), (5, 6)]);
        assert_eq!(past(&queues, &[7], ALL), [(15, 9), (10, 0), (5, 0)]);
        let span = Span {
            age_ms: 10_000,
            step_ms: 10_000,
        };
        assert_eq!(past(&queues, &[2], span), [(10, 3)]);
    }

    #[test]
    fn a_past_that_is_shorter_than_a_step_has_one_sample() {
        let queues = queues(&[&[(1, 5)], &[(1, 7)]]);
        let span = Span {
            age_ms: 1_800_000,
            step_ms: 30_000,
        };
        assert_eq!(past(&queues, &[1], span), [(0, 5)]);
    }

    #[test]
    fn a_queue_is_idle_since_it_changed_last() {
        let queues = queues(&[&[(1, 5), (2, 1)], &[(1, 5), (2, 3)], &[(1, 5), (2, 3), (7, 9)]]);
        let seconds = |id| queues.idle_since(QueueId(id)).map(|at| at.0 / 1000);
        assert_eq!([1, 2, 7, 8].map(seconds), [Some(5), Some(10), None, None]);
    }

    #[test]
    fn a_queue_that_ended_is_in_nobodys_past() {
        let queues = queues(&[&[(1, 5), (2, 1)], &[(1, 6)]]);
        assert_eq!(past(&queues, &[1, 2], ALL), [(10, 6), (5, 5)]);
        assert_eq!(queues.last_change(QueueId(2)), None);
    }

    #[test]
    fn the_past_of_too_many_changes_is_forgotten_and_the_newest_kept() {
        let mut queues = Queues::default();
        for tick in 0..4 {
            let now = (0..60_000).map(|id| (QueueId(id), reading(tick))).collect();
            queues.push(Millis(TICK_MS * (tick + 1)), now);
        }
        assert_eq!(past(&queues, &[1], ALL), [(20, 3)]);
        assert_eq!(queues.last_change(QueueId(1)), Some((reading(2), reading(3))));
    }

    #[test]
    fn growth_is_told_of_queues_that_have_not_stopped_growing() {
        let queues = queues(&[
            &[(1, 0), (2, 0), (3, 0)],
            &[(1, 50), (2, 500), (3, 9)],
            &[(1, 99), (2, 500), (3, 9)],
            &[(1, 150), (2, 500), (3, 10)],
        ]);
        assert_eq!(queues.grown([3, 1], 100, held), BTreeMap::from([(QueueId(1), 150)]));
        assert_eq!(queues.grown([4, 1], 100, held), BTreeMap::new());
    }

    #[test]
    fn the_whole_is_read_from_the_ring_that_goes_back_far_enough() {
        let mut whole = Whole::default();
        for tick in 1..=1000u64 {
            let mut reading = WholeReading::default();
            reading.node.published = tick;
            whole.push(Millis(TICK_MS * tick), reading);
        }
        let published = |age_ms, step_ms| -> Vec<u64> {
            whole
                .past(Span { age_ms, step_ms })
                .iter()
                .map(|(_, reading)| reading.node.published)
                .collect()
        };
        assert_eq!(published(10_000, 5_000), [1000, 999, 998]);
        let hour = published(3_600_000, 60_000);
        assert_eq!((hour.len(), hour[0], hour[1]), (61, 996, 984));
    }

    proptest::proptest! {
        /// Every reading kept whole is the model: one walk where the same things stay, another where some come or go.
        #[test]
        fn pasts_are_those_of_every_reading_kept_whole(
            ticks in proptest::collection::vec(proptest::collection::btree_map(1u64..6, 0u64..3, 0..5), 1..20)
        ) {
            // What has gone never comes again.
            let (mut before, mut gone) = (BTreeMap::new(), std::collections::BTreeSet::new());
            let ticks = ticks.into_iter().map(|mut tick| {
                gone.extend(before.keys().filter(|id| !tick.contains_key(id)).copied());
                tick.retain(|id, _| !gone.contains(id));
                before = tick.clone();
                tick.into_iter().collect()
            });
            let ticks: Vec<Vec<(u64, u64)>> = ticks.collect();
            let slices: Vec<&[(u64, u64)]> = ticks.iter().map(Vec::as_slice).collect();
            let queues = queues(&slices);
            let read = |tick: &Vec<(u64, u64)>, id| tick.iter().find(|(other, _)| *other == id).map(|(_, n)| *n);
            for id in 1..6 {
                let newest = read(&ticks[ticks.len() - 1], id);
                if newest.is_some() {
                    let samples = ticks.iter().enumerate().rev();
                    let expected = samples.map(|(tick, readings)| (5 * (tick as u64 + 1), read(readings, id).unwrap_or(0)));
                    proptest::prop_assert_eq!(past(&queues, &[id], ALL), expected.collect::<Vec<_>>());
                }
                let unchanged = ticks.iter().rev().take_while(|tick| read(tick, id) == newest).count();
                let since = 5 * (ticks.len() - unchanged + 1) as u64;
                let idle = queues.idle_since(QueueId(id)).map(|at| at.0 / 1000);
                proptest::prop_assert_eq!(idle, (newest.is_some() && unchanged > 1).then_some(since));
            }
        }
    }
}
