//! One server on a directory of its own for one campaign that needs no history: started, perhaps killed and started again,
//! and removed with all its files at the end. Measures what it takes: octets of its directory, memory of its process.

use crate::dice::mix;
use crate::server::{Broker, Server};
use anyhow::{Context, Result};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tempfile::TempDir;

/// A running server and its directory.
#[derive(Debug)]
pub(crate) struct One {
    broker: Broker,
    server: Option<Server>,
    directory: TempDir,
}

impl One {
    /// Starts a fresh server, below `dir` if it is given.
    pub(crate) fn start(server: &str, dir: Option<&Path>) -> Result<Self> {
        let directory = match dir {
            Some(dir) => {
                fs::create_dir_all(dir)?;
                TempDir::with_prefix_in("soak-", std::path::absolute(dir)?)?
            }
            None => TempDir::with_prefix("soak-")?,
        };
        let mut one = Self {
            broker: Broker::named(server)?,
            server: None,
            directory,
        };
        one.launch()?;
        Ok(one)
    }

    fn launch(&mut self) -> Result<Duration> {
        let mut server = Server::launch(&self.broker, self.directory.path())?;
        let started = server.wait_ready()?;
        self.server = Some(server);
        Ok(started)
    }

    /// Kills it (SIGKILL), starts it again, and says how long that took.
    pub(crate) fn kill_and_start(&mut self) -> Result<Duration> {
        self.server.take().context("no server runs")?.kill()?;
        self.launch()
    }

    /// Where it serves AMQP.
    pub(crate) fn port(&self) -> u16 {
        self.server.as_ref().map_or(0, |server| server.port)
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.server.as_ref().map_or(0, Server::id)
    }

    /// All its files.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// What it stores.
    pub(crate) fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// Text that no other server has seen.
    pub(crate) fn nonce(&self) -> String {
        format!("{:016x}", mix(u64::from(self.pid()) << 20 ^ crate::lane::now()))
    }
}

/// Octets that a directory takes on disk. What disappears while it is read counts nothing.
pub(crate) fn octets_on_disk(directory: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(directory) else { return 0 };
    let of = |entry: fs::DirEntry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => octets_on_disk(&entry.path()),
        Ok(metadata) => metadata.blocks() * 512,
        Err(_) => 0,
    };
    entries.flatten().map(of).sum()
}

/// Peak and present memory of a process, in octets, since the peak was last forgotten.
pub(crate) fn memory(pid: u32) -> Result<(u64, u64)> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let kibibytes = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let number = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        number.with_context(|| format!("/proc/{pid}/status has no {name}"))
    };
    Ok((kibibytes("VmHWM:")? * 1024, kibibytes("VmRSS:")? * 1024))
}

/// Lets the kernel forget the peak.
pub(crate) fn forget_peak(pid: u32) -> Result<()> {
    fs::write(format!("/proc/{pid}/clear_refs"), "5").context("the peak of memory cannot be reset")
}

/// Keeps the largest of what it is shown.
#[derive(Debug, Default)]
pub(crate) struct Peak(AtomicU64);

impl Peak {
    /// Samples until it is told to end.
    pub(crate) fn watch(&self, ended: &AtomicBool, sample: impl Fn() -> u64) {
        while !ended.load(Ordering::Relaxed) {
            self.0.fetch_max(sample(), Ordering::Relaxed);
            std::thread::sleep(Duration::from_millis(100));
        }
        self.0.fetch_max(sample(), Ordering::Relaxed);
    }

    /// The largest so far.
    pub(crate) fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Octets in MiB, rounded up.
pub(crate) fn mebibytes(octets: u64) -> u64 {
    octets.div_ceil(1 << 20)
}
