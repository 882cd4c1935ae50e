//! The thread that writes the log: takes all that has come, writes it as one frame, and tells everybody once it is safe.
//!
//! A full disk is waited out: nothing is acknowledged meanwhile, and [`Health`] tells so that new work is refused. Any
//! other failure ends the process by way of the caller's `fatal`, since what is on the disk is not known any more.

use super::{Log, Record, WriteError};
use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
    time::Duration,
};
use store::disk::Disk;

/// Requests that wait; more make their senders wait.
const REQUESTS_MAX: usize = 64;
/// Requests that are written as one.
const BATCH_MAX: usize = 64;
/// How long a full disk is left alone before the next try.
const FULL_PAUSE: Duration = Duration::from_secs(1);
/// How often a full disk is complained of, in tries.
const COMPLAIN_EVERY: u64 = 10;

/// What may be known of the log from outside.
#[derive(Debug, Default)]
pub struct Health {
    full: AtomicBool,
    /// Octets written since the last snapshot.
    bytes: AtomicU64,
    /// Octets of that one.
    snapshot_bytes: AtomicU64,
    snapshots: AtomicU64,
    /// Nobody waits any more: a full disk is not waited out.
    stopping: AtomicBool,
    /// The thread has ended.
    ended: AtomicBool,
}

impl Health {
    /// True while there is no room to write.
    pub fn is_full(&self) -> bool {
        self.full.load(Ordering::Acquire)
    }

    /// Octets of the log that no snapshot holds.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Octets of the last snapshot.
    pub fn snapshot_bytes(&self) -> u64 {
        self.snapshot_bytes.load(Ordering::Relaxed)
    }

    /// A snapshot of `octets` now holds that many octets of the log.
    pub fn snapshot_taken(&self, log_bytes: u64, octets: u64) {
        self.bytes.fetch_sub(log_bytes, Ordering::Relaxed);
        self.snapshot_bytes.store(octets, Ordering::Relaxed);
        self.snapshots.fetch_add(1, Ordering::Release);
    }

    /// Snapshots taken by this process.
    pub fn snapshots(&self) -> u64 {
        self.snapshots.load(Ordering::Acquire)
    }

    /// From now on what cannot be written at once is given up.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    /// True once nothing is written any more, so that the log may be opened again.
    pub fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }
}

/// Told once the records are safe, or that they never will be.
pub type Done = Box<dyn FnOnce(io::Result<()>) + Send>;

/// What ends the process.
pub type Fatal = Arc<dyn Fn(&str) + Send + Sync>;

struct Request {
    records: Vec<Record>,
    done: Done,
}

/// The way to the writing thread. It ends with the last of these.
#[derive(Clone)]
pub struct Writer {
    requests: SyncSender<Request>,
    health: Arc<Health>,
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer")
            .field("health", &self.health)
            .finish_non_exhaustive()
    }
}

impl Writer {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system has no thread to give.
    pub fn start<D: Disk>(log: Log<D>, fatal: Fatal) -> io::Result<Self>
    where
        D::File: std::fmt::Debug,
    {
        let (requests, waiting) = sync_channel(REQUESTS_MAX);
        let health = Arc::new(Health::default());
        health.bytes.store(log.bytes(), Ordering::Relaxed);
        let task = Task {
            log,
            health: health.clone(),
            fatal,
            pause: FULL_PAUSE,
        };
        thread::Builder::new().name("catalogue log".into()).spawn(move || {
            let health = task.health.clone();
            task.run(&waiting);
            health.ended.store(true, Ordering::Release);
        })?;
        Ok(Writer { requests, health })
    }

    /// Has records written; `done` is called on the writing thread.
    pub fn write(&self, records: Vec<Record>, done: Done) {
        if let Err(unsent) = self.requests.send(Request { records, done }) {
            (unsent.0.done)(Err(ended()));
        }
    }

    /// What may be known from outside.
    pub fn health(&self) -> &Arc<Health> {
        &self.health
    }
}

fn ended() -> io::Error {
    io::Error::other("the catalogue's log is not written any more")
}

struct Task<D: Disk> {
    log: Log<D>,
    health: Arc<Health>,
    fatal: Fatal,
    pause: Duration,
}

impl<D: Disk> Task<D> {
    fn run(mut self, waiting: &Receiver<Request>) {
        while let Ok(first) = waiting.recv() {
            let mut batch = vec![first];
            while batch.len() < BATCH_MAX
                && let Ok(next) = waiting.try_recv()
            {
                batch.push(next);
            }
            let (mut records, mut waiters) = (Vec::new(), Vec::new());
            for request in batch {
                records.extend(request.records);
                waiters.push(request.done);
            }
            let written = self.write(&records);
            let broken = written.is_err();
            for done in waiters {
                done(written.as_ref().map(|_| ()).map_err(|_| ended()));
            }
            if broken {
                return;
            }
        }
    }

    /// Writes, however long a full disk takes, unless the log is stopped. Any other error has been told to `fatal`.
    fn write(&mut self, records: &[Record]) -> Result<(), ()> {
        let mut tries: u64 = 0;
        loop {
            match self.log.write(records) {
                Ok(bytes) => {
                    self.health.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
                    if self.health.full.swap(false, Ordering::AcqRel) {
                        tracing::info!("the catalogue's log can be written again");
                    }
                    return Ok(());
                }
                Err(WriteError::Full(error)) => {
                    if tries.is_multiple_of(COMPLAIN_EVERY) {
                        tracing::error!(
                            "the catalogue's log cannot be written ({error}): declarations and all other changes of \
                             definitions are refused until there is space in the data directory; free some"
                        );
                    }
                    tries += 1;
                    self.health.full.store(true, Ordering::Release);
                    if self.health.stopping.load(Ordering::Acquire) {
                        return Err(());
                    }
                    thread::sleep(self.pause);
                }
                Err(error @ WriteError::Fatal { .. }) => {
                    (self.fatal)(&format!("the catalogue's log: {error}"));
                    return Err(());
                }
            }
        }
    }
}
