//! The keeper: moves what outlives the log into pages, brings pages back, and deletes what nobody wants any more.
//!
//! It follows the notes of all queues in their order. Nothing is deleted before what made it unwanted is durable, and no
//! segment is used again before all it says stands elsewhere, durably. It never touches a queue.

use std::{
    collections::{BTreeMap, VecDeque},
    io,
    sync::Arc,
    time::Duration,
};

use model::{PageId, QueueId, Runs, Seq};

use crate::{
    disk::{Disk, Open},
    front::{Note, Shared, TakenNotes, Thread},
    hold::Held,
    index::{Index, NewPage},
    lsn::Lsn,
    message::{PageOut, StoredMessage},
    page::{Draft, PageHead, ReadHead},
    pages::Pages,
    record::Record,
    recover::RecoveredPage,
    retire,
    segment::{self, DIRECTORY},
    writer::FreeFiles,
};

/// What waits for the log to become durable, or for room, is looked at this often.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(20);

/// What may be done once the log is durable up to a position.
#[derive(Debug)]
enum Deed {
    /// Nothing in the page file is wanted.
    RemovePages(u64),
    /// All that the segment says stands elsewhere.
    FreeSegment(u64),
}

/// Keeps pages and segments. Owned by one thread, or stepped by a test.
pub(crate) struct Keeper<D: Disk, M> {
    pub(crate) disk: D,
    pub(crate) shared: Arc<Shared<M>>,
    pub(crate) free: Arc<FreeFiles>,
    pub(crate) index: Index,
    pub(crate) pages: Pages<D>,
    deeds: Vec<(Lsn, Deed)>,
    /// Pages for which there was no room; they are in memory and can be loaded from here.
    pub(crate) unwritten: BTreeMap<PageId, PageOut<M>>,
    /// Complete segments, oldest first.
    sealed: VecDeque<u64>,
    retiring: Option<Retiring>,
    /// So many copies are being made: files may grow, and none may go.
    holds: u32,
}

/// A segment on its way out.
pub(crate) struct Retiring {
    pub(crate) segment: u64,
    /// What had been noted when it was chosen.
    pub(crate) noted: Lsn,
    /// Messages of pages that were gone by then, by file.
    pub(crate) gone: Vec<(u64, Vec<(PageId, Runs)>)>,
}

impl<D: Disk, M: StoredMessage> Keeper<D, M> {
    pub(crate) fn new(disk: D, shared: Arc<Shared<M>>, free: Arc<FreeFiles>, index: Index, pages: Pages<D>) -> Self {
        Keeper {
            disk,
            shared,
            free,
            index,
            pages,
            deeds: Vec::new(),
            unwritten: BTreeMap::new(),
            sealed: VecDeque::new(),
            retiring: None,
            holds: 0,
        }
    }

    /// How long the thread may sleep; `None` = until there is something to do.
    pub(crate) fn patience(&self) -> Option<Duration> {
        let frees = self.shared.is_full() && !self.sealed.is_empty();
        let waits = frees || !self.deeds.is_empty() || !self.unwritten.is_empty() || self.retiring.is_some();
        waits.then_some(LOOK_AGAIN_AFTER)
    }

    /// Follows all notes there are, then tidies up. True if it was the last time.
    ///
    /// # Errors
    /// The disk failed; nothing may be promised any more.
    pub(crate) fn step(&mut self) -> io::Result<bool> {
        let TakenNotes { notes, upto, stopping } = self.shared.take_notes();
        self.write_held()?;
        for note in notes {
            self.follow(note)?;
        }
        if self.holds == 0 {
            self.tidy_up(upto)?;
        }
        if self.unwritten.is_empty() && self.retiring.is_none() {
            // Who found no room wants none any more: what was to leave memory has been consumed.
            self.shared.set_full(Thread::Keeper, false);
        }
        Ok(stopping)
    }

    fn tidy_up(&mut self, upto: Lsn) -> io::Result<()> {
        self.retire_oldest(upto)?;
        self.compact(upto)?;
        self.close_unwanted();
        self.plan_removals(upto);
        self.do_deeds()
    }

    /// On a full disk the file that is appended to need not become long before it goes.
    fn close_unwanted(&mut self) {
        let goes = |file: &u64| self.shared.is_full() && self.index.has_file_in_vain(*file);
        if let Some(file) = self.pages.current().filter(goes) {
            self.pages.close();
            self.index.close_file(file);
        }
    }

    fn follow(&mut self, note: Note<M>) -> io::Result<()> {
        match note {
            Note::Enqueued {
                segment,
                queue,
                first,
                last,
            } => self.index.enqueued(segment, queue, first, last),
            Note::Removed { queue, first, last } => self.removed(queue, first, last),
            Note::Delivered {
                segment,
                queue,
                level,
                upto,
            } => self.index.delivered(segment, queue, level, upto),
            Note::PageOut(out) => self.page_out(*out)?,
            Note::Load(load) => self.load(*load),
            Note::Read(load) => self.read(*load),
            Note::Discard(page) => self.discard(page),
            Note::Forget(queue) => self.forget(queue),
            Note::Hold(then) => {
                self.holds += 1;
                then(Held::list(&self.disk));
            }
            Note::Release => self.holds = self.holds.saturating_sub(1),
            Note::Sealed(segment) => {
                self.index.begun(segment);
                self.sealed.push_back(segment);
            }
        }
        Ok(())
    }

    fn page_out(&mut self, out: PageOut<M>) -> io::Result<()> {
        if self.unwritten.is_empty() && self.try_page_out(&out)? {
            self.shared.paged_out(out.bytes);
        } else {
            self.unwritten.insert(out.id, out);
        }
        Ok(())
    }

    /// False if there is no room.
    fn try_page_out(&mut self, out: &PageOut<M>) -> io::Result<bool> {
        let mut draft = Draft::default();
        for paged in &out.messages {
            let (content, persistent) = (paged.message.content(), paged.message.is_persistent());
            draft.push(paged.seq, out.epoch, paged.expires, persistent, &content);
        }
        let room = self.write_page(out.id, out.queue, out.level, &draft);
        self.judge_room(room)
    }

    /// No room is an answer, not an error: the node goes on with what it has in memory.
    fn judge_room(&self, outcome: io::Result<()>) -> io::Result<bool> {
        match outcome {
            Ok(()) => {
                self.shared.set_full(Thread::Keeper, false);
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::StorageFull => {
                if self.shared.set_full(Thread::Keeper, true) {
                    tracing::error!(
                        "no room on the disk for messages that leave memory: publishers wait until there is; free some \
                         space, or let consumers drain queues"
                    );
                }
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Writes a page; its messages lie there from now on.
    pub(crate) fn write_page(&mut self, id: PageId, queue: QueueId, level: u8, draft: &Draft) -> io::Result<()> {
        let page = self.append_page(id, queue, level, draft)?;
        self.index.paged(id, page);
        Ok(())
    }

    /// Appends a page to the files; the index is told by the caller, who knows where its messages lay before.
    fn append_page(&mut self, id: PageId, queue: QueueId, level: u8, draft: &Draft) -> io::Result<NewPage> {
        let octets = draft.finish(self.shared.formats.written(), id, queue, level);
        let placed = self.pages.append(&octets)?;
        if let Some(closed) = placed.closed {
            self.index.close_file(closed);
        }
        let mut live = Runs::default();
        draft
            .entries()
            .iter()
            .for_each(|entry| live.insert(entry.seq, entry.seq));
        Ok(NewPage {
            queue,
            file: placed.file,
            offset: placed.offset,
            bytes: octets.len() as u64,
            live,
        })
    }

    /// Tries again what found no room.
    fn write_held(&mut self) -> io::Result<()> {
        while let Some((_, out)) = self.unwritten.pop_first() {
            if !self.try_page_out(&out)? {
                self.unwritten.insert(out.id, out);
                return Ok(());
            }
            self.shared.paged_out(out.bytes);
        }
        Ok(())
    }

    /// Messages are gone, also of pages that wait for room.
    fn removed(&mut self, queue: QueueId, first: Seq, last: Seq) {
        let of_queue = self.unwritten.values_mut().filter(|out| out.queue == queue);
        of_queue.for_each(|out| out.messages.retain(|paged| !(first..=last).contains(&paged.seq)));
        for (_, out) in self.unwritten.extract_if(.., |_, out| out.messages.is_empty()) {
            self.shared.paged_out(out.bytes);
        }
        self.index.removed(queue, first, last);
    }

    fn discard(&mut self, page: PageId) {
        if let Some(out) = self.unwritten.remove(&page) {
            self.shared.paged_out(out.bytes);
        }
        self.index.discard(page);
    }

    fn forget(&mut self, queue: QueueId) {
        let of_queue = |out: &PageOut<M>| out.queue == queue;
        for (_, out) in self.unwritten.extract_if(.., |_, out| of_queue(out)) {
            self.shared.paged_out(out.bytes);
        }
        self.index.forget(queue);
    }

    /// Too many complete segments, or no room for the next: the oldest is retired once all is durable that has been
    /// noted so far.
    fn retire_oldest(&mut self, upto: Lsn) -> io::Result<()> {
        let kept_max = match self.shared.is_full() {
            true => 0,
            false => self.shared.sizes.segments_max,
        };
        if self.retiring.is_none()
            && let Some(oldest) = self.sealed.front().filter(|_| self.sealed.len() > kept_max)
        {
            self.retiring = Some(Retiring {
                segment: *oldest,
                noted: upto,
                gone: self.index.take_gone(),
            });
        }
        let due = |retiring: &mut Retiring| retiring.noted <= self.shared.synced();
        let Some(retiring) = self.retiring.take_if(due) else {
            return Ok(());
        };
        let done = self.retire(&retiring, upto);
        if self.judge_room(done.map(drop))? {
            self.sealed.pop_front();
        } else {
            self.retiring = Some(retiring);
        }
        Ok(())
    }

    /// Moves what lives in a segment alone into pages, and sees to it that the segment can be used again. Pages are
    /// durable before it is written down that messages are gone: some are gone only because they lie in a newer page.
    pub(crate) fn retire(&mut self, retiring: &Retiring, upto: Lsn) -> io::Result<Vec<(QueueId, RecoveredPage)>> {
        let made = retire::copy_live(self, retiring.segment)?;
        let (file, length) = self.pages.sync()?;
        for (file, gone) in &retiring.gone {
            if self.index.has_file(*file) {
                self.pages.write_gone(*file, gone)?;
            }
        }
        self.pages.sync()?;
        self.shared.append_own(&Record::PagesSynced { file, length });
        for (queue, levels) in self.index.delivered_until(retiring.segment) {
            self.shared.delivered(queue, &levels);
        }
        let last = self.shared.end();
        self.index.forget_idle();
        self.index.retire(retiring.segment);
        self.deeds.push((last.max(upto), Deed::FreeSegment(retiring.segment)));
        Ok(made)
    }

    /// A file of which little is wanted is written again without the rest.
    fn compact(&mut self, upto: Lsn) -> io::Result<()> {
        let Some(pages) = self.index.sparse_file() else {
            return Ok(());
        };
        if self.shared.is_full() {
            return Ok(());
        }
        // What a copy leaves out because it lies in a newer page must be durable there first.
        self.pages.sync()?;
        for id in pages {
            match self.move_page(id) {
                // It saves room and needs none: nobody waits for it, so it is no reason to block publishers.
                Err(error) if error.kind() == io::ErrorKind::StorageFull => return Ok(()),
                moved => moved?,
            }
        }
        self.plan_removals(upto);
        Ok(())
    }

    fn move_page(&mut self, id: PageId) -> io::Result<()> {
        let Some(page) = self.index.page(id).cloned() else {
            return Ok(());
        };
        let octets = self.pages.read(page.file, page.offset, page.bytes as usize)?;
        let head = match PageHead::read(&octets, self.shared.formats.known()) {
            ReadHead::Page(head) => Some(head),
            ReadHead::Newer(_) | ReadHead::Broken => None,
        };
        let Some((head, all)) = head.and_then(|head| Some((head, head.messages(&octets)?))) else {
            self.give_up(id, &page);
            return Ok(());
        };
        let mut draft = Draft::default();
        for (entry, content) in all.iter().filter(|(entry, _)| page.live.contains(entry.seq)) {
            draft.push(entry.seq, entry.epoch, entry.expires, entry.persistent, content);
        }
        let moved = self.append_page(id, page.queue, head.level, &draft)?;
        self.index.moved(id, moved);
        Ok(())
    }

    fn give_up(&mut self, id: PageId, page: &crate::index::Page) {
        tracing::error!(
            "messages are lost: page {} in {} at offset {} is damaged; restore them from a backup",
            id.0,
            crate::page::path(page.file),
            page.offset
        );
        self.index.discard(id);
    }

    /// Files of which nothing is wanted go once what made them unwanted is durable.
    fn plan_removals(&mut self, upto: Lsn) {
        let dead = self.index.take_dead_files();
        self.deeds
            .extend(dead.into_iter().map(|file| (upto, Deed::RemovePages(file))));
    }

    pub(crate) fn do_deeds(&mut self) -> io::Result<()> {
        let synced = self.shared.synced();
        let due: Vec<Deed> = self
            .deeds
            .extract_if(.., |(at, _)| *at <= synced)
            .map(|(_, deed)| deed)
            .collect();
        if due.is_empty() {
            return Ok(());
        }
        // Some of what dead files held may lie in newer pages now.
        self.pages.sync()?;
        let (mut segments, mut removed) = (Vec::new(), false);
        for deed in due {
            match deed {
                Deed::RemovePages(file) => {
                    self.pages.remove(file)?;
                    removed = true;
                }
                Deed::FreeSegment(segment) => segments.push(segment),
            }
        }
        if removed {
            // A file that came back without what the log says of it would bring its messages back.
            self.pages.sync()?;
        }
        segments.into_iter().try_for_each(|segment| self.free_segment(segment))
    }

    fn free_segment(&mut self, segment: u64) -> io::Result<()> {
        let path = segment::path(segment);
        let free = format!("{DIRECTORY}/free-{segment:016x}");
        self.disk.rename(&path, &free)?;
        if !self.free.give(free.clone()) {
            self.disk.remove(&free)?;
        }
        self.disk.sync_directory(DIRECTORY)
    }

    /// Opens a segment for reading.
    pub(crate) fn open_segment(&self, segment: u64) -> io::Result<D::File> {
        self.disk.open(&segment::path(segment), Open::Existing)
    }
}
