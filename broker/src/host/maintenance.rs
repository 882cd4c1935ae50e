//! Taking the node out of service, so that it can be stopped without anybody noticing: no client is let in or kept, and what
//! others can lead they lead. Its mirrors stay in sync.
//!
//! Whether it is so stands in the definitions, for all nodes to see; a new start of the node ends it.

use catalog::Command;
use model::{QueueId, Refusal};
use std::collections::BTreeSet;

use super::node::Node;

/// What clients are told, in RabbitMQ's words.
const REASON: &str = "Node was put into maintenance mode";

impl Node {
    /// True while a majority of the cluster answers.
    pub fn has_majority(&self) -> bool {
        self.presence().is_none_or(|presence| *presence.serving().borrow())
    }

    /// True while the node is out of service.
    pub fn is_under_maintenance(&self) -> bool {
        let snapshot = self.snapshot();
        let own = snapshot.catalog.node(self.identity().node);
        own.is_some_and(|node| node.maintenance)
    }

    /// Takes the node out of service, and comes back when it leads nothing any more that others can lead.
    ///
    /// # Errors
    /// It cannot be committed.
    pub async fn drain(&self) -> Result<(), Refusal> {
        self.set_maintenance(true).await?;
        self.expel(REASON, |_| true);
        self.hand_over_all().await;
        // Those who were still logging in.
        self.expel(REASON, |_| true);
        tracing::info!("the node is under maintenance");
        Ok(())
    }

    /// Puts it back into service. Leaders do not come back by themselves.
    ///
    /// # Errors
    /// It cannot be committed.
    pub async fn revive(&self) -> Result<(), Refusal> {
        self.set_maintenance(false).await?;
        tracing::info!("the node is in service again");
        Ok(())
    }

    async fn set_maintenance(&self, on: bool) -> Result<(), Refusal> {
        let node = self.identity().node;
        self.commit(Command::SetMaintenance { node, on }).await.map(drop)
    }

    /// Queues that this node leads, that a policy wants mirrored, and that no other node could lead without a loss.
    pub fn unmirrored(&self) -> usize {
        let (snapshot, own) = (self.snapshot(), self.identity().node);
        let safe = snapshot.catalog.successors(own).into_iter();
        let safe: BTreeSet<QueueId> = safe.map(|transfer| transfer.queue).collect();
        let mirrored = snapshot.catalog.leads(own).filter(|queue| queue.ha_mode().is_some());
        mirrored.filter(|queue| !safe.contains(&queue.id)).count()
    }

    /// Quorum queues that could confirm nothing any more if this node stopped.
    pub fn critical(&self) -> usize {
        self.snapshot().catalog.quorum_critical(self.identity().node).count()
    }

    /// Queues with copies elsewhere that this node leads.
    pub fn leads(&self) -> usize {
        let has_others = |queue: &catalog::QueueRecord| {
            let replicas = queue.replicas.as_ref();
            replicas.is_some_and(|replicas| replicas.copies.len() > 1)
        };
        let (snapshot, own) = (self.snapshot(), self.identity().node);
        snapshot.catalog.leads(own).filter(|queue| has_others(queue)).count()
    }
}
