//! A copy becomes a queue, and a queue a copy: nothing is lost, nothing changes its place, no page is read for it.
//!
//! What was out when a queue became a copy is ready when it is a queue again. A page that was on its way arrives at
//! whichever of the two is there by then; until that its messages count as held in the page.

use model::{Millis, Seq};

use super::Copy;
use super::pages::{CopyPage, CopyPages};
use super::resident::Resident;
use crate::backlog::Place;
use crate::lane::Held;
use crate::message::Message;
use crate::page::RestoredPage;
use crate::queue::Queue;
use crate::settings::Settings;

impl<M: Message> Copy<M> {
    /// The queue that goes on where the leader was: everything is ready, in order of position, and what may have been
    /// handed out is marked redelivered. Time and limits are looked at with the next command; `settings` must have the
    /// priorities and the durability that the queue always had.
    ///
    /// A page that was on its way when this was a queue before is on its way to the new one: the host gives the answer
    /// to whatever holds the place of the queue then, [`Queue::loaded`] or [`Copy::loaded`].
    pub fn promote<C>(self, settings: Settings, auto_delete: bool, now: Millis) -> Queue<M, C> {
        let mut queue = Queue::new(settings, auto_delete, now);
        queue.last_seq = self.last_seq;
        queue.unacked.skip_slots(self.slots_used);
        for (level, seq) in (0..=u8::MAX).zip(&self.delivered_to) {
            let to = &mut queue.delivered_to[usize::from(queue.backlog.level(level))];
            *to = (*to).max(*seq);
        }
        queue.backlog.mark_redelivered(&queue.delivered_to);
        for (seq, count) in &self.returned {
            let in_memory = self.resident.get(*seq).map(|entry| entry.level);
            if let Some(level) = in_memory.or_else(|| self.pages.level_of(*seq)) {
                queue.backlog.mark_returned(level, *seq, *count);
            }
        }
        adopt(&mut queue, self.pages, self.resident);
        queue
    }
}

/// Gives the queue the messages of a copy.
fn adopt<M: Message, C>(queue: &mut Queue<M, C>, pages: CopyPages, resident: Resident<M>) {
    let backlog = &mut queue.backlog;
    for page in pages.into_pages() {
        let (level, id, is_loading) = (page.level, page.id, page.is_loading);
        backlog.found(RestoredPage::from(page));
        if is_loading {
            backlog.mark_loading(level, id);
        }
    }
    let last_paged = backlog.last_paged_by_level();
    for (seq, entry) in resident.into_entries() {
        let level = backlog.level(entry.level);
        let place = match last_paged[usize::from(level)] {
            Some(last) if seq > last => Place::Behind,
            Some(_) | None => Place::Before,
        };
        backlog.adopt(place, seq, level, entry.expires, entry.message);
    }
}

impl From<CopyPage> for RestoredPage {
    fn from(page: CopyPage) -> Self {
        Self {
            id: page.id,
            level: page.level,
            seqs: page.runs.iter().collect(),
            tally: page.tally,
            expiring: page.expiring,
        }
    }
}

impl<M: Message, C> Queue<M, C> {
    /// The queue leads from now on in an epoch whose positions begin here: the next message gets at least this one.
    pub fn reign(&mut self, first: Seq) {
        self.last_seq = self.last_seq.max(Seq(first.0.saturating_sub(1)));
    }

    /// Another node leads: what is ready, what is out and what is in pages is a copy now. Slots of deliveries mean
    /// nothing any more. Returns the handles of the consumers too, in order of subscription: nobody has told them.
    ///
    /// A page that was asked for will still be answered, and the store may have given up its own hold on the messages by
    /// then: the host gives the answer to [`Copy::loaded`], or they are lost.
    pub fn demote(mut self) -> (Copy<M>, Vec<C>) {
        if !self.settings.tells_delivered() {
            self.recall_delivered();
        }
        let mut copy = Copy::new(&self.settings);
        copy.slots_used = self.unacked.slots_used();
        for unacked in self.unacked.drain() {
            copy.take_over(unacked);
        }
        for (level, lane) in self.backlog.into_lanes() {
            let (mut pages, mut messages) = (Vec::new(), Vec::new());
            let returned = lane.disband(level, |held| messages.push(held), |page| pages.push(page));
            messages.into_iter().for_each(|held| copy.take_over(held));
            for (page, is_loading) in pages {
                let page = CopyPage::from(page.into_restored(level));
                copy.pages.insert(CopyPage { is_loading, ..page });
            }
            copy.returned.extend(returned);
        }
        copy.last_seq = self.last_seq;
        copy.delivered_to = self.delivered_to.into_vec();
        let consumers = self.consumers.drain().into_iter();
        (copy, consumers.map(|consumer| consumer.handle).collect())
    }
}

impl<M: Message> Copy<M> {
    /// A message that the queue held. Memory is looked at when the next one comes.
    fn take_over(&mut self, held: Held<M>) {
        let Held {
            message,
            seq,
            expires,
            delivery_count,
            level,
            redelivered: _,
        } = held;
        if delivery_count > 0 {
            self.returned.insert(seq, delivery_count);
        }
        let is_new = self.resident.insert(seq, level, expires, message);
        debug_assert!(is_new, "a queue held a message twice");
    }
}
