//! Who decides and who listens: the only place that changes it. Changes are entries of the log and count like any other;
//! one at a time.
//!
//! Who should vote is decided elsewhere.

use super::{
    service::written,
    store::RaftStore,
    take_over::Consent,
    types::{Id, Types, membership_record},
};
use crate::cluster::{
    log::{Member, Membership},
    transport::Reply,
};
use model::NodeUuid;
use openraft::{ChangeMembers, Raft, ServerState};
use parking_lot::Mutex;
use std::{collections::BTreeSet, sync::Arc, time::Duration};
use tokio::{sync::watch, time::Instant};

type State = openraft::RaftState<Id, Member, openraft::TokioInstant>;

/// How long a change may take before it is left to itself.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a node knows of leading.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// It leads in this term, and has applied what was committed before.
    pub settled: Option<u64>,
    /// It leads, and a majority followed it then.
    pub confirmed: Option<Instant>,
}

/// How often this node has begun to lead since it was started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reigns {
    /// Because the one who led before wanted it.
    pub by_word: u64,
    /// Because nobody led who was heard.
    pub by_election: u64,
}

impl Reigns {
    fn add(&mut self, by_word: bool) {
        match by_word {
            true => self.by_word += 1,
            false => self.by_election += 1,
        }
    }
}

/// Keeps the standing up to date as long as the library runs, and counts. Taken from each report when it comes: a report may be old
/// by the time that somebody asks.
pub(super) async fn observe(
    raft: Raft<Types>,
    consent: Arc<Consent>,
    (standing, reigns): (Arc<watch::Sender<Standing>>, Arc<Mutex<Reigns>>),
) {
    let mut reports = raft.metrics();
    loop {
        let now = {
            let report = reports.borrow_and_update();
            let leads = report.state == ServerState::Leader && report.vote.committed;
            let own_term = |applied: &openraft::LogId<Id>| applied.leader_id.term == report.current_term;
            let settled = leads && report.last_applied.as_ref().is_some_and(own_term);
            let age = report
                .millis_since_quorum_ack
                .filter(|_| leads)
                .map(Duration::from_millis);
            Standing {
                settled: settled.then_some(report.current_term),
                confirmed: age.and_then(|age| Instant::now().checked_sub(age)),
            }
        };
        // Whoever waits waits for another leader, not for the next heartbeat.
        standing.send_if_modified(|known| {
            let is_news = known.settled != now.settled;
            if let Some(term) = now.settled.filter(|_| is_news) {
                reigns.lock().add(consent.led_to(term));
            }
            *known = now;
            is_news
        });
        if reports.changed().await.is_err() {
            return;
        }
    }
}

/// One change of the members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A node listens from now on.
    Add(NodeUuid, Member),
    /// These decide from now on; all others listen.
    Voters(BTreeSet<NodeUuid>),
    /// A member has another name, or turns out to have one.
    Rename(NodeUuid, Member),
    /// A node that only listens goes.
    Remove(NodeUuid),
}

impl RaftStore {
    /// The members, as the last entry says that this node has, committed or not.
    pub fn membership(&self) -> Membership {
        membership_record(self.raft.metrics().borrow().membership_config.membership())
    }

    /// The same after all that this node has been asked to change before; nothing when the store has stopped.
    pub async fn members_now(&self) -> Option<Membership> {
        let members = |state: &State| membership_record(state.membership_state.effective().membership());
        self.raft.with_raft_state(members).await.ok()
    }

    /// What this node knows of leading.
    pub fn standing(&self) -> Standing {
        *self.standing.borrow()
    }

    /// How often it has begun to lead.
    pub fn reigns(&self) -> Reigns {
        *self.reigns.lock()
    }

    /// Back when this node leads in another term than now, or no more.
    pub async fn standing_changes(&self) {
        if self.standing.subscribe().changed().await.is_err() {
            std::future::pending().await
        }
    }

    /// True if the leader, another node, has not been heard for longer than between two of its heartbeats.
    pub fn misses_leader(&self) -> bool {
        self.standing().settled.is_none() && self.heard.lock().elapsed() > self.timing.heartbeat() * 3 / 2
    }

    /// So long after it has heard a leader no node votes for another.
    pub fn belief(&self) -> Duration {
        self.timing.belief()
    }

    /// When this node believes in the leader no more, if it is not heard again.
    pub fn believes_until(&self) -> Instant {
        *self.heard.lock() + self.timing.belief()
    }

    /// Stands for election now, whatever is believed.
    pub async fn stand(&self) {
        if let Err(error) = self.raft.trigger().elect().await {
            tracing::debug!("the node cannot stand for election: {error}");
        }
    }

    /// Changes the members. `Done` once that is committed, `NotLeader` where it cannot be done.
    pub async fn change(&self, change: Change) -> Reply {
        let changed = async {
            let _turn = self.turns.take().await;
            match change {
                Change::Add(node, member) => written(self.raft.add_learner(Id(node), member, false).await),
                Change::Voters(voters) => {
                    let voters = ChangeMembers::ReplaceAllVoters(voters.into_iter().map(Id).collect());
                    written(self.raft.change_membership(voters, true).await)
                }
                Change::Rename(node, member) => {
                    let named = ChangeMembers::SetNodes([(Id(node), member)].into());
                    written(self.raft.change_membership(named, true).await)
                }
                Change::Remove(node) => {
                    let gone = ChangeMembers::RemoveNodes(BTreeSet::from([Id(node)]));
                    written(self.raft.change_membership(gone, false).await)
                }
            }
        };
        let late = |_| Reply::Failed("no majority of the members answers".into());
        tokio::time::timeout(PATIENCE, changed).await.unwrap_or_else(late)
    }
}
