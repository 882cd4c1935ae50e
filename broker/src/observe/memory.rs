//! What the node's memory is used for, as far as it is known: messages in memory, and what clients have not taken yet.

use super::QueueReading;
use crate::host::{Node, alarms};

/// Octets by use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Messages of queues that are in memory, with what is kept of each.
    pub queues: u64,
    /// What is on its way to clients.
    pub outboxes: u64,
    /// All of the process.
    pub total: u64,
}

impl Memory {
    /// What is used for anything else.
    pub fn other(&self) -> u64 {
        self.total.saturating_sub(self.queues + self.outboxes)
    }
}

/// Looks at it now. One queue is locked at a time.
pub fn memory(node: &Node) -> Memory {
    let snapshot = node.snapshot();
    let readings = snapshot
        .all_numbers()
        .map(|(_, counts, counters)| QueueReading { counts, counters }.memory_bytes());
    let clients = node.open_clients();
    Memory {
        queues: readings.sum(),
        outboxes: clients
            .iter()
            .map(|client| client.outbox().waiting_bytes() as u64)
            .sum(),
        total: alarms::memory_used().unwrap_or_default(),
    }
}
