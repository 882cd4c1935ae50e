//! What a queue owes the store: gathered while the queue is locked, told before the lock is let go.
//!
//! So the store hears of each queue's changes in the order in which they happened. Nothing here decides what is kept.

use model::{PageId, QueueId, Seq};
use queue::{Paged, Queue, Stamp, Stored};
use std::sync::Arc;
use store::{Content, Entry, Lsn};

use super::{
    cell::{Consumer, QueueCell},
    keeping::Keeping,
    message::{Arriving, Message, content_of},
    mirrors::Stream,
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
    /// Who tells the mirrors, if the queue has ever been mirrored.
    stream: Option<Arc<Stream>>,
    /// What they have not been told yet.
    untold: Untold,
}

/// What mirrors are told when the lock is let go.
#[derive(Debug, Default)]
struct Untold {
    /// Messages that are gone, transient ones too.
    gone: Vec<(Seq, Seq)>,
    /// Messages that came back, and how often.
    returned: Vec<(Seq, u32)>,
}

fn add_run(runs: &mut Vec<(Seq, Seq)>, first: Seq, last: Seq) {
    match runs.last_mut() {
        Some((_, end)) if end.next() == first => *end = last,
        _ => runs.push((first, last)),
    }
}

impl Untold {
    fn tell(&mut self, stream: &Stream) {
        if !self.returned.is_empty() {
            stream.returned(&self.returned);
            self.returned.clear();
        }
        if !self.gone.is_empty() {
            stream.remove(&mut self.gone);
            self.gone.clear();
        }
    }
}

/// When something that was told is safe.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Safe {
    /// The log is durable up to here.
    pub lsn: Lsn,
    /// Mirrors have so many operations of the reign in memory, what was inherited being the first ...
    pub held: u64,
    /// ... and so many on disk; 0 = nothing is waited for.
    pub durable: u64,
}

/// Who published a message first, in the mirrors' words.
pub fn origin(stamp: &Stamp) -> mirror::Origin {
    mirror::Origin {
        node: stamp.origin.node,
        stream: stamp.origin.stream,
        incarnation: stamp.incarnation,
        number: stamp.sequence,
        floor: stamp.floor,
    }
}

impl Safe {
    /// Both.
    pub fn and(self, other: Safe) -> Safe {
        Safe {
            lsn: self.lsn.max(other.lsn),
            held: self.held.max(other.held),
            durable: self.durable.max(other.durable),
        }
    }
}

impl Journal {
    /// Of a queue of which the store knows how far deliveries had come.
    pub fn new(keeping: Arc<Keeping>, queue: QueueId, delivered: Vec<Seq>) -> Self {
        Journal {
            keeping,
            queue,
            gone: Vec::new(),
            delivered,
            stream: None,
            untold: Untold::default(),
        }
    }

    /// Who tells the mirrors.
    pub fn stream(&self) -> Option<&Arc<Stream>> {
        self.stream.as_ref()
    }

    /// Somebody tells the mirrors from now on, or nobody; returns who did.
    pub fn lead(&mut self, stream: Option<Arc<Stream>>) -> Option<Arc<Stream>> {
        std::mem::replace(&mut self.stream, stream)
    }

    /// Of a queue whose store is never written.
    #[cfg(test)]
    pub fn idle() -> Self {
        let disk = store::disk::MemDisk::new();
        let opened = store::Opened::open(disk, store::Sizes::default(), store::Formats::default(), &|_| false).unwrap();
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
        if persistent {
            add_run(&mut self.gone, first, last);
        }
        if self.stream.is_some() {
            add_run(&mut self.untold.gone, first, last);
        }
    }

    /// A message came back; told when the lock is let go. The log does not say how often one did.
    pub fn returned(&mut self, seq: Seq, count: u32) {
        if self.stream.is_some() {
            self.untold.returned.push((seq, count));
        }
    }

    /// Appends an arriving message, and tells the mirrors. What need not survive a restart is not appended.
    pub fn store(&mut self, stored: Stored, arriving: &mut Arriving<'_>, stamp: Option<&Stamp>) -> Safe {
        let content = content_of(arriving.publication);
        let lsn = match stored.persistent {
            true => self.append(stored, arriving, &content),
            false => Lsn::default(),
        };
        let Some(stream) = &self.stream else {
            return Safe { lsn, ..Safe::default() };
        };
        let held = stream.enqueue(&mirror::Entry {
            seq: stored.seq,
            level: stored.level,
            expires: stored.expires,
            returns: 0,
            persistent: arriving.persistent,
            origin: stamp.map(origin),
            exchange: content.exchange,
            routing_key: content.routing_key,
            properties: content.properties,
            body: content.body,
        });
        let held = held + 1;
        let durable = if stored.persistent { held } else { 0 };
        Safe { lsn, held, durable }
    }

    /// When everything is safe that has ever been told.
    pub fn all_safe(&self, persistent: bool) -> Safe {
        let held = self.stream.as_ref().map_or(0, |stream| stream.want_all() + 1);
        Safe {
            lsn: if persistent {
                self.keeping.store.end()
            } else {
                Lsn::default()
            },
            held,
            durable: if persistent { held } else { 0 },
        }
    }

    fn append(&self, stored: Stored, arriving: &mut Arriving<'_>, content: &Content<'_>) -> Lsn {
        let entry = Entry {
            queue: self.queue,
            epoch: self.keeping.epoch,
            seq: stored.seq,
            expires: stored.expires,
            level: stored.level,
        };
        let store = &self.keeping.store;
        match arriving.is_shared {
            false => store.enqueue(&entry, content),
            true => {
                let body = *arriving.body.get_or_insert_with(|| store.share(content));
                store.enqueue_shared(&entry, body, content)
            }
        }
    }

    /// Takes messages out of memory.
    pub fn page_out(&mut self, level: u8, messages: Vec<Paged<Message>>) -> PageId {
        self.keeping.page_out(self.queue, level, messages)
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
        if let Some(stream) = &self.stream {
            self.untold.tell(stream);
        }
        // Only of messages that may be delivered again it matters that they were delivered before.
        let unacked = queue.counts().unacked;
        let matters = match self.stream {
            None => queue.settings().durable && unacked.persistent > 0,
            Some(_) => unacked.messages > 0,
        };
        if matters && self.delivered != queue.delivered_to() {
            self.tell_delivered(queue.settings().durable, queue.delivered_to());
        }
    }

    fn tell_delivered(&mut self, durable: bool, now: &[Seq]) {
        let before = std::mem::replace(&mut self.delivered, now.to_vec());
        let news = now
            .iter()
            .enumerate()
            .filter(|(level, upto)| before.get(*level) != Some(upto));
        let news: Vec<(u8, Seq)> = news
            .map(|(level, upto)| (u8::try_from(level).unwrap_or(u8::MAX), *upto))
            .collect();
        if durable {
            self.keeping.store.delivered(self.queue, &news);
        }
        if let Some(stream) = &self.stream {
            stream.delivered(&news);
        }
    }
}
