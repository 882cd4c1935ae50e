//! The store of the definitions over an agreed log: opening it, proposing to it, stopping it.
//!
//! The only member of a cluster leads at once, on its first start and on every other: no time passes by waiting for
//! votes of nobody.

use super::{
    log_store::LogStore,
    network::Alone,
    proposer::{Asked, Proposer, WAITING_MAX, uncommitted},
    state_machine::StateMachine,
    types::{Id, Types},
    waiting::Waiting,
};
use crate::cluster::{
    Identity, Machine, MetaStore, Outcome,
    log::{Fatal, Health, Log, Member, Writer},
};
use anyhow::Context;
use catalog::Command;
use futures::future::BoxFuture;
use model::{Refusal, ReplyCode};
use openraft::{Config, Raft, SnapshotPolicy};
use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};
use store::disk::Disk;
use tokio::sync::{mpsc, oneshot};

/// How often a leader shows that it is there.
const HEARTBEAT_MS: u64 = 500;
/// Silence after which others stand for election: a time drawn between these.
const ELECTION_MS: (u64, u64) = (1500, 3000);
/// Entries kept although a snapshot holds them, for members that are a little behind.
const KEPT_ENTRIES: u64 = 64;
/// How long an only member may take to lead itself.
const LEADING_PATIENCE: Duration = Duration::from_secs(60);
/// How long a client waits for a commit.
const COMMIT_PATIENCE: Duration = Duration::from_secs(30);

/// The store.
pub struct RaftStore {
    raft: Raft<Types>,
    proposals: mpsc::Sender<Asked>,
    pub(super) health: Arc<Health>,
}

impl fmt::Debug for RaftStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RaftStore")
            .field("health", &self.health)
            .finish_non_exhaustive()
    }
}

fn config() -> anyhow::Result<Arc<Config>> {
    let config = Config {
        cluster_name: "warren".into(),
        heartbeat_interval: HEARTBEAT_MS,
        election_timeout_min: ELECTION_MS.0,
        election_timeout_max: ELECTION_MS.1,
        // Taken by the octets of the log, not by its entries.
        snapshot_policy: SnapshotPolicy::Never,
        max_in_snapshot_log_to_keep: KEPT_ENTRIES,
        ..Config::default()
    };
    Ok(Arc::new(config.validate()?))
}

impl RaftStore {
    /// Opens the log of a directory, or begins one with this node as its only member. Back when this node leads.
    ///
    /// # Errors
    /// When what is on the disk cannot be read, or says what it cannot say.
    pub async fn open<D: Disk>(
        disk: D,
        directory: &str,
        identity: Identity,
        machine: Arc<dyn Machine>,
        fatal: Fatal,
    ) -> anyhow::Result<Arc<Self>>
    where
        D::File: std::fmt::Debug,
    {
        let (log, state) = Log::open(disk.clone(), directory)?;
        let writer = Writer::start(log, fatal.clone())?;
        let health = writer.health().clone();
        // Who has won its last vote leads again without another.
        let leads = state.vote.is_some_and(|vote| vote.won && vote.node == identity.node);
        let log = LogStore::new(state, writer);
        let waiting = Arc::new(Waiting::default());
        let place = (disk, directory);
        let machine = StateMachine::open(place, identity.clone(), machine, waiting.clone(), health.clone())?;
        let blank = log.is_blank() && machine.applied().is_none();
        anyhow::ensure!(
            log.is_whole(machine.applied()),
            "the snapshot of the definitions is missing or older than the log in {directory} of the data directory. \
             Nothing was changed. Put the directory back from a backup"
        );
        let raft = Raft::new(Id(identity.node), config()?, Alone, log, machine).await?;
        lead(&raft, &identity, blank, leads).await?;
        let (proposals, asked) = mpsc::channel(WAITING_MAX);
        let proposer = Proposer {
            raft: raft.clone(),
            identity,
            waiting,
            health: health.clone(),
            fatal,
            number: 0,
            shortening: None,
        };
        tokio::spawn(proposer.run(asked));
        Ok(Arc::new(RaftStore {
            raft,
            proposals,
            health,
        }))
    }

    async fn ask(&self, command: Command) -> Outcome {
        if self.health.is_full() {
            return Err(full());
        }
        let (answer, told) = oneshot::channel();
        let asked = Asked { command, answer };
        self.proposals.send(asked).await.map_err(|_| uncommitted())?;
        match tokio::time::timeout(COMMIT_PATIENCE, told).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(uncommitted()),
            Err(_) if self.health.is_full() => Err(full()),
            Err(_) => Err(uncommitted()),
        }
    }
}

/// Makes an only member lead.
async fn lead(raft: &Raft<Types>, identity: &Identity, blank: bool, leads: bool) -> anyhow::Result<()> {
    let own = Id(identity.node);
    if blank {
        let member = Member {
            name: identity.name.clone(),
        };
        raft.initialize(BTreeMap::from([(own, member)])).await?;
    } else if !leads {
        // It went down between its vote for itself and winning by it.
        raft.trigger().elect().await?;
    }
    let led = raft.wait(Some(LEADING_PATIENCE));
    led.current_leader(own, "the only member leads")
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
        Box::pin(self.ask(command))
    }

    fn stop(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            if let Err(error) = self.raft.shutdown().await {
                tracing::warn!("the log of the definitions did not stop in order: {error}");
            }
        })
    }
}
