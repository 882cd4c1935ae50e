//! What the process has of its machine: descriptors, threads, processors. Read from the kernel when asked.
//!
//! What cannot be read counts as zero; nothing is guessed. Memory and disk belong to the alarms.

use nix::sys::resource::{UsageWho, getrusage};
use std::fs;

/// What the kernel says about this process and its machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Machine {
    /// Open file descriptors.
    pub descriptors_used: u64,
    /// How many there may be.
    pub descriptors_max: u64,
    /// Processors that may be used.
    pub processors: u64,
    /// Threads of this process.
    pub threads: u64,
    /// Most threads of this process.
    pub threads_max: u64,
    /// How often a processor went from one of them to another, ever since it began.
    pub context_switches: u64,
}

/// The libraries that encrypt, as they are built in.
pub const CRYPTO: &str = "ring 0.17.14, rustls 0.23.46";

/// Threads of this process that run or could: what Erlang has as its schedulers' run queues. The one that asks is among them.
pub fn run_queue() -> u64 {
    let Ok(threads) = fs::read_dir("/proc/self/task") else {
        return 0;
    };
    let states = threads
        .flatten()
        .map(|thread| fs::read_to_string(thread.path().join("stat")));
    states.flatten().filter(|stat| is_runnable(stat)).count() as u64
}

/// A line such as `7 (a name) R 1 …`; the name may hold anything.
fn is_runnable(stat: &str) -> bool {
    stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('R'))
}

/// Looks at the machine.
pub fn look() -> Machine {
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    Machine {
        descriptors_used: fs::read_dir("/proc/self/fd").map_or(0, |all| all.count() as u64),
        descriptors_max: soft_limit(&limits, "Max open files"),
        processors: std::thread::available_parallelism().map_or(0, |n| n.get() as u64),
        threads: fs::read_dir("/proc/self/task").map_or(0, |all| all.count() as u64),
        threads_max: soft_limit(&limits, "Max processes"),
        context_switches: context_switches(),
    }
}

fn context_switches() -> u64 {
    let Ok(usage) = getrusage(UsageWho::RUSAGE_SELF) else {
        return 0;
    };
    let both = usage.voluntary_context_switches() + usage.involuntary_context_switches();
    u64::try_from(both).unwrap_or(0)
}

/// A line such as `Max open files   1024   4096   files`.
fn soft_limit(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let word = line.and_then(|rest| rest.split_whitespace().next());
    word.map_or(0, |word| word.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_lines_are_read() {
        let limits = "Max open files            1024                 524288               files\n";
        assert_eq!(soft_limit(limits, "Max open files"), 1024);
        assert_eq!(soft_limit(limits, "Max processes"), 0);
        assert_eq!(
            soft_limit("Max open files  unlimited unlimited files", "Max open files"),
            u64::MAX
        );
    }

    #[test]
    fn whoever_asks_how_many_threads_could_run_runs() {
        assert!(is_runnable("7 (a) S) R 1 2") && !is_runnable("7 (R) S 1 2") && !is_runnable(""));
        assert!(run_queue() > 0);
    }

    #[test]
    fn the_libraries_that_encrypt_are_those_that_are_built_in() {
        let lock = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.lock"));
        for library in CRYPTO.split(", ") {
            let (name, version) = library.split_once(' ').unwrap();
            let line = format!("name = \"{name}\"\nversion = \"{version}\"\n");
            assert!(lock.contains(&line), "{library}");
        }
    }

    #[test]
    fn this_process_has_descriptors_and_threads() {
        let machine = look();
        assert!(machine.descriptors_used > 2 && machine.threads > 0 && machine.processors > 0);
        std::thread::sleep(std::time::Duration::from_millis(1));
        assert!(look().context_switches > machine.context_switches);
    }
}
