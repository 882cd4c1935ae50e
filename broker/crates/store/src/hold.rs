//! A copy of a store that goes on: what the files were at one place of the log, and a hold that keeps them so.
//!
//! Files are only ever appended to, so a copy needs their lengths and that none goes away. While anybody holds, the
//! keeper retires no segment, rewrites no page and deletes no file; the log grows instead. What is copied is what a kill
//! would have left at that moment, so recovery understands it. Nothing is copied here.

use std::{io, sync::Arc};

use crate::{
    disk::{Disk, DiskFile, Open},
    front::{Note, Shared},
    lsn::Lsn,
    page,
    record::{self, Record},
    segment,
};

/// Tells what is held, on the keeper's thread: it must not wait.
pub type Holding = Box<dyn FnOnce(io::Result<Held>) + Send>;

/// The files stay as they are, or longer, while this lives.
pub struct Hold<M> {
    shared: Arc<Shared<M>>,
}

impl<M> Hold<M> {
    pub(crate) fn begin(shared: Arc<Shared<M>>, then: Holding) -> Self {
        shared.note(Note::Hold(then));
        Hold { shared }
    }
}

impl<M> Drop for Hold<M> {
    fn drop(&mut self) {
        self.shared.note(Note::Release);
    }
}

impl<M> std::fmt::Debug for Hold<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hold").finish_non_exhaustive()
    }
}

/// What the files were when the keeper began to hold them.
#[derive(Debug)]
pub struct Held {
    pages: Vec<HeldFile>,
    first_segment: Option<u64>,
}

/// A file, as far as it belongs to the copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldFile {
    /// Relative to the data directory.
    pub path: String,
    /// Octets to copy from its beginning.
    pub octets: u64,
    /// What follows them in the copy.
    pub tail: Vec<u8>,
}

impl Held {
    /// Lists the files; the keeper does so, since it alone changes them.
    pub(crate) fn list<D: Disk>(disk: &D) -> io::Result<Self> {
        let segments = disk.list(segment::DIRECTORY)?;
        let mut pages = Vec::new();
        for name in disk.list(page::DIRECTORY)? {
            let path = format!("{}/{name}", page::DIRECTORY);
            let length = disk.open(&path, Open::Read)?.length()?;
            let octets = match name.ends_with(".gone") {
                // A line that a crash has torn will be overwritten.
                true => length / page::GONE_BYTES as u64 * page::GONE_BYTES as u64,
                false => length,
            };
            pages.push(HeldFile {
                path,
                octets,
                tail: Vec::new(),
            });
        }
        Ok(Held {
            pages,
            first_segment: segments.iter().filter_map(|name| segment::number(name)).min(),
        })
    }

    /// The files of the copy, with the log up to `end`, which must be durable by now.
    ///
    /// # Errors
    /// A segment of the log cannot be looked at.
    pub fn files<D: Disk>(self, disk: &D, end: Lsn) -> io::Result<Vec<HeldFile>> {
        let mut files = self.pages;
        let first = self.first_segment.unwrap_or(end.segment());
        for number in first..end.segment() {
            let path = segment::path(number);
            let octets = disk.open(&path, Open::Read)?.length()?;
            files.push(HeldFile {
                path,
                octets,
                tail: Vec::new(),
            });
        }
        // As if the node had been stopped in order there, so that later damage is told from a torn end.
        let mut tail = Vec::new();
        record::append(&Record::Mark { synced: end }, record::salt(end.segment()), &mut tail);
        files.push(HeldFile {
            path: segment::path(end.segment()),
            octets: end.offset(),
            tail,
        });
        Ok(files)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Formats,
        check::{self, Report},
        disk::MemDisk,
        fixture::Kept,
    };
    use model::{QueueId, Seq};
    use parking_lot::Mutex;

    /// Begins to hold, with the files of the copy.
    fn hold(kept: &mut Kept) -> (Hold<crate::fixture::Text>, Vec<HeldFile>) {
        let told = Arc::new(Mutex::new(None));
        let tell = told.clone();
        let hold = kept.store.hold(Box::new(move |held| *tell.lock() = Some(held)));
        kept.opened.step_keeper().unwrap();
        let held = told.lock().take().unwrap().unwrap();
        let end = kept.store.end();
        sync(kept);
        (hold, held.files(&kept.disk, end).unwrap())
    }

    /// Makes durable what was appended.
    fn sync(kept: &mut Kept) {
        let wake: crate::Wake = Arc::new(|| {});
        kept.store.wake_when_synced(kept.store.end(), &wake);
        kept.opened.step_writer().unwrap();
    }

    fn copy(disk: &MemDisk, files: &[HeldFile]) -> MemDisk {
        let to = MemDisk::new();
        for file in files {
            let mut octets = vec![0; file.octets as usize];
            let read = disk.open(&file.path, Open::Read).unwrap().read_at(0, &mut octets);
            assert_eq!(read.unwrap() as u64, file.octets, "{}", file.path);
            octets.extend_from_slice(&file.tail);
            to.open(&file.path, Open::New).unwrap().write_at(0, &octets).unwrap();
        }
        to
    }

    fn messages(report: &Report, queue: u64) -> u64 {
        report.queues.get(&QueueId(queue)).map_or(0, |queue| queue.messages)
    }

    /// Much work of every kind: messages come, leave memory, are consumed, segments retire, files become sparse.
    fn work(kept: &mut Kept, round: u64) {
        let first = round * 20 + 1;
        for seq in first..first + 20 {
            kept.enqueue(1, seq..=seq);
            kept.opened.step_writer().unwrap();
        }
        kept.page_out(1, first..=first + 4);
        kept.step();
        kept.store.remove(QueueId(1), &[(Seq(first), Seq(first + 17))]);
        kept.step();
    }

    #[test]
    fn a_copy_is_the_store_at_one_moment_whatever_goes_on_meanwhile() {
        let mut kept = Kept::new();
        (0..10).for_each(|round| work(&mut kept, round));
        let (_hold, files) = hold(&mut kept);
        let then = messages(&check::check(&kept.disk.after_kill(), &Formats::default()).unwrap(), 1);
        (10..30).for_each(|round| work(&mut kept, round));
        kept.store.remove(QueueId(1), &[(Seq(1), Seq(600))]);
        kept.step();
        let copied = copy(&kept.disk, &files);
        let report = check::check(&copied, &Formats::default()).unwrap();
        assert!(!report.is_damaged() && !report.is_refused(), "{report:?}");
        assert_eq!((messages(&report, 1), then), (20, 20));
        let again = Kept::open(copied);
        assert_eq!(
            messages(&check::check(&again.stop(), &Formats::default()).unwrap(), 1),
            20
        );
    }

    #[test]
    fn what_was_held_back_is_done_once_nobody_holds() {
        let mut kept = Kept::new();
        (0..10).for_each(|round| work(&mut kept, round));
        let (held, _) = hold(&mut kept);
        (10..30).for_each(|round| work(&mut kept, round));
        let grown = kept.disk.list(segment::DIRECTORY).unwrap().len();
        drop(held);
        for _ in 0..2 * grown {
            sync(&mut kept);
            kept.opened.step_keeper().unwrap();
        }
        let left = kept.disk.list(segment::DIRECTORY).unwrap().len();
        assert!(grown > 20 && left < 10, "{left} segments of {grown}");
    }
}
