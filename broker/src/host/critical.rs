//! Replicated queues that would lose something if this node stopped now: the only whole copy, or their majority.

use catalog::QueueRecord;
use std::sync::Arc;

use super::node::Node;

impl Node {
    /// Those that this node leads and that no other node that runs has a synchronised copy of.
    pub fn mirror_sync_critical(&self) -> Vec<Arc<QueueRecord>> {
        let snapshot = self.snapshot();
        let has_no_copy = |record: &&Arc<QueueRecord>| {
            record.replicas.is_some()
                && !record.is_quorum()
                && !snapshot.is_remote(record)
                && snapshot.catalog.mirror_names(record).synchronised.is_empty()
        };
        snapshot.catalog.queues().filter(has_no_copy).cloned().collect()
    }

    /// Quorum queues whose other members that run are no majority.
    pub fn quorum_critical(&self) -> Vec<Arc<QueueRecord>> {
        let snapshot = self.snapshot();
        snapshot
            .catalog
            .quorum_critical(self.identity().node)
            .cloned()
            .collect()
    }

    /// Whether the cluster is this node alone.
    pub fn is_alone(&self) -> bool {
        self.snapshot().catalog.nodes().count() <= 1
    }
}
