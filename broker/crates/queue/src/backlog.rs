//! All ready messages of a queue: a lane per priority level, the highest served first.
//!
//! There is one head: the oldest of the highest level present. It is what is delivered, what expires and what an
//! overflow drops. It may be in the store; then whoever needs it asks for it and waits. Nothing here knows who gets a
//! message.

use model::{Millis, PageId, Seq};
use smallvec::SmallVec;

use crate::again::{self, Again, Turn};
use crate::copied::Copied;
use crate::counts::Tally;
use crate::lane::{Head, Held, Lane};
use crate::listing::{Listing, holds};
use crate::message::{Message, NEVER};
use crate::page::{self, Page, Paged, RestoredPage};
use crate::peek::PageWanted;
use crate::settings::Settings;

/// A level keeps at least this part of what the queue may keep in memory.
const LANE_SHARES_MAX: u64 = 8;

pub(crate) struct Backlog<M> {
    /// One lane per level from 0; a queue without priorities has one, in place.
    lanes: SmallVec<[Lane<M>; 1]>,
    /// The highest level with a message; 0 if there is none.
    top: u8,
    /// Ready messages that have an expiry: while 0, nobody looks at heads.
    expiring: u64,
    tally: Tally,
    /// Memory of fresh messages above which a lane pages out.
    lane_bytes_max: u64,
    /// False only if all is in memory.
    is_paged: bool,
    /// What came back in turn; none in most queues.
    again: Option<Box<Again<M>>>,
}

impl<M: Message> Backlog<M> {
    pub(crate) fn new(settings: &Settings) -> Self {
        let levels = usize::from(settings.max_priority.unwrap_or(0)) + 1;
        let mut backlog = Self {
            lanes: (0..levels).map(|_| Lane::default()).collect(),
            top: 0,
            expiring: 0,
            tally: Tally::default(),
            lane_bytes_max: 0,
            is_paged: false,
            again: None,
        };
        backlog.set_resident_bytes_max(settings.resident_bytes_max);
        backlog
    }

    /// How much may stay in memory from now on; looked at when messages arrive.
    pub(crate) fn set_resident_bytes_max(&mut self, bytes: u64) {
        self.lane_bytes_max = bytes / LANE_SHARES_MAX.min(self.lanes.len() as u64);
    }

    pub(crate) fn tally(&self) -> &Tally {
        &self.tally
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.tally.messages == 0
    }

    /// Memory of the ready messages that are in it.
    pub(crate) fn resident_bytes(&self) -> u64 {
        let again = self.again.as_ref().map_or(0, |again| again.bytes());
        again + self.lanes.iter().map(Lane::resident_bytes).sum::<u64>()
    }

    /// What of the ready messages is in the store.
    pub(crate) fn paged(&self) -> Tally {
        let mut paged = Tally::default();
        if self.is_paged {
            self.lanes.iter().for_each(|lane| paged.add_all(&lane.paged()));
        }
        paged
    }

    /// How many levels there are.
    pub(crate) fn levels(&self) -> usize {
        self.lanes.len()
    }

    /// The level of a message published with `priority`: above the highest means the highest.
    pub(crate) fn level(&self, priority: u8) -> u8 {
        let highest = u8::try_from(self.lanes.len() - 1).unwrap_or(u8::MAX);
        priority.min(highest)
    }

    /// Adds the newest message of its level. True if the level has more in memory now than it may.
    #[inline]
    pub(crate) fn push(&mut self, seq: Seq, level: u8, message: M, expires: Millis) -> bool {
        self.entered(level, &message, expires);
        self.lanes[usize::from(level)].push(seq, message, expires) > self.lane_bytes_max
    }

    /// Puts a message back. `newest` is the highest position so far.
    pub(crate) fn give_back(&mut self, held: Held<M>, turn: Turn, newest: Seq) {
        self.entered(held.level, &held.message, held.expires);
        match turn {
            Turn::Old => self.lanes[usize::from(held.level)].give_back(held),
            Turn::First => self.again.get_or_insert_default().put_first(held),
            Turn::Last => self.again.get_or_insert_default().put_last(newest, held),
        }
    }

    /// The message to be delivered next, in its place; `None` also if it is not in memory.
    #[inline]
    pub(crate) fn head(&self) -> Option<Head<'_, M>> {
        match self.head_again() {
            Some(held) => Some(Head::from(held)),
            None => self.lanes[usize::from(self.top)].head(),
        }
    }

    /// How many messages each level has, from 0.
    pub(crate) fn lengths(&self) -> impl Iterator<Item = u64> {
        self.lanes.iter().map(Lane::len)
    }

    /// The highest level with a message.
    pub(crate) fn top(&self) -> Option<u8> {
        (!self.is_empty()).then_some(self.top)
    }

    /// What came back in turn and is next.
    #[inline]
    fn head_again(&self) -> Option<&Held<M>> {
        let again = self.again.as_ref()?;
        again.head(self.lanes[usize::from(self.top)].first())
    }

    /// True if part of it is in the store.
    pub(crate) fn is_paged(&self) -> bool {
        self.is_paged
    }

    /// True if there is a next message and it is not in memory.
    #[inline]
    pub(crate) fn is_head_away(&self) -> bool {
        self.is_paged && self.lanes[usize::from(self.top)].is_head_away() && self.head_again().is_none()
    }

    /// Takes the head, if it is in memory.
    #[inline]
    pub(crate) fn pop(&mut self) -> Option<Held<M>> {
        if self.is_head_away() {
            return None;
        }
        let held = match self.pop_again() {
            Some(held) => held,
            None => self.lanes[usize::from(self.top)].pop(self.top)?,
        };
        self.tally.remove(&held.message);
        self.expiring -= u64::from(held.expires != NEVER);
        self.step_down();
        Some(held)
    }

    #[inline]
    fn pop_again(&mut self) -> Option<Held<M>> {
        let again = self.again.as_mut()?;
        let held = again.pop(self.lanes[usize::from(self.top)].first());
        if again.is_empty() {
            self.again = None;
        }
        held
    }

    fn step_down(&mut self) {
        while self.top > 0 && self.lanes[usize::from(self.top)].is_empty() {
            self.top -= 1;
        }
    }

    /// True if messages wait whose time to live will pass.
    pub(crate) fn is_expiring(&self) -> bool {
        self.expiring > 0
    }

    /// True if the head has expired. Only the head of all can, as in RabbitMQ: an expired message behind one that
    /// lives, in its level or in a higher one, waits.
    pub(crate) fn is_head_expired(&self, now: Millis) -> bool {
        self.expiring > 0 && self.head().is_some_and(|head| head.expires <= now)
    }

    /// When the head expires; at once if it is in the store and nobody has asked for it.
    pub(crate) fn deadline(&self) -> Option<Millis> {
        if self.expiring == 0 {
            return None;
        }
        match self.head() {
            Some(head) => Some(head.expires).filter(|at| *at != NEVER),
            None if self.lanes[usize::from(self.top)].is_loading_any() => None,
            None => Some(Millis(0)),
        }
    }

    /// Positions that the sink may have been told of, as runs from first to last: all that is ready, of what came
    /// back transient ones only if they are wanted.
    pub(crate) fn told_runs(&self, with_transient: bool) -> impl Iterator<Item = (Seq, Seq)> {
        let told = move |held: &&Held<M>| with_transient || held.message.is_persistent();
        let again = self.again().filter(told).map(|held| (held.seq, held.seq));
        again.chain(self.lanes.iter().flat_map(move |lane| lane.told_runs(with_transient)))
    }

    /// What came back in turn.
    pub(crate) fn again(&self) -> impl Iterator<Item = &Held<M>> {
        self.again.iter().flat_map(|again| again.iter())
    }

    /// What came back.
    pub(crate) fn returned(&self) -> impl Iterator<Item = &Held<M>> {
        self.again().chain(self.lanes.iter().flat_map(Lane::returned))
    }

    /// Pages that are in the store.
    pub(crate) fn pages(&self) -> impl Iterator<Item = PageId> {
        self.lanes.iter().flat_map(Lane::pages).map(|page| page.id)
    }

    /// Forgets everything and gives the memory back; says how many there were.
    pub(crate) fn clear(&mut self) -> u64 {
        let gone = self.tally.messages;
        for lane in &mut self.lanes {
            *lane = Lane::default();
        }
        self.top = 0;
        self.expiring = 0;
        self.is_paged = false;
        self.again = None;
        self.tally = Tally::default();
        gone
    }

    fn entered(&mut self, level: u8, message: &M, expires: Millis) {
        self.tally.add(message);
        self.expiring += u64::from(expires != NEVER);
        self.top = self.top.max(level);
    }
}

/// Where a message of a promoted copy stands among the pages of its level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Before the last of them, or there is none.
    Before,
    /// Behind all of them.
    Behind,
}

/// What a copy brings when it becomes a queue, and the other way round.
impl<M: Message> Backlog<M> {
    /// Messages up to these positions, by level, are marked redelivered.
    pub(crate) fn mark_redelivered(&mut self, delivered_to: &[Seq]) {
        for (lane, to) in self.lanes.iter_mut().zip(delivered_to) {
            lane.mark_redelivered(*to);
        }
    }

    /// A message that will be there came back so often.
    pub(crate) fn mark_returned(&mut self, level: u8, seq: Seq, count: u32) {
        let level = self.level(level);
        self.lanes[usize::from(level)].mark_returned(seq, count);
    }

    /// A page that was found is on its way already.
    pub(crate) fn mark_loading(&mut self, level: u8, page: PageId) {
        let level = self.level(level);
        self.lanes[usize::from(level)].mark_loading(page);
    }

    /// Per level, the last position in pages.
    pub(crate) fn last_paged_by_level(&self) -> Vec<Option<Seq>> {
        self.lanes.iter().map(Lane::last_paged).collect()
    }

    /// Adds a message of a copy; within a level they come in order of position, after all pages.
    pub(crate) fn adopt(&mut self, place: Place, seq: Seq, level: u8, expires: Millis, message: M) {
        let level = self.level(level);
        self.entered(level, &message, expires);
        self.lanes[usize::from(level)].adopt(place, Paged { seq, expires, message });
    }

    /// All levels from the lowest.
    pub(crate) fn into_lanes(mut self) -> impl Iterator<Item = (u8, Lane<M>)> {
        for held in self
            .again
            .take()
            .into_iter()
            .flat_map(|mut again| again.drain().collect::<Vec<_>>())
        {
            self.lanes[usize::from(held.level)].give_back(held);
        }
        (0..=u8::MAX).zip(self.lanes)
    }
}

/// What lies in the store.
impl<M: Message> Backlog<M> {
    /// The page to ask for so that the head comes into memory, unless one is on its way.
    pub(crate) fn load_head(&mut self) -> Option<PageId> {
        self.lanes[usize::from(self.top)].load()
    }

    /// The page to ask for now that the head was taken, so that the next ones are there in time.
    pub(crate) fn read_ahead(&mut self) -> Option<PageId> {
        self.lanes[usize::from(self.top)].read_ahead()
    }

    /// Pages out what this level has above its limit.
    pub(crate) fn page_out(&mut self, level: u8, page_out: &mut impl FnMut(Vec<Paged<M>>) -> PageId) {
        self.is_paged = true;
        self.lanes[usize::from(level)].page_out(self.lane_bytes_max, page_out);
    }

    /// Pages out until at most `bytes_max` are in memory, beside what came back; the lowest level goes first. A head
    /// whose time must be known stays.
    pub(crate) fn shrink(&mut self, bytes_max: u64, mut page_out: impl FnMut(u8, Vec<Paged<M>>) -> PageId) {
        self.is_paged = true;
        let mut excess = self.resident_bytes().saturating_sub(bytes_max);
        for level in 0..=self.top {
            let lane = &mut self.lanes[usize::from(level)];
            let keep = lane.fresh_bytes().saturating_sub(excess);
            let keep_count = u64::from(level == self.top && self.expiring > 0);
            excess -= lane
                .shrink(keep, keep_count, &mut |messages| page_out(level, messages))
                .min(excess);
        }
    }

    /// A page that was asked for is here, with these of its messages. Returns how many are missing; `None` if nobody
    /// asked for it, or nobody wants it any more.
    pub(crate) fn take_in(&mut self, page: PageId, mut messages: Vec<Paged<M>>) -> Option<u64> {
        let at = self.lanes.iter().position(|lane| lane.is_loading(page))?;
        let level = u8::try_from(at).unwrap_or(u8::MAX);
        let known = self.lanes[at].take_loaded()?;
        if messages.len() as u64 > known.tally.messages {
            // Some are gone, which the store did not know yet.
            messages.retain(|paged| known.holds(paged.seq));
        }
        let (tally, expiring) = (page::tally(&messages), page::expiring(&messages));
        self.lanes[at].take_in(level, messages);
        self.tally.remove_all(&known.tally);
        self.tally.add_all(&tally);
        self.expiring = self.expiring - known.expiring + expiring;
        self.is_paged = self.lanes.iter().any(Lane::is_paged);
        self.step_down();
        Some(known.tally.messages.saturating_sub(tally.messages))
    }

    /// What was found in the store after a restart. Nothing is loaded yet.
    pub(crate) fn restore(&mut self, pages: Vec<RestoredPage>, delivered_to: &[Seq]) {
        self.mark_redelivered(delivered_to);
        let pages = pages.into_iter().filter(|page| page.tally.messages > 0);
        pages.for_each(|page| self.found(page));
    }

    /// A page is in the store.
    pub(crate) fn found(&mut self, page: RestoredPage) {
        let level = self.level(page.level);
        self.tally.add_all(&page.tally);
        self.expiring += page.expiring;
        self.top = self.top.max(level);
        self.is_paged = true;
        self.lanes[usize::from(level)].restore(Page::from(page));
    }

    /// The highest position in the store.
    pub(crate) fn last_paged(&self) -> Option<Seq> {
        self.lanes.iter().filter_map(Lane::last_paged).max()
    }
}

/// What is shown to those that copy it.
impl<M: Message> Backlog<M> {
    /// The position of the message at this place, in the order in which they are served.
    pub(crate) fn at(&self, place: u64) -> Option<Seq> {
        let fresh = |lane: &Lane<M>| {
            let mut listing = Listing::new(Seq(0), usize::MAX);
            lane.list(&mut listing);
            listing.finish()
        };
        let levels = || self.lanes.iter().rev().map(fresh);
        match &self.again {
            None => again::nth(levels().flatten(), place),
            // Only a queue with one level has messages that come back in turn.
            Some(again) => again.at(place, &levels().flatten().collect::<Vec<_>>()),
        }
    }

    pub(crate) fn list(&self, listing: &mut Listing) {
        self.lanes.iter().for_each(|lane| lane.list(listing));
    }

    /// Shows those that are in memory.
    pub(crate) fn peek(&self, wanted: &[(Seq, Seq)], delivered_to: &[Seq], show: &mut impl FnMut(Copied<&M>)) {
        let again = self.again().filter(|held| holds(wanted, held.seq));
        again.for_each(|held| show(held.copied(held.redelivered)));
        for ((level, lane), to) in (0..=u8::MAX).zip(&self.lanes).zip(delivered_to) {
            lane.peek(level, wanted, *to, show);
        }
    }

    /// Pages with some of the wanted, each with which, and whether it is on its way.
    pub(crate) fn peek_pages(&self, wanted: &[(Seq, Seq)]) -> Vec<(PageWanted, bool)> {
        let lanes = (0..=u8::MAX).zip(&self.lanes);
        lanes.flat_map(|(level, lane)| lane.peek_pages(level, wanted)).collect()
    }

    /// How often a fresh message of a level came back.
    pub(crate) fn returns_of(&self, level: u8, seq: Seq) -> u32 {
        self.lanes
            .get(usize::from(level))
            .map_or(0, |lane| lane.returns_of(seq))
    }

    /// How often messages came back, of those that did.
    pub(crate) fn returns(&self, first: Seq, last: Seq) -> impl Iterator<Item = (Seq, u32)> {
        let here = move |held: &&Held<M>| held.delivery_count > 0 && (first..=last).contains(&held.seq);
        let again = self.again().filter(here).map(|held| (held.seq, held.delivery_count));
        again.chain(self.lanes.iter().flat_map(move |lane| lane.returns(first, last)))
    }
}
