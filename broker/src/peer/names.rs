//! The host's name service: which of its nodes listens on which port. The first node that can bind the port serves it, the
//! others register there over a connection that stands for them; when the serving one goes, another takes over. A real epmd
//! in that place does as well.
//!
//! It is asked by strangers, so all is bounded and nothing is believed: whoever is found is asked for the secret.

use futures::future::BoxFuture;
use link::{NAME_HEADER_BYTES, NAME_REQUEST_BYTES_MAX, NAMES_BYTES_MAX, NameRequest};
use parking_lot::Mutex;
use std::{
    collections::BTreeMap,
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    cluster::resolver::{Resolver, addresses},
    config::{ListenAddress, NameService, SocketOptions},
    host::listener,
};

/// Registrations and questions at once.
const CONNECTIONS_MAX: usize = 512;
/// How long a question may take, asked or answered.
const PATIENCE: Duration = Duration::from_secs(5);
/// How soon a node tries again that could neither serve nor register.
const PAUSE: Duration = Duration::from_millis(500);
/// How soon, and for how long that soon, when the service has just gone that it was registered with: until another serves nobody is found here.
const SOON: Duration = Duration::from_millis(20);
const SOON_FOR: Duration = Duration::from_secs(1);
/// Connections that wait to be accepted.
const BACKLOG: i32 = 128;

/// Nodes of this host by name.
type Nodes = Arc<Mutex<BTreeMap<String, u16>>>;

/// A node as the name service knows it.
#[derive(Clone, Debug)]
pub struct Named {
    /// The name before the `@`.
    pub name: String,
    /// Its peer port.
    pub port: u16,
}

/// Why a node is not to be found by its name.
#[derive(Debug, thiserror::Error)]
enum NameError {
    #[error("another node of this host is called {0}")]
    Taken(String),
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Keeps the node to be found by its name until the process ends.
pub async fn keep(own: Named, service: NameService, stopping: CancellationToken) {
    let kept = async {
        let (mut complained, mut lost) = (false, None::<Instant>);
        loop {
            let tried = keep_once(&own, &service).await;
            if tried.is_ok() {
                (complained, lost) = (false, Some(Instant::now()));
            }
            // Another may be about to serve.
            let is_new = lost.is_some_and(|lost| lost.elapsed() < SOON_FOR);
            if let Some(error) = tried.err().filter(|_| !is_new && !complained) {
                complained = true;
                let port = service.port;
                tracing::warn!(
                    "the name service on port {port} does not know node {}: {error}",
                    own.name
                );
            }
            tokio::time::sleep(if is_new { SOON } else { PAUSE }).await;
        }
    };
    tokio::select! {
        () = kept => {}
        () = stopping.cancelled() => {}
    }
}

/// Serves, or is registered, as long as it lasts.
async fn keep_once(own: &Named, service: &NameService) -> Result<(), NameError> {
    match bind(service) {
        Ok(listeners) => {
            tracing::info!("serving the name service of this host on port {}", service.port);
            serve(listeners, own, service.port).await;
            Ok(())
        }
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => register(own, service.port).await,
        Err(error) => Err(error.into()),
    }
}

/// All interfaces, or those that were named and this host's own.
fn bind(service: &NameService) -> io::Result<Vec<TcpListener>> {
    let port = service.port;
    let bind = |ip| listener::bind(ListenAddress { ip, port }, &SocketOptions::waiting(BACKLOG));
    if service.addresses.is_empty() {
        return Ok(vec![bind(None)?]);
    }
    let own = IpAddr::from(Ipv4Addr::LOCALHOST);
    let others = service.addresses.iter().filter(|address| **address != own);
    [own].iter().chain(others).map(|address| bind(Some(*address))).collect()
}

async fn serve(listeners: Vec<TcpListener>, own: &Named, port: u16) {
    let nodes: Nodes = Arc::new(Mutex::new(BTreeMap::from([(own.name.clone(), own.port)])));
    let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let accepting = listeners
        .iter()
        .map(|listener| accept(listener, nodes.clone(), slots.clone(), port));
    futures::future::join_all(accepting).await;
}

async fn accept(listener: &TcpListener, nodes: Nodes, slots: Arc<Semaphore>, port: u16) {
    // Ends with the service: who registered elsewhere meanwhile is not kept by an old connection.
    let mut tasks = tokio::task::JoinSet::new();
    loop {
        tokio::select! {
            Some(_) = tasks.join_next() => {}
            accepted = listener.accept() => match (accepted, slots.clone().try_acquire_owned()) {
                (Ok((tcp, peer)), Ok(slot)) => {
                    let nodes = nodes.clone();
                    tasks.spawn(async move {
                        if let Err(error) = answer(tcp, peer, &nodes, port).await {
                            tracing::debug!("name service: {peer}: {error}");
                        }
                        drop(slot);
                    });
                }
                (Ok((_, peer)), Err(_)) => tracing::debug!("name service: {peer}: too many connections"),
                (Err(error), _) => {
                    tracing::warn!("name service: cannot accept: {error}");
                    tokio::time::sleep(PAUSE).await;
                }
            },
        }
    }
}

/// A node that is registered as long as this lives.
struct Registration<'a> {
    nodes: &'a Nodes,
    name: String,
}

impl Drop for Registration<'_> {
    fn drop(&mut self) {
        self.nodes.lock().remove(&self.name);
    }
}

async fn answer(mut tcp: TcpStream, peer: SocketAddr, nodes: &Nodes, port: u16) -> io::Result<()> {
    let content = timeout(PATIENCE, read(&mut tcp)).await??;
    match NameRequest::read(&content) {
        Some(NameRequest::Port(name)) => {
            let port = nodes.lock().get(&name).copied();
            say(&mut tcp, &link::port_answer(&name, port)).await
        }
        Some(NameRequest::Names) => {
            let answer = {
                let nodes = nodes.lock();
                link::names_answer(port, nodes.iter().map(|(name, port)| (name.as_str(), *port)))
            };
            say(&mut tcp, &answer).await
        }
        // Only who is on this host listens on this host.
        Some(NameRequest::Register { name, port, is_long }) if is_own(peer, &tcp) => {
            let registration = enter(nodes, name, port);
            let creation = rand::random_range(1..=u16::MAX);
            say(&mut tcp, &link::registered(registration.is_some(), is_long, creation)).await?;
            if registration.is_some() {
                wait_for_end(&mut tcp).await;
            }
            Ok(())
        }
        Some(NameRequest::Register { .. }) | None => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// None: the name is taken.
fn enter(nodes: &Nodes, name: String, port: u16) -> Option<Registration<'_>> {
    let mut all = nodes.lock();
    if all.contains_key(&name) {
        return None;
    }
    all.insert(name.clone(), port);
    drop(all);
    Some(Registration { nodes, name })
}

fn is_own(peer: SocketAddr, tcp: &TcpStream) -> bool {
    let peer = peer.ip().to_canonical();
    peer.is_loopback() || tcp.local_addr().is_ok_and(|own| own.ip().to_canonical() == peer)
}

async fn read(tcp: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut header = [0; NAME_HEADER_BYTES];
    tcp.read_exact(&mut header).await?;
    let bytes = usize::from(u16::from_be_bytes(header));
    if bytes > NAME_REQUEST_BYTES_MAX {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut content = vec![0; bytes];
    tcp.read_exact(&mut content).await?;
    Ok(content)
}

async fn say(tcp: &mut TcpStream, octets: &[u8]) -> io::Result<()> {
    timeout(PATIENCE, tcp.write_all(octets)).await?
}

/// Reads and forgets until the other end is gone.
async fn wait_for_end(tcp: &mut TcpStream) {
    let mut nothing = [0; 64];
    while tcp.read(&mut nothing).await.is_ok_and(|octets| octets > 0) {}
}

/// Registers with the service that is there, and comes back when that is gone.
async fn register(own: &Named, port: u16) -> Result<(), NameError> {
    let request = NameRequest::Register {
        name: own.name.clone(),
        port: own.port,
        is_long: true,
    };
    let mut tcp = timeout(PATIENCE, TcpStream::connect((Ipv4Addr::LOCALHOST, port)))
        .await
        .map_err(io::Error::from)??;
    say(&mut tcp, &request.octets()).await?;
    let answer = timeout(PATIENCE, read_registered(&mut tcp))
        .await
        .map_err(io::Error::from)??;
    if !link::is_registered(&answer) {
        return Err(NameError::Taken(own.name.clone()));
    }
    tracing::info!("registered as {} with the name service on port {port}", own.name);
    wait_for_end(&mut tcp).await;
    Ok(())
}

async fn read_registered(tcp: &mut TcpStream) -> io::Result<Vec<u8>> {
    let tag = tcp.read_u8().await?;
    let bytes = link::registered_bytes(tag).ok_or(io::ErrorKind::InvalidData)?;
    let mut answer = vec![tag; bytes];
    tcp.read_exact(&mut answer[1..]).await?;
    Ok(answer)
}

/// The peer port of a node by the name service of its host; nothing when that does not answer or does not know it.
pub async fn port_of(host: &str, name: &str, service_port: u16) -> Option<u16> {
    let asked = async {
        let mut tcp = TcpStream::connect((host, service_port)).await?;
        tcp.write_all(&NameRequest::Port(name.to_owned()).octets()).await?;
        let mut answer = Vec::new();
        tcp.take(NAMES_BYTES_MAX as u64).read_to_end(&mut answer).await?;
        Ok::<_, io::Error>(answer)
    };
    let answer = timeout(PATIENCE, asked).await.ok()?.ok()?;
    link::port_in(&answer)
}

/// Finds nodes by the name services of their hosts; where there is none, or it does not know the node, at the port that is
/// configured here.
#[derive(Clone, Copy, Debug)]
pub struct ByName {
    /// Port of the name services.
    pub service: u16,
    /// The port without them.
    pub otherwise: u16,
}

impl Resolver for ByName {
    fn resolve(&self, name: &str) -> BoxFuture<'_, io::Result<Vec<SocketAddr>>> {
        let (name, host) = name.split_once('@').unwrap_or(("", name));
        let (name, host, places) = (name.to_owned(), host.to_owned(), *self);
        Box::pin(async move {
            let port = port_of(&host, &name, places.service).await;
            addresses(&host, port.unwrap_or(places.otherwise)).await
        })
    }
}

#[cfg(test)]
#[path = "names_tests.rs"]
mod tests;
