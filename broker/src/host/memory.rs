//! Giving freed memory back to the system while a memory alarm is on, and when messages have left memory under pressure.
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

/// Other C libraries have no such function.
#[cfg(not(target_env = "gnu"))]
pub(super) fn give_back() -> bool {
    false
}

#[cfg(test)]
mod tests {
    #[test]
    fn giving_back_leaves_what_is_in_use() {
        let kept: Vec<Vec<u8>> = (0..1000).map(|n| vec![n as u8; 1000]).collect();
        super::give_back();
        let is_whole = |(n, octets): (usize, &Vec<u8>)| octets.iter().all(|octet| *octet == n as u8);
        assert!(kept.iter().enumerate().all(is_whole));
    }
}
