//! The middle of a lane, in the store: which messages leave the memory, and when their page is asked for.
//!
//! In order of position a lane is: what came back, the front in memory, pages, the back in memory. New messages go to
//! the back while there are pages, so what is paged out is what will be wanted last, and nothing is sorted. One page
//! is loaded at a time. After a restart pages may overlap: then the head waits for every page that begins before it.

use std::collections::VecDeque;

use model::{PageId, Seq};

use crate::counts::Tally;
use crate::fresh::Fresh;
use crate::message::Message;
use crate::page::{Page, Paged};

/// A page is full at this many octets of memory, or at a quarter of what its lane may keep if that is less …
pub(crate) const PAGE_BYTES_MAX: u64 = 256 * 1024;
/// … but not for less than this.
const PAGE_BYTES_MIN: u64 = 4 * 1024;
/// A page is full at this many messages, however small.
pub(crate) const PAGE_MESSAGES_MAX: usize = 4096;

pub(crate) struct Paging<M> {
    /// In order of their first positions; only empty while a page is being taken in.
    pages: VecDeque<Page>,
    /// The widest there was: how far back one that holds a position may begin.
    span_max: u64,
    /// What is in all of them.
    tally: Tally,
    loading: Option<PageId>,
    /// Messages in the lane's front.
    pub(crate) front_count: u64,
    /// The newest, behind all pages.
    pub(crate) back: Fresh<M>,
}

impl<M> Default for Paging<M> {
    fn default() -> Self {
        Self {
            pages: VecDeque::new(),
            span_max: 0,
            tally: Tally::default(),
            loading: None,
            front_count: 0,
            back: Fresh::default(),
        }
    }
}

/// Octets of memory at which a page of a lane is full.
pub(crate) fn page_bytes(lane_bytes_max: u64) -> u64 {
    (lane_bytes_max / 4).clamp(PAGE_BYTES_MIN, PAGE_BYTES_MAX)
}

impl<M> Paging<M> {
    pub(crate) fn is_empty(&self) -> bool {
        self.pages.is_empty()
    }

    /// What is in the store.
    pub(crate) fn tally(&self) -> Tally {
        self.tally
    }

    pub(crate) fn pages(&self) -> impl Iterator<Item = &Page> {
        self.pages.iter()
    }

    /// The pages that reach behind this position.
    pub(crate) fn pages_from(&self, from: Seq) -> impl Iterator<Item = &Page> {
        let ends_before = |page: &Page| page.first().0.saturating_add(self.span_max) < from.0;
        let begin = self.pages.partition_point(ends_before);
        self.pages.range(begin..).filter(move |page| page.last() >= from)
    }

    /// Whatever is not before this position has to wait for a page.
    pub(crate) fn first(&self) -> Seq {
        self.pages.front().map_or(Seq(u64::MAX), Page::first)
    }

    pub(crate) fn is_loading(&self, page: PageId) -> bool {
        self.loading == Some(page)
    }

    pub(crate) fn is_loading_any(&self) -> bool {
        self.loading.is_some()
    }

    /// The page was asked for before: it is on its way.
    pub(crate) fn mark_loading(&mut self, page: PageId) {
        self.loading = Some(page);
    }

    /// All pages, each with whether it is on its way, and what is behind them.
    pub(crate) fn disband(self) -> (impl Iterator<Item = (Page, bool)>, Fresh<M>) {
        let loading = self.loading;
        let pages = self.pages.into_iter();
        (
            pages
                .map(move |page| (loading == Some(page.id), page))
                .map(|(is_loading, page)| (page, is_loading)),
            self.back,
        )
    }

    /// The page to ask for now, unless one is on its way.
    pub(crate) fn load(&mut self) -> Option<PageId> {
        if self.loading.is_some() {
            return None;
        }
        self.loading = self.pages.front().map(|page| page.id);
        self.loading
    }

    /// The page to ask for if the next one has more messages than are ahead of it in memory.
    pub(crate) fn read_ahead(&mut self, ahead: u64) -> Option<PageId> {
        self.pages.front().filter(|page| ahead < page.tally.messages)?;
        self.load()
    }

    /// Forgets the page whose load is under way, and returns it.
    pub(crate) fn take_loaded(&mut self) -> Option<Page> {
        let id = self.loading.take()?;
        let at = self.pages.iter().position(|page| page.id == id)?;
        let page = self.pages.remove(at)?;
        self.tally.remove_all(&page.tally);
        Some(page)
    }

    /// Puts a page to its place among the others.
    pub(crate) fn insert(&mut self, page: Page) {
        let at = self.pages.partition_point(|other| other.first() < page.first());
        self.tally.add_all(&page.tally);
        self.span_max = self.span_max.max(page.last().0 - page.first().0);
        self.pages.insert(at, page);
    }
}

impl<M: Message> Paging<M> {
    /// Pages out what is fresh, oldest first, in pages of `bytes` octets. If `whole_pages`, what fills none stays.
    pub(crate) fn page_out(
        &mut self,
        fresh: &mut Fresh<M>,
        bytes: u64,
        whole_pages: bool,
        page_out: &mut impl FnMut(Vec<Paged<M>>) -> PageId,
    ) {
        while fresh.bytes() >= bytes || !whole_pages && !fresh.is_empty() {
            self.insert(Page::of(cut(fresh, bytes), page_out));
        }
    }
}

/// The oldest messages, as many as make a page.
fn cut<M: Message>(fresh: &mut Fresh<M>, bytes: u64) -> Vec<Paged<M>> {
    let (mut messages, before) = (Vec::new(), fresh.bytes());
    while before - fresh.bytes() < bytes
        && messages.len() < PAGE_MESSAGES_MAX
        && let Some(message) = fresh.pop()
    {
        messages.push(message);
    }
    messages
}
