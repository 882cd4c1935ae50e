//! The writer: puts what was appended into segments of the log and makes it durable, for all who wait at once.
//!
//! It takes all that came while the last sync ran, writes it in one go and syncs once: the busier, the more a sync is
//! worth. A sync that fails ends the node: what is on the disk is not known any more, and nothing may be promised.

use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use crate::{
    disk::{Disk, DiskFile, Open},
    front::{Batch, Note, Shared, Taken, Thread},
    lsn::Lsn,
    record::{self, Record},
    segment::{self, DIRECTORY},
};

/// Records that nobody waits for are written this long after they came, so that a killed process loses no more.
const WRITE_AFTER: Duration = Duration::from_millis(50);
/// And are durable this long after, so that a power cut loses no more.
const SYNC_AFTER: Duration = Duration::from_millis(500);
/// A disk without room is asked again this often.
const RETRY_AFTER: Duration = Duration::from_millis(500);
/// Retired segments that are kept to be used again.
pub(crate) const FREE_MAX: usize = 2;

/// Files of retired segments, ready to be used again: their blocks are on the disk already.
#[derive(Debug, Default)]
pub(crate) struct FreeFiles(Mutex<Vec<String>>);

impl FreeFiles {
    pub(crate) fn take(&self) -> Option<String> {
        self.0.lock().pop()
    }

    /// False if there are enough.
    pub(crate) fn give(&self, path: String) -> bool {
        let mut files = self.0.lock();
        let wanted = files.len() < FREE_MAX;
        if wanted {
            files.push(path);
        }
        wanted
    }
}

/// The segment that is written now.
struct Current<F> {
    segment: u64,
    file: F,
}

/// Writes the log. Owned by one thread, or stepped by a test.
pub(crate) struct Writer<D: Disk, M> {
    disk: D,
    shared: Arc<Shared<M>>,
    free: Arc<FreeFiles>,
    current: Current<D::File>,
    /// The file for the next segment has been made sure of.
    prepared: Option<String>,
    /// Batches that could not be written for want of room.
    held: Option<Taken>,
    /// What was written ends here.
    written: Lsn,
    unsynced_since: Option<Instant>,
    retry_at: Option<Instant>,
}

/// The prepared file's name.
const PREPARED: &str = "wal/prepared";

impl<D: Disk, M> Writer<D, M> {
    /// Begins a segment.
    pub(crate) fn begin(disk: D, shared: Arc<Shared<M>>, free: Arc<FreeFiles>, segment: u64) -> io::Result<Self> {
        disk.create_directory(DIRECTORY)?;
        let prepared = prepare(&disk, shared.sizes.segment_bytes)?;
        let file = begin_segment(&disk, &prepared, segment, shared.formats.written())?;
        Ok(Writer {
            disk,
            shared,
            free,
            current: Current { segment, file },
            prepared: None,
            held: None,
            written: Lsn::new(segment, segment::HEAD_BYTES),
            unsynced_since: None,
            retry_at: None,
        })
    }

    /// How long the thread may sleep unless somebody wants a sync; `None` = until something is appended.
    pub(crate) fn patience(&self) -> Option<Duration> {
        let until = |since: Instant| SYNC_AFTER.saturating_sub(since.elapsed()).min(WRITE_AFTER);
        // Room may come although nobody appends anything: publishers are blocked until it is found.
        match self.held.is_some() || self.retry_at.is_some() {
            true => Some(WRITE_AFTER),
            false => self.unsynced_since.map(until),
        }
    }

    /// Writes what there is, and syncs if somebody wants it or the time has come. True if it was the last time.
    ///
    /// # Errors
    /// The disk failed; nothing may be promised any more.
    pub(crate) fn step(&mut self) -> io::Result<bool> {
        let due = |since: Instant| since.elapsed() >= SYNC_AFTER;
        let taken = self.take();
        let stopping = taken.stopping;
        let wanted = taken.sync_wanted || stopping;
        if self.write(taken)? && (wanted || self.unsynced_since.is_some_and(due)) {
            self.sync()?;
            if !wanted {
                self.shared.rouse_keeper();
            }
        }
        let ends = stopping && self.held.is_none();
        if ends {
            self.finish()?;
        }
        Ok(ends)
    }

    /// What there is to write, with what could not be written before.
    fn take(&mut self) -> Taken {
        let mut taken = self.shared.take();
        if let Some(held) = self.held.take() {
            let newer = std::mem::replace(&mut taken.batches, held.batches);
            taken.batches.extend(newer);
            taken.sync_wanted |= held.sync_wanted;
        }
        taken
    }

    /// False if there was no room for all: what is left is kept.
    fn write(&mut self, mut taken: Taken) -> io::Result<bool> {
        while let Some(batch) = taken.batches.pop_front() {
            let segment = batch.start.segment();
            if segment != self.current.segment && !self.go_on_to(segment)? {
                return Ok(self.hold(batch, taken));
            }
            match self.current.file.write_at(batch.start.offset(), &batch.octets) {
                Err(error) if error.kind() == io::ErrorKind::StorageFull => {
                    self.tell_full();
                    return Ok(self.hold(batch, taken));
                }
                outcome => outcome?,
            }
            self.has_written(batch);
        }
        self.prepare_ahead()?;
        Ok(true)
    }

    /// Keeps what finds no room; it is tried again.
    fn hold(&mut self, batch: Batch, mut taken: Taken) -> bool {
        taken.batches.push_front(batch);
        self.held = Some(taken);
        false
    }

    fn has_written(&mut self, batch: Batch) {
        self.written = batch.start.plus(batch.octets.len() as u64);
        self.unsynced_since.get_or_insert_with(Instant::now);
        self.shared.written(batch.octets);
    }

    fn sync(&mut self) -> io::Result<()> {
        if self.shared.synced() < self.written {
            self.current.file.sync()?;
            self.shared.set_synced(self.written);
        }
        self.unsynced_since = None;
        Ok(())
    }

    /// The next segment begins once this one is durable; false if there is no room for it.
    fn go_on_to(&mut self, segment: u64) -> io::Result<bool> {
        self.sync()?;
        let Some(prepared) = self.prepared_or_try()? else {
            return Ok(false);
        };
        let file = begin_segment(&self.disk, &prepared, segment, self.shared.formats.written())?;
        let done = std::mem::replace(&mut self.current, Current { segment, file }).segment;
        self.shared.note(Note::Sealed(done));
        Ok(true)
    }

    /// Half-way through a segment the next one is made sure of, so that a full disk is known while there is room to
    /// write down what consumers acknowledge.
    fn prepare_ahead(&mut self) -> io::Result<()> {
        let half = self.written.offset() > self.shared.sizes.segment_bytes / 2;
        if half && self.prepared.is_none() {
            self.prepared = self.prepared_or_try()?;
        }
        if !half || self.prepared.is_some() {
            self.retry_at = None;
            self.shared.set_full(Thread::Writer, false);
        }
        Ok(())
    }

    fn prepared_or_try(&mut self) -> io::Result<Option<String>> {
        if let Some(path) = self.prepared.take().or_else(|| self.free.take()) {
            return Ok(Some(path));
        }
        if self.retry_at.is_some_and(|at| at > Instant::now()) {
            return Ok(None);
        }
        match prepare(&self.disk, self.shared.sizes.segment_bytes) {
            Ok(path) => Ok(Some(path)),
            Err(error) if error.kind() == io::ErrorKind::StorageFull => {
                self.tell_full();
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn tell_full(&mut self) {
        self.retry_at = Some(Instant::now() + RETRY_AFTER);
        self.shared.rouse_keeper();
        if self.shared.set_full(Thread::Writer, true) {
            tracing::error!(
                "no room on the disk for the next {} MiB of the message log: publishers wait until there is; free some \
                 space, or let consumers drain queues",
                self.shared.sizes.segment_bytes >> 20
            );
        }
    }

    /// The last octets of an orderly end: a mark says that all before it was durable, so that later damage is seen.
    fn finish(&mut self) -> io::Result<()> {
        let mut mark = Vec::new();
        let synced = self.written;
        record::append(&Record::Mark { synced }, record::salt(synced.segment()), &mut mark);
        self.current.file.write_at(synced.offset(), &mark)?;
        self.current.file.sync()
    }
}

/// A new file with room for a segment.
fn prepare<D: Disk>(disk: &D, octets: u64) -> io::Result<String> {
    let file = disk.open(PREPARED, Open::OrCreate)?;
    if let Err(error) = file.reserve(octets) {
        drop(file);
        // What was taken in vain is given back; that it is there still would harm nobody.
        let _ = disk.remove(PREPARED);
        return Err(error);
    }
    Ok(PREPARED.to_owned())
}

/// Gives the file its name and its head.
fn begin_segment<D: Disk>(disk: &D, prepared: &str, segment: u64, version: u8) -> io::Result<D::File> {
    let path = segment::path(segment);
    disk.rename(prepared, &path)?;
    let file = disk.open(&path, Open::Existing)?;
    file.write_at(0, &segment::head(segment, version))?;
    file.sync()?;
    disk.sync_directory(DIRECTORY)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Formats;
    use crate::{disk::MemDisk, sizes::Sizes};
    use model::{PageId, QueueId, Seq};

    const SIZES: Sizes = Sizes {
        segment_bytes: 4096,
        segments_max: 2,
        page_file_bytes: 4096,
    };

    struct Bench {
        disk: MemDisk,
        shared: Arc<Shared<()>>,
        writer: Writer<MemDisk, ()>,
    }

    fn bench() -> Bench {
        let (disk, shared) = (
            MemDisk::new(),
            Arc::new(Shared::new(1, PageId(1), SIZES, Formats::default())),
        );
        let writer = Writer::begin(disk.clone(), shared.clone(), Arc::default(), 1).unwrap();
        Bench { disk, shared, writer }
    }

    impl Bench {
        /// Appends until more than half of a segment is used, so that the next one is wanted.
        fn fill_half(&mut self) {
            while self.shared.end().offset() <= SIZES.segment_bytes / 2 {
                self.shared.remove(QueueId(1), &[(Seq(1), Seq(1))]);
            }
            self.writer.step().unwrap();
        }

        /// Steps as the thread would, with nothing appended, until the disk is not called full or patience ends.
        fn is_full_for_ever(&mut self) -> bool {
            let deadline = Instant::now() + Duration::from_secs(10);
            while self.shared.is_full() {
                let Some(patience) = self.writer.patience() else {
                    return true;
                };
                assert!(Instant::now() < deadline, "the disk is still called full");
                self.shared.writer_waits(Some(patience));
                self.writer.step().unwrap();
            }
            false
        }
    }

    #[test]
    fn a_full_disk_is_asked_again_although_nobody_appends_anything() {
        let mut bench = bench();
        bench.disk.set_capacity(Some(SIZES.segment_bytes as usize));
        bench.fill_half();
        assert!(bench.shared.is_full());
        bench
            .shared
            .wake_when_synced(bench.shared.end(), &(Arc::new(|| {}) as crate::Wake));
        bench.writer.step().unwrap();
        assert!(bench.shared.is_full(), "there is no room yet");
        bench.disk.set_capacity(None);
        assert!(!bench.is_full_for_ever());
    }

    #[test]
    fn what_found_no_room_is_written_and_the_disk_is_not_called_full_any_more() {
        let mut bench = bench();
        bench.disk.set_capacity(Some(SIZES.segment_bytes as usize));
        let long = vec![b'.'; 2 * SIZES.segment_bytes as usize];
        let content = crate::Content {
            exchange: b"",
            routing_key: b"",
            properties: b"",
            body: &long,
        };
        bench.shared.body(&content);
        let end = bench.shared.end();
        bench.writer.step().unwrap();
        assert!(bench.shared.is_full() && bench.shared.synced() < end);
        bench.disk.set_capacity(None);
        assert!(!bench.is_full_for_ever());
        bench.shared.wake_when_synced(end, &(Arc::new(|| {}) as crate::Wake));
        bench.writer.step().unwrap();
        assert_eq!(bench.shared.synced(), end);
    }
}
