//! Mirror links over the peer port: the words that open one, at both ends. Both ends have proven the secret before.
//!
//! What goes over a link afterwards is the host's. A node that is no member, or another start than the definitions know, is
//! turned away with a sentence.

use link::{Channel, MIRROR_OPENING_BYTES_MAX, MIRROR_VERSION, MirrorOpening, MirrorVerdict};
use model::NodeUuid;
use serde::{Serialize, de::DeserializeOwned};
use std::{io, net::SocketAddr, sync::Arc, time::Duration};
use tokio::net::TcpStream;

use super::{
    enter::{Credentials, enter},
    legs,
    stream::{read_frame, write_frame},
};
use crate::host::{self, Node};

/// Longest time for one word.
const PATIENCE: Duration = Duration::from_secs(5);
/// A link whose octets are not acknowledged for this long is broken: a new one is heard as soon as the network is back, while the
/// kernel would repeat itself ever more rarely.
const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(4);

/// Opens a link to the mirrors of the node `to`.
pub(super) async fn dial(
    addresses: Vec<SocketAddr>,
    (own_name, to): (&str, &str),
    own: Credentials,
    opening: MirrorOpening,
) -> io::Result<(TcpStream, NodeUuid, u64)> {
    let mut tcp = enter(&addresses, Channel::Mirror, own_name, to, &own).await?;
    tune(&tcp)?;
    say(&mut tcp, &opening).await?;
    match hear(&mut tcp).await? {
        MirrorVerdict::Welcome { uuid, incarnation } => {
            let uuid = uuid.parse().map_err(io::Error::other)?;
            Ok((tcp, uuid, incarnation))
        }
        MirrorVerdict::Refused(why) => Err(io::Error::new(io::ErrorKind::ConnectionRefused, why)),
    }
}

/// As a leg, which nobody leaves unread.
fn tune(tcp: &TcpStream) -> io::Result<()> {
    legs::tune(tcp)?;
    socket2::SockRef::from(tcp).set_tcp_user_timeout(Some(UNACKNOWLEDGED_MAX))
}

async fn say(tcp: &mut TcpStream, word: &impl Serialize) -> io::Result<()> {
    let octets = link::encode(word).map_err(io::Error::other)?;
    write_frame(tcp, &octets, MIRROR_OPENING_BYTES_MAX, PATIENCE).await
}

async fn hear<T: DeserializeOwned>(tcp: &mut TcpStream) -> io::Result<T> {
    let octets = read_frame(tcp, MIRROR_OPENING_BYTES_MAX, PATIENCE).await?;
    let octets = octets.ok_or(io::ErrorKind::UnexpectedEof)?;
    link::decode(&octets).map_err(io::Error::other)
}

/// Serves a leader whose node has proven the secret.
pub(super) async fn serve(mut tcp: TcpStream, node: Arc<Node>) -> io::Result<()> {
    tune(&tcp)?;
    let words: MirrorOpening = hear(&mut tcp).await?;
    match leader(&node, &words) {
        Ok(uuid) => {
            let identity = node.identity();
            let welcome = MirrorVerdict::Welcome {
                uuid: identity.node.to_string(),
                incarnation: identity.incarnation,
            };
            say(&mut tcp, &welcome).await?;
            host::serve_mirrors(node, tcp, uuid, words.incarnation).await
        }
        Err(why) => {
            tracing::warn!(node = %words.node, "a leader's link is turned away: {why}");
            say(&mut tcp, &MirrorVerdict::Refused(why)).await
        }
    }
}

/// Which member it is that leads, or why it may not.
fn leader(node: &Node, words: &MirrorOpening) -> Result<NodeUuid, String> {
    if words.version != MIRROR_VERSION {
        return Err(format!(
            "it speaks version {} of the mirrors' protocol, this node {MIRROR_VERSION}",
            words.version
        ));
    }
    if node.stopping().is_cancelled() {
        return Err("it is stopping".to_owned());
    }
    let uuid: NodeUuid = words.uuid.parse().map_err(|error| format!("{error}"))?;
    let snapshot = node.snapshot();
    match snapshot.catalog.node(uuid) {
        None => Err(format!("node '{}' ({uuid}) is no member of this cluster", words.node)),
        // A later start may not be known here yet: what it leads is looked at with each queue.
        Some(known) if words.incarnation < known.incarnation => Err(format!(
            "node '{}' has been started again since start {}",
            words.node, words.incarnation
        )),
        Some(_) => Ok(uuid),
    }
}
