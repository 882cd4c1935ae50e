//! The parts of a node's memory for Prometheus, under RabbitMQ's names where it has one.
//!
//! What this broker does not have, such as an atom table, is left out rather than told as nothing.

use super::{
    Memory,
    exposition::{Kind::Gauge, Page},
};

/// Each part as `Memory` calls it, with its family and help. RabbitMQ's release that has this page knows no mirrored queues.
const PARTS: [(&str, &str, &str); 7] = [
    (
        "code",
        "rabbitmq_memory_code_module_bytes",
        "Pages of the program itself that are in memory",
    ),
    (
        "queue_procs",
        "rabbitmq_memory_classic_queue_erlang_process_bytes",
        "Classic queues that this node leads",
    ),
    (
        "quorum_queue_procs",
        "rabbitmq_memory_quorum_queue_erlang_process_bytes",
        "Quorum queues that this node leads",
    ),
    (
        "queue_slave_procs",
        "warren_memory_queue_copy_bytes",
        "Copies of mirrored and quorum queues that other nodes lead",
    ),
    (
        "connection_writers",
        "rabbitmq_memory_client_connection_writer_bytes",
        "What clients have not taken yet",
    ),
    (
        "allocated_unused",
        "rabbitmq_memory_runtime_allocated_unused_bytes",
        "What the allocator keeps and nobody uses",
    ),
    (
        "other_system",
        "rabbitmq_memory_other_system_bytes",
        "What nobody counts",
    ),
];

/// One family for each part.
pub fn parts(page: &mut Page, memory: &Memory) {
    page.go_under("");
    for (part, octets) in &memory.parts {
        if let Some((_, family, help)) = PARTS.iter().find(|(name, _, _)| name == part) {
            page.one(family, Gauge, help, &[], octets);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_part_is_told_once_and_together_they_are_all_of_the_memory() {
        let (_folder, node) = crate::host::started_blank().await;
        let memory = super::super::memory(&node);
        let mut page = Page::default();
        parts(&mut page, &memory);
        let text = page.finish();
        let series = text.lines().filter(|line| !line.starts_with('#'));
        let told: Vec<u64> = series
            .map(|line| line.rsplit_once(' ').unwrap().1.parse().unwrap())
            .collect();
        assert_eq!(told.len(), PARTS.len());
        assert_eq!(told.iter().sum::<u64>(), memory.total);
    }
}
