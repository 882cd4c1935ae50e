//! A copy's memory is bounded: above its limit messages leave it by pages, and nothing comes back.
//!
//! As in a queue the oldest stay, a quarter of the limit, since they are the first to be removed and the first that a
//! promoted queue delivers; and what is behind pages of its level waits until it fills a page.

use std::collections::BTreeMap;

use model::Seq;

use super::resident::{Entry, entry_bytes};
use super::{Copy, CopySink, pages::CopyPage};
use crate::message::Message;
use crate::page::{self, Paged, RestoredPage};
use crate::paging::{PAGE_MESSAGES_MAX, page_bytes};

/// Less than this is never too much: pages of single messages help nobody.
const RESIDENT_BYTES_MIN: u64 = 16 * 1024;

/// Messages that will be a page.
struct Draft<M> {
    messages: Vec<Paged<M>>,
    bytes: u64,
}

impl<M> Default for Draft<M> {
    fn default() -> Self {
        Self {
            messages: Vec::new(),
            bytes: 0,
        }
    }
}

/// Which messages leave.
struct Leaving {
    /// The older ones stay if they are before all pages of their level.
    from: Seq,
    /// Per level, the first position in a page.
    paged_from: BTreeMap<u8, Seq>,
    /// Per level, the last that fills a page; `None` if it need not.
    upto: Option<BTreeMap<u8, Seq>>,
}

impl Leaving {
    fn is_eligible(&self, seq: Seq, level: u8) -> bool {
        seq >= self.from || self.paged_from.get(&level).is_some_and(|first| seq >= *first)
    }

    fn takes(&self, seq: Seq, level: u8) -> bool {
        let fills = |upto: &BTreeMap<u8, Seq>| upto.get(&level).is_some_and(|last| seq <= *last);
        self.is_eligible(seq, level) && self.upto.as_ref().is_none_or(fills)
    }

    /// The lowest position that may leave.
    fn first(&self) -> Seq {
        self.paged_from.values().copied().fold(self.from, Seq::min)
    }
}

impl<M: Message> Copy<M> {
    /// The host is short of memory: all but the oldest leave it, until at most so much is in it.
    pub fn shrink(&mut self, resident_bytes_max: u64, sink: &mut impl CopySink<M>) {
        if self.resident.bytes() > resident_bytes_max {
            self.page_out(resident_bytes_max, false, sink);
        }
    }

    /// After something came: a good part leaves memory if it was too much, so that this is rare.
    pub(super) fn spill(&mut self, sink: &mut impl CopySink<M>) {
        let bytes_max = self.resident_bytes_max.max(RESIDENT_BYTES_MIN);
        if self.resident.bytes() <= bytes_max {
            return;
        }
        self.page_out(bytes_max / 4, true, sink);
        if self.resident.bytes() > bytes_max / 4 * 3 {
            self.page_out(bytes_max / 4, false, sink);
        }
    }

    /// All leave but the oldest of so many octets; if `whole_pages`, what fills none stays.
    #[cold]
    fn page_out(&mut self, stay_bytes: u64, whole_pages: bool, sink: &mut impl CopySink<M>) {
        let bytes = page_bytes(self.resident_bytes_max);
        let mut leaving = Leaving {
            from: self.end_of_oldest(stay_bytes),
            paged_from: self.pages.firsts(),
            upto: None,
        };
        leaving.upto = whole_pages.then(|| self.ends_of_pages(&leaving, bytes));
        let (mut drafts, mut full) = (BTreeMap::<u8, Draft<M>>::new(), Vec::new());
        let goes = |seq, entry: &Entry<M>| leaving.takes(seq, entry.level);
        self.resident.extract(leaving.first(), goes, |seq, entry| {
            let draft = drafts.entry(entry.level).or_default();
            draft.bytes += entry_bytes(&entry.message);
            draft.messages.push(Paged {
                seq,
                expires: entry.expires,
                message: entry.message,
            });
            if is_full(draft.bytes, draft.messages.len(), bytes) {
                full.push((entry.level, std::mem::take(draft).messages));
            }
        });
        let rest = drafts.into_iter().map(|(level, draft)| (level, draft.messages));
        full.extend(rest.filter(|(_, messages)| !messages.is_empty()));
        for (level, messages) in full {
            self.pages.insert(paged_out(level, messages, sink));
        }
    }

    /// The first position that is not among the oldest of so many octets.
    fn end_of_oldest(&self, bytes_max: u64) -> Seq {
        let mut bytes = 0;
        let mut all = self.resident.iter(Seq(0));
        let first = all.find(|(_, entry)| {
            bytes += entry_bytes(&entry.message);
            bytes > bytes_max
        });
        first.map_or(Seq(u64::MAX), |(seq, _)| seq)
    }

    /// Per level, the last position of the last page that would be full.
    fn ends_of_pages(&self, leaving: &Leaving, bytes: u64) -> BTreeMap<u8, Seq> {
        let (mut ends, mut drafts) = (BTreeMap::new(), BTreeMap::<u8, (u64, usize)>::new());
        for (seq, entry) in self.resident.iter(leaving.first()) {
            if !leaving.is_eligible(seq, entry.level) {
                continue;
            }
            let draft = drafts.entry(entry.level).or_default();
            *draft = (draft.0 + entry_bytes(&entry.message), draft.1 + 1);
            if is_full(draft.0, draft.1, bytes) {
                ends.insert(entry.level, seq);
                *draft = (0, 0);
            }
        }
        ends
    }
}

fn is_full(bytes: u64, messages: usize, page_bytes: u64) -> bool {
    bytes >= page_bytes || messages >= PAGE_MESSAGES_MAX
}

fn paged_out<M: Message>(level: u8, messages: Vec<Paged<M>>, sink: &mut impl CopySink<M>) -> CopyPage {
    CopyPage::from(RestoredPage {
        level,
        tally: page::tally(&messages),
        expiring: page::expiring(&messages),
        seqs: page::runs(&messages),
        id: sink.page_out(level, messages),
    })
}
