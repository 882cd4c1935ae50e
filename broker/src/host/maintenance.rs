//! Taking the node out of service, so that it can be stopped without anybody noticing: no client is let in or kept, and what
//! others can lead they lead. Its mirrors stay in sync.
//!
//! Whether it is so stands in the definitions, for all nodes to see; a new start of the node ends it.

use api::Copies;
use catalog::{Catalog, Command};
use model::{HaMode, NodeUuid, QueueId, Refusal};
use std::{collections::BTreeSet, time::Duration};
use tokio::time::Instant;

use super::node::Node;

/// What clients are told, in RabbitMQ's words.
const REASON: &str = "Node was put into maintenance mode";
/// The longest that anybody waits: a week.
const PATIENCE_MAX: Duration = Duration::from_secs(604_800);
/// How often the process that ends looks whether mirrors have caught up.
const CATCH_UP_LOOK: Duration = Duration::from_millis(100);

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
        self.lead_no_more().await;
        // Those who were still logging in.
        self.expel(REASON, |_| true);
        tracing::info!("the node is under maintenance");
        Ok(())
    }

    /// Another node leads the definitions, if this one does and another can: nobody waits for an election when it goes.
    pub async fn lead_no_more(&self) {
        if let Some(presence) = self.presence() {
            presence.lead_no_more().await;
        }
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

    /// Before the process ends: waits for the mirrors that are about to be in sync with queues led here, but not for ever. Others would have
    /// to do without these queues until this node is back.
    pub async fn await_mirrors(&self) {
        let patience = Duration::from_millis(self.config().node.drain_timeout.0).min(PATIENCE_MAX);
        let (own, deadline) = (self.identity().node, Instant::now() + patience);
        let mut told = false;
        while self.has_majority() {
            let waiting = catching_up(&self.snapshot().catalog, own);
            if waiting == 0 {
                return;
            }
            if Instant::now() >= deadline {
                tracing::warn!(
                    "mirrors of {waiting} queues are still not in sync: nobody leads these until this node is back"
                );
                return;
            }
            if !told {
                tracing::info!("mirrors of {waiting} queues are waited for before this node stops");
                told = true;
            }
            tokio::time::sleep(CATCH_UP_LOOK).await;
        }
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

    /// What copies of queues the node has. A queue of which policies want one copy is at no risk by that.
    pub fn copies(&self) -> Copies {
        let (snapshot, own) = (self.snapshot(), self.identity().node);
        let safe = snapshot.catalog.successors(own).into_iter();
        let safe: BTreeSet<QueueId> = safe.map(|transfer| transfer.queue).collect();
        let wants_more = |queue: &catalog::QueueRecord| match queue.ha_mode() {
            Some(HaMode::All) => snapshot.catalog.nodes().count() > 1,
            Some(HaMode::Exactly(count)) => *count > 1,
            Some(HaMode::Nodes(names)) => names.len() > 1,
            None => queue
                .replicas
                .as_ref()
                .is_some_and(|replicas| queue.is_quorum() && replicas.copies.len() > 1),
        };
        let led = || snapshot.catalog.queues().filter(|queue| !snapshot.is_remote(queue));
        let at_risk = led().filter(|queue| wants_more(queue) && !safe.contains(&queue.id));
        let (mirrors, unsynced) = snapshot.catalog.mirrored_by(own);
        Copies {
            masters: led().count() as u64,
            mirrors: mirrors as u64,
            unsynced: unsynced as u64,
            at_risk: at_risk.count() as u64,
        }
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

/// Queues that the node leads and no other could without a loss, and of which a mirror that runs is on its way.
fn catching_up(catalog: &Catalog, own: NodeUuid) -> usize {
    let safe: BTreeSet<QueueId> = catalog
        .successors(own)
        .into_iter()
        .map(|transfer| transfer.queue)
        .collect();
    let runs = |node: NodeUuid| catalog.node(node).is_some_and(|node| node.up && node.may_lead());
    let is_copied = |queue: &catalog::QueueRecord| {
        let mirrors = queue.replicas.iter().flat_map(|replicas| replicas.mirrors());
        queue.ha().is_some_and(|ha| ha.sync_automatic == Some(true)) && mirrors.into_iter().any(|copy| runs(copy.node))
    };
    let left = catalog.leads(own).filter(|queue| !safe.contains(&queue.id));
    left.filter(|queue| is_copied(queue)).count()
}
