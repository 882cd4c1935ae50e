//! The leader's end of a leg: a client that has logged in elsewhere, served by the code of every connection.
//!
//! Nothing is checked again that the client's node has checked against the same definitions. The leg is in no list of
//! connections and counts against no limit: its client does, where it is.

use model::{ConnectionId, NodeUuid, UserName, VhostName};
use parking_lot::Mutex;
use queue::Origin;
use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};
use tokio::{
    net::TcpStream,
    sync::{Notify, watch},
};
use tokio_util::sync::CancellationToken;

/// How long an older leg of the same client may take to let go of what it holds.
const LEAVE_PATIENCE: Duration = Duration::from_secs(5);

use super::super::{
    client::{Client, Profile},
    connection,
    node::Node,
    socket::Socket,
};

/// On behalf of whom a leg is opened.
#[derive(Clone, Debug)]
pub struct Opening {
    /// The node that the client is connected to.
    pub node: catalog::NodeName,
    /// The client's connection there.
    pub connection: ConnectionId,
    /// Whose publishes come over the leg.
    pub origin: Origin,
    /// Which start of the client's node.
    pub incarnation: u64,
    /// Who.
    pub user: UserName,
    /// Where.
    pub vhost: VhostName,
    /// The client's end of its connection.
    pub peer: SocketAddr,
    /// Its node's end.
    pub local: SocketAddr,
}

impl Opening {
    /// The client as the catalogue knows it.
    pub fn identity(&self) -> catalog::Client {
        catalog::Client {
            user: self.user.clone(),
            vhost: self.vhost.clone(),
            connection: self.connection,
            node: self.node.clone(),
        }
    }

    /// What is shown of the client.
    pub fn profile(&self) -> Profile {
        Profile {
            user: self.user.clone(),
            vhost: self.vhost.clone(),
            mechanism: String::new(),
            tuned: session::Tuned::default(),
            client_properties: model::Table::default(),
        }
    }
}

/// The legs that are served, by whose they are: a client has one. When it comes again, its way was broken before this
/// node noticed: the older leg ends first, so that what it holds is free.
///
/// A node of which nothing is heard any more has legs at neither end.
#[derive(Debug, Default)]
pub struct ServedLegs {
    all: Mutex<BTreeMap<Origin, Arc<Client>>>,
    left: Notify,
    unheard: watch::Sender<BTreeSet<NodeUuid>>,
}

impl ServedLegs {
    /// Nodes of which nothing is heard, although they are not known to be down: their legs here end.
    pub fn leave_unheard(&self, unheard: BTreeSet<NodeUuid>) {
        self.end_those_of(|node| unheard.contains(&node));
        self.unheard
            .send_if_modified(|known| std::mem::replace(known, unheard.clone()) != unheard);
    }

    /// Those nodes, to be told of changes.
    pub fn unheard(&self) -> watch::Receiver<BTreeSet<NodeUuid>> {
        self.unheard.subscribe()
    }

    /// Clients of these nodes are not there any more.
    pub fn end_those_of(&self, is_gone: impl Fn(NodeUuid) -> bool) {
        let all = self.all.lock();
        for (_, client) in all.iter().filter(|(origin, _)| is_gone(origin.node)) {
            end(client);
        }
    }

    /// A leg begins, once an older one of the same client has ended.
    pub async fn enter(&self, origin: Origin, client: &Arc<Client>) {
        // What a node sends on its own behalf is never sent again.
        if origin.stream == 0 {
            return;
        }
        let older = self.all.lock().insert(origin, client.clone());
        let Some(older) = older else { return };
        end(&older);
        let ended = async {
            loop {
                let mut left = std::pin::pin!(self.left.notified());
                // Before the look, so that none is missed.
                left.as_mut().enable();
                if older.has_left() {
                    return;
                }
                left.await;
            }
        };
        if tokio::time::timeout(LEAVE_PATIENCE, ended).await.is_err() {
            tracing::warn!("an older way of connection {} is still open", client.name());
        }
    }

    /// A leg has ended, and holds nothing any more.
    pub fn leave(&self, origin: Origin, client: &Arc<Client>) {
        client.leave();
        let mut all = self.all.lock();
        if all.get(&origin).is_some_and(|found| Arc::ptr_eq(found, client)) {
            all.remove(&origin);
        }
        drop(all);
        self.left.notify_waiters();
    }
}

/// What a leg holds is given back.
pub fn end(client: &Client) {
    client.outbox().close();
    client.outbox().attention.notify_one();
}

impl Node {
    /// Ends the legs of all clients of other nodes; those whose node may come in come again.
    pub fn end_legs(&self) {
        self.legs().all().iter().for_each(|client| end(client));
    }
}

/// Serves a leg until its client, or its client's node, is gone.
pub async fn serve(node: Arc<Node>, tcp: TcpStream, opening: Opening, hung_up: CancellationToken) {
    connection::serve_leg(node, Socket::plain(tcp), opening, hung_up).await;
}
