//! A copy's messages in memory, by position: anything may come and go anywhere.
//!
//! They lie in chunks, each for so many positions, which are there only while something is in them and are no larger
//! than that: an old message that stays costs its own chunk, not what has gone around it.

use std::collections::{BTreeMap, VecDeque};

use model::{Millis, Seq};

use crate::counts::Tally;
use crate::listing::joined;
use crate::message::Message;

/// Positions of a chunk.
const CHUNK_POSITIONS: u64 = 256;
/// A chunk with fewer places is not made smaller.
const IDLE_PLACES_MAX: usize = 16;

/// A message in its place.
pub(crate) struct Entry<M> {
    pub(crate) message: M,
    pub(crate) expires: Millis,
    /// Its position in the chunk.
    at: u8,
    pub(crate) level: u8,
}

/// What the copy itself takes for a message.
const ENTRY_BYTES: u64 = 24;

const _: () = assert!(size_of::<Entry<Box<u8>>>() == 24, "24 octets with an 8-octet handle");

type Chunk<M> = VecDeque<Entry<M>>;

pub(crate) struct Resident<M> {
    /// By number, none empty, each in order of position.
    chunks: BTreeMap<u64, Chunk<M>>,
    bytes: u64,
    tally: Tally,
}

impl<M> Default for Resident<M> {
    fn default() -> Self {
        Self {
            chunks: BTreeMap::new(),
            bytes: 0,
            tally: Tally::default(),
        }
    }
}

/// The chunk of a position, and its place there.
fn place(seq: Seq) -> (u64, u8) {
    let at = u8::try_from(seq.0 % CHUNK_POSITIONS).unwrap_or_default();
    (seq.0 / CHUNK_POSITIONS, at)
}

fn seq(number: u64, at: u8) -> Seq {
    Seq(number * CHUNK_POSITIONS + u64::from(at))
}

/// Memory a message of a copy takes.
pub(crate) fn entry_bytes(message: &impl Message) -> u64 {
    message.resident_bytes() + ENTRY_BYTES
}

impl<M: Message> Resident<M> {
    /// Memory they take.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(crate) fn tally(&self) -> &Tally {
        &self.tally
    }

    pub(crate) fn get(&self, seq: Seq) -> Option<&Entry<M>> {
        let (number, at) = place(seq);
        let chunk = self.chunks.get(&number)?;
        let index = chunk.binary_search_by_key(&at, |entry| entry.at).ok()?;
        chunk.get(index)
    }

    /// False if something is there already; then nothing changes.
    pub(crate) fn insert(&mut self, seq: Seq, level: u8, expires: Millis, message: M) -> bool {
        let (number, at) = place(seq);
        let chunk = self.chunks.entry(number).or_default();
        let is_newest = chunk.back().is_none_or(|last| last.at < at);
        let index = match is_newest {
            true => chunk.len(),
            false => match chunk.binary_search_by_key(&at, |entry| entry.at) {
                Ok(_) => return false,
                Err(index) => index,
            },
        };
        self.bytes += entry_bytes(&message);
        self.tally.add(&message);
        let entry = Entry {
            message,
            expires,
            at,
            level,
        };
        chunk.insert(index, entry);
        true
    }

    /// Takes out what lies from `first` to `last`.
    pub(crate) fn remove(&mut self, first: Seq, last: Seq, mut gone: impl FnMut(Seq, Entry<M>)) {
        let ((from, _), (to, _)) = (place(first), place(last));
        let mut next = from;
        while next <= to
            && let Some((number, chunk)) = self.chunks.range_mut(next..=to).next()
        {
            let number = *number;
            let begin = chunk.partition_point(|entry| seq(number, entry.at) < first);
            let end = chunk.partition_point(|entry| seq(number, entry.at) <= last);
            for entry in chunk.drain(begin..end) {
                self.bytes -= entry_bytes(&entry.message);
                self.tally.remove(&entry.message);
                gone(seq(number, entry.at), entry);
            }
            self.tidy_up(number);
            next = number + 1;
        }
    }

    /// Takes out, from this position on, what `goes`.
    pub(crate) fn extract(
        &mut self,
        from: Seq,
        goes: impl Fn(Seq, &Entry<M>) -> bool,
        mut gone: impl FnMut(Seq, Entry<M>),
    ) {
        let mut next = place(from).0;
        while let Some((number, chunk)) = self.chunks.range_mut(next..).next() {
            let number = *number;
            for entry in std::mem::take(chunk) {
                let position = seq(number, entry.at);
                if position < from || !goes(position, &entry) {
                    chunk.push_back(entry);
                    continue;
                }
                self.bytes -= entry_bytes(&entry.message);
                self.tally.remove(&entry.message);
                gone(position, entry);
            }
            self.tidy_up(number);
            next = number + 1;
        }
    }

    /// Gives back what a chunk does not need.
    fn tidy_up(&mut self, number: u64) {
        let Some(chunk) = self.chunks.get_mut(&number) else {
            return;
        };
        if chunk.is_empty() {
            self.chunks.remove(&number);
        } else if chunk.capacity() > IDLE_PLACES_MAX && chunk.len() * 4 <= chunk.capacity() {
            chunk.shrink_to(chunk.len() * 2);
        }
    }

    /// All from this position on, in order.
    pub(crate) fn iter(&self, from: Seq) -> impl Iterator<Item = (Seq, &Entry<M>)> {
        let chunks = self.chunks.range(place(from).0..);
        let all = chunks.flat_map(|(number, chunk)| chunk.iter().map(|entry| (seq(*number, entry.at), entry)));
        all.skip_while(move |(seq, _)| *seq < from)
    }

    /// The positions from this one on, as runs in order; a run may be named in parts.
    pub(crate) fn runs(&self, from: Seq) -> impl Iterator<Item = (Seq, Seq)> {
        let chunks = self.chunks.range(place(from).0..);
        let runs = chunks.flat_map(|(number, chunk)| {
            let positions = chunk.iter().map(|entry| seq(*number, entry.at));
            joined(positions.map(|seq| (seq, seq)))
        });
        runs.filter(move |run| run.1 >= from)
    }

    /// All of them, in order.
    pub(crate) fn into_entries(self) -> impl Iterator<Item = (Seq, Entry<M>)> {
        let chunks = self.chunks.into_iter();
        chunks.flat_map(|(number, chunk)| chunk.into_iter().map(move |entry| (seq(number, entry.at), entry)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    impl Message for u8 {
        fn body_bytes(&self) -> u64 {
            u64::from(*self)
        }

        fn is_persistent(&self) -> bool {
            true
        }

        fn resident_bytes(&self) -> u64 {
            8
        }
    }

    impl Resident<u8> {
        /// Places for messages, taken or not.
        fn places(&self) -> usize {
            self.chunks.values().map(VecDeque::capacity).sum()
        }

        fn positions(&self) -> Vec<u64> {
            self.iter(Seq(0)).map(|(seq, _)| seq.0).collect()
        }
    }

    #[derive(Clone, Debug)]
    enum Step {
        Append(u64),
        Insert(u64),
        Remove(u64, u64),
        ExtractOdd(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (1..400u64).prop_map(Step::Append),
            3 => any::<u64>().prop_map(Step::Insert),
            4 => (any::<u64>(), 0..700u64).prop_map(|(first, more)| Step::Remove(first, more)),
            1 => any::<u64>().prop_map(Step::ExtractOdd),
        ]
    }

    fn run(step: &Step, resident: &mut Resident<u8>, model: &mut BTreeSet<u64>) {
        let end = model.last().copied().unwrap_or(1);
        let near = |seed: u64| 1 + seed % (end + 10);
        let level = 0;
        match step {
            Step::Append(count) => (end + 1..=end + count).for_each(|seq| {
                assert!(resident.insert(Seq(seq), level, Millis(seq), 1));
                model.insert(seq);
            }),
            Step::Insert(seed) => {
                let seq = near(*seed);
                assert_eq!(resident.insert(Seq(seq), level, Millis(seq), 1), model.insert(seq));
            }
            Step::Remove(seed, more) => {
                let (first, last) = (near(*seed), near(*seed) + more);
                let mut gone = Vec::new();
                resident.remove(Seq(first), Seq(last), |seq, entry| {
                    assert_eq!(entry.expires.0, seq.0);
                    gone.push(seq.0);
                });
                assert_eq!(gone, model.range(first..=last).copied().collect::<Vec<_>>());
                model.retain(|seq| !(first..=last).contains(seq));
            }
            Step::ExtractOdd(seed) => {
                let from = near(*seed);
                resident.extract(
                    Seq(from),
                    |seq, _| seq.0 % 2 == 1,
                    |seq, _| assert!(model.remove(&seq.0)),
                );
                assert!(!model.range(from..).any(|seq| seq % 2 == 1));
            }
        }
    }

    proptest! {
        #[test]
        fn memory_is_in_proportion_to_what_is_there(steps in prop::collection::vec(step(), 1..60)) {
            let (mut resident, mut model) = (Resident::default(), BTreeSet::new());
            for step in &steps {
                run(step, &mut resident, &mut model);
                prop_assert_eq!(resident.positions(), model.iter().copied().collect::<Vec<_>>());
                prop_assert_eq!(resident.bytes(), model.len() as u64 * 32);
                prop_assert_eq!(resident.tally().messages, model.len() as u64);
                prop_assert!(resident.places() <= model.len() * 4 + IDLE_PLACES_MAX * resident.chunks.len());
                prop_assert!(resident.chunks.values().all(|chunk| !chunk.is_empty()));
                let runs = joined(resident.runs(Seq(300)));
                let named: Vec<u64> = runs.iter().flat_map(|run| run.0.0..=run.1.0).filter(|seq| *seq >= 300).collect();
                prop_assert_eq!(named, model.range(300..).copied().collect::<Vec<_>>());
            }
            let all: Vec<u64> = resident.into_entries().map(|(seq, _)| seq.0).collect();
            prop_assert_eq!(all, model.into_iter().collect::<Vec<_>>());
        }
    }

    #[test]
    fn one_old_message_that_stays_keeps_no_room_for_those_that_went() {
        let mut resident = Resident::default();
        for seq in 1..=1_000_000u64 {
            resident.insert(Seq(seq), 0, Millis(0), 1);
            if seq > 100 {
                resident.remove(Seq(seq - 99), Seq(seq - 99), |_, _| {});
            }
        }
        assert_eq!(resident.tally().messages, 100);
        assert!(resident.places() < 1_000, "{} places", resident.places());
    }
}
