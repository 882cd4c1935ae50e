//! How a leg comes to a socket: the node knows for whom, and somebody else how to reach a node and prove the secret.

use futures::future::BoxFuture;
use link::LegOpening;
use std::{fmt, io, sync::Arc};
use tokio::net::TcpStream;

use super::super::node::Node;
use super::leg::Leg;

/// Reaches other nodes.
pub trait Dial: fmt::Debug + Send + Sync {
    /// A connection to this node that is ready for the octets of a leg.
    fn dial(&self, to: &str, opening: LegOpening) -> BoxFuture<'static, io::Result<TcpStream>>;
}

impl Node {
    /// Other nodes are reached like this; said once, before clients are served.
    pub fn reach_nodes_by(&self, dialer: Arc<dyn Dial>) {
        if self.dialer.set(dialer).is_err() {
            tracing::error!("the node knows already how to reach others");
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
        let identity = self.identity();
        let opening = LegOpening {
            node: self.name().to_string(),
            uuid: identity.node.to_string(),
            incarnation: identity.incarnation,
            connection: leg.client.id.0,
            user: profile.user.to_string(),
            vhost: profile.vhost.to_string(),
            peer: leg.client.peer,
            local: leg.client.local,
        };
        dialer.dial(&leg.leader, opening).await
    }
}
