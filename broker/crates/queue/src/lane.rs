//! The ready messages of one priority level, in order of arrival.
//!
//! Fresh messages lie in compact lists, or in the store while there are too many; those that came back lie before
//! them, each at its old place. What is handed out was in front of all that is fresh, so a returned message is always
//! older than every fresh one. Which message is next is decided here and only here.

use std::collections::BTreeMap;

use model::{Millis, PageId, Seq};

use crate::backlog::Place;
use crate::copied::Copied;
use crate::counts::Tally;
use crate::fresh::{Fresh, resident_bytes};
use crate::listing::{Listing, within};
use crate::message::Message;
use crate::page::{Page, Paged};
use crate::paging::{PAGE_BYTES_MAX, Paging, page_bytes};
use crate::peek::PageWanted;

/// A message with all the queue remembers of it.
pub(crate) struct Held<M> {
    pub(crate) message: M,
    pub(crate) seq: Seq,
    /// The point in time at which it expires, kept through requeues.
    pub(crate) expires: Millis,
    pub(crate) delivery_count: u32,
    pub(crate) level: u8,
    pub(crate) redelivered: bool,
}

impl<M> Held<M> {
    /// As those see it that copy it.
    pub(crate) fn copied(&self, delivered: bool) -> Copied<&M> {
        let Held {
            message,
            seq,
            expires,
            delivery_count,
            level,
            redelivered: _,
        } = self;
        Copied {
            seq: *seq,
            level: *level,
            expires: *expires,
            delivery_count: *delivery_count,
            delivered,
            message,
        }
    }
}

/// The next message of a lane, still in its place.
pub(crate) struct Head<'a, M> {
    pub(crate) message: &'a M,
    pub(crate) seq: Seq,
    pub(crate) expires: Millis,
    pub(crate) redelivered: bool,
    pub(crate) delivery_count: u32,
}

impl<'a, M> From<&'a Held<M>> for Head<'a, M> {
    fn from(held: &'a Held<M>) -> Self {
        Head {
            message: &held.message,
            seq: held.seq,
            expires: held.expires,
            redelivered: held.redelivered,
            delivery_count: held.delivery_count,
        }
    }
}

/// How often messages came back, by position. Nearly no lane has any, so this lies elsewhere.
#[derive(Default)]
struct Returns(BTreeMap<Seq, u32>);

pub(crate) struct Lane<M> {
    /// What came back, and what pages that overlap brought.
    returned: BTreeMap<Seq, Held<M>>,
    returned_bytes: u64,
    /// Higher than all that came back.
    front: Fresh<M>,
    /// `None` while all is in memory.
    paging: Option<Box<Paging<M>>>,
    /// Fresh messages up to here were handed out before a restart or a promotion.
    redelivered_to: Seq,
    /// How often fresh messages had come back before a promotion, of those that had; all are up to `redelivered_to`.
    returns: Option<Box<Returns>>,
}

impl<M> Default for Lane<M> {
    fn default() -> Self {
        Self {
            returned: BTreeMap::new(),
            returned_bytes: 0,
            front: Fresh::default(),
            paging: None,
            redelivered_to: Seq(0),
            returns: None,
        }
    }
}

impl<M: Message> Lane<M> {
    pub(crate) fn is_empty(&self) -> bool {
        self.front.is_empty() && self.paging.is_none() && self.returned.is_empty()
    }

    /// Memory of the fresh messages, which could be paged out.
    pub(crate) fn fresh_bytes(&self) -> u64 {
        self.front.bytes() + self.paging.as_ref().map_or(0, |paging| paging.back.bytes())
    }

    /// Memory of all messages in memory.
    pub(crate) fn resident_bytes(&self) -> u64 {
        self.returned_bytes + self.fresh_bytes()
    }

    /// See [`Backlog::told_runs`](crate::backlog::Backlog::told_runs).
    pub(crate) fn told_runs(&self, with_transient: bool) -> impl Iterator<Item = (Seq, Seq)> {
        let told = move |held: &&Held<M>| with_transient || held.message.is_persistent();
        let returned = self.returned.values().filter(told);
        let returned = returned.map(|held| (held.seq, held.seq));
        let back = self.paging.iter().flat_map(|paging| paging.back.runs());
        let paged = self.pages().flat_map(Page::runs);
        returned.chain(self.front.runs()).chain(paged).chain(back)
    }

    /// How many messages it has, in memory or not.
    pub(crate) fn len(&self) -> u64 {
        let back = self.paging.iter().flat_map(|paging| paging.back.runs());
        let fresh: u64 = self
            .front
            .runs()
            .chain(back)
            .map(|(first, last)| last.0 - first.0 + 1)
            .sum();
        self.returned.len() as u64 + fresh + self.paged().messages
    }

    /// What came back.
    pub(crate) fn returned(&self) -> impl Iterator<Item = &Held<M>> {
        self.returned.values()
    }

    /// True if part of it is in the store.
    pub(crate) fn is_paged(&self) -> bool {
        self.paging.is_some()
    }

    /// What of it is in the store.
    pub(crate) fn paged(&self) -> Tally {
        self.paging
            .as_ref()
            .map_or_else(Tally::default, |paging| paging.tally())
    }

    pub(crate) fn pages(&self) -> impl Iterator<Item = &Page> {
        self.paging.iter().flat_map(|paging| paging.pages())
    }

    /// Adds the newest message of the lane. Returns the memory of the fresh ones.
    #[inline]
    pub(crate) fn push(&mut self, seq: Seq, message: M, expires: Millis) -> u64 {
        match &mut self.paging {
            None => {
                self.front.push(seq, message, expires);
                self.front.bytes()
            }
            Some(paging) => {
                paging.back.push(seq, message, expires);
                paging.back.bytes() + self.front.bytes()
            }
        }
    }

    /// Puts a message back to its old place.
    pub(crate) fn give_back(&mut self, held: Held<M>) {
        let after = self.front.first().map(|(seq, ..)| seq);
        assert!(
            after.is_none_or(|after| held.seq < after),
            "a returned message overtook a fresh one"
        );
        self.returned_bytes += resident_bytes(&held.message);
        let twin = self.returned.insert(held.seq, held);
        assert!(twin.is_none(), "a message came back twice");
    }

    /// The next message; `None` if there is none, or if it is not in memory.
    #[inline]
    pub(crate) fn head(&self) -> Option<Head<'_, M>> {
        let head = self.first_in_memory()?;
        match &self.paging {
            Some(paging) if head.seq >= paging.first() => None,
            Some(_) | None => Some(head),
        }
    }

    /// The lowest position, in memory or not.
    pub(crate) fn first(&self) -> Option<Seq> {
        let in_memory = self.first_in_memory().map(|head| head.seq);
        let away = self.paging.as_ref().map(|paging| paging.first());
        in_memory.into_iter().chain(away).min()
    }

    /// True if the next message is not in memory.
    pub(crate) fn is_head_away(&self) -> bool {
        self.paging.is_some() && self.head().is_none()
    }

    #[inline]
    fn first_in_memory(&self) -> Option<Head<'_, M>> {
        if let Some((_, held)) = self.returned.first_key_value() {
            return Some(Head::from(held));
        }
        let (seq, message, expires) = self.front.first()?;
        Some(Head {
            message,
            seq,
            expires,
            redelivered: seq <= self.redelivered_to,
            delivery_count: self.returns_of(seq),
        })
    }

    /// How often a fresh message came back.
    #[inline]
    pub(crate) fn returns_of(&self, seq: Seq) -> u32 {
        match seq <= self.redelivered_to {
            true => self.recall_returns(seq),
            false => 0,
        }
    }

    #[cold]
    fn recall_returns(&self, seq: Seq) -> u32 {
        let returns = self.returns.as_ref();
        returns.and_then(|all| all.0.get(&seq).copied()).unwrap_or(0)
    }

    #[cold]
    fn take_returns(&mut self, seq: Seq) -> u32 {
        let returns = self.returns.as_mut();
        returns.and_then(|all| all.0.remove(&seq)).unwrap_or(0)
    }

    /// Takes the next message, which is in memory.
    #[inline]
    pub(crate) fn pop(&mut self, level: u8) -> Option<Held<M>> {
        if !self.returned.is_empty()
            && let Some((_, held)) = self.returned.pop_first()
        {
            self.returned_bytes -= resident_bytes(&held.message);
            return Some(held);
        }
        let paged = self.front.pop()?;
        if let Some(paging) = &mut self.paging {
            paging.front_count -= 1;
        }
        Some(self.held(level, paged))
    }

    #[inline]
    fn held(&mut self, level: u8, Paged { seq, expires, message }: Paged<M>) -> Held<M> {
        let redelivered = seq <= self.redelivered_to;
        let delivery_count = match redelivered {
            true => self.take_returns(seq),
            false => 0,
        };
        Held {
            message,
            seq,
            expires,
            delivery_count,
            level,
            redelivered,
        }
    }

    /// True while this page is on its way.
    pub(crate) fn is_loading(&self, page: PageId) -> bool {
        self.paging.as_ref().is_some_and(|paging| paging.is_loading(page))
    }

    /// True while any page of the lane is on its way.
    pub(crate) fn is_loading_any(&self) -> bool {
        self.paging.as_ref().is_some_and(|paging| paging.is_loading_any())
    }

    /// The page to ask for so that the head comes into memory, unless one is on its way.
    pub(crate) fn load(&mut self) -> Option<PageId> {
        self.paging.as_mut()?.load()
    }

    /// The page to ask for since messages are being taken.
    pub(crate) fn read_ahead(&mut self) -> Option<PageId> {
        let paging = self.paging.as_mut()?;
        paging.read_ahead(paging.front_count + self.returned.len() as u64)
    }

    /// The page that was asked for is here: forgets and returns what was known of it. Its messages are to follow.
    pub(crate) fn take_loaded(&mut self) -> Option<Page> {
        self.paging.as_mut()?.take_loaded()
    }

    /// Messages of the page that is here.
    pub(crate) fn take_in(&mut self, level: u8, messages: Vec<Paged<M>>) {
        let newest = self.front.last_seq().or(self.returned.keys().next_back().copied());
        let mut before = newest;
        let in_order = messages.iter().all(|paged| before.replace(paged.seq) < Some(paged.seq));
        if in_order {
            self.append_front(messages);
        } else {
            self.sort_in(level, messages);
        }
        self.close_ranks();
    }

    fn append_front(&mut self, messages: Vec<Paged<M>>) {
        if let Some(paging) = &mut self.paging {
            paging.front_count += messages.len() as u64;
        }
        for Paged { seq, expires, message } in messages {
            self.front.push(seq, message, expires);
        }
    }

    /// Pages that overlap are rare: only after a restart. What is in memory is sorted with them.
    #[cold]
    fn sort_in(&mut self, level: u8, messages: Vec<Paged<M>>) {
        if let Some(paging) = &mut self.paging {
            paging.front_count = 0;
        }
        let mut front = std::mem::take(&mut self.front);
        for paged in std::iter::from_fn(|| front.pop()).chain(messages) {
            let held = self.held(level, paged);
            self.give_back(held);
        }
    }

    /// Without pages, what was behind them follows what was before them.
    fn close_ranks(&mut self) {
        if let Some(paging) = self.paging.take_if(|paging| paging.is_empty()) {
            self.front.append(paging.back);
        }
    }

    /// If more is in memory than `bytes_max`, whole pages of the newest messages leave it, the oldest quarter stays.
    #[cold]
    pub(crate) fn page_out(&mut self, bytes_max: u64, page_out: &mut impl FnMut(Vec<Paged<M>>) -> PageId) {
        if self.fresh_bytes() <= bytes_max {
            return;
        }
        let page_bytes = page_bytes(bytes_max);
        if let Some(paging) = &mut self.paging {
            let mut back = std::mem::take(&mut paging.back);
            paging.page_out(&mut back, page_bytes, true, page_out);
            paging.back = back;
            return;
        }
        if self.front.bytes() < bytes_max / 4 + page_bytes {
            return;
        }
        let mut newer = self.cut_front(bytes_max / 4, 1);
        let paging = self.paging.get_or_insert_default();
        // The first page may be a small one: without it there would be no back to collect the next in.
        let is_small = newer.bytes() < page_bytes;
        paging.page_out(&mut newer, page_bytes, !is_small, page_out);
        paging.back = newer;
        self.close_ranks();
    }

    /// Everything fresh leaves the memory but the oldest that take at most `bytes_max`, and at least `count_min`.
    /// Returns the octets that became free.
    pub(crate) fn shrink(
        &mut self,
        bytes_max: u64,
        count_min: u64,
        page_out: &mut impl FnMut(Vec<Paged<M>>) -> PageId,
    ) -> u64 {
        let before = self.fresh_bytes();
        if before <= bytes_max {
            return 0;
        }
        let mut newer = self.cut_front(bytes_max, count_min);
        let paging = self.paging.get_or_insert_default();
        let mut back = std::mem::take(&mut paging.back);
        paging.page_out(&mut newer, PAGE_BYTES_MAX, false, page_out);
        paging.page_out(&mut back, PAGE_BYTES_MAX, false, page_out);
        self.close_ranks();
        before - self.fresh_bytes()
    }

    /// Cuts the front off behind the oldest messages that take at most `bytes_max`, and at least `count_min`.
    /// Returns the rest.
    fn cut_front(&mut self, bytes_max: u64, count_min: u64) -> Fresh<M> {
        let mut rest = std::mem::take(&mut self.front);
        let count = self.front.take_oldest(&mut rest, bytes_max, count_min);
        self.paging.get_or_insert_default().front_count = count;
        rest
    }

    /// A page was found in the store after a restart.
    pub(crate) fn restore(&mut self, page: Page) {
        self.paging.get_or_insert_default().insert(page);
    }

    /// Fresh messages up to here were handed out before.
    pub(crate) fn mark_redelivered(&mut self, to: Seq) {
        self.redelivered_to = to;
    }
}

/// What a copy brings when it becomes a queue, and the other way round.
impl<M: Message> Lane<M> {
    /// A message that will be there came back so often.
    pub(crate) fn mark_returned(&mut self, seq: Seq, count: u32) {
        self.returns.get_or_insert_default().0.insert(seq, count);
    }

    /// A page is on its way already.
    pub(crate) fn mark_loading(&mut self, page: PageId) {
        if let Some(paging) = &mut self.paging {
            paging.mark_loading(page);
        }
    }

    /// The last position in pages.
    pub(crate) fn last_paged(&self) -> Option<Seq> {
        self.pages().map(Page::last).max()
    }

    /// Adds a message of a copy, in order of position, after all pages. One that stands among pages is sorted with
    /// what the pages before it bring.
    pub(crate) fn adopt(&mut self, place: Place, paged: Paged<M>) {
        let Paged { seq, expires, message } = paged;
        match (place, &mut self.paging) {
            (Place::Behind, Some(paging)) => paging.back.push(seq, message, expires),
            (Place::Before | Place::Behind, paging) => {
                self.front.push(seq, message, expires);
                if let Some(paging) = paging {
                    paging.front_count += 1;
                }
            }
        }
    }

    /// Takes it apart: its messages in memory, and its pages with whether they are on their way. Returns how often
    /// messages in pages came back.
    pub(crate) fn disband(
        mut self,
        level: u8,
        mut message: impl FnMut(Held<M>),
        page: impl FnMut((Page, bool)),
    ) -> BTreeMap<Seq, u32> {
        std::mem::take(&mut self.returned).into_values().for_each(&mut message);
        let mut fresh = std::mem::take(&mut self.front);
        if let Some(paging) = self.paging.take() {
            let (pages, back) = paging.disband();
            pages.for_each(page);
            fresh.append(back);
        }
        while let Some(paged) = fresh.pop() {
            message(self.held(level, paged));
        }
        self.returns.map_or_else(BTreeMap::new, |returns| returns.0)
    }
}

/// What is shown to those that copy it.
impl<M: Message> Lane<M> {
    fn pages_from(&self, from: Seq) -> impl Iterator<Item = &Page> {
        self.paging.iter().flat_map(move |paging| paging.pages_from(from))
    }

    pub(crate) fn list(&self, listing: &mut Listing) {
        let from = listing.begin();
        listing.add(self.returned.range(from..).map(|(seq, _)| (*seq, *seq)));
        listing.add(self.front.runs());
        listing.add(self.paging.iter().flat_map(|paging| paging.back.runs()));
        listing.add_pages(self.pages_from(from).map(|page| (page.first(), page.runs())));
    }

    /// Shows those that are in memory.
    pub(crate) fn peek(&self, level: u8, wanted: &[(Seq, Seq)], delivered_to: Seq, show: &mut impl FnMut(Copied<&M>)) {
        let returned = wanted
            .iter()
            .flat_map(|(first, last)| self.returned.range(first..=last));
        returned.for_each(|(_, held)| show(held.copied(held.redelivered)));
        let back = self.paging.as_ref().map(|paging| &paging.back);
        for fresh in std::iter::once(&self.front).chain(back) {
            fresh.peek(wanted, |seq, message, expires| {
                show(Copied {
                    seq,
                    level,
                    expires,
                    delivery_count: self.returns_of(seq),
                    delivered: seq <= delivered_to,
                    message,
                });
            });
        }
    }

    /// Pages with some of the wanted, each with which, and whether it is on its way.
    pub(crate) fn peek_pages(&self, level: u8, wanted: &[(Seq, Seq)]) -> Vec<(PageWanted, bool)> {
        let (Some((first, _)), Some((_, last))) = (wanted.first(), wanted.last()) else {
            return Vec::new();
        };
        let pages = self.pages_from(*first).take_while(|page| page.first() <= *last);
        let pages = pages.map(|page| {
            let seqs = page.runs().flat_map(|(first, last)| within(wanted, first, last));
            let wanted = PageWanted {
                page: page.id,
                level,
                seqs: seqs.collect(),
            };
            (wanted, self.is_loading(page.id))
        });
        pages.filter(|(page, _)| !page.seqs.is_empty()).collect()
    }

    /// How often messages came back, of those that did.
    pub(crate) fn returns(&self, first: Seq, last: Seq) -> impl Iterator<Item = (Seq, u32)> {
        let returned = self.returned.range(first..=last);
        let returned = returned.map(|(seq, held)| (*seq, held.delivery_count));
        let fresh = self
            .returns
            .iter()
            .flat_map(move |returns| returns.0.range(first..=last));
        returned
            .chain(fresh.map(|(seq, count)| (*seq, *count)))
            .filter(|(_, count)| *count > 0)
    }
}
