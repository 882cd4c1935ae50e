//! Whether the cluster was made to go on without this node while it was away: then two could lead, each on its own.
//!
//! Only a node that decides alone can be in that place; it asks the other members, before it starts and while it leads. Of
//! two histories the one that was forced later, or by more, wins; the node of the other serves nobody and says what to do.

use super::Presence;
use crate::cluster::{
    MetaStore,
    transport::{Peer, Reply, Request},
};
use catalog::{Command, Turn};
use std::sync::atomic::Ordering;

impl Presence {
    /// This node goes on without the others: from now on what they know is another history.
    ///
    /// # Errors
    /// When it cannot be committed.
    pub async fn begin_history(&self) -> anyhow::Result<()> {
        match self
            .store
            .propose(Command::History(Turn::Forced(self.identity.node)))
            .await
        {
            Ok(_) => Ok(()),
            Err(refusal) => anyhow::bail!("that this node goes on alone could not be written down: {refusal}"),
        }
    }

    /// Why this node must not lead, if another was forced to go on without it.
    pub(super) async fn overruled(&self) -> Option<String> {
        let catalog = self.machine.catalog();
        let others = catalog.nodes().filter(|node| node.uuid != self.identity.node);
        let others: Vec<Peer> = others
            .map(|node| Peer {
                node: Some(node.uuid),
                name: node.name.to_string(),
            })
            .collect();
        if others.is_empty() || !self.store.votes_alone() {
            return None;
        }
        let own = catalog.forced();
        let asked = others.iter().map(|peer| async move {
            let looked = self.transport.call(peer, Request::Members, self.patience.beat()).await;
            match looked {
                Ok(Reply::Members(status)) if status.cluster == self.identity.cluster => {
                    (status.forced > own).then_some(&peer.name)
                }
                _ => None,
            }
        });
        let found = futures::future::join_all(asked).await;
        let by = found.into_iter().flatten().next()?;
        let name = &self.identity.name;
        Some(format!(
            "the cluster was made to go on without node {name}, and {by} belongs to what it is now: what only {name} knows \
             is lost. Reset it with 'rabbitmqctl force_reset' and let it join again"
        ))
    }

    /// Looks, while this node starts, whether it may.
    pub(super) async fn must_not_be_overruled(&self) -> anyhow::Result<()> {
        match self.overruled().await {
            Some(why) => Err(anyhow::Error::msg(why)),
            None => Ok(()),
        }
    }

    /// Looks, while this node leads, whether it may.
    pub(super) async fn check_history(&self) {
        if self.is_overruled.load(Ordering::Acquire) {
            return;
        }
        if let Some(why) = self.overruled().await {
            tracing::error!("{why}");
            self.is_overruled.store(true, Ordering::Release);
            self.weigh();
        }
    }

    /// A leader says what every member understands, once each has shown itself with it. Until then nodes may go back to the release before.
    pub(super) async fn raise_level(&self) {
        let catalog = self.machine.catalog();
        if catalog.is_level_held() {
            return;
        }
        let others = self.roll.lock().common_level(self.identity.node, &catalog);
        let Some(level) = others.map(|others| others.min(self.identity.level)) else {
            return;
        };
        if level <= catalog.level() {
            return;
        }
        tracing::info!("every member understands feature level {level}, which is needed from now on");
        if let Err(refusal) = self.store.propose(Command::History(Turn::Level(level))).await {
            tracing::debug!("the feature level stays: {refusal}");
        }
    }
}
