//! Nodes of one process that reach each other without a socket, and can be parted: for tests.

use super::transport::{Introduction, Neighbourhood, Peer, Reply, Request, Service, Transport, Turned};
use futures::future::BoxFuture;
use model::NodeUuid;
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, io,
    sync::Arc,
    time::Duration,
};
use tokio_util::sync::CancellationToken;

#[derive(Default)]
struct State {
    services: BTreeMap<NodeUuid, Arc<dyn Service>>,
    cut: BTreeSet<(NodeUuid, NodeUuid)>,
    /// Processes that are not there any more, by what they drew.
    gone: BTreeSet<(NodeUuid, u64)>,
}

/// Who is there, and who reaches whom.
#[derive(Clone, Default)]
pub struct Ether(Arc<Mutex<State>>);

impl fmt::Debug for Ether {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ether")
    }
}

/// One node's way to the others.
#[derive(Debug)]
struct Way {
    own: Introduction,
    ether: Ether,
}

impl Ether {
    /// The way to others for a node that introduces itself so.
    pub fn way(&self, own: Introduction) -> Arc<dyn Transport> {
        let ether = self.clone();
        Arc::new(Way { own, ether })
    }

    /// A node answers.
    pub fn enter(&self, node: NodeUuid, service: Arc<dyn Service>) {
        self.0.lock().services.insert(node, service);
    }

    /// A process of a node is not there any more: it answers nothing, and nobody hears what it still says.
    pub fn leave(&self, node: NodeUuid) {
        let mut state = self.0.lock();
        if let Some(left) = state.services.remove(&node) {
            state.gone.insert((node, left.introduction().boot_id));
        }
    }

    fn is_gone(&self, who: &Introduction) -> bool {
        // Whoever comes from outside speaks for itself.
        !who.guest && self.0.lock().gone.contains(&(who.node, who.boot_id))
    }

    /// Nothing goes from one to the other any more.
    pub fn cut(&self, from: NodeUuid, to: NodeUuid) {
        self.0.lock().cut.insert((from, to));
    }

    /// Everybody reaches everybody.
    pub fn heal(&self) {
        self.0.lock().cut.clear();
    }

    fn is_cut(&self, from: NodeUuid, to: NodeUuid) -> bool {
        self.0.lock().cut.contains(&(from, to))
    }

    /// True while this very process of the node answers.
    pub fn is_there(&self, node: NodeUuid, service: &Arc<dyn Service>) -> bool {
        let state = self.0.lock();
        let found = state.services.get(&node);
        found.is_some_and(|found| std::ptr::addr_eq(Arc::as_ptr(found), Arc::as_ptr(service)))
    }

    fn service(&self, to: &Peer) -> Option<Arc<dyn Service>> {
        let state = self.0.lock();
        match to.node {
            Some(node) => state.services.get(&node).cloned(),
            None => state
                .services
                .values()
                .find(|found| found.introduction().name == to.name)
                .cloned(),
        }
    }
}

async fn ask(way: &Way, to: &Peer, request: Request) -> io::Result<Reply> {
    let refused = || io::Error::from(io::ErrorKind::ConnectionRefused);
    let service = way.ether.service(to).ok_or_else(refused)?;
    let (from, to) = (way.own.node, service.introduction().node);
    if way.ether.is_cut(from, to) || way.ether.is_gone(&way.own) {
        return std::future::pending().await;
    }
    let turned = |why: Turned| io::Error::new(io::ErrorKind::PermissionDenied, why);
    service.admit(&way.own).map_err(turned)?;
    let stranger = way.own.guest && !request.is_for_guests();
    if stranger {
        let (name, node) = (way.own.name.clone(), way.own.node);
        return Err(turned(Turned::Unknown { name, node }));
    }
    let reply = service.answer(&way.own, request).await;
    // Who was killed meanwhile has not said anything: what it did since is not on the disk that it will be started with.
    if !way.ether.is_there(to, &service) {
        return Err(io::ErrorKind::ConnectionReset.into());
    }
    match way.ether.is_cut(to, from) || way.ether.is_gone(&way.own) {
        true => std::future::pending().await,
        false => Ok(reply),
    }
}

impl Neighbourhood for Ether {
    fn transport(&self, own: Introduction) -> Arc<dyn Transport> {
        self.way(own)
    }

    fn attach(&self, service: Arc<dyn Service>, _: CancellationToken) {
        self.enter(service.introduction().node, service);
    }
}

impl Transport for Way {
    fn call(&self, to: &Peer, request: Request, patience: Duration) -> BoxFuture<'_, io::Result<Reply>> {
        let to = to.clone();
        Box::pin(async move {
            let asked = tokio::time::timeout(patience, ask(self, &to, request)).await;
            asked.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
        })
    }
}
