//! What a node's process does about its cluster while the app is stopped: joins one, leaves it, changes its kind, or is
//! told to go on without the others.
//!
//! The cluster decides; the directory follows what it says. While the app runs, the node itself is asked instead.

use catalog::NodeKind;
use model::NodeUuid;
use std::sync::Arc;

use super::{Process, State};
use crate::{
    cluster::{
        outside::{self, OutsideError},
        presence::Status,
        transport::{Introduction, Transport, Wish},
    },
    host::data_directory::DataError,
};

/// Why the process does not do it.
#[derive(Debug, thiserror::Error)]
pub enum MembershipError {
    /// The app runs.
    #[error("the app runs")]
    Running,
    /// The node belongs to no cluster but its own.
    #[error("Non-clustered nodes can only be disc nodes.")]
    Alone,
    /// The node that was asked belongs to a cluster without this one.
    #[error("The nodes provided do not have this node as part of the cluster.")]
    Stranger,
    /// The cluster does not want it, or cannot be asked.
    #[error(transparent)]
    Cluster(#[from] OutsideError),
    /// The directory does not follow.
    #[error(transparent)]
    Data(#[from] DataError),
}

fn stopped(state: &State) -> Result<(), MembershipError> {
    match state.app {
        Some(_) => Err(MembershipError::Running),
        None => Ok(()),
    }
}

impl Process {
    /// The way to other nodes for one that is not a member now.
    pub(super) fn guest(&self, node: Option<NodeUuid>) -> Arc<dyn Transport> {
        self.ways.neighbours.transport(Introduction {
            cluster: NodeUuid(0),
            node: node.unwrap_or_else(|| NodeUuid(rand::random())),
            name: self.name().to_owned(),
            incarnation: 0,
            boot_id: rand::random(),
            level: link::feature_level(),
            guest: true,
        })
    }

    /// Who belongs to the cluster as far as this node knows; nothing before its first start. While the app is stopped that is what it
    /// knew last.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub async fn status(&self) -> Result<Option<Status>, DataError> {
        if let Some(running) = self.running() {
            return Ok(running.node.presence().map(|presence| presence.status()));
        }
        let state = self.state.lock().await;
        let known = state.directory.members()?;
        Ok(known.map(|known| known.of_a_stopped(self.name())))
    }

    /// Who belongs to the cluster of another node.
    ///
    /// # Errors
    /// When that cannot be asked.
    pub async fn look_at(&self, name: &str) -> Result<Status, OutsideError> {
        outside::look(&*self.guest(None), name).await
    }

    /// Becomes a member of the cluster of another node. All that the node was and held is removed.
    ///
    /// # Errors
    /// When the app runs, or the cluster does not want it; nothing was changed then.
    pub async fn join(&self, name: &str, kind: NodeKind) -> Result<(), MembershipError> {
        let state = self.state.lock().await;
        stopped(&state)?;
        let (present, node) = (state.directory.node()?, NodeUuid(rand::random()));
        let wish = Wish {
            node,
            name: self.name().to_owned(),
            kind,
            present,
        };
        let joined = outside::join(&*self.guest(present), name, wish).await?;
        state.directory.adopt(joined.cluster, node)?;
        state.directory.note_members(&joined.status)?;
        Ok(())
    }

    /// Others to be asked about this node, and who it is to them.
    fn member(state: &State) -> Result<(NodeUuid, Status), MembershipError> {
        stopped(state)?;
        let (node, status) = (state.directory.node()?, state.directory.members()?);
        match (node, status) {
            (Some(node), Some(status)) if !status.peers(node).is_empty() => Ok((node, status)),
            _ => Err(MembershipError::Alone),
        }
    }

    /// Leaves the cluster for ever, and removes all that the node was and held.
    ///
    /// # Errors
    /// When the app runs, there is no cluster, no member can be asked, or the cluster cannot be without it.
    pub async fn leave(&self) -> Result<(), MembershipError> {
        let state = self.state.lock().await;
        let (node, status) = Self::member(&state)?;
        outside::leave(&*self.guest(Some(node)), &status.peers(node), node).await?;
        Ok(state.directory.reset()?)
    }

    /// Learns from another node who belongs to the cluster.
    ///
    /// # Errors
    /// When the app runs, that node cannot be asked, or it knows nothing of this one; nothing was changed then.
    pub async fn learn_members(&self, from: &str) -> Result<(), MembershipError> {
        let state = self.state.lock().await;
        stopped(&state)?;
        let node = state.directory.node()?;
        let status = outside::look(&*self.guest(node), from).await?;
        match status.nodes.iter().any(|member| Some(member.node) == node) {
            true => Ok(state.directory.note_members(&status)?),
            false => Err(MembershipError::Stranger),
        }
    }

    /// The node may decide, or only listens, from its next start on.
    ///
    /// # Errors
    /// When the app runs, there is no cluster, no member can be asked, or the cluster does not allow it.
    pub async fn set_kind(&self, kind: NodeKind) -> Result<(), MembershipError> {
        let state = self.state.lock().await;
        let (node, status) = Self::member(&state)?;
        Ok(outside::set_kind(&*self.guest(Some(node)), &status.peers(node), node, kind).await?)
    }

    /// The next start goes on without the other members, once.
    ///
    /// # Errors
    /// When the app runs, or the directory cannot be written.
    pub async fn force_boot(&self) -> Result<(), MembershipError> {
        let state = self.state.lock().await;
        stopped(&state)?;
        Ok(state.directory.force_alone()?)
    }

    /// A running node that lost the majority goes on without it: the app starts anew, alone. What only the others know is
    /// lost.
    ///
    /// # Errors
    /// Why it does not start.
    pub async fn force_majority(&self) -> anyhow::Result<()> {
        tracing::warn!("the node is made to go on without a majority of its cluster");
        self.stop_app().await;
        self.force_boot().await?;
        self.start_app().await
    }
}
