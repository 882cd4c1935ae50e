//! What operators want of the cluster, asked here or by other nodes: who belongs to it, joining, leaving, stopping.
//!
//! Each is a command of the definitions; the leader's upkeep makes the votes follow.

use super::Presence;
use crate::cluster::{
    MetaStore,
    transport::{Introduction, Joined, Peer, Reply, Request, Wish},
    voters,
};
use catalog::{Answer, Command, Forced, NodeDeath, NodeKind};
use model::NodeUuid;
use serde::{Deserialize, Serialize};
use std::{sync::Arc, time::Duration};

/// How long a clean stop may take to be known: while a majority answers, and while none does.
const STOP_PATIENCE: Duration = Duration::from_secs(30);
const LONELY_STOP_PATIENCE: Duration = Duration::from_secs(5);

/// A member as this node sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeStatus {
    /// Which.
    pub node: NodeUuid,
    /// Its name.
    pub name: String,
    /// Whether it may decide.
    #[serde(default)]
    pub kind: NodeKind,
    /// It runs.
    #[serde(default)]
    pub up: bool,
    /// How often it has been started.
    #[serde(default)]
    pub incarnation: u64,
    /// It has a vote.
    #[serde(default)]
    pub votes: bool,
}

/// The cluster as this node sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Which cluster.
    pub cluster: NodeUuid,
    /// Its name, if it was given one.
    #[serde(default)]
    pub name: Option<String>,
    /// The members by name.
    pub nodes: Vec<NodeStatus>,
    /// Who leads.
    #[serde(default)]
    pub leader: Option<String>,
    /// This node serves clients.
    #[serde(default)]
    pub serving: bool,
    /// How often the cluster was made to go on without some of its members.
    #[serde(default)]
    pub forced: Forced,
    /// What every member must understand.
    #[serde(default)]
    pub level: u32,
    /// That stays so, whatever members understand.
    #[serde(default)]
    pub is_level_held: bool,
}

impl Status {
    /// The other members, to be asked.
    pub fn peers(&self, own: NodeUuid) -> Vec<Peer> {
        let others = self.nodes.iter().filter(|node| node.node != own);
        let peer = |node: &NodeStatus| Peer {
            node: Some(node.node),
            name: node.name.clone(),
        };
        others.map(peer).collect()
    }

    /// What a node of this name knew when it ran, and does not any more: it serves nobody, and hears of no leader.
    pub fn of_a_stopped(mut self, own: &str) -> Self {
        (self.serving, self.leader) = (false, None);
        for node in self.nodes.iter_mut().filter(|node| node.name == own) {
            node.up = false;
        }
        self
    }
}

/// Why the cluster does not do what an operator wants.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClusterError {
    /// No such member.
    #[error("The node selected is not in the cluster.")]
    NotAMember,
    /// It may not be, in the words of RabbitMQ where it has some.
    #[error("{0}")]
    Refused(String),
}

impl Presence {
    /// The cluster as this node sees it.
    pub fn status(&self) -> Status {
        let (catalog, members) = (self.machine.catalog(), self.store.membership());
        let voters = voters::voters(&members);
        let mut nodes: Vec<NodeStatus> = catalog
            .nodes()
            .map(|node| NodeStatus {
                node: node.uuid,
                name: node.name.to_string(),
                kind: node.kind,
                up: node.up,
                incarnation: node.incarnation,
                votes: voters.contains(&node.uuid),
            })
            .collect();
        nodes.sort_by(|one, other| one.name.cmp(&other.name));
        let name = catalog
            .global_parameter("cluster_name")
            .and_then(|value| value.as_text());
        Status {
            cluster: self.identity.cluster,
            name: name.map(str::to_owned),
            nodes,
            leader: self.store.leader().map(|leader| leader.name),
            serving: *self.serving.borrow(),
            forced: catalog.forced(),
            level: catalog.level(),
            is_level_held: catalog.is_level_held(),
        }
    }

    /// Somebody wants to belong to the cluster.
    pub(super) async fn welcome(&self, wish: Wish) -> Reply {
        let known = self.machine.catalog();
        if wish.present.is_some_and(|present| known.node(present).is_some()) {
            return Reply::Already;
        }
        let (node, name, kind) = (wish.node, wish.name.as_str().into(), wish.kind);
        match self.store.propose(Command::AddNode { node, name, kind }).await {
            Ok(_) => Reply::Joined(Joined {
                cluster: self.identity.cluster,
                status: self.status(),
            }),
            Err(refusal) => Reply::Failed(refusal.text),
        }
    }

    /// Removes a member that is down, for ever.
    ///
    /// # Errors
    /// When there is none of this name, or it runs.
    pub async fn forget(&self, name: &str) -> Result<(), ClusterError> {
        let node = self.machine.catalog().node_by_name(name).map(|node| node.uuid);
        self.remove(node.ok_or(ClusterError::NotAMember)?).await
    }

    async fn remove(&self, node: NodeUuid) -> Result<(), ClusterError> {
        match self.store.propose(Command::RemoveNode(node)).await {
            Ok(Answer::Absent) => Err(ClusterError::NotAMember),
            Ok(_) => Ok(()),
            Err(refusal) => Err(ClusterError::Refused(refusal.text)),
        }
    }

    /// A guest may only speak for itself.
    pub(super) async fn remove_for(&self, from: &Introduction, node: NodeUuid) -> Reply {
        if from.guest && from.node != node {
            return Reply::Failed("a node that is no member removes itself alone".into());
        }
        match self.remove(node).await {
            Ok(()) | Err(ClusterError::NotAMember) => Reply::Done,
            Err(error) => Reply::Failed(error.to_string()),
        }
    }

    pub(super) async fn set_kind_for(&self, from: &Introduction, node: NodeUuid, kind: NodeKind) -> Reply {
        if from.guest && from.node != node {
            return Reply::Failed("a node that is no member changes itself alone".into());
        }
        match self.store.propose(Command::SetNodeKind { node, kind }).await {
            Ok(_) => Reply::Done,
            Err(refusal) => Reply::Failed(refusal.text),
        }
    }

    /// The node stops in order: the others need not wait until they miss it, and can decide without it.
    pub async fn say_goodbye(self: &Arc<Self>) {
        let patience = match *self.serving.borrow() {
            true => STOP_PATIENCE,
            false => LONELY_STOP_PATIENCE,
        };
        if tokio::time::timeout(patience, self.part()).await.is_err() {
            tracing::warn!("the other nodes could not be told that this one stops: they will miss it");
        }
    }

    async fn part(self: &Arc<Self>) {
        self.quiet.cancel();
        let alone = self.others_up().is_empty();
        let death = NodeDeath {
            node: self.identity.node,
            incarnation: self.identity.incarnation,
        };
        if let Err(refusal) = self.store.propose(Command::NodeStopped(death)).await {
            tracing::warn!("the stop could not be committed: {refusal}");
            return;
        }
        if alone {
            return;
        }
        // Before they know, their queues wait for the mirrors here; and from a leader that is gone they learn nothing more.
        self.all_know().await;
        loop {
            let Some(leader) = self.store.leader() else {
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            let reply = match leader.node == Some(self.identity.node) {
                true => self.take_vote(self.identity.node).await,
                false => {
                    let asked = Request::Yield(self.identity.node);
                    let asked = self.transport.call(&leader, asked, STOP_PATIENCE).await;
                    asked.unwrap_or_else(|error| Reply::Failed(error.to_string()))
                }
            };
            match reply {
                Reply::Done => return,
                other => tracing::debug!("{leader} does not take the vote yet: {other:?}"),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Makes the others decide without a node that stops, if they could not otherwise. Once this is done the node gets no vote back: it
    /// is known to have stopped by whoever decides next about votes.
    pub(super) async fn take_vote(&self, leaving: NodeUuid) -> Reply {
        let _one = self.changing.lock().await;
        if !self.leads() {
            return Reply::NotLeader(self.store.leader());
        }
        let catalog = self.machine.catalog();
        if catalog.node(leaving).is_some_and(|node| node.up) {
            return Reply::Failed("that it stops is not known here yet".into());
        }
        let Some(members) = self.store.members_now().await else {
            return Reply::NotLeader(None);
        };
        match voters::without(leaving, &catalog, &members) {
            Some(staying) => self.store.change(crate::cluster::raft::Change::Voters(staying)).await,
            None => Reply::Done,
        }
    }
}
