//! Giving freed memory back to the system while a memory alarm is on, and when messages have left memory under pressure; and
//! what the allocator says it holds.
//!
//! The allocator keeps freed pages between used ones. A broker whose publishers are blocked allocates nothing, so
//! without this a drained backlog would keep the alarm on for ever. The only unsafe code of the broker is here.
//!
//! Threads allocate in parts of the heap. What is free at the end of the part of another thread than the main one the allocator's own
//! function leaves, whatever its size, and looks at only when something large is freed there. So each thread of the app leaves an *anchor* in its
//! part, by which whoever gives memory back can free something there.

use parking_lot::Mutex;
use std::{
    sync::Arc,
    thread::{self, ThreadId},
    time::Duration,
};

use super::node::Node;

/// How often it is tried during an alarm: the allocator walks its whole heap for it.
const INTERVAL: Duration = Duration::from_millis(500);

/// Runs until the node stops.
pub async fn give_back_in_alarm(node: Arc<Node>) {
    loop {
        tokio::select! {
            () = node.stopping().cancelled() => return,
            () = tokio::time::sleep(INTERVAL) => {}
        }
        if node.alarms().memory() {
            // The outcome says only whether anything could be given back.
            let _ = tokio::task::spawn_blocking(give_back).await;
        }
    }
}

/// What a thread has allocated in its part of the heap. Whoever makes it larger or smaller does so there.
static ANCHORS: Mutex<Vec<(ThreadId, Vec<u8>)>> = Mutex::new(Vec::new());
const ANCHOR_BYTES: usize = 4096;
/// The allocator looks at the end of a part when something of 64 KiB or more is freed.
#[cfg(target_env = "gnu")]
const LARGE_BYTES: usize = 256 * 1024;
/// What may stay free at the end of a part while memory is given back, and what the allocator comes to by itself at most.
#[cfg(target_env = "gnu")]
const LEFT_BYTES: libc::c_int = 1 << 20;
#[cfg(target_env = "gnu")]
const LEFT_BYTES_MAX: libc::c_int = 64 << 20;

/// A thread begins that may allocate much.
pub fn enter_thread() {
    let anchor = Vec::with_capacity(ANCHOR_BYTES);
    ANCHORS.lock().push((thread::current().id(), anchor));
}

/// The thread ends.
pub fn leave_thread() {
    let own = thread::current().id();
    ANCHORS.lock().retain(|(thread, _)| *thread != own);
}

/// Frees something large in the part of each thread.
#[cfg(target_env = "gnu")]
fn free_at_anchors() {
    for (_, anchor) in ANCHORS.lock().iter_mut() {
        anchor.reserve_exact(LARGE_BYTES);
        anchor.shrink_to(ANCHOR_BYTES);
    }
}

/// How much may stay free at the end of a part. The allocator does not change that, and from which size on it maps a block alone, by itself any more:
/// for the latter it gets the size that it would come to.
#[cfg(target_env = "gnu")]
#[expect(unsafe_code, reason = "the allocator offers this only as a C function")]
fn leave_at_ends(octets: libc::c_int) {
    // SAFETY: the function takes no pointer and may be called by any thread at any time.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, LEFT_BYTES_MAX / 2);
        libc::mallopt(libc::M_TRIM_THRESHOLD, octets);
    }
}

/// Returns the freed pages of all threads; true if there were any between used ones.
#[cfg(target_env = "gnu")]
#[expect(unsafe_code, reason = "the allocator offers this only as a C function")]
pub(super) fn give_back() -> bool {
    leave_at_ends(LEFT_BYTES);
    free_at_anchors();
    leave_at_ends(LEFT_BYTES_MAX);
    // SAFETY: the function takes no pointer and may be called by any thread at any time; it frees nothing in use.
    unsafe { libc::malloc_trim(0) == 1 }
}

/// What the allocator has taken from the system.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Heap {
    /// Octets handed out.
    pub used: u64,
    /// Octets that are free between them.
    pub unused: u64,
}

/// What the allocator says of itself.
#[cfg(target_env = "gnu")]
#[expect(unsafe_code, reason = "the allocator offers this only as a C function")]
pub fn heap() -> Heap {
    // SAFETY: the function takes no pointer, may be called by any thread at any time, and changes nothing.
    let told = unsafe { libc::mallinfo2() };
    Heap {
        used: (told.uordblks + told.hblkhd) as u64,
        unused: told.fordblks as u64,
    }
}

/// Other C libraries do not say.
#[cfg(not(target_env = "gnu"))]
pub fn heap() -> Heap {
    Heap::default()
}

/// Other C libraries have no such function.
#[cfg(not(target_env = "gnu"))]
pub(super) fn give_back() -> bool {
    false
}

#[cfg(test)]
mod tests {
    #[test]
    #[cfg(target_env = "gnu")]
    fn what_is_in_use_is_handed_out() {
        let before = super::heap().used;
        let kept = vec![1_u8; 64 << 20];
        assert!(super::heap().used >= before + kept.len() as u64 / 2);
    }

    /// Octets of the process in memory that are no file's.
    #[cfg(target_env = "gnu")]
    fn resident() -> u64 {
        let told = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = told.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
        line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1024
    }

    /// What a thread has allocated is freed by another while that thread sleeps. How much less the process holds then.
    #[cfg(target_env = "gnu")]
    fn given_back_of_a_sleeping_thread() -> u64 {
        let (filled, messages) = std::sync::mpsc::channel();
        let (go_on, end) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            super::enter_thread();
            // The allocator keeps more at the end of a part once something has been freed that it had mapped alone.
            drop(vec![1_u8; 30 << 20]);
            // What the channels and a thread that waits allocate must not lie behind the messages.
            filled.send(Vec::new()).unwrap();
            end.recv().unwrap();
            filled.send(vec![vec![1_u8; 20_000]; 1400]).unwrap();
            end.recv().unwrap_err();
            super::leave_thread();
        });
        drop(messages.recv().unwrap());
        go_on.send(()).unwrap();
        drop(messages.recv().unwrap());
        let before = resident();
        super::give_back();
        let given = before.saturating_sub(resident());
        drop(go_on);
        thread.join().unwrap();
        given
    }

    #[test]
    #[cfg(target_env = "gnu")]
    fn what_is_free_at_the_end_of_a_threads_part_is_given_back_too() {
        // Other tests allocate meanwhile.
        let given: Vec<u64> = (0..10).map(|_| given_back_of_a_sleeping_thread()).collect();
        assert!(given.iter().any(|given| *given > 20 << 20), "{given:?}");
    }

    #[test]
    fn giving_back_leaves_what_is_in_use() {
        let kept: Vec<Vec<u8>> = (0..1000).map(|n| vec![n as u8; 1000]).collect();
        super::give_back();
        let is_whole = |(n, octets): (usize, &Vec<u8>)| octets.iter().all(|octet| *octet == n as u8);
        assert!(kept.iter().enumerate().all(is_whole));
    }
}
