//! How a leg comes to a socket: the node knows for whom, and somebody else how to reach a node and prove the secret.

use catalog::NodeName;
use futures::future::BoxFuture;
use link::{Failure, LegEnd, LegOpening, MirrorOpening, Reply, Request, Term};
use model::NodeUuid;
use std::{
    fmt, io,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};
use tokio::{net::TcpStream, sync::mpsc};

use super::super::node::Node;
use super::leg::{Leg, Process};

/// Reaches other nodes.
pub trait Dial: fmt::Debug + Send + Sync {
    /// A connection to this node that is ready for the octets of a leg.
    fn dial(&self, to: &str, opening: LegOpening) -> BoxFuture<'static, io::Result<TcpStream>>;

    /// A connection to this node's mirrors, who it is and which of its starts.
    fn mirror(&self, to: &str, _opening: MirrorOpening) -> BoxFuture<'static, io::Result<(TcpStream, NodeUuid, u64)>> {
        let text = format!("this node has no way to {to}");
        Box::pin(async move { Err(io::Error::new(io::ErrorKind::NotConnected, text)) })
    }

    /// Asks this node what the command line could ask it; rows are handed on as they come.
    fn ask(
        &self,
        to: &str,
        _request: Request,
        _rows: Option<mpsc::Sender<Reply>>,
    ) -> BoxFuture<'static, io::Result<Result<Term, Failure>>> {
        let text = format!("this node has no way to {to}");
        Box::pin(async move { Err(io::Error::new(io::ErrorKind::NotConnected, text)) })
    }
}

/// The process that a leg is to reach, as it is said.
fn end(process: Process) -> LegEnd {
    LegEnd {
        uuid: process.node.to_string(),
        incarnation: process.incarnation,
    }
}

/// How long another node may take for what an administrator asks.
const ASK_PATIENCE: Duration = Duration::from_secs(15);

impl Node {
    /// Other nodes are reached like this; said once, before clients are served.
    pub fn reach_nodes_by(&self, dialer: Arc<dyn Dial>) {
        if self.dialer.set(dialer).is_err() {
            tracing::error!("the node knows already how to reach others");
        }
    }

    /// Has another node answer what an administrator asks.
    ///
    /// # Errors
    /// Its refusal, or why it cannot be asked.
    pub async fn ask_node(
        &self,
        to: &str,
        request: Request,
        rows: Option<mpsc::Sender<Reply>>,
    ) -> Result<Term, Failure> {
        let unreachable = |why: String| Failure::Refused(format!("node {to} cannot be asked: {why}"));
        let dialer = self
            .dialer
            .get()
            .ok_or_else(|| unreachable("this node reaches no other".into()))?;
        let asking = tokio::time::timeout(ASK_PATIENCE, dialer.ask(to, request, rows));
        match asking.await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => Err(unreachable(error.to_string())),
            Err(_) => Err(unreachable("it does not answer".into())),
        }
    }

    /// A leg for what somebody does who is no AMQP client.
    pub(in super::super) async fn dial_for(
        &self,
        client: &catalog::Client,
        leader: &NodeName,
    ) -> io::Result<TcpStream> {
        let opening = self.opening(leader, (client.user.to_string(), client.vhost.to_string()));
        let unreachable = || io::Error::new(io::ErrorKind::NotConnected, "the node is down");
        let dialer = self.dialer.get().ok_or_else(unreachable)?;
        dialer.dial(leader, opening.ok_or_else(unreachable)?).await
    }

    /// What opens a leg that belongs to no connection; `None` if the leader is down.
    pub(super) fn opening(&self, leader: &NodeName, whose: (String, String)) -> Option<LegOpening> {
        let process = self.snapshot().process(leader)?;
        Some(self.opening_to(process, whose))
    }

    fn opening_to(&self, leader: Process, (user, vhost): (String, String)) -> LegOpening {
        let identity = self.identity();
        let nowhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        LegOpening {
            node: self.name().to_string(),
            uuid: identity.node.to_string(),
            incarnation: identity.incarnation,
            boot_id: identity.boot_id,
            cluster: identity.cluster.to_string(),
            level: link::feature_level(),
            leader: end(leader),
            connection: 0,
            user,
            vhost,
            peer: nowhere,
            local: nowhere,
        }
    }

    /// Connects a leg to its leader.
    pub(super) async fn dial(&self, leg: &Leg) -> io::Result<TcpStream> {
        let unreachable = |why: &str| io::Error::new(io::ErrorKind::NotConnected, why.to_owned());
        let dialer = self
            .dialer
            .get()
            .ok_or_else(|| unreachable("this node reaches no other"))?;
        let profile = leg.client.profile();
        let profile = profile.ok_or_else(|| unreachable("the client has not logged in"))?;
        let process = leg.process.ok_or_else(|| unreachable("the node is down"))?;
        let opening = LegOpening {
            connection: leg.client.id.0,
            peer: leg.client.peer,
            local: leg.client.local,
            ..self.opening_to(process, (profile.user.to_string(), profile.vhost.to_string()))
        };
        dialer.dial(&leg.leader, opening).await
    }
}
