//! Leadership that is moved by word. The one who leads has everything committed and proposes nothing; one that holds all that it does is told to stand
//! for election, and the others vote for it at once, since the one in whom they believe consents.
//!
//! Nothing here makes anybody a leader: who gets votes is the library's, and a word that is late, lost or wrong costs an election at most. The library
//! does not vote as long as it believes in a leader, and has no such move of its own; it follows a higher vote by which anything is sent, and believes in
//! none that has not won. So a voter is sent an empty snapshot by the candidate's vote, which it has no need of, and then asked for its vote.

use super::{
    store::RaftStore,
    types::{Id, Types, log_id, position, vote, vote_record},
};
use crate::cluster::{
    log::Vote,
    transport::{Candidacy, Introduction, Peer, Reply, Request, TakeOver},
};
use model::NodeUuid;
use openraft::{Snapshot, SnapshotMeta};
use parking_lot::Mutex;
use std::{collections::BTreeMap, io::Cursor, time::Duration};
use tokio::time::timeout;

/// What others have to propose waits no longer than this for the whole of it.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long what is being committed may take, and the other to have it.
const QUIET_PATIENCE: Duration = Duration::from_millis(500);
/// How long an election may take in which nobody waits for anybody.
const ELECTION_PATIENCE: Duration = Duration::from_secs(1);

/// Why the leadership stays where it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MoveError {
    /// It is not this node's to give away.
    #[error("this node does not lead the definitions{}", .0.as_ref().map_or_else(String::new, |leader| format!(", {leader} does: ask that one")))]
    NotLeader(Option<Peer>),
    /// Why not.
    #[error("{0}")]
    Refused(String),
}

fn refused(why: impl Into<String>) -> MoveError {
    MoveError::Refused(why.into())
}

/// The leader's consent to this node's candidacy.
#[derive(Debug, Default)]
pub(super) struct Consent(Mutex<Given>);

#[derive(Debug, Default)]
struct Given {
    /// By which vote the one leads who gives it, as long as the candidacy lasts.
    now: Option<Vote>,
    /// The term of the last candidacy of this kind.
    last: Option<u64>,
}

/// Taken back when it is dropped.
struct Candidate<'a>(&'a Consent);

impl Drop for Candidate<'_> {
    fn drop(&mut self) {
        self.0.0.lock().now = None;
    }
}

impl Consent {
    fn give(&self, by: Vote) -> Candidate<'_> {
        *self.0.lock() = Given {
            now: Some(by),
            last: Some(by.term + 1),
        };
        Candidate(self)
    }

    /// What there is to this candidacy: it is the next after the one who consents.
    pub(super) fn to(&self, candidacy: &Vote) -> Option<Vote> {
        self.0.lock().now.filter(|by| by.term + 1 == candidacy.term)
    }

    /// True if this node stood for election in this term because the one who led wanted it.
    pub(super) fn led_to(&self, term: u64) -> bool {
        self.0.lock().last == Some(term)
    }
}

impl RaftStore {
    /// True if this node stood for election in this term because the one who led wanted it: nobody was silent before.
    pub fn is_by_word(&self, term: u64) -> bool {
        self.consent.led_to(term)
    }

    /// Where the log of this node ends, and how far each other is known to be with it; nothing when it does not lead.
    pub fn progress(&self) -> Option<(u64, BTreeMap<NodeUuid, u64>)> {
        let metrics = self.raft.metrics();
        let report = metrics.borrow();
        let others = report.replication.as_ref()?;
        let known = others.iter().filter_map(|(id, at)| Some((id.0, at.as_ref()?.index)));
        Some((report.last_log_index.unwrap_or(0), known.collect()))
    }

    /// Has another lead; it does when this is back. What is proposed meanwhile waits, and nothing of it is lost or done twice.
    ///
    /// # Errors
    /// Why not. Then this node leads on, unless it is overruled as at any time.
    pub async fn hand_over(&self, to: &Peer) -> Result<(), MoveError> {
        let moved = timeout(PATIENCE, self.try_hand_over(to)).await;
        moved.unwrap_or_else(|_| Err(refused(format!("{to} does not lead within {PATIENCE:?}"))))
    }

    async fn try_hand_over(&self, to: &Peer) -> Result<(), MoveError> {
        // Given back however this ends.
        let quiet = timeout(QUIET_PATIENCE, self.turns.take_alone()).await;
        let _quiet = quiet.map_err(|_| refused("what is being committed takes too long"))?;
        let word = self.last_word()?;
        let caught_up = timeout(QUIET_PATIENCE, self.until_it_has(to, word.last.index)).await;
        caught_up.map_err(|_| refused(format!("{to} is not up to date")))?;
        let reply = self
            .transport
            .call(to, Request::TakeOver(word), ELECTION_PATIENCE * 5 / 4)
            .await;
        match reply {
            Ok(Reply::Done) => {
                self.until_led_by(to).await;
                Ok(())
            }
            // Its answer may have been lost, not its election.
            _ if self.leader().as_ref() == Some(to) => Ok(()),
            Ok(Reply::Failed(why)) => Err(refused(why)),
            Ok(Reply::Unknown) => Err(refused(format!(
                "{to} does not understand that: it is of an older release"
            ))),
            Ok(other) => Err(refused(format!("{to} answers {other:?}"))),
            Err(error) => Err(refused(format!("{to} cannot be asked: {error}"))),
        }
    }

    /// By which vote this node leads, and where its log ends.
    fn last_word(&self) -> Result<TakeOver, MoveError> {
        let metrics = self.raft.metrics();
        let own = metrics.borrow().vote;
        match (self.standing().settled, self.log.last()) {
            (Some(term), Some(last)) if own.committed && own.leader_id.term == term => Ok(TakeOver {
                vote: vote_record(&own),
                last: position(&last),
            }),
            _ => Err(MoveError::NotLeader(self.leader())),
        }
    }

    async fn until_it_has(&self, peer: &Peer, entry: u64) {
        let mut reports = self.raft.metrics();
        let has = |report: &openraft::RaftMetrics<Id, _>| {
            let (others, node) = (report.replication.as_ref()?, peer.node?);
            Some(others.get(&Id(node))?.as_ref()?.index >= entry)
        };
        // A store that stops has no more news: whoever waits has a deadline.
        if reports.wait_for(|report| has(report) == Some(true)).await.is_err() {
            std::future::pending().await
        }
    }

    /// So that what has waited goes there at once.
    async fn until_led_by(&self, peer: &Peer) {
        let mut reports = self.raft.metrics();
        let leads = reports.wait_for(|report| report.current_leader.map(|id| id.0) == peer.node);
        if timeout(QUIET_PATIENCE, leads).await.is_err() {
            tracing::debug!("{peer} was elected, and has not been heard yet");
        }
    }

    /// The one who leads wants this node to. `Done` once it does.
    pub(super) async fn take_over(&self, from: &Introduction, word: TakeOver) -> Reply {
        if let Err(why) = self.may_take_over(from, &word).await {
            return why;
        }
        let name = &self.identity.name;
        tracing::info!(
            "{} hands the leadership of the definitions over: this node stands for election",
            from.name
        );
        let _candidate = self.consent.give(word.vote);
        self.stand().await;
        let mut reports = self.raft.metrics();
        let leads = reports.wait_for(|report| {
            report.current_leader == Some(Id(self.identity.node)) && report.current_term > word.vote.term
        });
        match timeout(ELECTION_PATIENCE, leads).await {
            Ok(Ok(_)) => Reply::Done,
            Ok(Err(_)) => Reply::Failed(format!("{name} stops")),
            Err(_) => Reply::Failed(format!("{name} was not elected within {ELECTION_PATIENCE:?}")),
        }
    }

    async fn may_take_over(&self, from: &Introduction, word: &TakeOver) -> Result<(), Reply> {
        let (own, name) = (Id(self.identity.node), &self.identity.name);
        let asked = self.raft.with_raft_state(move |state| {
            let members = state.membership_state.effective().membership();
            (*state.vote_ref(), members.voter_ids().any(|voter| voter == own))
        });
        let (followed, votes) = asked.await.map_err(|error| Reply::Failed(error.to_string()))?;
        let is_from_leader = word.vote.won && word.vote.node == from.node;
        if !is_from_leader || followed != vote(&word.vote) {
            return Err(Reply::Failed(format!(
                "{name} follows another leader than {}",
                from.name
            )));
        }
        match (votes, self.log.last() == Some(log_id(&word.last))) {
            (false, _) => Err(Reply::Failed(format!("{name} has no vote"))),
            (true, false) => Err(Reply::Failed(format!("{name} is not up to date"))),
            (true, true) => Ok(()),
        }
    }

    /// Lets go of a leader that consents to a candidacy. Not for one that would get no vote: then all goes on as before.
    pub(super) async fn heed_consent(&self, candidacy: &Candidacy) {
        let Some(by) = candidacy.consent else { return };
        let (last, wanted) = (candidacy.last.as_ref().map(log_id), candidacy.vote);
        let followed = self.raft.with_raft_state(|state| *state.vote_ref()).await;
        let is_followed = by.won && followed.is_ok_and(|followed| followed == vote(&by));
        if !is_followed || wanted.term != by.term + 1 || last < self.log.last() {
            tracing::debug!("a consent to {wanted:?} that changes nothing here: {by:?}");
            return;
        }
        let nothing: Snapshot<Types> = Snapshot {
            meta: SnapshotMeta::default(),
            snapshot: Box::new(Cursor::new(Vec::new())),
        };
        let promised = openraft::Vote::new(wanted.term, Id(wanted.node));
        if let Err(error) = self.raft.install_full_snapshot(promised, nothing).await {
            tracing::debug!("the leader is not let go of: {error}");
        }
    }
}
