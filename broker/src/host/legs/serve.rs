//! The leader's end of a leg: a client that has logged in elsewhere, served by the code of every connection.
//!
//! Nothing is checked again that the client's node has checked against the same definitions. The leg is in no list of
//! connections and counts against no limit: its client does, where it is.

use model::{ConnectionId, UserName, VhostName};
use std::{net::SocketAddr, sync::Arc};
use tokio::net::TcpStream;

use super::super::{client::Profile, connection, node::Node, socket::Socket};

/// On behalf of whom a leg is opened.
#[derive(Clone, Debug)]
pub struct Opening {
    /// The node that the client is connected to.
    pub node: catalog::NodeName,
    /// The client's connection there.
    pub connection: ConnectionId,
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

/// Serves a leg until its client, or its client's node, is gone.
pub async fn serve(node: Arc<Node>, tcp: TcpStream, opening: Opening) {
    connection::serve_leg(node, Socket::plain(tcp), opening).await;
}
