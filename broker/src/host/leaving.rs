//! The mark that this node is to leave the cluster, for all nodes to see, and how much has yet to move for it.
//!
//! What follows from the mark the definitions say (`catalog/leaving`); leaders do it. The mark stays until it is taken away or the node has left.

use catalog::Command;
use model::Refusal;

use super::node::Node;

impl Node {
    /// True while the node is to leave the cluster.
    pub fn is_leaving(&self) -> bool {
        let snapshot = self.snapshot();
        let own = snapshot.catalog.node(self.identity().node);
        own.is_some_and(|node| node.leaving)
    }

    /// Queues that have copies here and will have them elsewhere, or be led there; 0 unless the node is to leave.
    pub fn moving_off(&self) -> usize {
        match self.is_leaving() {
            true => self.snapshot().catalog.moving_off(self.identity().node).count(),
            false => 0,
        }
    }

    /// Has the node be to leave, or stay after all.
    ///
    /// # Errors
    /// It cannot be committed.
    pub async fn set_leaving(&self, on: bool) -> Result<(), Refusal> {
        if self.is_leaving() != on {
            self.mark_leaving(on).await?;
        }
        if on {
            self.lead_no_more().await;
        }
        Ok(())
    }

    async fn mark_leaving(&self, on: bool) -> Result<(), Refusal> {
        let node = self.identity().node;
        self.commit(Command::SetLeaving { node, on }).await?;
        match on {
            true => tracing::info!("the node is to leave its cluster: others get copies of what has copies here"),
            false => tracing::info!("the node is not to leave its cluster after all"),
        }
        Ok(())
    }
}
