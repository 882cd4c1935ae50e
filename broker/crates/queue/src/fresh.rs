//! Fresh messages of a lane in memory, in order of arrival: those that were not handed out since the queue has them.
//!
//! Knows what they take; decides nothing about who stays.

use model::{Millis, Seq};

use crate::chunks::Chunks;
use crate::listing::within;
use crate::message::Message;
use crate::page::Paged;
use crate::seqs::Seqs;

/// This is what a backlog costs, besides the messages themselves.
struct Entry<M> {
    message: M,
    expires: Millis,
}

/// What the queue itself takes for a message.
const ENTRY_BYTES: u64 = 16;

const _: () = assert!(size_of::<Entry<Box<u8>>>() == 16, "16 octets with an 8-octet handle");

pub(crate) struct Fresh<M> {
    entries: Chunks<Entry<M>>,
    seqs: Seqs,
    bytes: u64,
}

impl<M> Default for Fresh<M> {
    fn default() -> Self {
        Self {
            entries: Chunks::default(),
            seqs: Seqs::default(),
            bytes: 0,
        }
    }
}

/// Memory a ready message takes.
pub(crate) fn resident_bytes(message: &impl Message) -> u64 {
    message.resident_bytes() + ENTRY_BYTES
}

impl<M: Message> Fresh<M> {
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Memory they take.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Their positions as runs from first to last.
    pub(crate) fn runs(&self) -> impl Iterator<Item = (Seq, Seq)> {
        self.seqs.runs()
    }

    /// Looks at those in the ascending runs.
    pub(crate) fn peek(&self, wanted: &[(Seq, Seq)], mut each: impl FnMut(Seq, &M, Millis)) {
        let (mut rest, mut before, mut walk) = (wanted, 0, self.entries.walk());
        for (first, last) in self.seqs.runs() {
            while rest.first().is_some_and(|run| run.1 < first) {
                rest = &rest[1..];
            }
            let Some(next) = rest.first() else { return };
            if next.0 <= last {
                let seqs = within(rest, first, last).flat_map(|(from, to)| from.0..=to.0);
                for seq in seqs {
                    if let Some(Entry { message, expires }) = walk.get(before + seq - first.0) {
                        each(Seq(seq), message, *expires);
                    }
                }
            }
            before += last.0 - first.0 + 1;
        }
    }

    /// The oldest: position, message, expiry.
    pub(crate) fn first(&self) -> Option<(Seq, &M, Millis)> {
        let Entry { message, expires } = self.entries.front()?;
        Some((self.seqs.front(), message, *expires))
    }

    pub(crate) fn last_seq(&self) -> Option<Seq> {
        self.seqs.back()
    }

    /// Adds the newest.
    #[inline]
    pub(crate) fn push(&mut self, seq: Seq, message: M, expires: Millis) {
        self.bytes += resident_bytes(&message);
        self.seqs.push_back(seq);
        self.entries.push_back(Entry { message, expires });
    }

    #[inline]
    pub(crate) fn pop(&mut self) -> Option<Paged<M>> {
        let Entry { message, expires } = self.entries.pop_front()?;
        self.bytes -= resident_bytes(&message);
        let seq = self.seqs.pop_front();
        Some(Paged { seq, expires, message })
    }

    /// Moves the oldest of `from` here as long as all here take at most `bytes_max`, but at least `count_min`.
    /// Returns how many.
    pub(crate) fn take_oldest(&mut self, from: &mut Self, bytes_max: u64, count_min: u64) -> u64 {
        let mut moved = 0;
        while let Some((_, message, _)) = from.first()
            && (moved < count_min || self.bytes + resident_bytes(message) <= bytes_max)
            && let Some(Paged { seq, expires, message }) = from.pop()
        {
            self.push(seq, message, expires);
            moved += 1;
        }
        moved
    }

    /// Adds all of `newer`.
    pub(crate) fn append(&mut self, newer: Self) {
        self.entries.append(newer.entries);
        self.seqs.append(newer.seqs);
        self.bytes += newer.bytes;
    }
}
