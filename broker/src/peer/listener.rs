//! Accepting peers: handshake with a deadline, verdict, then the channel they came for.
//!
//! A stranger costs one slot of a bounded number for at most ten seconds; when all are taken, new ones wait in the
//! kernel's queue. A wrong secret is logged and counted.

use anyhow::Context;
use api::{PeerLink, Reading};
use link::{Channel, Cookie, CookieError, HANDSHAKE_BYTES_MAX, HandshakeError, Hello, Proof, Proven, Verdict};
use parking_lot::Mutex;
use std::{
    fmt, io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_util::sync::CancellationToken;

use super::{
    cli,
    enter::Credentials,
    legs,
    links::{Links, Open},
    mirrors,
    node::{self, Serving, TcpTransport},
    pace,
    secret::Secrets,
    stream::{read_frame, write_frame},
    tls::PeerTls,
};
use crate::{
    cluster::{
        resolver::Resolver,
        transport::{Introduction, Neighbourhood, Service, Transport, Turned},
    },
    host::Node,
    process::Process,
};

/// Longest time for a handshake.
const HANDSHAKE_PATIENCE: Duration = Duration::from_secs(10);
/// Handshakes at once.
const HANDSHAKES_MAX: usize = 64;
/// Command line connections at once.
const SESSIONS_MAX: usize = 256;
/// How often a mounted secret is looked at for the cookie file's sake.
const REFRESH_INTERVAL: Duration = Duration::from_secs(10);
/// How often it is looked at whether earlier secrets were taken back.
const REVOKED_INTERVAL: Duration = Duration::from_secs(1);

/// The peer port's state.
pub struct Peers {
    secrets: Secrets,
    tls: Arc<PeerTls>,
    patience: Duration,
    handshakes: Arc<Semaphore>,
    sessions: Arc<Semaphore>,
    /// Handshakes refused since the start.
    refused: AtomicU64,
    /// What answers other nodes, while there is something.
    serving: Mutex<Option<Serving>>,
    /// Cancelled for those who came in before the secrets were taken back.
    hung_up: Mutex<CancellationToken>,
    links: Arc<Links>,
}

impl fmt::Debug for Peers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peers")
            .field("refused", &self.refused)
            .finish_non_exhaustive()
    }
}

impl Peers {
    /// Finds the secret.
    ///
    /// # Errors
    /// When there is none that is usable.
    pub fn new(node: &crate::config::Node) -> anyhow::Result<Self> {
        Ok(Peers {
            secrets: Secrets::prepare(node).context("the cluster's shared secret")?,
            tls: Arc::new(PeerTls::prepare(node.peer_tls, &node.peer_tls_options)?),
            patience: HANDSHAKE_PATIENCE,
            handshakes: Arc::new(Semaphore::new(HANDSHAKES_MAX)),
            sessions: Arc::new(Semaphore::new(SESSIONS_MAX)),
            refused: AtomicU64::new(0),
            serving: Mutex::default(),
            hung_up: Mutex::default(),
            links: Arc::default(),
        })
    }

    /// Other nodes are answered by this service from now on, until the token is cancelled.
    pub fn attach(&self, service: Arc<dyn Service>, ended: CancellationToken) {
        *self.serving.lock() = Some(Serving { service, ended });
    }

    /// Other nodes are told that this one has stopped.
    pub fn detach(&self) {
        *self.serving.lock() = None;
    }

    /// All secrets that are accepted now, the one to prove first.
    ///
    /// # Errors
    /// When the current one cannot be read.
    pub fn secrets(&self) -> Result<Vec<Cookie>, CookieError> {
        self.secrets.accepted()
    }

    /// Who this node shows itself to be where it connects.
    ///
    /// # Errors
    /// When the current secret cannot be read.
    pub fn credentials(&self) -> Result<Credentials, CookieError> {
        Ok(Credentials {
            secrets: self.secrets()?,
            tls: Some(self.tls.clone()),
        })
    }

    /// Nodes to which this one spoke last without TLS, although it asked for it.
    pub fn without_tls(&self) -> Vec<String> {
        self.tls.without()
    }

    /// The nodes that have come in, and which secret each has proven.
    pub fn links(&self) -> Vec<PeerLink> {
        let named = self.secrets.named();
        let all = self
            .links
            .all()
            .into_iter()
            .filter(|(_, channel, ..)| *channel != "cli");
        let link = |(node, channel, secret, count): (String, &str, Cookie, u64)| PeerLink {
            node,
            channel: channel.to_owned(),
            secret: named
                .iter()
                .find(|(_, known)| *known == secret)
                .map_or("withdrawn", |(name, _)| name)
                .to_owned(),
            count,
        };
        all.map(link).collect()
    }

    /// How the certificates of TLS between nodes were read last; nothing without TLS.
    pub fn certificates(&self) -> Option<Reading> {
        self.tls.reading()
    }

    /// Handshakes and introductions refused since the start, here and by others.
    pub fn refusals(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Ends all that came in until now: whoever may come in comes again.
    pub(super) fn hang_up(&self, node: Option<&Node>) {
        let before = std::mem::take(&mut *self.hung_up.lock());
        before.cancel();
        // A leg begins either before this, or with a look at the token.
        node.inspect(|node| node.end_legs());
    }

    pub(super) fn serving(&self) -> Option<Serving> {
        let serving = self.serving.lock().clone();
        serving.filter(|serving| !serving.ended.is_cancelled())
    }

    /// Another node does not want this one.
    pub(super) fn turned_away(&self, by: &str, why: &str) {
        let count = self.refused.fetch_add(1, Ordering::Relaxed) + 1;
        tracing::warn!(target: "connection", refused = count, "connection to node {by} rejected: {why}");
    }

    pub(super) fn refuse(&self, peer: SocketAddr, why: &str) {
        let count = self.refused.fetch_add(1, Ordering::Relaxed) + 1;
        tracing::warn!(target: "connection", refused = count, "connection attempt from {peer} rejected: {why}");
    }
}

/// The peer port as a way to other nodes and back.
pub struct Neighbours {
    /// The port's state.
    pub peers: Arc<Peers>,
    /// Where others are.
    pub resolver: Arc<dyn Resolver>,
}

impl Neighbourhood for Neighbours {
    fn transport(&self, own: Introduction) -> Arc<dyn Transport> {
        let peers = self.peers.clone();
        TcpTransport::new(own, Arc::new(move || peers.credentials()), self.resolver.clone())
    }

    fn attach(&self, service: Arc<dyn Service>, ended: CancellationToken) {
        self.peers.attach(service, ended);
    }
}

/// Accepts until the process ends.
pub async fn serve(listener: TcpListener, peers: Arc<Peers>, process: Arc<Process>) {
    if let Err(error) = pace::of_accepted(&listener) {
        tracing::warn!("answers to other nodes may be late: {error}");
    }
    let mut refresh = tokio::time::interval(REFRESH_INTERVAL);
    let mut look = tokio::time::interval(REVOKED_INTERVAL);
    let mut revoked = peers.secrets.revoked();
    loop {
        tokio::select! {
            () = process.stopping().cancelled() => return,
            _ = refresh.tick() => {
                if let Err(error) = peers.secrets.refresh() {
                    tracing::warn!("the cookie file cannot follow the mounted secret: {error:#}");
                }
            }
            _ = look.tick() => {
                let now = peers.secrets.revoked();
                if now.is_some() && now != revoked {
                    tracing::warn!(target: "connection", "the cluster's secret was replaced at once: all who came in before are hung up on");
                    peers.hang_up(process.running().map(|app| app.node.clone()).as_deref());
                    revoked = now;
                }
            }
            (permit, accepted) = accept(&listener, &peers) => match accepted {
                Ok((tcp, peer)) => drop(tokio::spawn(greet(tcp, peer, permit, peers.clone(), process.clone()))),
                Err(error) => {
                    // Out of descriptors or memory: others may leave meanwhile.
                    tracing::warn!("cannot accept a peer: {error}");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
        }
    }
}

/// A slot first, then a connection: what waits, waits in the kernel's queue.
async fn accept(
    listener: &TcpListener,
    peers: &Peers,
) -> (Option<OwnedSemaphorePermit>, io::Result<(TcpStream, SocketAddr)>) {
    // The semaphore is never closed, so there is always a permit to come.
    let permit = peers.handshakes.clone().acquire_owned().await.ok();
    (permit, listener.accept().await)
}

async fn greet(
    tcp: TcpStream,
    peer: SocketAddr,
    slot: Option<OwnedSemaphorePermit>,
    peers: Arc<Peers>,
    process: Arc<Process>,
) {
    // Before the secrets are looked at.
    let hung_up = peers.hung_up.lock().clone();
    let shaking = async {
        let mut tcp = peers.tls.accept(tcp, peer).await?;
        let (proven, link) = shake_hands(&mut tcp, &peers, process.name()).await?;
        Ok((tcp, proven, link))
    };
    let shaken: Result<Result<_, String>, _> = tokio::time::timeout(peers.patience, shaking).await;
    drop(slot);
    // Open until it is served to its end.
    let (tcp, proven, link) = match shaken {
        Ok(Ok(proven)) => proven,
        Ok(Err(why)) => return peers.refuse(peer, &why),
        Err(_) => return peers.refuse(peer, "the handshake took too long"),
    };
    if matches!(proven.channel, Channel::Client | Channel::Mirror) {
        if let Err(error) = lend(tcp, (peer, proven.channel, link), hung_up, peers, &process) {
            tracing::debug!("{:?} of {} from {peer}: {error}", proven.channel, proven.from);
        }
        return;
    }
    let Ok(_session) = peers.sessions.clone().try_acquire_owned() else {
        return peers.refuse(peer, "too many command line connections");
    };
    tracing::debug!("{} came in from {peer}", proven.from);
    let served = async {
        match proven.channel {
            Channel::Cli => {
                if let Err(error) = cli::serve(tcp, &process).await {
                    tracing::debug!("{} is gone: {error}", proven.from);
                }
            }
            // Served above: they are no sessions of an administrator.
            Channel::Client | Channel::Mirror => {}
            Channel::Node => serve_node(tcp, peer, &peers, &process).await,
        }
    };
    hung_up.run_until_cancelled(served).await;
}

async fn serve_node(tcp: TcpStream, peer: SocketAddr, peers: &Peers, process: &Process) {
    let absent = match process.is_forming() {
        true => Turned::Forming,
        false => Turned::Stopped,
    };
    let forming = absent == Turned::Forming;
    if let Err(why) = node::serve(tcp, peers.serving().ok_or(absent)).await {
        match forming {
            true => tracing::debug!("{why}"),
            false => peers.refuse(peer, &why),
        }
    }
}

/// Legs and mirrors are served on the app's threads, and end with the app.
fn lend(
    tcp: TcpStream,
    (peer, channel, link): (SocketAddr, Channel, Open),
    hung_up: CancellationToken,
    peers: Arc<Peers>,
    process: &Process,
) -> io::Result<()> {
    let app = process
        .running()
        .ok_or_else(|| io::Error::other("the app is stopped"))?;
    let (tcp, node) = (tcp.into_std()?, app.node.clone());
    app.handle.spawn(async move {
        let _open = link;
        let served = match TcpStream::from_std(tcp) {
            Ok(tcp) if channel == Channel::Mirror => {
                let served = hung_up.run_until_cancelled(mirrors::serve(tcp, node)).await;
                served.unwrap_or(Ok(()))
            }
            Ok(tcp) => legs::serve(tcp, node, hung_up, |why| peers.refuse(peer, why)).await,
            Err(error) => Err(error),
        };
        if let Err(error) = served {
            tracing::debug!(?channel, "a peer's connection ended: {error}");
        }
    });
    Ok(())
}

/// Both prove the secret, the one that connects first. The error is for the log.
pub(super) async fn shake_hands(tcp: &mut TcpStream, peers: &Peers, own_name: &str) -> Result<(Proven, Open), String> {
    let octets = read_message(tcp).await?;
    let hello = match Hello::read(&octets) {
        Ok(hello) => hello,
        Err(why @ HandshakeError::Version(_)) => {
            send(tcp, &Verdict::WrongVersion(link::protocol_version())).await?;
            return Err(why.to_string());
        }
        Err(why @ HandshakeError::Foreign) => return Err(why.to_string()),
    };
    if hello.to != own_name {
        send(tcp, &Verdict::OtherNode(own_name.to_owned())).await?;
        return Err(format!("{} looks for the node {}", hello.from, hello.to));
    }
    let challenge = link::challenge();
    send(tcp, &Verdict::Prove(challenge.clone())).await?;
    let proof: Proof = link::decode(&read_message(tcp).await?).map_err(|error| error.to_string())?;
    let accepted = peers.secrets.accepted().map_err(|error| error.to_string())?;
    let Some((fitting, own)) = link::accept(&accepted, &hello, &challenge, proof) else {
        send(tcp, &Verdict::WrongSecret).await?;
        return Err(format!("invalid challenge reply from {}", hello.from));
    };
    let link = peers.links.open(&hello.from, hello.channel, fitting.clone());
    send(tcp, &Verdict::Welcome(own)).await?;
    let proven = Proven {
        from: hello.from,
        channel: hello.channel,
    };
    Ok((proven, link))
}

async fn read_message(tcp: &mut TcpStream) -> Result<Vec<u8>, String> {
    match read_frame(tcp, HANDSHAKE_BYTES_MAX, HANDSHAKE_PATIENCE).await {
        Ok(Some(octets)) => Ok(octets),
        Ok(None) => Err("it closed the connection during the handshake".into()),
        Err(error) => Err(error.to_string()),
    }
}

async fn send(tcp: &mut TcpStream, verdict: &Verdict) -> Result<(), String> {
    let octets = link::encode(verdict).map_err(|error| error.to_string())?;
    let written = write_frame(tcp, &octets, HANDSHAKE_BYTES_MAX, HANDSHAKE_PATIENCE).await;
    written.map_err(|error| error.to_string())
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
