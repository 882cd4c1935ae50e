//! One task that proposes for the whole node: what has come while one proposal was under way goes into the next.
//!
//! So a write to the disk serves as many clients as wait for one. A proposal goes to whoever leads, here or elsewhere, and
//! is repeated until this node has applied it: nothing that another says counts, who may have been overruled. It is
//! repeated at once when somebody else leads; the log's state machine performs it once, by its number. What only the one
//! who leads may say is tried here once, and given up when somebody else does.

use super::{
    turns::Turns,
    types::{Id, Types},
    waiting::{Answer, Waiting},
};
use crate::cluster::{
    Identity,
    log::{Health, Member, Proposal},
    transport::{Peer, Reply, Request, Transport},
};
use catalog::Command;
use model::{Refusal, ReplyCode};
use openraft::{
    Raft,
    error::{ClientWriteError, Fatal, ForwardToLeader, RaftError},
};
use std::{sync::Arc, time::Duration};
use tokio::sync::{mpsc, watch};

type Report = openraft::RaftMetrics<Id, Member>;

/// Commands that wait to be proposed; more make their senders wait.
pub(super) const WAITING_MAX: usize = 1024;
/// Commands in one proposal.
const BATCH_MAX: usize = 512;
/// How long a proposal waits for somebody who leads.
const LEADER_PATIENCE: Duration = Duration::from_secs(20);
/// How long the one who leads may take to commit before it is asked again.
const FORWARD_PATIENCE: Duration = Duration::from_secs(5);
/// How long what the one who leads has committed may take to come here before it is asked again.
const APPLY_PATIENCE: Duration = Duration::from_millis(500);
/// How soon a proposal is repeated that found nobody who leads.
const LEADER_PAUSE: Duration = Duration::from_millis(50);
/// The log is made short again when this much has been written since the last snapshot, or as much as that one has.
const LOG_BYTES: u64 = 1024 * 1024;

/// A command, and who waits for it.
pub(super) struct Asked {
    pub(super) command: Command,
    pub(super) answer: Answer,
    /// It is this node's to say only while it leads.
    pub(super) as_leader: bool,
}

/// What the task owns.
pub(super) struct Proposer {
    pub(super) raft: Raft<Types>,
    pub(super) transport: Arc<dyn Transport>,
    pub(super) turns: Turns,
    pub(super) identity: Identity,
    pub(super) waiting: Arc<Waiting>,
    pub(super) health: Arc<Health>,
    pub(super) fatal: crate::cluster::log::Fatal,
    /// Proposals so far.
    pub(super) number: u64,
    /// A snapshot has been asked for when so many had been taken.
    pub(super) shortening: Option<u64>,
}

impl Proposer {
    /// Proposes until nobody asks any more, or the store has broken down.
    pub(super) async fn run(mut self, mut asked: mpsc::Receiver<Asked>) {
        let mut batch = Vec::new();
        while asked.recv_many(&mut batch, BATCH_MAX).await > 0 {
            // Who has given up is not surprised later.
            let wanted = batch.drain(..).filter(|asked| !asked.answer.is_closed());
            let (leading, any): (Vec<Asked>, Vec<Asked>) = wanted.partition(|asked| asked.as_leader);
            for (asked, as_leader) in [(any, false), (leading, true)] {
                if !asked.is_empty() && !self.propose(asked, as_leader).await {
                    return;
                }
            }
            self.shorten().await;
        }
    }

    /// False when the store has broken down.
    async fn propose(&mut self, asked: Vec<Asked>, as_leader: bool) -> bool {
        let (commands, answers): (Vec<Command>, Vec<Answer>) =
            asked.into_iter().map(|asked| (asked.command, asked.answer)).unzip();
        self.number += 1;
        let proposal = Proposal {
            origin: self.identity.node,
            incarnation: self.identity.incarnation,
            number: self.number,
            commands: commands.into(),
        };
        self.waiting.enter(self.number, answers);
        let committed = async {
            match as_leader {
                true => self.commit_as_leader(&proposal).await,
                false => self.commit(&proposal).await,
            }
        };
        match tokio::time::timeout(LEADER_PATIENCE, committed).await {
            Ok(Ok(())) => {
                // Only what was given up is waited for still.
                self.refuse();
                true
            }
            Ok(Err(Fatal::Stopped)) => {
                self.refuse();
                false
            }
            Ok(Err(error)) => {
                self.refuse();
                (self.fatal)(&format!("the catalogue's log: {error}"));
                false
            }
            Err(_) => {
                tracing::warn!("a change of definitions could not be committed: no majority of the members answers");
                self.refuse();
                true
            }
        }
    }

    /// Back when it is applied here, however long that takes.
    async fn commit(&self, proposal: &Proposal) -> Result<(), Fatal<Id>> {
        let mut reports = self.raft.metrics();
        loop {
            let leader = leader(&reports.borrow_and_update());
            let tried = tokio::select! {
                biased;
                () = self.waiting.applied(proposal.number) => return Ok(()),
                tried = self.attempt(proposal) => tried,
                // Who does not lead any more may never answer.
                () = overruled(&mut reports, leader) => continue,
            };
            let (pause, is_hopeless) = match tried? {
                Tried::Applied => return Ok(()),
                Tried::Committed => (APPLY_PATIENCE, false),
                Tried::Failed => (LEADER_PAUSE, true),
            };
            tokio::select! {
                () = self.waiting.applied(proposal.number) => return Ok(()),
                () = overruled(&mut reports, leader), if is_hopeless => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// One try; back when it is applied here, or somebody else leads.
    async fn commit_as_leader(&self, proposal: &Proposal) -> Result<(), Fatal<Id>> {
        let mut reports = self.raft.metrics();
        let leader = leader(&reports.borrow_and_update());
        tokio::select! {
            biased;
            () = self.waiting.applied(proposal.number) => Ok(()),
            written = self.turns.write(proposal.clone()) => match written {
                Ok(_) | Err(RaftError::APIError(_)) => Ok(()),
                Err(RaftError::Fatal(error)) => Err(error),
            },
            () = overruled(&mut reports, leader) => Ok(()),
        }
    }

    async fn attempt(&self, proposal: &Proposal) -> Result<Tried, Fatal<Id>> {
        let tried = match self.turns.write(proposal.clone()).await {
            Ok(_) => Tried::Applied,
            Err(RaftError::APIError(ClientWriteError::ForwardToLeader(leader))) => {
                match self.forward(leader, proposal).await {
                    true => Tried::Committed,
                    false => Tried::Failed,
                }
            }
            Err(RaftError::APIError(error @ ClientWriteError::ChangeMembershipError(_))) => {
                tracing::error!("a change of definitions could not be committed: {error}");
                Tried::Failed
            }
            Err(RaftError::Fatal(error)) => return Err(error),
        };
        Ok(tried)
    }

    /// Has another node commit it; true if that has.
    async fn forward(&self, leader: ForwardToLeader<Id, Member>, proposal: &Proposal) -> bool {
        let (Some(Id(node)), Some(member)) = (leader.leader_id, leader.leader_node) else {
            return false;
        };
        let peer = Peer {
            node: Some(node),
            name: member.name,
        };
        let asked = Request::Propose(proposal.clone());
        match self.transport.call(&peer, asked, FORWARD_PATIENCE).await {
            Ok(Reply::Done) => true,
            Ok(other) => {
                tracing::debug!("{peer} does not commit: {other:?}");
                false
            }
            Err(error) => {
                tracing::debug!("{peer} cannot be asked to commit: {error}");
                false
            }
        }
    }

    fn refuse(&self) {
        for answer in self.waiting.take(self.number) {
            // Who has gone away wants no answer.
            let _ = answer.send(Err(uncommitted()));
        }
    }

    /// Has the log made short when it has grown, and again when it has grown further while that was done.
    async fn shorten(&mut self) {
        let taken = self.health.snapshots();
        let long = self.health.bytes() >= LOG_BYTES.max(self.health.snapshot_bytes());
        if !long || self.shortening == Some(taken) {
            return;
        }
        self.shortening = Some(taken);
        if let Err(error) = self.raft.trigger().snapshot().await {
            tracing::debug!("no snapshot: {error}");
        }
    }
}

/// How one try ended.
enum Tried {
    /// This node has applied it.
    Applied,
    /// Another says that it is committed.
    Committed,
    /// Nobody does.
    Failed,
}

/// Who leads in the eyes of this node, and since which vote.
fn leader(report: &Report) -> (u64, Option<Id>) {
    (report.current_term, report.current_leader)
}

/// Back when it is not this one any more.
async fn overruled(reports: &mut watch::Receiver<Report>, by: (u64, Option<Id>)) {
    loop {
        if leader(&reports.borrow_and_update()) != by {
            return;
        }
        if reports.changed().await.is_err() {
            // The store stops, and whoever tries hears of it.
            std::future::pending().await
        }
    }
}

/// What a client is told whose command may or may not be committed some time.
pub(super) fn uncommitted() -> Refusal {
    let text = "the change could not be committed now: the node has no leader to commit it";
    Refusal::connection(ReplyCode::InternalError, text)
}
