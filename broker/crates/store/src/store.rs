//! The store as the node sees it: open it, get every queue back, append, page out, load, and know what is durable.
//!
//! Two threads do the work, the writer and the keeper; both can be stepped by hand instead, so that a test decides who
//! goes when. Nothing here decides about messages.

use std::{
    collections::BTreeMap,
    io,
    sync::Arc,
    thread::{self, JoinHandle},
};

use model::{Epoch, PageId, QueueId, Seq};
use parking_lot::Mutex;

use crate::{
    StoreError,
    content::Content,
    disk::{Disk, DiskFile, Open},
    formats::Formats,
    front::{Note, Shared, Wake},
    hold::{Hold, Holding},
    keeper::{Keeper, Retiring},
    lsn::Lsn,
    message::{Load, Loaded, PageOut, Paged, StoredMessage},
    page,
    pages::Pages,
    record::{self, Entry, Record},
    recover::{self, Found, RecoveredQueue},
    segment,
    sizes::Sizes,
    writer::{FreeFiles, Writer},
};

/// What a failed disk leads to. It must end the process: nothing may be promised any more.
pub type Fatal = Arc<dyn Fn(&str) + Send + Sync>;

/// The messages of a node's queues on disk. Cheap to clone.
pub struct Store<M> {
    shared: Arc<Shared<M>>,
    threads: Arc<Mutex<Vec<JoinHandle<()>>>>,
}

impl<M> Clone for Store<M> {
    fn clone(&self) -> Self {
        Store {
            shared: self.shared.clone(),
            threads: self.threads.clone(),
        }
    }
}

impl<M> std::fmt::Debug for Store<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store")
            .field("synced", &self.shared.synced())
            .finish_non_exhaustive()
    }
}

/// A body that several queues share, and where it stands in the log.
#[derive(Clone, Copy, Debug)]
pub struct SharedBody(Lsn);

/// A store that has been opened: what it held, and the two that do its work.
pub struct Opened<D: Disk, M> {
    /// Queues with messages, and those of which something is known.
    pub queues: BTreeMap<QueueId, RecoveredQueue>,
    store: Store<M>,
    writer: Writer<D, M>,
    keeper: Keeper<D, M>,
}

impl<D: Disk, M: StoredMessage> Opened<D, M> {
    /// Opens the store in a directory; `wanted` says which queues exist.
    ///
    /// # Errors
    /// What is wrong with the files, with the place and what can be done. Nothing has been changed then, save that a full
    /// disk may have let some messages be copied.
    pub fn open(disk: D, sizes: Sizes, formats: Formats, wanted: &dyn Fn(QueueId) -> bool) -> Result<Self, StoreError> {
        disk.create_directory(segment::DIRECTORY)?;
        disk.create_directory(page::DIRECTORY)?;
        let found = recover::find(&disk, formats.known(), wanted)?;
        cut_torn(&disk, &found)?;
        let Found {
            index,
            queues,
            segments,
            next_segment,
            next_file,
            next_page,
            ..
        } = found;
        let shared = Arc::new(Shared::new(next_segment, next_page, sizes, formats));
        let free = Arc::new(FreeFiles::default());
        let pages = Pages::new(disk.clone(), next_file, sizes.page_file_bytes)?;
        let keeper = Keeper::new(disk.clone(), shared.clone(), free.clone(), index, pages);
        let writer = Writer::begin(disk, shared.clone(), free, next_segment)?;
        let store = Store {
            shared,
            threads: Arc::default(),
        };
        let mut opened = Opened {
            queues,
            store,
            writer,
            keeper,
        };
        opened.retire_all(segments)?;
        Ok(opened)
    }

    /// What lives in the log that was left moves into pages, so that the node begins with an empty one.
    fn retire_all(&mut self, segments: Vec<u64>) -> io::Result<()> {
        for segment in segments {
            self.keeper.index.begun(segment);
            let retiring = Retiring {
                segment,
                noted: Lsn::default(),
                gone: self.keeper.index.take_gone(),
            };
            for (queue, page) in self.keeper.retire(&retiring, Lsn::default())? {
                self.queues.entry(queue).or_default().pages.push(page);
            }
        }
        for queue in self.queues.values_mut() {
            queue.pages.sort_by_key(|page| (page.level, page.seqs.first().copied()));
        }
        self.step_writer()?;
        self.step_keeper()?;
        Ok(())
    }

    /// The handle.
    pub fn store(&self) -> Store<M> {
        self.store.clone()
    }

    /// Does what the writer's thread would do now; true once it has stopped.
    ///
    /// # Errors
    /// The disk failed.
    pub fn step_writer(&mut self) -> io::Result<bool> {
        self.writer.step()
    }

    /// Does what the keeper's thread would do now; true once it has stopped.
    ///
    /// # Errors
    /// The disk failed.
    pub fn step_keeper(&mut self) -> io::Result<bool> {
        self.keeper.step()
    }

    /// Starts the threads.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn run(self, fatal: Fatal) -> io::Result<(Store<M>, BTreeMap<QueueId, RecoveredQueue>)> {
        let Opened {
            queues,
            store,
            mut writer,
            mut keeper,
        } = self;
        let shared = store.shared.clone();
        let ends = fatal.clone();
        let writes = move || {
            loop {
                shared.writer_waits(writer.patience());
                match writer.step() {
                    Ok(false) => {}
                    Ok(true) => return,
                    Err(error) => return ends(&format!("the message log cannot be written: {error}")),
                }
            }
        };
        let shared = store.shared.clone();
        let keeps = move || {
            loop {
                shared.keeper_waits(keeper.patience());
                match keeper.step() {
                    Ok(false) => {}
                    Ok(true) => return,
                    Err(error) => return fatal(&format!("message pages cannot be kept: {error}")),
                }
            }
        };
        let mut threads = store.threads.lock();
        threads.push(thread::Builder::new().name("log-writer".into()).spawn(writes)?);
        threads.push(thread::Builder::new().name("page-keeper".into()).spawn(keeps)?);
        drop(threads);
        Ok((store, queues))
    }
}

/// Cuts what was never promised, and completes the last segment: what comes after it begins another.
fn cut_torn<D: Disk>(disk: &D, found: &Found) -> io::Result<()> {
    for (file, length) in &found.torn {
        let torn = disk.open(&page::path(*file), Open::Existing)?;
        torn.set_length(*length)?;
        torn.sync()?;
    }
    if let Some(end) = found.unsealed {
        let last = disk.open(&segment::path(end.segment()), Open::Existing)?;
        let mut seal = Vec::new();
        record::append(&Record::Seal, record::salt(end.segment()), &mut seal);
        last.write_at(end.offset(), &seal)?;
        last.sync()?;
    }
    for unused in &found.unused {
        disk.remove(unused)?;
    }
    disk.sync_directory(segment::DIRECTORY)?;
    disk.sync_directory(page::DIRECTORY)
}

impl<M: StoredMessage> Store<M> {
    /// Appends a message; it is safe once the position is durable.
    pub fn enqueue(&self, entry: &Entry, content: &Content<'_>) -> Lsn {
        self.shared.enqueue(entry, content)
    }

    /// Appends the body of a message for several queues.
    pub fn share(&self, content: &Content<'_>) -> SharedBody {
        SharedBody(self.shared.body(content))
    }

    /// Appends a message whose body was appended before; `content` is written again if the log has gone on since.
    pub fn enqueue_shared(&self, entry: &Entry, body: SharedBody, content: &Content<'_>) -> Lsn {
        let shared = self.shared.enqueue_shared(entry, body.0);
        shared.unwrap_or_else(|| self.shared.enqueue(entry, content))
    }

    /// Messages are gone from their queue for good.
    pub fn remove(&self, queue: QueueId, runs: &[(Seq, Seq)]) {
        self.shared.remove(queue, runs);
    }

    /// Messages up to these positions, by level, have been handed out.
    pub fn delivered(&self, queue: QueueId, levels: &[(u8, Seq)]) {
        self.shared.delivered(queue, levels);
    }

    /// Takes messages out of memory; positions ascend. `bytes` is the memory they take, about.
    pub fn page_out(&self, queue: QueueId, epoch: Epoch, level: u8, messages: Vec<Paged<M>>, bytes: u64) -> PageId {
        let id = self.shared.next_page();
        self.shared.note(Note::PageOut(Box::new(PageOut {
            id,
            queue,
            epoch,
            level,
            messages,
            bytes,
        })));
        id
    }

    /// Reads a page back and hands its messages to `then`, on the keeper's thread: it must not wait.
    pub fn load(&self, id: PageId, then: Loaded<M>) {
        self.shared.note(Note::Load(Box::new(Load { id, then })));
    }

    /// Hands the messages of a page that are wanted to `then`, as [`load`](Self::load) does, for somebody else than the
    /// queue: the page stays as it is. Those that the queue took back by `load` and need not survive are not among them.
    pub fn read(&self, id: PageId, then: Loaded<M>) {
        self.shared.note(Note::Read(Box::new(Load { id, then })));
    }

    /// A page is not wanted any more.
    pub fn discard(&self, id: PageId) {
        self.shared.note(Note::Discard(id));
    }

    /// A queue is deleted: nothing of it is wanted.
    pub fn forget(&self, queue: QueueId) {
        self.shared.note(Note::Forget(queue));
    }

    /// Begins to hold the files, for a copy, until the answer is dropped; `then` is told which there are.
    pub fn hold(&self, then: Holding) -> Hold<M> {
        Hold::begin(self.shared.clone(), then)
    }

    /// All before this position is durable.
    pub fn synced(&self) -> Lsn {
        self.shared.synced()
    }

    /// Where the log ends now: what is durable up to here includes all that was appended before this call.
    pub fn end(&self) -> Lsn {
        self.shared.end()
    }

    /// Has `wake` called once everything up to `lsn` is durable; false if it is already.
    pub fn wake_when_synced(&self, lsn: Lsn, wake: &Wake) -> bool {
        self.shared.wake_when_synced(lsn, wake)
    }

    /// True while publishers need not wait for the disk.
    pub fn has_room(&self) -> bool {
        self.shared.has_room()
    }

    /// True while there is no room on the disk: publishers must be blocked.
    pub fn is_full(&self) -> bool {
        self.shared.is_full()
    }

    /// Writes everything down and ends the threads.
    pub fn stop(&self) {
        self.shared.stop();
        for thread in std::mem::take(&mut *self.threads.lock()) {
            if thread.join().is_err() {
                tracing::error!("a thread of the store ended in a panic");
            }
        }
    }
}
