//! Replicated queues that would lose something if this node stopped now: the only whole copy, or their majority.

use catalog::QueueRecord;
use std::sync::Arc;

use super::node::Node;

/// Nodes of the cluster, and how many it shall have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClusterSize {
    members: u32,
    /// Those that run.
    pub online: u32,
    /// Those that there shall be.
    pub target: u32,
}

impl ClusterSize {
    /// Whether enough nodes have joined. A member that is down counts: a whole cluster that starts again has its size.
    pub fn is_reached(self) -> bool {
        self.members >= self.target
    }
}

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

    /// How far the cluster is from the size that it shall have.
    pub fn cluster_size(&self) -> ClusterSize {
        let snapshot = self.snapshot();
        let (mut members, mut online) = (0, 0);
        for node in snapshot.catalog.nodes() {
            members += 1;
            online += u32::from(node.up);
        }
        ClusterSize {
            members,
            online,
            target: self.config().formation.members_wanted,
        }
    }
}
