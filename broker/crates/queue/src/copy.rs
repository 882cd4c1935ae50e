//! A mirror's copy of one queue: the messages that its leader holds, by position, in memory or in pages.
//!
//! Does what the leader's operations say and decides nothing about messages: no consumer, no time, no limit but that of
//! memory. What leaves memory stays in the store until the copy is a queue again; nothing is read back before.

mod base;
mod pages;
mod promote;
mod resident;
mod spill;

use std::collections::BTreeMap;
use std::fmt;

use model::{PageId, Seq};

use crate::copied::Copied;
use crate::counts::Tally;
use crate::message::Message;
use crate::page::{Paged, Restored};
use crate::settings::Settings;
use pages::{CopyPage, CopyPages, spanning};
use resident::Resident;

/// What a copy wants done. All of it is about what its own store has.
pub trait CopySink<M> {
    /// The messages from `first` to `last` are gone; positions among them that the store does not have mean nothing.
    fn removed(&mut self, first: Seq, last: Seq);

    /// Takes a run of messages of one level out of memory, oldest first, persistent and transient alike.
    fn page_out(&mut self, level: u8, messages: Vec<Paged<M>>) -> PageId;

    /// A page is not wanted any more; if it is on its way the answer will be ignored.
    fn discard(&mut self, page: PageId);
}

/// A copy of a queue that another node leads. `M` is the kept message.
pub struct Copy<M> {
    /// The log has its persistent messages.
    durable: bool,
    resident_bytes_max: u64,
    last_seq: Seq,
    /// Per level, the highest position ever handed out.
    delivered_to: Vec<Seq>,
    resident: Resident<M>,
    pages: CopyPages,
    /// How often messages came back, of those that did.
    returned: BTreeMap<Seq, u32>,
    /// Slots of the queue that this copy was are never used again.
    slots_used: u32,
}

/// The numbers, not the messages: there may be millions.
impl<M: Message> fmt::Debug for Copy<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut copy = f.debug_struct("Copy");
        copy.field("tally", &self.tally()).field("paged", &self.paged());
        copy.field("last_seq", &self.last_seq).finish_non_exhaustive()
    }
}

impl<M: Message> Copy<M> {
    /// An empty copy of a queue with these rules.
    pub fn new(settings: &Settings) -> Self {
        Self {
            durable: settings.durable,
            resident_bytes_max: settings.resident_bytes_max,
            last_seq: Seq(0),
            delivered_to: Vec::new(),
            resident: Resident::default(),
            pages: CopyPages::default(),
            returned: BTreeMap::new(),
            slots_used: 0,
        }
    }

    /// A copy as the store knows it after a restart. Nothing is loaded.
    pub fn restore(settings: &Settings, restored: Restored) -> Self {
        let mut copy = Self::new(settings);
        let found = restored.pages.into_iter().map(CopyPage::from);
        found.for_each(|page| copy.pages.insert(page));
        let highest = restored.delivered_to.iter().copied().max();
        copy.last_seq = restored
            .last_seq
            .max(highest.max(copy.pages.last()).unwrap_or_default());
        copy.delivered_to = restored.delivered_to;
        copy
    }

    /// New rules: of these a copy obeys only how much it may keep in memory, from the next message on.
    pub fn set_settings(&mut self, settings: &Settings) {
        self.resident_bytes_max = settings.resident_bytes_max;
    }

    /// What it holds. Of pages of which a part is gone the octets are an estimate.
    pub fn tally(&self) -> Tally {
        let mut tally = *self.resident.tally();
        tally.add_all(self.pages.tally());
        tally
    }

    /// What of it is in the store and not in memory.
    pub fn paged(&self) -> Tally {
        *self.pages.tally()
    }

    /// Octets of memory of its messages, but those in the store.
    pub fn resident_bytes(&self) -> u64 {
        self.resident.bytes()
    }

    /// The highest position it has ever heard of.
    pub fn last_seq(&self) -> Seq {
        self.last_seq
    }

    /// Per level, the highest position that the leader is known to have handed out.
    pub fn delivered_to(&self) -> &[Seq] {
        &self.delivered_to
    }

    /// Adds a message at its place; false if it is there already.
    pub fn enqueue(&mut self, copied: Copied<M>, sink: &mut impl CopySink<M>) -> bool {
        let Copied {
            seq,
            level,
            expires,
            delivery_count,
            delivered,
            message,
        } = copied;
        let is_paged = seq <= self.last_seq && self.pages.level_of(seq).is_some();
        if is_paged || !self.resident.insert(seq, level, expires, message) {
            return false;
        }
        self.last_seq = self.last_seq.max(seq);
        if delivery_count > 0 {
            self.returned.insert(seq, delivery_count);
        }
        if delivered || delivery_count > 0 {
            self.delivered(level, seq);
        }
        self.spill(sink);
        true
    }

    /// The messages from `first` to `last` are gone, wherever they lie; what it does not have means nothing. Returns
    /// how many it had.
    pub fn remove(&mut self, first: Seq, last: Seq, sink: &mut impl CopySink<M>) -> u64 {
        if first > last {
            return 0;
        }
        let (mut count, mut stored, durable) = (0, None, self.durable);
        self.resident.remove(first, last, |seq, entry| {
            count += 1;
            if durable && entry.message.is_persistent() {
                stored = Some(spanning(stored, (seq, seq)));
            }
        });
        let cut = self.pages.remove(first, last);
        if let Some((first, last)) = cut.ends.map(|ends| spanning(stored, ends)).or(stored) {
            sink.removed(first, last);
        }
        cut.emptied.into_iter().for_each(|page| sink.discard(page));
        self.forget_returned(first, last);
        count + cut.count
    }

    /// All messages up to a position are gone. Returns how many there were.
    pub fn purge(&mut self, upto: Seq, sink: &mut impl CopySink<M>) -> u64 {
        self.remove(Seq(0), upto, sink)
    }

    /// The queue is deleted: everything is forgotten.
    pub fn delete(&mut self, sink: &mut impl CopySink<M>) {
        self.resident = Resident::default();
        self.returned.clear();
        let pages = std::mem::take(&mut self.pages);
        pages.into_pages().for_each(|page| sink.discard(page.id));
    }

    /// A message came back at the leader, for the so manieth time. One that is not here means nothing.
    pub fn returned(&mut self, seq: Seq, delivery_count: u32) {
        let in_memory = self.resident.get(seq).map(|entry| entry.level);
        if let Some(level) = in_memory.or_else(|| self.pages.level_of(seq)) {
            self.returned.insert(seq, delivery_count);
            self.delivered(level, seq);
        }
    }

    /// The leader has handed out messages of a level up to a position.
    pub fn delivered(&mut self, level: u8, upto: Seq) {
        let level = usize::from(level);
        if self.delivered_to.len() <= level {
            self.delivered_to.resize(level + 1, Seq(0));
        }
        self.delivered_to[level] = upto.max(self.delivered_to[level]);
        self.last_seq = self.last_seq.max(upto);
    }

    /// The answer to a [`load`](crate::Sink::load) of the queue that this copy was: as
    /// [`Queue::loaded`](crate::Queue::loaded). Returns how many messages could not be read and are lost.
    pub fn loaded(&mut self, page: PageId, messages: Vec<Paged<M>>, sink: &mut impl CopySink<M>) -> u64 {
        let Some(page) = self.pages.take_loading(page) else {
            return 0;
        };
        let mut lost = page.runs;
        for Paged { seq, expires, message } in messages {
            if lost.contains(seq) {
                self.resident.insert(seq, page.level, expires, message);
                lost.remove(seq, seq, |_, _| {});
            }
        }
        lost.iter().for_each(|(first, last)| self.forget_returned(first, last));
        self.spill(sink);
        lost.count()
    }

    fn forget_returned(&mut self, first: Seq, last: Seq) {
        if self.returned.is_empty() || first > last {
            return;
        }
        let gone: Vec<Seq> = self.returned.range(first..=last).map(|(seq, _)| *seq).collect();
        for seq in gone {
            self.returned.remove(&seq);
        }
    }
}
