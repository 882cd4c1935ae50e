//! What a node has on its disk: a log of which the end is lost in a crash, and pages, which are memory here.
//!
//! A note is durable once the log is synced past it. Nothing is known here of leaders and mirrors.

use std::collections::{BTreeMap, VecDeque};

use model::{Millis, PageId, QueueId, Seq};
use queue::{Paged, Restored, RestoredPage, Tally};

use crate::message::Letter;

/// What is appended.
#[derive(Clone, Debug)]
pub enum Note {
    /// A message.
    Enqueue(QueueId, Seq, Kept),
    /// Messages are gone.
    Remove(QueueId, Vec<(Seq, Seq)>),
    /// How far deliveries came.
    Delivered(QueueId, Vec<(u8, Seq)>),
    /// All of a queue is gone.
    Forget(QueueId),
}

/// A message as it is kept.
#[derive(Clone, Copy, Debug)]
pub struct Kept {
    /// Its level.
    pub level: u8,
    /// When it expires.
    pub expires: Millis,
    /// It.
    pub letter: Letter,
}

/// What is on disk of one queue.
#[derive(Clone, Debug, Default)]
pub struct OnDisk {
    /// Messages.
    pub messages: BTreeMap<Seq, Kept>,
    last: Seq,
    delivered: Vec<Seq>,
}

/// A node's log.
#[derive(Clone, Debug, Default)]
pub struct Log {
    /// Appended and not synced.
    open: VecDeque<Note>,
    /// So many notes are synced.
    synced: u64,
    /// What they come to.
    disk: BTreeMap<QueueId, OnDisk>,
    /// Pages in use.
    pages: BTreeMap<PageId, Vec<Paged<Letter>>>,
    next_page: u64,
    /// Pages that were asked for.
    pub loads: VecDeque<(QueueId, PageId)>,
}

impl Log {
    /// Appends; it is safe once so many notes are synced.
    pub fn append(&mut self, note: Note) -> u64 {
        self.open.push_back(note);
        self.end()
    }

    /// How many notes there are.
    pub fn end(&self) -> u64 {
        self.synced + self.open.len() as u64
    }

    /// How many are safe.
    pub fn synced(&self) -> u64 {
        self.synced
    }

    /// So many more notes are on disk now.
    pub fn sync(&mut self, notes: usize) {
        for note in self.open.drain(..notes.min(self.open.len())) {
            self.synced += 1;
            put(&mut self.disk, note);
        }
    }

    /// Everything is on disk now.
    pub fn sync_all(&mut self) {
        self.sync(usize::MAX);
    }

    /// The process is gone: of what was not synced only the first few notes had reached the disk.
    pub fn crash(&mut self, survive: usize) {
        self.sync(survive);
        self.open.clear();
        self.pages.clear();
        self.loads.clear();
    }

    /// Notes that are not safe.
    pub fn unsynced(&self) -> usize {
        self.open.len()
    }

    /// What is on disk of a queue.
    pub fn disk(&self, queue: QueueId) -> Option<&OnDisk> {
        self.disk.get(&queue)
    }

    /// The queues of which something is there.
    pub fn queues(&self) -> Vec<QueueId> {
        self.disk.keys().copied().collect()
    }

    /// What a new process finds of a queue: one page a level.
    pub fn recover(&mut self, queue: QueueId) -> Restored {
        let Some(found) = self.disk.get(&queue).cloned() else {
            return Restored::default();
        };
        let mut levels: BTreeMap<u8, Vec<Paged<Letter>>> = BTreeMap::new();
        for (seq, kept) in found.messages {
            levels.entry(kept.level).or_default().push(Paged {
                seq,
                expires: kept.expires,
                message: kept.letter,
            });
        }
        let pages = levels.into_iter().map(|(level, messages)| self.found(level, messages));
        let pages = pages.collect();
        Restored {
            last_seq: found.last,
            delivered_to: found.delivered,
            pages,
        }
    }

    fn found(&mut self, level: u8, messages: Vec<Paged<Letter>>) -> RestoredPage {
        let count = messages.len() as u64;
        let bytes = count * Letter::BYTES;
        RestoredPage {
            level,
            seqs: messages.iter().map(|paged| (paged.seq, paged.seq)).collect(),
            tally: Tally {
                messages: count,
                bytes,
                persistent: count,
                persistent_bytes: bytes,
            },
            expiring: messages.iter().filter(|paged| paged.expires != queue::NEVER).count() as u64,
            id: self.page_out(messages),
        }
    }

    /// Takes messages out of memory.
    pub fn page_out(&mut self, messages: Vec<Paged<Letter>>) -> PageId {
        self.next_page += 1;
        let page = PageId(self.next_page);
        self.pages.insert(page, messages);
        page
    }

    /// A page is not wanted any more.
    pub fn discard(&mut self, page: PageId) {
        self.pages.remove(&page);
    }

    /// Reads a page and gives it up.
    pub fn take_page(&mut self, page: PageId) -> Vec<Paged<Letter>> {
        self.pages.remove(&page).unwrap_or_default()
    }

    /// Reads a page.
    pub fn read(&self, page: PageId) -> Vec<Paged<Letter>> {
        self.pages.get(&page).cloned().unwrap_or_default()
    }
}

fn put(disk: &mut BTreeMap<QueueId, OnDisk>, note: Note) {
    match note {
        Note::Enqueue(queue, seq, kept) => {
            let found = disk.entry(queue).or_default();
            found.messages.insert(seq, kept);
            found.last = found.last.max(seq);
        }
        Note::Remove(queue, runs) => {
            let found = disk.entry(queue).or_default();
            let is_in = |seq: Seq| runs.iter().any(|(first, last)| (*first..=*last).contains(&seq));
            found.messages.retain(|seq, _| !is_in(*seq));
        }
        Note::Delivered(queue, levels) => {
            let found = disk.entry(queue).or_default();
            for (level, upto) in levels {
                let level = usize::from(level);
                found.delivered.resize(found.delivered.len().max(level + 1), Seq(0));
                found.delivered[level] = found.delivered[level].max(upto);
            }
        }
        Note::Forget(queue) => {
            disk.remove(&queue);
        }
    }
}
