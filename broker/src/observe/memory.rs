//! What the node's memory is used for, as far as it is known: queues and copies of queues, what clients have not taken yet, the
//! program itself, and what the allocator keeps. The parts add up to all that the process holds; what nobody counts is the rest.

use std::fs;

use super::QueueReading;
use crate::host::{Node, alarms, memory};

/// Octets by use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Name in RabbitMQ's words and octets, in a fixed order; together they are the total.
    pub parts: Vec<(&'static str, u64)>,
    /// All of the process that is in memory.
    pub total: u64,
    /// What the allocator has handed out.
    pub allocated: u64,
}

/// By which of the totals the parts are measured.
pub const MEMORY_STRATEGY: &str = "rss";

/// What nobody counts.
const REST: &str = "other_system";

impl Memory {
    /// Parts are estimates: none is more than what those before it leave.
    fn of(parts: impl IntoIterator<Item = (&'static str, u64)>, total: u64, allocated: u64) -> Self {
        let mut left = total;
        let cut = |(name, octets): (&'static str, u64)| {
            let octets = octets.min(left);
            left -= octets;
            (name, octets)
        };
        let mut parts: Vec<_> = parts.into_iter().map(cut).collect();
        parts.push((REST, left));
        Memory {
            parts,
            total,
            allocated,
        }
    }

    /// The whole as it is counted in RabbitMQ's ways, by their names.
    pub fn totals(&self) -> [(&'static str, u64); 3] {
        [
            ("erlang", self.allocated),
            ("rss", self.total),
            ("allocated", self.allocated),
        ]
    }

    /// The same in parts of a hundred. What is rounded off is told of the rest, so that they add up as well.
    pub fn shares(&self) -> Vec<(&'static str, u64)> {
        let share = |octets: u64| (octets * 100).checked_div(self.total).unwrap_or_default();
        let mut shares: Vec<_> = self
            .parts
            .iter()
            .map(|(name, octets)| (*name, share(*octets)))
            .collect();
        let told: u64 = shares.iter().map(|(_, share)| share).sum();
        if let Some((_, rest)) = shares.last_mut().filter(|_| self.total > 0) {
            *rest += 100 - told;
        }
        shares
    }
}

/// Looks at it now. One queue is locked at a time.
pub fn memory(node: &Node) -> Memory {
    let total = alarms::memory_used().unwrap_or_default();
    let heap = memory::heap();
    let [classic, quorum] = queues(node, QueueReading::memory_bytes);
    let copies = node.mirrors().all_copies();
    let parts = [
        (
            "code",
            code(&fs::read_to_string("/proc/self/status").unwrap_or_default()),
        ),
        ("queue_procs", classic),
        ("quorum_queue_procs", quorum),
        (
            "queue_slave_procs",
            copies.iter().map(|copy| copy.hold().copy.resident_bytes()).sum(),
        ),
        ("connection_writers", waiting(node)),
        ("allocated_unused", heap.unused),
    ];
    Memory::of(parts, total, heap.used)
}

/// What of that are bodies of messages, which Erlang calls binaries: in queues that this node leads, and on their way to clients.
pub fn bodies(node: &Node) -> [(&'static str, u64); 3] {
    let [classic, quorum] = queues(node, QueueReading::body_bytes);
    [
        ("queue_procs", classic),
        ("quorum_queue_procs", quorum),
        ("connection_writers", waiting(node)),
    ]
}

/// What clients have not taken yet.
fn waiting(node: &Node) -> u64 {
    let clients = node.open_clients();
    clients
        .iter()
        .map(|client| client.outbox().waiting_bytes() as u64)
        .sum()
}

/// Of classic queues and of quorum queues that this node leads.
fn queues(node: &Node, octets: fn(&QueueReading) -> u64) -> [u64; 2] {
    let mut of_kind = [0; 2];
    for cell in node.snapshot().cells() {
        let held = cell.hold();
        let (counts, counters) = (held.queue.counts(), *held.queue.counters());
        drop(held);
        of_kind[usize::from(cell.is_quorum)] += octets(&QueueReading { counts, counters });
    }
    of_kind
}

/// Pages of files that are in memory: the program itself.
fn code(status: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix("RssFile:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kib.unwrap_or_default() * 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_add_up_to_the_whole_whatever_was_estimated() {
        let memory = Memory::of([("a", 60), ("b", 30), ("c", 0)], 120, 0);
        assert_eq!(memory.parts, [("a", 60), ("b", 30), ("c", 0), (REST, 30)]);
        let short = Memory::of([("a", 60), ("b", 90)], 100, 0);
        assert_eq!(short.parts, [("a", 60), ("b", 40), (REST, 0)]);
        let shares = Memory::of([("a", 1), ("b", 1)], 3, 0).shares();
        assert_eq!(shares, [("a", 33), ("b", 33), (REST, 34)]);
        assert_eq!(Memory::default().shares(), []);
    }

    #[test]
    fn the_program_is_what_the_kernel_has_of_files() {
        assert_eq!(code("Name:\tx\nRssFile:\t   12 kB\nRssShmem:\t0 kB\n"), 12 * 1024);
        assert_eq!(code(""), 0);
    }

    #[tokio::test]
    async fn what_a_queue_holds_is_among_its_parts() {
        let (_folder, node) = crate::host::started_blank().await;
        let memory = memory(&node);
        let sum: u64 = memory.parts.iter().map(|(_, octets)| octets).sum();
        assert_eq!(sum, memory.total);
        assert!(memory.parts.iter().any(|(name, octets)| *name == "code" && *octets > 0));
    }
}
