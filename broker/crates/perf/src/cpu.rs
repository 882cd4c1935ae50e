//! CPU time of processes, user and system apart, from /proc.
//!
//! Descendants that ended before the second look are not in the figure; brokers keep theirs.

use crate::error::Error;
use serde::Serialize;
use std::fs;
use std::io;

/// CPU time in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct CpuTime {
    /// In the program.
    pub user_seconds: f64,
    /// In the kernel on its behalf.
    pub system_seconds: f64,
}

impl CpuTime {
    /// Both together.
    pub fn total(self) -> f64 {
        self.user_seconds + self.system_seconds
    }

    /// What was added since `before`.
    #[must_use]
    pub fn since(self, before: CpuTime) -> CpuTime {
        CpuTime {
            user_seconds: self.user_seconds - before.user_seconds,
            system_seconds: self.system_seconds - before.system_seconds,
        }
    }

    fn plus(self, other: CpuTime) -> CpuTime {
        CpuTime {
            user_seconds: self.user_seconds + other.user_seconds,
            system_seconds: self.system_seconds + other.system_seconds,
        }
    }
}

/// What one line of /proc/PID/stat says.
struct Stat {
    parent: u32,
    time: CpuTime,
}

/// The sum over `pids`, and over all their descendants if wanted.
///
/// # Errors
/// A process of `pids` that is not there.
pub(crate) fn time_of(pids: &[u32], with_descendants: bool) -> Result<CpuTime, Error> {
    let mut sum = CpuTime::default();
    for &pid in pids {
        let stat = stat_of(&pid.to_string()).map_err(|source| Error::Process { pid, source })?;
        sum = sum.plus(stat.time);
    }
    if with_descendants {
        sum = descendants(pids).into_iter().fold(sum, CpuTime::plus);
    }
    Ok(sum)
}

/// The CPU time of this process.
pub(crate) fn own_time() -> CpuTime {
    stat_of("self").map_or_else(|_| CpuTime::default(), |stat| stat.time)
}

fn descendants(pids: &[u32]) -> Vec<CpuTime> {
    let mut rest = all_processes();
    let (mut family, mut times) = (pids.to_vec(), Vec::new());
    while let Some(parent) = family.pop() {
        let (children, others): (Vec<_>, Vec<_>) = rest.into_iter().partition(|(_, stat)| stat.parent == parent);
        rest = others;
        for (pid, stat) in children.into_iter().filter(|(pid, _)| !pids.contains(pid)) {
            family.push(pid);
            times.push(stat.time);
        }
    }
    times
}

fn all_processes() -> Vec<(u32, Stat)> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    // A process that ends while we look has no time to add.
    names
        .filter_map(|name| Some((name.parse().ok()?, stat_of(&name).ok()?)))
        .collect()
}

fn stat_of(pid: &str) -> io::Result<Stat> {
    let line = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    stat_from(&line).ok_or_else(|| io::Error::other("/proc/PID/stat has an unknown shape"))
}

/// Fields 4, 14 and 15; the name before them, in brackets, may itself hold blanks and brackets.
fn stat_from(line: &str) -> Option<Stat> {
    let fields: Vec<&str> = line.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = rustix::param::clock_ticks_per_second() as f64;
    let seconds = |at: usize| Some(fields.get(at)?.parse::<f64>().ok()? / ticks);
    Some(Stat {
        parent: fields.get(1)?.parse().ok()?,
        time: CpuTime {
            user_seconds: seconds(11)?,
            system_seconds: seconds(12)?,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_name_with_brackets_does_not_shift_the_fields() {
        let stat = stat_from("7 (a) b (c)) S 3 7 7 0 -1 4 1 2 3 4 250 150 9 9 20 0 1 0 5 6 7").expect("a stat line");
        let ticks = rustix::param::clock_ticks_per_second() as f64;
        assert_eq!(stat.parent, 3);
        assert_eq!(
            stat.time,
            CpuTime {
                user_seconds: 250.0 / ticks,
                system_seconds: 150.0 / ticks
            }
        );
    }

    #[test]
    fn a_process_that_is_not_there_is_named() {
        let error = time_of(&[u32::MAX], false).expect_err("no such process");
        assert!(error.to_string().contains("4294967295"), "{error}");
    }

    #[test]
    fn a_working_child_counts_for_its_parent_when_wanted() {
        let child = std::process::Command::new("sh")
            .args(["-c", "while :; do :; done"])
            .spawn();
        let mut child = child.expect("a shell");
        let me = std::process::id();
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
        while time_of(&[child.id()], false).expect("it runs").total() < 0.05 {
            assert!(std::time::Instant::now() < deadline, "the child got no CPU");
            std::thread::yield_now();
        }
        let alone = time_of(&[me], false).expect("we run").total();
        let together = time_of(&[me], true).expect("we run").total();
        child.kill().expect("ours");
        child.wait().expect("ours");
        // Less than a tick (10 ms) is left to rounding.
        assert!(together > alone + 0.045, "{together} {alone}");
    }
}
