//! Recovery: from whatever octets lie in the directory to every message that was confirmed and not removed.
//!
//! A total function of the files: it never panics on octets. What breaks off where nothing had been promised is cut;
//! what is damaged where something had been is refused by name, and then nothing on the disk has been changed.

use std::{collections::BTreeMap, io};

use model::{PageId, QueueId, Runs, Seq};

use crate::{
    Damage, StoreError,
    disk::{Disk, DiskFile, Open},
    index::{Index, NewPage},
    lsn::Lsn,
    page::{self, Gone, PageEntry, PageHead, ReadHead},
    record::Record,
    segment::{self, Head},
};

/// What the files say.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) index: Index,
    pub(crate) queues: BTreeMap<QueueId, RecoveredQueue>,
    /// Segments that were left, in order.
    pub(crate) segments: Vec<u64>,
    /// Where the last of them breaks off, if it is not complete.
    pub(crate) unsealed: Option<Lsn>,
    /// Segment files that were made ready and never begun.
    pub(crate) unused: Vec<String>,
    /// Page files with octets that were never promised, and where those begin.
    pub(crate) torn: Vec<(u64, u64)>,
    pub(crate) next_segment: u64,
    pub(crate) next_file: u64,
    pub(crate) next_page: PageId,
}

/// A queue as it was left.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecoveredQueue {
    /// The highest position that was ever used and is still known.
    pub last_seq: Seq,
    /// By level, how far messages have been handed out.
    pub delivered: Vec<(u8, Seq)>,
    /// Where its messages are.
    pub pages: Vec<RecoveredPage>,
}

/// A page as it was left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecoveredPage {
    /// The page.
    pub id: PageId,
    /// Priority level of its messages.
    pub level: u8,
    /// Positions of its messages, in runs.
    pub seqs: Vec<(Seq, Seq)>,
    /// Octets of their bodies.
    pub body_bytes: u64,
    /// Messages that expire.
    pub expiring: u64,
}

impl RecoveredPage {
    pub(crate) fn of<'a>(id: PageId, level: u8, entries: impl Iterator<Item = &'a PageEntry>) -> Self {
        let (mut seqs, mut body_bytes, mut expiring) = (Runs::default(), 0, 0);
        for entry in entries {
            seqs.insert(entry.seq, entry.seq);
            body_bytes += u64::from(entry.body_bytes);
            expiring += u64::from(entry.expires.0 != u64::MAX);
        }
        RecoveredPage {
            id,
            level,
            seqs: seqs.iter().collect(),
            body_bytes,
            expiring,
        }
    }

    /// Number of its messages.
    pub fn messages(&self) -> u64 {
        self.seqs.iter().map(|(first, last)| last.0 - first.0 + 1).sum()
    }
}

/// What is read of the log before the pages are.
#[derive(Default)]
pub(crate) struct Log {
    /// Messages that were enqueued and not removed, by segment.
    live: BTreeMap<u64, BTreeMap<QueueId, Runs>>,
    removed: BTreeMap<QueueId, Runs>,
    delivered: BTreeMap<QueueId, (u64, BTreeMap<u8, Seq>)>,
    last: BTreeMap<QueueId, Seq>,
    /// Page files were durable up to here.
    pub(crate) pages_synced: (u64, u64),
    /// Formats are read up to this version.
    pub(crate) known: u8,
    /// Where the last segment breaks off.
    unsealed: Option<Lsn>,
}

/// Reads everything. `wanted` says which queues exist; messages of others are forgotten.
pub(crate) fn find<D: Disk>(disk: &D, known: u8, wanted: &dyn Fn(QueueId) -> bool) -> Result<Found, StoreError> {
    let mut found = Found::default();
    let log = read_log(disk, known, &mut found)?;
    found.unsealed = log.unsealed;
    let pages = read_pages(disk, &log, wanted, &mut found)?;
    settle(disk, log, pages, wanted, &mut found)?;
    Ok(found)
}

/// What log and pages say together.
pub(crate) fn settle<D: Disk>(
    disk: &D,
    log: Log,
    pages: BTreeMap<PageId, RecoveredPage>,
    wanted: &dyn Fn(QueueId) -> bool,
    found: &mut Found,
) -> Result<(), StoreError> {
    for (segment, queues) in &log.live {
        for (queue, runs) in queues.iter().filter(|(queue, _)| wanted(**queue)) {
            for (first, last) in runs.iter() {
                found.index.enqueued_unless_paged(*segment, *queue, first, last);
            }
        }
    }
    for (queue, (segment, levels)) in log.delivered.into_iter().filter(|(queue, _)| wanted(*queue)) {
        for (level, upto) in &levels {
            found.index.delivered(segment, queue, *level, *upto);
        }
        found.queues.entry(queue).or_default().delivered = levels.into_iter().collect();
    }
    for (queue, last) in log.last.into_iter().filter(|(queue, _)| wanted(*queue)) {
        let known = found.queues.entry(queue).or_default();
        known.last_seq = known.last_seq.max(last);
    }
    tell_pages(disk, log.known, pages, found)
}

/// What the queues are told of their pages. Where a later page holds some of the same messages, the directory is read
/// once more for the rest.
fn tell_pages<D: Disk>(
    disk: &D,
    known: u8,
    pages: BTreeMap<PageId, RecoveredPage>,
    found: &mut Found,
) -> Result<(), StoreError> {
    for (id, mut told) in pages {
        let Some(page) = found.index.page(id) else { continue };
        if told.messages() != page.live.count() {
            let file = disk.open(&page::path(page.file), Open::Read)?;
            let Directory::Page(_, entries) = read_directory(&file, page.offset, file.length()?, known)? else {
                continue;
            };
            let live = entries.iter().filter(|entry| page.live.contains(entry.seq));
            told = RecoveredPage::of(id, told.level, live);
        }
        found.queues.entry(page.queue).or_default().pages.push(told);
    }
    Ok(())
}

fn read_log<D: Disk>(disk: &D, known: u8, found: &mut Found) -> Result<Log, StoreError> {
    let mut log = Log::reading(known);
    let names = disk.list(segment::DIRECTORY)?;
    let mut numbers: Vec<u64> = names.iter().filter_map(|name| segment::number(name)).collect();
    numbers.sort_unstable();
    let other = |name: &&String| segment::number(name).is_none();
    found.unused = names
        .iter()
        .filter(other)
        .map(|name| format!("{}/{name}", segment::DIRECTORY))
        .collect();
    for (at, number) in numbers.iter().enumerate() {
        let is_last = at + 1 == numbers.len();
        if let Some(before) = at.checked_sub(1).and_then(|before| numbers.get(before))
            && before + 1 != *number
        {
            return Err(missing_segment(*before + 1));
        }
        match read_segment(disk, *number, is_last, &mut log)? {
            true => found.segments.push(*number),
            false => found.unused.push(segment::path(*number)),
        }
    }
    found.next_segment = found.segments.last().map_or(1, |last| last + 1);
    Ok(log)
}

fn missing_segment(number: u64) -> StoreError {
    StoreError::Damaged(Damage {
        file: segment::path(number),
        offset: 0,
        what: "the file is missing: those before and after it are there".to_owned(),
    })
}

/// False if the segment was never begun.
fn read_segment<D: Disk>(disk: &D, number: u64, is_last: bool, log: &mut Log) -> Result<bool, StoreError> {
    let file = disk.open(&segment::path(number), Open::Read)?;
    let mut head = [0; segment::HEAD_BYTES as usize];
    let read = file.read_at(0, &mut head)?;
    let damage = |offset, what: &str| {
        StoreError::Damaged(Damage {
            file: segment::path(number),
            offset,
            what: what.to_owned(),
        })
    };
    match segment::judge_head(&head[..read], number, log.known) {
        Head::Newer(version) => {
            let file = segment::path(number);
            return Err(StoreError::Newer {
                file,
                version,
                known: log.known.into(),
            });
        }
        Head::NotBegun if is_last => return Ok(false),
        Head::NotBegun => return Err(damage(0, "the head is not that of a segment of the log")),
        Head::Begun(_) => {}
    }
    let end = segment::scan(&file, number, |_, record| {
        log.follow(number, &record);
        Ok(())
    })?;
    if !end.sealed && !is_last {
        return Err(damage(end.at, "no record, and the segment is not complete"));
    }
    if !end.sealed {
        segment::judge_tail(&file, number, end.at)?.map_err(StoreError::Damaged)?;
        log.unsealed = Some(Lsn::new(number, end.at));
    }
    Ok(true)
}

impl Log {
    /// Nothing yet, to be read of files of versions up to this one.
    pub(crate) fn reading(known: u8) -> Self {
        Log {
            known,
            ..Log::default()
        }
    }

    pub(crate) fn follow(&mut self, segment: u64, record: &Record<'_>) {
        match record {
            Record::Enqueue(entry, _) | Record::EnqueueShared(entry, _) => {
                let live = self.live.entry(segment).or_default();
                live.entry(entry.queue).or_default().insert(entry.seq, entry.seq);
                self.saw(entry.queue, entry.seq);
            }
            Record::Remove(queue, runs) => {
                for (first, last) in runs.iter().filter(|(first, last)| first <= last) {
                    for live in self.live.values_mut().filter_map(|queues| queues.get_mut(queue)) {
                        live.remove(*first, *last, |_, _| {});
                    }
                    self.removed.entry(*queue).or_default().insert(*first, *last);
                    self.saw(*queue, *last);
                }
            }
            Record::Delivered(queue, levels) => {
                let (said_in, known) = self.delivered.entry(*queue).or_default();
                *said_in = segment;
                for (level, upto) in levels {
                    self.last
                        .entry(*queue)
                        .and_modify(|last| *last = (*last).max(*upto))
                        .or_insert(*upto);
                    let before = known.entry(*level).or_default();
                    *before = (*before).max(*upto);
                }
            }
            Record::PagesSynced { file, length } => self.pages_synced = self.pages_synced.max((*file, *length)),
            Record::Mark { .. } | Record::Body(_) | Record::Seal => {}
        }
    }

    fn saw(&mut self, queue: QueueId, seq: Seq) {
        let last = self.last.entry(queue).or_default();
        *last = (*last).max(seq);
    }
}

/// Reads heads and directories of all pages, the oldest file first: of two pages with the same messages the later one
/// counts, and of two copies of a page the later file's.
fn read_pages<D: Disk>(
    disk: &D,
    log: &Log,
    wanted: &dyn Fn(QueueId) -> bool,
    found: &mut Found,
) -> Result<BTreeMap<PageId, RecoveredPage>, StoreError> {
    let names = disk.list(page::DIRECTORY)?;
    let mut files: Vec<u64> = names.iter().filter_map(|name| page::number(name)).collect();
    files.sort_unstable();
    found.next_file = files
        .last()
        .map_or(1, |last| last + 1)
        .max(first_unpromised(log.pages_synced));
    found.next_page = PageId(1);
    let mut reader = PageReader {
        log,
        wanted,
        pages: BTreeMap::new(),
    };
    for file in files {
        reader.read_file(disk, file, found)?;
        found.index.close_file(file);
    }
    Ok(reader.pages)
}

/// The first number that no promise of the log speaks of: a file of a promised number that is gone must not come again, or
/// what is not durable in it would be taken for promised.
fn first_unpromised((file, length): (u64, u64)) -> u64 {
    file + u64::from(length > 0)
}

/// Puts pages in their place.
pub(crate) struct PageReader<'a> {
    pub(crate) log: &'a Log,
    pub(crate) wanted: &'a dyn Fn(QueueId) -> bool,
    pub(crate) pages: BTreeMap<PageId, RecoveredPage>,
}

impl PageReader<'_> {
    fn read_file<D: Disk>(&mut self, disk: &D, number: u64, found: &mut Found) -> Result<(), StoreError> {
        let gone = read_gone(disk, number)?;
        let file = disk.open(&page::path(number), Open::Read)?;
        let length = file.length()?;
        let mut offset = 0;
        while offset < length {
            let promised = (number, offset) < self.log.pages_synced;
            match read_directory(&file, offset, length, self.log.known)? {
                Directory::Page(head, entries) if promised || is_whole(&file, offset, &head, &entries)? => {
                    self.place(number, offset, &head, &entries, &gone, found);
                    offset += head.bytes();
                }
                Directory::Newer(version) => {
                    return Err(StoreError::Newer {
                        file: page::path(number),
                        version: version.into(),
                        known: self.log.known.into(),
                    });
                }
                Directory::Broken if promised => {
                    return Err(StoreError::Damaged(Damage {
                        file: page::path(number),
                        offset,
                        what: "no page where the file had been durable".to_owned(),
                    }));
                }
                Directory::Broken | Directory::Page(..) => {
                    found.torn.push((number, offset));
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    pub(crate) fn place(
        &mut self,
        file: u64,
        offset: u64,
        head: &PageHead,
        entries: &[PageEntry],
        gone: &BTreeMap<PageId, Runs>,
        found: &mut Found,
    ) {
        found.next_page = found.next_page.max(head.id.next());
        if !(self.wanted)(head.queue) {
            return;
        }
        let (mut there, mut removed) = (Runs::default(), Vec::new());
        let gone = gone.get(&head.id);
        let is_there = |entry: &&PageEntry| entry.persistent && gone.is_none_or(|gone| !gone.contains(entry.seq));
        for entry in entries.iter().filter(is_there) {
            there.insert(entry.seq, entry.seq);
        }
        // In no order: a mirror fetches older messages after newer ones.
        let seqs = entries.iter().map(|entry| entry.seq);
        if let (Some(first), Some(last)) = (seqs.clone().min(), seqs.max()) {
            let queue = found.queues.entry(head.queue).or_default();
            queue.last_seq = queue.last_seq.max(last);
            let all = self.log.removed.get(&head.queue);
            removed.extend(all.into_iter().flat_map(|runs| runs.within(first, last)));
        }
        let page = NewPage {
            queue: head.queue,
            file,
            offset,
            bytes: head.bytes(),
            live: there,
        };
        match found.index.page(head.id).is_some() {
            true => found.index.moved(head.id, page),
            false => found.index.paged(head.id, page),
        }
        // Through the index, so that it is written down beside the file before the log forgets it.
        for (first, last) in removed {
            found.index.removed(head.queue, first, last);
        }
        if let Some(page) = found.index.page(head.id) {
            let live = entries.iter().filter(|entry| page.live.contains(entry.seq));
            self.pages.insert(head.id, RecoveredPage::of(head.id, head.level, live));
        }
    }
}

/// What stands where a page's directory should.
pub(crate) enum Directory {
    Page(PageHead, Vec<PageEntry>),
    Newer(u8),
    Broken,
}

pub(crate) fn read_directory<F: DiskFile>(file: &F, offset: u64, length: u64, known: u8) -> io::Result<Directory> {
    let mut octets = vec![0; page::HEAD_BYTES];
    let read = file.read_at(offset, &mut octets)?;
    let head = match PageHead::read(&octets[..read], known) {
        ReadHead::Page(head) => head,
        ReadHead::Newer(version) => return Ok(Directory::Newer(version)),
        ReadHead::Broken => return Ok(Directory::Broken),
    };
    if offset.saturating_add(head.bytes()) > length {
        return Ok(Directory::Broken);
    }
    octets.resize(head.directory_end(), 0);
    let read = file.read_at(offset, &mut octets)?;
    octets.truncate(read);
    Ok(match head.directory(&octets) {
        Some(entries) => Directory::Page(head, entries),
        None => Directory::Broken,
    })
}

/// Judges the messages of a page that was never promised to be durable: a power cut may have kept its directory alone.
/// What is not persistent is not wanted, so nobody cares.
fn is_whole<F: DiskFile>(file: &F, offset: u64, head: &PageHead, entries: &[PageEntry]) -> io::Result<bool> {
    if !entries.iter().any(|entry| entry.persistent) {
        return Ok(true);
    }
    let mut page = vec![0; usize::try_from(head.bytes()).map_err(io::Error::other)?];
    let read = file.read_at(offset, &mut page)?;
    Ok(head.messages(&page[..read]).is_some())
}

pub(crate) fn read_gone<D: Disk>(disk: &D, file: u64) -> io::Result<BTreeMap<PageId, Runs>> {
    let octets = match crate::disk::read_all(disk, &page::gone_path(file)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        octets => octets?,
    };
    let mut gone: BTreeMap<PageId, Runs> = BTreeMap::new();
    for Gone { page, first, last } in Gone::decode_all(&octets).filter(|gone| gone.first <= gone.last) {
        gone.entry(page).or_default().insert(first, last);
    }
    Ok(gone)
}
