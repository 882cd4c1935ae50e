//! Where all queues meet: records are put behind one another in memory, and notes about them beside them.
//!
//! Whoever appends holds the lock for a copy and no longer. The writer takes the octets, the keeper takes the notes;
//! both see them in the same order. Nothing waits here and nothing is written.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicU64, Ordering},
    },
    time::Duration,
};

use model::{PageId, QueueId, Seq};
use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::{
    content::Content,
    formats::Formats,
    hold::Holding,
    lsn::Lsn,
    message::{Load, PageOut},
    record::{self, Draft, Entry, Record},
    segment::HEAD_BYTES,
    sizes::Sizes,
};

/// Called when a position is durable.
pub type Wake = Arc<dyn Fn() + Send + Sync>;

/// Octets that may wait to be written before publishers are asked to wait.
const WAITING_BYTES_MAX: u64 = 32 << 20;
/// Notes that may wait before the keeper is woken for them alone.
const NOTES_QUIET_MAX: usize = 4096;
/// A buffer larger than this is not kept for the next write.
const BUFFER_BYTES_MAX: usize = 4 << 20;

/// The threads of the store.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Thread {
    /// Writes the log.
    Writer = 1,
    /// Keeps the pages.
    Keeper = 2,
}

/// What the keeper is told.
pub(crate) enum Note<M> {
    /// Messages lie in this segment of the log.
    Enqueued {
        segment: u64,
        queue: QueueId,
        first: Seq,
        last: Seq,
    },
    /// Messages are gone.
    Removed { queue: QueueId, first: Seq, last: Seq },
    /// Messages up to here have been handed out.
    Delivered {
        segment: u64,
        queue: QueueId,
        level: u8,
        upto: Seq,
    },
    /// Messages leave memory.
    PageOut(Box<PageOut<M>>),
    /// A page is wanted back.
    Load(Box<Load<M>>),
    /// Somebody looks at a page.
    Read(Box<Load<M>>),
    /// A page is not wanted any more.
    Discard(PageId),
    /// A queue is deleted.
    Forget(QueueId),
    /// Somebody copies the files.
    Hold(Holding),
    /// And is done.
    Release,
    /// A segment is complete and durable.
    Sealed(u64),
}

/// Octets for one segment, in one piece.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    /// Where the first octet goes.
    pub(crate) start: Lsn,
    pub(crate) octets: Vec<u8>,
}

/// The part under the lock.
struct Front<M> {
    /// Where the next octet goes.
    at: Lsn,
    open: Vec<u8>,
    /// Batches of earlier segments that the writer has not taken.
    full: VecDeque<Batch>,
    notes: Vec<Note<M>>,
    waiting: Vec<(Lsn, Wake)>,
    /// Somebody waits for what was appended to be durable.
    sync_wanted: bool,
    /// A buffer to be used again.
    spare: Vec<u8>,
    /// The writer sleeps until there is something to write.
    writer_idle: bool,
    stopping: bool,
}

/// What appenders, the writer and the keeper share.
pub(crate) struct Shared<M> {
    front: Mutex<Front<M>>,
    pub(crate) writer_wakes: Condvar,
    pub(crate) keeper_wakes: Condvar,
    synced: AtomicU64,
    /// Octets appended and not written, and octets to be paged out and not written.
    waiting_bytes: AtomicU64,
    paging_bytes: AtomicU64,
    /// Who found no room on the disk.
    full: AtomicU8,
    /// The salt of the segment that is written now, to be checked under the lock.
    salt_hint: AtomicU64,
    next_page: AtomicU64,
    pub(crate) sizes: Sizes,
    pub(crate) formats: Formats,
}

/// What the writer takes.
pub(crate) struct Taken {
    pub(crate) batches: VecDeque<Batch>,
    pub(crate) sync_wanted: bool,
    pub(crate) stopping: bool,
}

/// What the keeper takes.
pub(crate) struct TakenNotes<M> {
    pub(crate) notes: Vec<Note<M>>,
    /// All records that the notes speak of end here or before.
    pub(crate) upto: Lsn,
    pub(crate) stopping: bool,
}

impl<M> Shared<M> {
    /// The log goes on in this segment, which is empty; pages are numbered from `next_page`.
    pub(crate) fn new(segment: u64, next_page: PageId, sizes: Sizes, formats: Formats) -> Self {
        let at = Lsn::new(segment, HEAD_BYTES);
        let front = Front {
            at,
            open: Vec::new(),
            full: VecDeque::new(),
            notes: Vec::new(),
            waiting: Vec::new(),
            sync_wanted: false,
            spare: Vec::new(),
            writer_idle: false,
            stopping: false,
        };
        Shared {
            front: Mutex::new(front),
            writer_wakes: Condvar::new(),
            keeper_wakes: Condvar::new(),
            synced: AtomicU64::new(at.0),
            waiting_bytes: AtomicU64::new(0),
            paging_bytes: AtomicU64::new(0),
            full: AtomicU8::new(0),
            salt_hint: AtomicU64::new(segment),
            next_page: AtomicU64::new(next_page.0),
            sizes,
            formats,
        }
    }

    /// All before this position is durable.
    pub(crate) fn synced(&self) -> Lsn {
        Lsn(self.synced.load(Ordering::Acquire))
    }

    /// True while publishers need not wait.
    pub(crate) fn has_room(&self) -> bool {
        !self.is_full()
            && self.waiting_bytes.load(Ordering::Relaxed) < WAITING_BYTES_MAX
            && self.paging_bytes.load(Ordering::Relaxed) < WAITING_BYTES_MAX
    }

    pub(crate) fn is_full(&self) -> bool {
        self.full.load(Ordering::Relaxed) != 0
    }

    /// Notes whether this thread finds room on the disk; true if that is news.
    pub(crate) fn set_full(&self, who: Thread, full: bool) -> bool {
        let bit = who as u8;
        let before = match full {
            true => self.full.fetch_or(bit, Ordering::Relaxed),
            false => self.full.fetch_and(!bit, Ordering::Relaxed),
        };
        (before & bit != 0) != full
    }

    pub(crate) fn next_page(&self) -> PageId {
        PageId(self.next_page.fetch_add(1, Ordering::Relaxed))
    }

    /// Appends one message of one queue; answers where it ends.
    pub(crate) fn enqueue(&self, entry: &Entry, content: &Content<'_>) -> Lsn {
        let fields = entry.encode();
        let draft = Draft::enqueue(&fields, content);
        let mut front = self.append(&draft);
        let end = front.at;
        front.enqueued(entry, end.segment());
        self.want_sync(front);
        end
    }

    /// Appends a body that several queues will share; answers where it begins.
    pub(crate) fn body(&self, content: &Content<'_>) -> Lsn {
        let draft = Draft::body(content);
        let front = self.append(&draft);
        let end = front.at;
        Lsn::new(end.segment(), end.offset() - draft.bytes() as u64)
    }

    /// Appends a message whose body was appended before. `None` if the log has gone on to another segment.
    pub(crate) fn enqueue_shared(&self, entry: &Entry, body: Lsn) -> Option<Lsn> {
        let mut front = self.front.lock();
        self.make_place(&mut front);
        if front.at.segment() != body.segment() {
            return None;
        }
        self.append_small(&mut front, &Record::EnqueueShared(*entry, body));
        let end = front.at;
        front.enqueued(entry, end.segment());
        self.want_sync(front);
        Some(end)
    }

    /// Messages are gone.
    pub(crate) fn remove(&self, queue: QueueId, runs: &[(Seq, Seq)]) {
        let mut front = self.front.lock();
        self.make_place(&mut front);
        self.append_small(&mut front, &Record::Remove(queue, runs.to_vec()));
        for (first, last) in runs {
            front.removed(queue, *first, *last);
        }
        self.wake_later(front);
    }

    /// Messages up to here have been handed out.
    pub(crate) fn delivered(&self, queue: QueueId, levels: &[(u8, Seq)]) {
        let mut front = self.front.lock();
        self.make_place(&mut front);
        self.append_small(&mut front, &Record::Delivered(queue, levels.to_vec()));
        let segment = front.at.segment();
        front.notes.extend(levels.iter().map(|(level, upto)| Note::Delivered {
            segment,
            queue,
            level: *level,
            upto: *upto,
        }));
        self.wake_later(front);
    }

    /// A record of the keeper's own; answers where it ends.
    pub(crate) fn append_own(&self, record: &Record<'_>) -> Lsn {
        let mut front = self.front.lock();
        self.make_place(&mut front);
        self.append_small(&mut front, record);
        let end = front.at;
        self.wake_later(front);
        end
    }

    /// Where the log ends now.
    pub(crate) fn end(&self) -> Lsn {
        self.front.lock().at
    }

    /// A note that has no record.
    pub(crate) fn note(&self, note: Note<M>) {
        let mut front = self.front.lock();
        if let Note::PageOut(out) = &note {
            self.paging_bytes.fetch_add(out.bytes, Ordering::Relaxed);
        }
        front.notes.push(note);
        drop(front);
        self.keeper_wakes.notify_one();
    }

    /// Octets that were to be paged out are in a file, or not wanted.
    pub(crate) fn paged_out(&self, bytes: u64) {
        self.paging_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Has `wake` called once everything up to `lsn` is durable; false if it is already.
    pub(crate) fn wake_when_synced(&self, lsn: Lsn, wake: &Wake) -> bool {
        let mut front = self.front.lock();
        if self.synced() >= lsn {
            return false;
        }
        front.waiting.push((lsn, wake.clone()));
        front.sync_wanted = true;
        drop(front);
        self.writer_wakes.notify_one();
        true
    }

    fn append(&self, draft: &Draft<'_>) -> MutexGuard<'_, Front<M>> {
        let guessed = self.salt_hint.load(Ordering::Relaxed);
        let guess = draft.checksum(record::salt(guessed));
        let mut front = self.front.lock();
        self.make_place(&mut front);
        let segment = front.at.segment();
        let checksum = if segment == guessed {
            guess
        } else {
            draft.checksum(record::salt(segment))
        };
        draft.write(checksum, &mut front.open);
        front.at = front.at.plus(draft.bytes() as u64);
        self.waiting_bytes.fetch_add(draft.bytes() as u64, Ordering::Relaxed);
        front
    }

    fn append_small(&self, front: &mut Front<M>, record: &Record<'_>) {
        let before = front.open.len();
        record::append(record, record::salt(front.at.segment()), &mut front.open);
        let bytes = (front.open.len() - before) as u64;
        front.at = front.at.plus(bytes);
        self.waiting_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Begins a buffer with its mark, and another segment where this one is long enough.
    fn make_place(&self, front: &mut Front<M>) {
        if front.at.offset() >= self.sizes.segment_bytes {
            self.append_small(front, &Record::Seal);
            let sealed = front.take_open();
            front.full.push_back(sealed);
            let segment = front.at.segment() + 1;
            front.at = Lsn::new(segment, HEAD_BYTES);
            self.salt_hint.store(segment, Ordering::Relaxed);
        }
        if front.open.is_empty() {
            let synced = self.synced();
            self.append_small(front, &Record::Mark { synced });
        }
    }

    fn want_sync(&self, mut front: MutexGuard<'_, Front<M>>) {
        let first = !std::mem::replace(&mut front.sync_wanted, true);
        let many = front.notes.len() > NOTES_QUIET_MAX;
        drop(front);
        if first {
            self.writer_wakes.notify_one();
        }
        if many {
            self.keeper_wakes.notify_one();
        }
    }

    /// Nobody waits for this; the writer looks within its own time.
    fn wake_later(&self, front: MutexGuard<'_, Front<M>>) {
        let idle = front.writer_idle;
        let many = front.notes.len() > NOTES_QUIET_MAX;
        drop(front);
        if idle {
            self.writer_wakes.notify_one();
        }
        if many {
            self.keeper_wakes.notify_one();
        }
    }

    /// What is to be written. `stopping` once [`stop`](Self::stop) was called.
    pub(crate) fn take(&self) -> Taken {
        let mut front = self.front.lock();
        if !front.open.is_empty() {
            let open = front.take_open();
            front.full.push_back(open);
        }
        Taken {
            batches: std::mem::take(&mut front.full),
            sync_wanted: std::mem::take(&mut front.sync_wanted),
            stopping: front.stopping,
        }
    }

    /// Octets have been written: their buffer may be used again.
    pub(crate) fn written(&self, mut octets: Vec<u8>) {
        self.waiting_bytes.fetch_sub(octets.len() as u64, Ordering::Relaxed);
        if octets.capacity() <= BUFFER_BYTES_MAX {
            octets.clear();
            self.front.lock().spare = octets;
        }
    }

    /// Everything before `lsn` is durable: whoever waited is woken.
    pub(crate) fn set_synced(&self, lsn: Lsn) {
        self.synced.store(lsn.0, Ordering::Release);
        let woken: Vec<Wake> = {
            let mut front = self.front.lock();
            let ready = front.waiting.extract_if(.., |(at, _)| *at <= lsn);
            ready.map(|(_, wake)| wake).collect()
        };
        woken.iter().for_each(|wake| wake());
    }

    pub(crate) fn take_notes(&self) -> TakenNotes<M> {
        let mut front = self.front.lock();
        TakenNotes {
            notes: std::mem::take(&mut front.notes),
            upto: front.at,
            stopping: front.stopping,
        }
    }

    /// Waits until somebody wants a sync, or until `patience` is over; without patience, until anything is appended.
    pub(crate) fn writer_waits(&self, patience: Option<Duration>) {
        let mut front = self.front.lock();
        if front.sync_wanted || front.stopping || !front.full.is_empty() {
            return;
        }
        match patience {
            Some(patience) => drop(self.writer_wakes.wait_for(&mut front, patience)),
            None if front.open.is_empty() => {
                front.writer_idle = true;
                self.writer_wakes.wait(&mut front);
                front.writer_idle = false;
            }
            None => {}
        }
    }

    /// Waits until there are notes that cannot wait, or until `patience` is over.
    pub(crate) fn keeper_waits(&self, patience: Option<Duration>) {
        let mut front = self.front.lock();
        if front.stopping || front.notes.len() > NOTES_QUIET_MAX || front.notes.iter().any(Note::is_urgent) {
            return;
        }
        match patience {
            Some(patience) => drop(self.keeper_wakes.wait_for(&mut front, patience)),
            None => self.keeper_wakes.wait(&mut front),
        }
    }

    /// The keeper looks at what has been noted, though none of it is urgent.
    pub(crate) fn rouse_keeper(&self) {
        self.keeper_wakes.notify_one();
    }

    /// The threads end once all that was appended is written.
    pub(crate) fn stop(&self) {
        self.front.lock().stopping = true;
        self.writer_wakes.notify_one();
        self.keeper_wakes.notify_one();
    }
}

impl<M> Note<M> {
    fn is_urgent(&self) -> bool {
        !matches!(
            self,
            Note::Enqueued { .. } | Note::Removed { .. } | Note::Delivered { .. }
        )
    }
}

impl<M> Front<M> {
    fn take_open(&mut self) -> Batch {
        let spare = std::mem::take(&mut self.spare);
        let octets = std::mem::replace(&mut self.open, spare);
        let start = Lsn::new(self.at.segment(), self.at.offset() - octets.len() as u64);
        Batch { start, octets }
    }

    /// One note for messages that follow each other.
    fn enqueued(&mut self, entry: &Entry, segment: u64) {
        if let Some(Note::Enqueued {
            segment: in_segment,
            queue,
            last,
            ..
        }) = self.notes.last_mut()
            && (*in_segment, *queue, last.0 + 1) == (segment, entry.queue, entry.seq.0)
        {
            *last = entry.seq;
            return;
        }
        self.notes.push(Note::Enqueued {
            segment,
            queue: entry.queue,
            first: entry.seq,
            last: entry.seq,
        });
    }

    fn removed(&mut self, of: QueueId, first: Seq, to: Seq) {
        if let Some(Note::Removed { queue, last, .. }) = self.notes.last_mut()
            && (*queue, last.0 + 1) == (of, first.0)
        {
            *last = to;
            return;
        }
        self.notes.push(Note::Removed {
            queue: of,
            first,
            last: to,
        });
    }
}
