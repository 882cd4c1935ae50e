//! The store of the definitions over an agreed log: opening it, proposing to it, stopping it.
//!
//! A node that is the only one to vote leads at once, on its first start and on every other: no time passes by waiting
//! for votes of nobody. Any other node waits for its peers, with its door open.

use super::{
    alone,
    log_store::{LogStore, LogView},
    members::{self, Reigns, Standing},
    network::Network,
    proposer::{Asked, Proposer, WAITING_MAX, uncommitted},
    state_machine::StateMachine,
    take_over::Consent,
    turns::Turns,
    types::{Id, Types},
    waiting::Waiting,
};
use crate::cluster::{
    Identity, Machine, MetaStore, Outcome,
    log::{Fatal, Health, Log, Member, Writer},
    transport::{Peer, Transport},
};
use anyhow::Context;
use catalog::Command;
use futures::future::BoxFuture;
use model::{Refusal, ReplyCode};
use openraft::{Config, Raft, SnapshotPolicy};
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
    time::Duration,
};
use store::{Formats, disk::Disk};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::Instant,
};

/// Entries kept although a snapshot holds them, for members that are a little behind.
const KEPT_ENTRIES: u64 = 64;
/// How long an only member may take to lead itself.
const LEADING_PATIENCE: Duration = Duration::from_secs(60);
/// How long the last writes may take when the node stops, and how often it is looked whether they are done.
const STOP_PATIENCE: Duration = Duration::from_secs(10);
const STOP_LOOK: Duration = Duration::from_millis(1);
/// How long a client waits for a commit.
const COMMIT_PATIENCE: Duration = Duration::from_secs(30);

/// How long a piece of a snapshot may take.
const SNAPSHOT_PART_MS: u64 = 10_000;
/// Octets of one piece.
const SNAPSHOT_PART_BYTES: u64 = 4 * 1024 * 1024;
/// Entries sent in one go.
const SENT_TOGETHER_MAX: u64 = 32;

/// How patient members are with each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// How often a leader shows that it is there.
    pub heartbeat_ms: u64,
    /// How long others wait before they stand for election, a time drawn between these, once they no longer believe in
    /// the leader; they believe in it for the longer of these times after they have heard it last.
    pub election_ms: (u64, u64),
}

impl Default for Timing {
    fn default() -> Self {
        Timing {
            heartbeat_ms: 200,
            election_ms: (400, 800),
        }
    }
}

impl Timing {
    /// How often a leader shows that it is there.
    pub fn heartbeat(self) -> Duration {
        Duration::from_millis(self.heartbeat_ms)
    }

    /// How long others believe in a leader that is silent.
    pub fn belief(self) -> Duration {
        Duration::from_millis(self.election_ms.1)
    }

    /// When somebody stands for election at the latest, after a leader has fallen silent. Who has once seen a longer
    /// log than its own lets others go first, for twice the longer time.
    pub fn candidacy_max(self) -> Duration {
        Duration::from_millis(self.election_ms.1 * 4)
    }
}

/// What a store is opened with.
pub struct Opening {
    /// This process.
    pub identity: Identity,
    /// A blank node waits for the cluster that it has joined, instead of forming one of its own.
    pub joined: bool,
    /// This node goes on without the others: from now on it alone decides, whatever its log says.
    pub alone: bool,
    /// The way to other nodes.
    pub transport: Arc<dyn Transport>,
    /// What is driven.
    pub machine: Arc<dyn Machine>,
    /// Ends the process.
    pub fatal: Fatal,
    /// Patience.
    pub timing: Timing,
}

/// The store.
pub struct RaftStore {
    pub(super) raft: Raft<Types>,
    pub(super) identity: Identity,
    pub(super) machine: Arc<dyn Machine>,
    pub(super) standing: Arc<watch::Sender<Standing>>,
    pub(super) reigns: Arc<Mutex<Reigns>>,
    /// When a leader was heard last.
    pub(super) heard: Mutex<Instant>,
    pub(super) timing: Timing,
    /// What the log says, without its file.
    pub(super) log: LogView,
    pub(super) transport: Arc<dyn Transport>,
    pub(super) turns: Turns,
    /// Of the one who leads, to this node's own candidacy.
    pub(super) consent: Arc<Consent>,
    proposals: mpsc::Sender<Asked>,
    waiting: Arc<Waiting>,
    pub(super) health: Arc<Health>,
    formats: Formats,
}

impl fmt::Debug for RaftStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RaftStore")
            .field("health", &self.health)
            .finish_non_exhaustive()
    }
}

fn config(timing: Timing) -> anyhow::Result<Arc<Config>> {
    let config = Config {
        cluster_name: "warren".into(),
        heartbeat_interval: timing.heartbeat_ms,
        election_timeout_min: timing.election_ms.0,
        election_timeout_max: timing.election_ms.1,
        // Taken by the octets of the log, not by its entries.
        snapshot_policy: SnapshotPolicy::Never,
        max_in_snapshot_log_to_keep: KEPT_ENTRIES,
        install_snapshot_timeout: SNAPSHOT_PART_MS,
        snapshot_max_chunk_size: SNAPSHOT_PART_BYTES,
        max_payload_entries: SENT_TOGETHER_MAX,
        ..Config::default()
    };
    Ok(Arc::new(config.validate()?))
}

impl RaftStore {
    /// Opens the log of a directory, or begins one. When this node alone votes, it leads when this is back; otherwise
    /// others must be let in at the door before anything can be committed.
    ///
    /// # Errors
    /// When what is on the disk cannot be read, or says what it cannot say.
    pub async fn open<D: Disk>(disk: D, directory: &str, opening: Opening) -> anyhow::Result<Arc<Self>>
    where
        D::File: std::fmt::Debug,
    {
        let Opening { identity, .. } = &opening;
        let formats = Formats::up_to(identity.level);
        let (mut log, mut state) = Log::open(disk.clone(), directory, formats.clone())?;
        if opening.alone {
            alone::decide(&mut log, &mut state, identity)?;
        }
        let writer = Writer::start(log, opening.fatal.clone())?;
        let health = writer.health().clone();
        // Who has won its last vote leads again without another.
        let leads = state.vote.is_some_and(|vote| vote.won && vote.node == identity.node);
        let log = LogStore::new(state, writer);
        let view = log.view();
        let (waiting, machine) = (Arc::new(Waiting::default()), opening.machine.clone());
        let place = (disk, directory);
        let machine = StateMachine::open(
            place,
            formats.clone(),
            identity.clone(),
            machine,
            waiting.clone(),
            health.clone(),
        )?;
        let blank = log.is_blank() && machine.applied().is_none();
        anyhow::ensure!(
            log.is_whole(machine.applied()),
            "the snapshot of the definitions is missing or older than the log in {directory} of the data directory. \
             Nothing was changed. Put the directory back from a backup"
        );
        let consent = Arc::new(Consent::default());
        let network = Network {
            transport: opening.transport.clone(),
            consent: consent.clone(),
        };
        let raft = Raft::new(Id(identity.node), config(opening.timing)?, network, log, machine).await?;
        if blank && !opening.joined {
            form(&raft, identity).await?;
        }
        if is_only_voter(&raft, identity).await? {
            lead(&raft, identity, leads || blank).await?;
        }
        Ok(Self::start(raft, opening, waiting, (health, view, consent), formats))
    }

    fn start(
        raft: Raft<Types>,
        opening: Opening,
        waiting: Arc<Waiting>,
        (health, log, consent): (Arc<Health>, LogView, Arc<Consent>),
        formats: Formats,
    ) -> Arc<Self> {
        let (proposals, asked) = mpsc::channel(WAITING_MAX);
        let turns = Turns::at(&raft);
        let proposer = Proposer {
            raft: raft.clone(),
            transport: opening.transport.clone(),
            turns: turns.clone(),
            identity: opening.identity.clone(),
            waiting: waiting.clone(),
            health: health.clone(),
            fatal: opening.fatal,
            number: 0,
            shortening: None,
        };
        tokio::spawn(proposer.run(asked));
        let (standing, reigns) = (Arc::new(watch::Sender::new(Standing::default())), Arc::default());
        let known = (standing.clone(), Arc::clone(&reigns));
        tokio::spawn(members::observe(raft.clone(), consent.clone(), known));
        Arc::new(RaftStore {
            raft,
            standing,
            reigns,
            heard: Mutex::new(Instant::now()),
            timing: opening.timing,
            log,
            transport: opening.transport,
            turns,
            consent,
            identity: opening.identity,
            machine: opening.machine,
            proposals,
            waiting,
            health,
            formats,
        })
    }

    /// Which version of the formats this node may write: as the definitions say.
    pub fn formats(&self) -> &Formats {
        &self.formats
    }

    /// Who leads, as far as this node knows.
    pub fn leader(&self) -> Option<Peer> {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow();
        let leader = metrics.current_leader?;
        let member = metrics.membership_config.membership().get_node(&leader)?;
        Some(Peer {
            node: Some(leader.0),
            name: member.name.clone(),
        })
    }

    /// The last entry whose definitions are in force on this node.
    pub fn reached(&self) -> u64 {
        self.waiting.reached()
    }

    /// Back when the definitions up to an entry are in force on this node.
    pub async fn until(&self, entry: u64) {
        self.waiting.until(entry).await;
    }

    /// The library has let go of the log, and what was to be written is.
    async fn log_ended(&self) {
        while !self.health.has_ended() {
            tokio::time::sleep(STOP_LOOK).await;
        }
    }

    /// Has a command committed that only the one who leads may say: refused when this node does not, or not any more.
    ///
    /// # Errors
    /// Why the command cannot be, or that it was not committed as long as this node led.
    pub async fn propose_as_leader(&self, command: Command) -> Outcome {
        self.ask(command, true).await
    }

    async fn ask(&self, command: Command, as_leader: bool) -> Outcome {
        if self.health.is_full() {
            return Err(full());
        }
        let (answer, told) = oneshot::channel();
        let asked = Asked {
            command,
            answer,
            as_leader,
        };
        self.proposals.send(asked).await.map_err(|_| uncommitted())?;
        match tokio::time::timeout(COMMIT_PATIENCE, told).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(uncommitted()),
            Err(_) if self.health.is_full() => Err(full()),
            Err(_) => Err(uncommitted()),
        }
    }
}

/// A blank node becomes a cluster of one.
async fn form(raft: &Raft<Types>, identity: &Identity) -> anyhow::Result<()> {
    let member = Member {
        name: identity.name.clone(),
    };
    raft.initialize(BTreeMap::from([(Id(identity.node), member)])).await?;
    Ok(())
}

async fn is_only_voter(raft: &Raft<Types>, identity: &Identity) -> anyhow::Result<bool> {
    let only = vec![BTreeSet::from([Id(identity.node)])];
    let asked =
        raft.with_raft_state(move |state| *state.membership_state.effective().membership().get_joint_config() == only);
    Ok(asked.await?)
}

/// Makes the only one that votes lead.
async fn lead(raft: &Raft<Types>, identity: &Identity, leads: bool) -> anyhow::Result<()> {
    if !leads {
        // It went down between its vote for itself and winning by it.
        raft.trigger().elect().await?;
    }
    let led = raft.wait(Some(LEADING_PATIENCE));
    led.current_leader(Id(identity.node), "the only member leads")
        .await
        .context("the log of the definitions has no leader")?;
    Ok(())
}

fn full() -> Refusal {
    let text = "the change cannot be written: the disk of the node's data directory is full";
    Refusal::connection(ReplyCode::ResourceError, text)
}

impl MetaStore for RaftStore {
    fn propose(&self, command: Command) -> BoxFuture<'_, Outcome> {
        Box::pin(self.ask(command, false))
    }

    fn stop(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            if let Err(error) = self.raft.shutdown().await {
                tracing::warn!("the log of the definitions did not stop in order: {error}");
            }
            self.health.stop();
            if tokio::time::timeout(STOP_PATIENCE, self.log_ended()).await.is_err() {
                tracing::warn!("the log of the definitions is still being written");
            }
            self.machine.end();
        })
    }
}
