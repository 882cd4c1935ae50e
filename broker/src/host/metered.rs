//! A disk that counts what is read, written and synced on it, and for how long.
//!
//! Passes every call on as it is. Only the store's own threads call, once for many messages, so that counting costs the
//! data path nothing.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use store::disk::{Disk, DiskFile, Open};

use super::counters::Counter;

/// One kind of call.
#[derive(Debug, Default)]
pub struct Calls {
    /// How many.
    pub count: Counter,
    /// Octets of all together.
    pub octets: Counter,
    nanoseconds: Counter,
    last_ns: AtomicU64,
}

impl Calls {
    /// Time that all took together.
    pub fn time(&self) -> Duration {
        Duration::from_nanos(self.nanoseconds.get())
    }

    /// What the last one took.
    pub fn last(&self) -> Duration {
        Duration::from_nanos(self.last_ns.load(Ordering::Relaxed))
    }

    fn of<R>(&self, octets: usize, call: impl FnOnce() -> R) -> R {
        let began = Instant::now();
        let result = call();
        self.count.add(1);
        self.octets.add(octets as u64);
        let took = began.elapsed().as_nanos() as u64;
        self.nanoseconds.add(took);
        self.last_ns.store(took, Ordering::Relaxed);
        result
    }
}

/// What happened on a disk.
#[derive(Debug, Default)]
pub struct Meter {
    /// Reads.
    pub reads: Calls,
    /// Writes.
    pub writes: Calls,
    /// Syncs of files.
    pub syncs: Calls,
}

/// A disk with a meter.
#[derive(Clone, Debug)]
pub struct Metered<D> {
    disk: D,
    meter: Arc<Meter>,
}

/// A file of it.
#[derive(Debug)]
pub struct MeteredFile<F> {
    file: F,
    meter: Arc<Meter>,
}

impl<D> Metered<D> {
    /// Counts on `meter` what happens on `disk`.
    pub fn new(disk: D, meter: Arc<Meter>) -> Self {
        Metered { disk, meter }
    }
}

impl<D: Disk> Disk for Metered<D> {
    type File = MeteredFile<D::File>;

    fn open(&self, path: &str, how: Open) -> io::Result<Self::File> {
        let file = self.disk.open(path, how)?;
        let meter = self.meter.clone();
        Ok(MeteredFile { file, meter })
    }

    fn create_directory(&self, path: &str) -> io::Result<()> {
        self.disk.create_directory(path)
    }

    fn list(&self, directory: &str) -> io::Result<Vec<String>> {
        self.disk.list(directory)
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        self.disk.remove(path)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn sync_directory(&self, directory: &str) -> io::Result<()> {
        self.disk.sync_directory(directory)
    }
}

impl<F: DiskFile> DiskFile for MeteredFile<F> {
    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let octets = into.len();
        self.meter.reads.of(octets, || self.file.read_at(offset, into))
    }

    fn write_at(&self, offset: u64, octets: &[u8]) -> io::Result<()> {
        self.meter
            .writes
            .of(octets.len(), || self.file.write_at(offset, octets))
    }

    fn length(&self) -> io::Result<u64> {
        self.file.length()
    }

    fn set_length(&self, octets: u64) -> io::Result<()> {
        self.file.set_length(octets)
    }

    fn reserve(&self, octets: u64) -> io::Result<()> {
        self.file.reserve(octets)
    }

    fn sync(&self) -> io::Result<()> {
        self.meter.syncs.of(0, || self.file.sync())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use store::disk::MemDisk;

    #[test]
    fn what_happens_on_a_disk_is_counted_and_done() {
        let meter = Arc::new(Meter::default());
        let disk = Metered::new(MemDisk::new(), meter.clone());
        let file = disk.open("f", Open::New).unwrap();
        file.write_at(0, b"hello").unwrap();
        file.sync().unwrap();
        let mut octets = [0; 5];
        assert_eq!(file.read_at(0, &mut octets).unwrap(), 5);
        assert_eq!(&octets, b"hello");
        let counts = [&meter.reads, &meter.writes, &meter.syncs].map(|calls| (calls.count.get(), calls.octets.get()));
        assert_eq!(counts, [(1, 5), (1, 5), (1, 0)]);
    }
}
