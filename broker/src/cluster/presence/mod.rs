//! This node among the others while it runs: shows itself, knows whether it may serve, keeps the members as the
//! definitions say, and answers those who want to join, look, or leave.
//!
//! The definitions themselves are the store's. What other rooms want of other nodes goes through here as octets.

mod abreast;
mod beat;
mod commands;
mod history;
mod leadership;
mod succession;
#[cfg(test)]
mod tests;
mod upkeep;

use super::{
    Identity, Machine,
    lease::{Lease, Patience, Roll},
    raft::RaftStore,
    transport::{Introduction, Neighbourhood, Peer, Reply, Request, Service, Transport, Turned},
};
use futures::future::BoxFuture;
use parking_lot::Mutex;
use std::{
    fmt, io,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::{CancellationToken, DropGuard};

pub use commands::{ClusterError, NodeStatus, Status};

/// What other rooms answer to the same rooms of other nodes.
pub trait Host: Send + Sync + 'static {
    /// Answers one question; the words are the room's own.
    fn answer(&self, from: &Introduction, question: Vec<u8>) -> BoxFuture<'_, Vec<u8>>;
}

/// The node among the others.
pub struct Presence {
    identity: Identity,
    store: Arc<RaftStore>,
    transport: Arc<dyn Transport>,
    machine: Arc<dyn Machine>,
    patience: Patience,
    lease: Mutex<Lease>,
    roll: Mutex<Roll>,
    serving: watch::Sender<bool>,
    /// The cluster was made to go on without this node.
    is_overruled: AtomicBool,
    /// Changes of the members are decided and made one at a time: none follows another that it did not know of.
    changing: tokio::sync::Mutex<()>,
    /// The members as they were last written down.
    noted: Mutex<Vec<NodeStatus>>,
    /// The feature level that was written down with them.
    noted_level: AtomicU32,
    abreast: abreast::Abreast,
    note: Note,
    host: OnceLock<Arc<dyn Host>>,
    /// Nothing is done of its own accord any more.
    quiet: CancellationToken,
    /// Nobody is answered any more.
    stopped: CancellationToken,
    _stop: DropGuard,
}

/// Writes down who the members are, for when the store is closed.
pub type Note = Box<dyn Fn(&Status) -> io::Result<()> + Send + Sync>;

impl fmt::Debug for Presence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Presence")
            .field("identity", &self.identity)
            .finish_non_exhaustive()
    }
}

impl Presence {
    /// Begins to answer other nodes. Nothing is done of its own accord before [`Presence::run`].
    pub fn open(
        identity: Identity,
        (store, machine): (Arc<RaftStore>, Arc<dyn Machine>),
        transport: Arc<dyn Transport>,
        neighbours: &dyn Neighbourhood,
        (patience, note): (Patience, Note),
    ) -> Arc<Self> {
        let stopped = CancellationToken::new();
        let roll = Roll::new(patience, store.belief());
        let presence = Arc::new(Presence {
            identity,
            store,
            transport,
            machine,
            patience,
            lease: Mutex::new(Lease::over(Instant::now(), patience)),
            roll: Mutex::new(roll),
            serving: watch::Sender::new(true),
            is_overruled: AtomicBool::new(false),
            changing: tokio::sync::Mutex::default(),
            noted: Mutex::default(),
            noted_level: AtomicU32::new(0),
            abreast: abreast::Abreast::default(),
            note,
            host: OnceLock::new(),
            quiet: stopped.child_token(),
            _stop: stopped.clone().drop_guard(),
            stopped: stopped.clone(),
        });
        neighbours.attach(presence.clone(), stopped);
        presence
    }

    /// Who belonged to the cluster when it was last written down.
    pub fn remember(&self, status: Status) {
        if status.cluster == self.identity.cluster {
            self.noted_level.store(status.level, Ordering::Release);
            *self.noted.lock() = status.nodes;
        }
    }

    /// Shows itself and keeps the members, until it is stopped. The node is up when this begins.
    pub fn run(self: &Arc<Self>) {
        // The commit that made it up came from a majority just now.
        self.lease.lock().renew(Instant::now(), Duration::ZERO);
        let (beating, weighing, keeping, watching) = (self.clone(), self.clone(), self.clone(), self.clone());
        self.until_quiet(async move { beating.beat().await });
        self.until_quiet(async move { weighing.weigh_always().await });
        self.until_quiet(async move { keeping.keep().await });
        self.until_quiet(async move { watching.watch_leader().await });
    }

    /// True while this node leads the definitions.
    pub fn leads(&self) -> bool {
        self.store.standing().settled.is_some()
    }

    fn until_quiet(&self, work: impl Future<Output = ()> + Send + 'static) {
        tokio::spawn(self.quiet.clone().run_until_cancelled_owned(work));
    }

    /// Whether the node may serve clients: false while it does not hear of a majority.
    pub fn serving(&self) -> watch::Receiver<bool> {
        self.serving.subscribe()
    }

    /// Questions of other rooms of other nodes go there from now on.
    pub fn attach(&self, host: Arc<dyn Host>) {
        // One host a node; a second one would be the same.
        let _ = self.host.set(host);
    }

    /// Asks the host of another node; the words are the host's own.
    ///
    /// # Errors
    /// When it does not answer in time.
    pub async fn ask_host(&self, to: &Peer, question: Vec<u8>, patience: Duration) -> io::Result<Vec<u8>> {
        match self
            .transport
            .call(to, Request::Host(question.into()), patience)
            .await?
        {
            Reply::Host(answer) => Ok(answer.0),
            other => Err(io::Error::other(format!("{to} answers {other:?}"))),
        }
    }

    /// The other members that are up, with those that run nothing now left out.
    pub fn others_up(&self) -> Vec<Peer> {
        let catalog = self.machine.catalog();
        let others = catalog
            .nodes()
            .filter(|node| node.up && node.uuid != self.identity.node);
        let peer = |node: &Arc<catalog::NodeRecord>| Peer {
            node: Some(node.uuid),
            name: node.name.to_string(),
        };
        others.map(peer).collect()
    }

    async fn respond(&self, from: &Introduction, request: Request) -> Reply {
        match request {
            Request::Beat { .. } => self.hear(from),
            Request::Members => Reply::Members(self.status()),
            Request::Join(wish) => self.welcome(wish).await,
            Request::Remove(node) => self.remove_for(from, node).await,
            Request::SetKind(node, kind) => self.set_kind_for(from, node, kind).await,
            Request::Yield(node) => self.take_vote(node).await,
            Request::Host(question) => match self.host.get() {
                Some(host) => Reply::Host(host.answer(from, question.0).await.into()),
                None => Reply::Unknown,
            },
            own => self.store.serve(from, own).await,
        }
    }

    /// Ends what is done of its own accord; other nodes get no answers any more.
    pub fn stop(&self) {
        self.stopped.cancel();
    }
}

impl Service for Presence {
    fn introduction(&self) -> Introduction {
        Introduction::of(&self.identity)
    }

    fn admit(&self, who: &Introduction) -> Result<(), Turned> {
        self.store.admit(who)
    }

    fn answer(&self, from: &Introduction, request: Request) -> BoxFuture<'_, Reply> {
        let from = from.clone();
        Box::pin(async move { self.respond(&from, request).await })
    }
}
