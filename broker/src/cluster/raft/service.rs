//! Answers other members: the library's questions, and proposals of nodes that do not lead.
//!
//! Who may ask is judged at the door.

use super::{
    messages,
    store::RaftStore,
    turns::Written,
    types::{Id, Types},
};
use crate::cluster::{
    door,
    log::{Member, Proposal},
    transport::{Append, Introduction, Peer, Reply, Request, Service, Turned},
};
use futures::future::BoxFuture;
use openraft::error::{ClientWriteError, ForwardToLeader, RaftError};
use std::time::Duration;
use tokio::time::Instant;

/// How long a member may wait for a commit before it is told to ask again.
const COMMIT_PATIENCE: Duration = Duration::from_secs(5);
/// How long a member is kept waiting for what has not been applied here.
const REACH_PATIENCE: Duration = Duration::from_secs(5);

/// An answer of the library, or why there is none.
fn reply<T, E: std::fmt::Display>(answer: Result<T, E>, reply: impl FnOnce(T) -> Reply) -> Reply {
    answer.map_or_else(|error| Reply::Failed(error.to_string()), reply)
}

fn not_leader(leader: ForwardToLeader<Id, Member>) -> Reply {
    let node = leader.leader_id.map(|id| id.0);
    Reply::NotLeader(leader.leader_node.map(|member| Peer {
        node,
        name: member.name,
    }))
}

/// What came of a wish that only the leader can grant.
pub(super) fn written<T>(answer: Written<T>) -> Reply {
    match answer {
        Ok(_) => Reply::Done,
        Err(RaftError::APIError(ClientWriteError::ForwardToLeader(leader))) => not_leader(leader),
        Err(error) => Reply::Failed(error.to_string()),
    }
}

impl RaftStore {
    /// Entries of a leader. One that would take back what has been applied here has gone on without this node, by
    /// force: following it would make two stories of one. One that was overruled may well try; its vote tells it so.
    async fn append(&self, append: Append) -> Reply {
        let request = messages::append_request(append);
        let (applied, vote) = {
            let metrics = self.raft.metrics();
            let report = metrics.borrow();
            (report.last_applied.map(|applied| applied.index), report.vote)
        };
        let entries = request.entries.iter().map(|entry| &entry.log_id);
        let entries = request.prev_log_id.iter().chain(entries);
        let known = entries.take_while(|entry| Some(entry.index) <= applied);
        let leads = request.vote >= vote;
        if let Some(entry) = known.into_iter().find(|entry| leads && self.log.contradicts(entry)) {
            let name = &self.identity.name;
            let why = format!(
                "the cluster was made to go on without node {name}, and {name} knows of changes after that (entry {}): \
                 reset it with 'rabbitmqctl force_reset' and let it join again",
                entry.index
            );
            tracing::error!("{why}");
            return Reply::Failed(why);
        }
        let answer = self.raft.append_entries(request).await;
        if leads {
            *self.heard.lock() = Instant::now();
        }
        reply(answer, |answer| Reply::Append(messages::appended(answer)))
    }

    /// True if this node alone decides.
    pub fn votes_alone(&self) -> bool {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow();
        let voters = metrics.membership_config.membership().get_joint_config();
        *voters == [std::collections::BTreeSet::from([Id(self.identity.node)])]
    }

    async fn propose_for(&self, from: &Introduction, proposal: Proposal) -> Reply {
        if proposal.origin != from.node {
            return Reply::Failed(format!("{} proposes in the name of {}", from.node, proposal.origin));
        }
        if self.health.is_full() {
            return Reply::Failed("the disk of the leader's data directory is full".into());
        }
        match tokio::time::timeout(COMMIT_PATIENCE, self.turns.write(proposal)).await {
            Ok(answer) => written(answer),
            Err(_) => Reply::Failed("no majority of the members answers".into()),
        }
    }

    /// Tells a member once this node is so far.
    async fn tell_reached(&self, entry: u64) -> Reply {
        match tokio::time::timeout(REACH_PATIENCE, self.until(entry)).await {
            Ok(()) => Reply::Done,
            Err(_) => Reply::Failed(format!(
                "the definitions here are at entry {}, not {entry}",
                self.reached()
            )),
        }
    }

    /// Answers what concerns the log.
    pub async fn serve(&self, from: &Introduction, request: Request) -> Reply {
        match request {
            Request::Ping => Reply::Done,
            Request::Append(append) => self.append(append).await,
            Request::Vote(_) if self.votes_alone() => Reply::Failed(format!(
                "{} decides alone and gives its vote to nobody",
                self.identity.name
            )),
            Request::Vote(candidacy) => {
                self.heed_consent(&candidacy).await;
                let answer = self.raft.vote(messages::vote_request(&candidacy)).await;
                reply(answer, |answer| Reply::Vote(messages::voted(&answer)))
            }
            Request::Snapshot(part) => {
                let request: openraft::raft::InstallSnapshotRequest<Types> = messages::snapshot_request(part);
                let answer = messages::received(self.raft.install_snapshot(request).await);
                reply(answer, Reply::Snapshot)
            }
            Request::Reached(entry) => self.tell_reached(entry).await,
            Request::Propose(proposal) => self.propose_for(from, proposal).await,
            Request::TakeOver(word) => self.take_over(from, word).await,
            _ => Reply::Unknown,
        }
    }
}

impl Service for RaftStore {
    fn introduction(&self) -> Introduction {
        Introduction::of(&self.identity)
    }

    fn admit(&self, who: &Introduction) -> Result<(), Turned> {
        door::judge(&self.introduction(), &self.machine.catalog(), who)
    }

    fn answer(&self, from: &Introduction, request: Request) -> BoxFuture<'_, Reply> {
        let from = from.clone();
        Box::pin(async move { self.serve(&from, request).await })
    }
}
