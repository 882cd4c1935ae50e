//! Giving freed memory back to the system while a memory alarm is on, and when messages have left memory under pressure; and
//! what the allocator says it holds.
//!
//! The allocator keeps freed pages between used ones. A broker whose publishers are blocked allocates nothing, so
//! without this a drained backlog would keep the alarm on for ever. The only unsafe code of the broker is here.

use std::{sync::Arc, time::Duration};

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

/// Returns the freed pages of all threads; true if there were any.
#[cfg(target_env = "gnu")]
#[expect(unsafe_code, reason = "the allocator offers this only as a C function")]
pub(super) fn give_back() -> bool {
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

    #[test]
    fn giving_back_leaves_what_is_in_use() {
        let kept: Vec<Vec<u8>> = (0..1000).map(|n| vec![n as u8; 1000]).collect();
        super::give_back();
        let is_whole = |(n, octets): (usize, &Vec<u8>)| octets.iter().all(|octet| *octet == n as u8);
        assert!(kept.iter().enumerate().all(is_whole));
    }
}
