//! What a queue owes the store: gathered while the queue is locked, told before the lock is let go.
//!
//! So the store hears of each queue's changes in the order in which they happened. Nothing here decides what is kept.

use model::{PageId, QueueId, Seq};
use queue::{Paged, Queue, Stored};
use std::sync::Arc;
use store::{Entry, Lsn};

use super::{
    cell::{Consumer, QueueCell},
    keeping::Keeping,
    message::{Arriving, Message, content_of},
};

/// A queue's line to the store.
#[derive(Debug)]
pub struct Journal {
    keeping: Arc<Keeping>,
    queue: QueueId,
    /// Messages that are gone, in runs, since the lock was taken.
    gone: Vec<(Seq, Seq)>,
    /// How far deliveries had come, by level, when the store was told last.
    delivered: Vec<Seq>,
}

impl Journal {
    /// Of a queue of which the store knows how far deliveries had come.
    pub fn new(keeping: Arc<Keeping>, queue: QueueId, delivered: Vec<Seq>) -> Self {
        Journal {
            keeping,
            queue,
            gone: Vec::new(),
            delivered,
        }
    }

    /// Of a queue whose store is never written.
    #[cfg(test)]
    pub fn idle() -> Self {
        let disk = store::disk::MemDisk::new();
        let opened = store::Opened::open(disk, store::Sizes::default(), &|_| false).unwrap();
        let keeping = Keeping {
            store: opened.store(),
            loads: super::loads::Loads::new().0,
            epoch: model::Epoch(1),
            meter: Arc::default(),
            pages_out: super::counters::Counter::default(),
            pages_loaded: super::counters::Counter::default(),
        };
        Journal::new(Arc::new(keeping), QueueId(1), Vec::new())
    }

    /// Messages are gone; told when the lock is let go. The log knows none that is not persistent.
    pub fn removed(&mut self, first: Seq, last: Seq, persistent: bool) {
        if !persistent {
            return;
        }
        match self.gone.last_mut() {
            Some((_, end)) if end.next() == first => *end = last,
            _ => self.gone.push((first, last)),
        }
    }

    /// Appends an arriving message; it is safe once the position is durable. What need not survive a restart is safe.
    pub fn store(&mut self, stored: Stored, arriving: &mut Arriving<'_>) -> Lsn {
        if !stored.persistent {
            return Lsn::default();
        }
        let entry = Entry {
            queue: self.queue,
            epoch: self.keeping.epoch,
            seq: stored.seq,
            expires: stored.expires,
            level: stored.level,
        };
        let content = content_of(arriving.publication);
        let store = &self.keeping.store;
        match arriving.is_shared {
            false => store.enqueue(&entry, &content),
            true => {
                let body = *arriving.body.get_or_insert_with(|| store.share(&content));
                store.enqueue_shared(&entry, body, &content)
            }
        }
    }

    /// Takes messages out of memory.
    pub fn page_out(&mut self, level: u8, messages: Vec<Paged<Message>>) -> PageId {
        let bytes = messages
            .iter()
            .map(|paged| queue::Message::resident_bytes(&paged.message))
            .sum();
        let messages = messages.into_iter().map(|paged| store::Paged {
            seq: paged.seq,
            expires: paged.expires,
            message: paged.message,
        });
        let keeping = &self.keeping;
        keeping.pages_out.add(1);
        keeping
            .store
            .page_out(self.queue, keeping.epoch, level, messages.collect(), bytes)
    }

    /// Asks for a page; it comes back by way of the node's own task.
    pub fn load(&self, cell: &Arc<QueueCell>, page: PageId) {
        self.keeping.pages_loaded.add(1);
        let then = self.keeping.loads.bring(cell.clone(), page);
        self.keeping.store.load(page, then);
    }

    /// A page is not wanted any more.
    pub fn discard(&self, page: PageId) {
        self.keeping.store.discard(page);
    }

    /// The queue is deleted: nothing of it is wanted.
    pub fn forget(&mut self) {
        self.gone.clear();
        self.keeping.store.forget(self.queue);
    }

    /// Tells the store what has been gathered.
    pub(super) fn settle(&mut self, queue: &Queue<Message, Arc<Consumer>>) {
        if !self.gone.is_empty() {
            self.keeping.store.remove(self.queue, &self.gone);
            self.gone.clear();
        }
        // Only of messages that may be delivered again it matters that they were delivered before.
        if queue.settings().durable && queue.counts().unacked.persistent > 0 && self.delivered != queue.delivered_to() {
            self.tell_delivered(queue.delivered_to());
        }
    }

    fn tell_delivered(&mut self, now: &[Seq]) {
        let before = std::mem::replace(&mut self.delivered, now.to_vec());
        let news = now
            .iter()
            .enumerate()
            .filter(|(level, upto)| before.get(*level) != Some(upto));
        let news: Vec<(u8, Seq)> = news
            .map(|(level, upto)| (u8::try_from(level).unwrap_or(u8::MAX), *upto))
            .collect();
        self.keeping.store.delivered(self.queue, &news);
    }
}
