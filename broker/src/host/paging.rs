//! Memory pressure: above a share of the memory watermark, ready messages leave memory before anybody is blocked.
//!
//! Each queue bounds itself; this is for many queues together. RabbitMQ's `vm_memory_high_watermark_paging_ratio`
//! decides when; which messages go is each queue's own matter.

use std::{sync::Arc, time::Duration};

use super::{cell::QueueCell, memory, node::Node};

/// How often memory is compared with the share.
const INTERVAL: Duration = Duration::from_millis(250);
/// What a queue may keep in memory under pressure: enough for its consumers' next deliveries.
const RESIDENT_BYTES: u64 = 64 * 1024;

/// Runs until the node stops.
pub async fn relieve(node: Arc<Node>) {
    loop {
        tokio::select! {
            () = node.stopping().cancelled() => return,
            () = tokio::time::sleep(INTERVAL) => {}
        }
        if node.is_pressed() && node.page_out_ready() > 0 {
            // Freed memory counts until it is given back; whether there was any is seen at the next look.
            let _ = tokio::task::spawn_blocking(memory::give_back).await;
        }
    }
}

impl Node {
    /// True while the memory used is above the share of the watermark at which messages leave it.
    fn is_pressed(&self) -> bool {
        let alarms = self.alarms();
        let used = alarms.memory_used.load(std::sync::atomic::Ordering::Relaxed);
        used as f64 > alarms.memory_level().bytes as f64 * self.config().resources.paging_ratio.0
    }

    /// Has every queue put what it can into the store; answers how many octets left memory.
    fn page_out_ready(&self) -> u64 {
        let snapshot = self.snapshot().clone();
        let left: u64 = snapshot.cells().map(|cell| self.shrink(cell)).sum();
        let left = left + self.shrink_copies(RESIDENT_BYTES);
        if left > 0 {
            tracing::debug!(octets = left, "memory pressure: ready messages leave memory");
        }
        left
    }

    /// Has one queue do so, as under pressure; answers how many octets left memory.
    pub fn page_out(&self, cell: &Arc<QueueCell>) -> u64 {
        self.shrink(cell)
    }

    /// Gives freed memory back to the system; true if there was any. May take a while.
    pub fn reclaim_memory(&self) -> bool {
        memory::give_back()
    }

    fn shrink(&self, cell: &Arc<QueueCell>) -> u64 {
        let (mut touched, mut errands) = (Vec::new(), Vec::new());
        let left = self.on_cell(cell, &mut touched, &mut errands, |work| {
            let before = work.queue.resident_bytes();
            if before > RESIDENT_BYTES && !work.dead {
                work.queue.shrink(RESIDENT_BYTES, &mut work.sink);
            }
            before.saturating_sub(work.queue.resident_bytes())
        });
        self.run_errands(errands, &mut touched);
        self.flush(&mut touched);
        left
    }
}
