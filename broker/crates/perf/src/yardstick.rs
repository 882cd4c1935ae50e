//! What the machine itself takes, measured beside the load and in the same time: one fdatasync of a small write, and one round
//! trip over TCP on the loopback address. A latency of a broker says little without them.
//!
//! Each has a thread of its own, since both wait, and pauses after every measurement: a yardstick must be no load.

use crate::{
    error::Error,
    latency::{Latencies, Percentiles},
};
use serde::Serialize;
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    os::unix::fs::FileExt,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// Between two measurements.
const PAUSE: Duration = Duration::from_millis(5);
/// A write, as small as a message.
const WRITE_BYTES: usize = 1024;
/// Writes go round in a file of this length, whose blocks are on the disk before anything is measured.
const FILE_BYTES: usize = 1 << 20;
const ECHO_BYTES: usize = 64;

type Measuring = JoinHandle<io::Result<Latencies>>;

/// Both, being measured.
pub(crate) struct Yardsticks {
    stop: Arc<AtomicBool>,
    fdatasync: Measuring,
    tcp_echo: Measuring,
}

/// What the machine took.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    /// One write of 1 KiB and its fdatasync.
    pub fdatasync_us: Option<Percentiles>,
    /// There and back over TCP on the loopback address.
    pub tcp_echo_us: Option<Percentiles>,
}

impl Yardsticks {
    /// Begins to measure; the file in the directory has no name, so nothing is left behind.
    pub(crate) fn start(directory: &Path) -> Result<Self, Error> {
        let stop = Arc::new(AtomicBool::new(false));
        let file = nameless_file(directory).map_err(Error::Yardstick)?;
        let mut echo = echoing().map_err(Error::Yardstick)?;
        let mut place = 0;
        let fdatasync = measure(&stop, move || {
            place = (place + WRITE_BYTES) % FILE_BYTES;
            file.write_all_at(&[7; WRITE_BYTES], place as u64)?;
            file.sync_data()
        });
        let tcp_echo = measure(&stop, move || {
            echo.write_all(&[7; ECHO_BYTES])?;
            echo.read_exact(&mut [0; ECHO_BYTES])
        });
        Ok(Yardsticks {
            stop,
            fdatasync,
            tcp_echo,
        })
    }

    /// Ends it.
    pub(crate) fn stop(self) -> Result<Machine, Error> {
        self.stop.store(true, Ordering::Relaxed);
        Ok(Machine {
            fdatasync_us: end(self.fdatasync)?,
            tcp_echo_us: end(self.tcp_echo)?,
        })
    }
}

fn end(measuring: Measuring) -> Result<Option<Percentiles>, Error> {
    let ended = measuring.join().map_err(|_| io::Error::other("it ended in a panic"));
    let latencies = ended.flatten().map_err(Error::Yardstick)?;
    Ok(latencies.percentiles())
}

/// Does it again and again, at least once.
fn measure(stop: &Arc<AtomicBool>, mut once: impl FnMut() -> io::Result<()> + Send + 'static) -> Measuring {
    let stop = stop.clone();
    thread::spawn(move || {
        let mut latencies = Latencies::new();
        loop {
            let begun = Instant::now();
            once()?;
            latencies.record(begun.elapsed().as_nanos() as u64, 1);
            if stop.load(Ordering::Relaxed) {
                return Ok(latencies);
            }
            thread::sleep(PAUSE);
        }
    })
}

fn nameless_file(directory: &Path) -> io::Result<File> {
    let path = directory.join(format!("warren-perf-{}", std::process::id()));
    let file = OpenOptions::new().write(true).create_new(true).open(&path)?;
    fs::remove_file(&path)?;
    file.write_all_at(&vec![0; FILE_BYTES], 0)?;
    file.sync_all()?;
    Ok(file)
}

/// A connection on whose other side a thread sends back what comes, until this side is closed.
fn echoing() -> io::Result<TcpStream> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let near = TcpStream::connect(listener.local_addr()?)?;
    let (mut far, _) = listener.accept()?;
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    thread::spawn(move || {
        let mut octets = [0; ECHO_BYTES];
        // The measuring side tells of what went wrong.
        while far
            .read_exact(&mut octets)
            .and_then(|()| far.write_all(&octets))
            .is_ok()
        {}
    });
    Ok(near)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_is_measured_and_no_file_is_left() {
        let directory = std::env::temp_dir().join(format!("warren-yardstick-{}", std::process::id()));
        fs::create_dir(&directory).unwrap();
        let machine = Yardsticks::start(&directory).unwrap().stop().unwrap();
        assert!(machine.fdatasync_us.unwrap().p50 > 0.0 && machine.tcp_echo_us.unwrap().p50 > 0.0);
        assert_eq!(fs::read_dir(&directory).unwrap().count(), 0);
        fs::remove_dir(&directory).unwrap();
    }

    #[test]
    fn a_directory_that_is_not_there_is_told() {
        let refused = Yardsticks::start(Path::new("/nowhere/at/all")).err().unwrap();
        assert!(refused.to_string().contains("cannot measure the machine"), "{refused}");
    }
}
