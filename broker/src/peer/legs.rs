//! Legs over the peer port: the way to another node for a client's work, and the words that open it at the other end.
//!
//! Both ends prove the secret first. What goes over a leg afterwards is the host's.

use futures::future::BoxFuture;
use link::{
    Channel, Failure, LEG_OPENING_BYTES_MAX, LegOpening, LegVerdict, MirrorOpening, REPLY_BYTES_MAX, REQUEST_BYTES_MAX,
    Reply, Request, Term,
};
use model::{ConnectionId, NodeUuid};
use queue::Origin;
use serde::{Serialize, de::DeserializeOwned};
use socket2::TcpKeepalive;
use std::{io, sync::Arc, time::Duration};
use tokio::{net::TcpStream, sync::mpsc};
use tokio_util::sync::CancellationToken;

use super::{
    enter::enter,
    listener::Peers,
    mirrors,
    stream::{read_frame, write_frame},
};
use crate::{
    cluster::{door, resolver::Resolver, transport::Introduction},
    host::{self, Node},
};

/// Longest time for one word.
const PATIENCE: Duration = Duration::from_secs(10);
/// After such a silence it is asked whether the other end is still there: if it went while nothing came through, its last word
/// was lost, and what its clients held would be held for ever.
const SILENCE_MAX: Duration = Duration::from_secs(3);
/// Without an answer it is asked again after this.
const PROBE_AFTER: Duration = Duration::from_secs(2);

/// Reaches other nodes over their peer ports.
#[derive(Debug)]
pub struct Dialer {
    peers: Arc<Peers>,
    own_name: Arc<str>,
    resolver: Arc<dyn Resolver>,
}

impl Dialer {
    /// With this node's secrets and a way to find others.
    pub fn new(peers: Arc<Peers>, own_name: Arc<str>, resolver: Arc<dyn Resolver>) -> Self {
        Dialer {
            peers,
            own_name,
            resolver,
        }
    }
}

impl host::Dial for Dialer {
    fn dial(&self, to: &str, opening: LegOpening) -> BoxFuture<'static, io::Result<TcpStream>> {
        let (peers, own_name, resolver) = (self.peers.clone(), self.own_name.clone(), self.resolver.clone());
        let to = to.to_owned();
        Box::pin(async move {
            let addresses = resolver.resolve(&to).await?;
            let own = peers.credentials().map_err(io::Error::other)?;
            let mut tcp = enter(&addresses, Channel::Client, &own_name, &to, &own).await?;
            tune(&tcp)?;
            say(&mut tcp, &opening).await?;
            match hear(&mut tcp).await? {
                LegVerdict::Welcome => Ok(tcp),
                LegVerdict::Refused(why) => {
                    peers.turned_away(&to, &why);
                    Err(io::Error::new(io::ErrorKind::ConnectionRefused, why))
                }
            }
        })
    }

    fn mirror(&self, to: &str, opening: MirrorOpening) -> BoxFuture<'static, io::Result<(TcpStream, NodeUuid, u64)>> {
        let (peers, own_name, resolver) = (self.peers.clone(), self.own_name.clone(), self.resolver.clone());
        let to = to.to_owned();
        Box::pin(async move {
            let addresses = resolver.resolve(&to).await?;
            let own = peers.credentials().map_err(io::Error::other)?;
            mirrors::dial(addresses, (&own_name, &to), own, opening).await
        })
    }

    fn ask(
        &self,
        to: &str,
        request: Request,
        rows: Option<mpsc::Sender<Reply>>,
    ) -> BoxFuture<'static, io::Result<Result<Term, Failure>>> {
        let (peers, own_name, resolver) = (self.peers.clone(), self.own_name.clone(), self.resolver.clone());
        let to = to.to_owned();
        Box::pin(async move {
            let addresses = resolver.resolve(&to).await?;
            let own = peers.credentials().map_err(io::Error::other)?;
            let mut tcp = enter(&addresses, Channel::Cli, &own_name, &to, &own).await?;
            let question = link::encode(&request)?;
            write_frame(&mut tcp, &question, REQUEST_BYTES_MAX, PATIENCE).await?;
            loop {
                let octets = read_frame(&mut tcp, REPLY_BYTES_MAX, PATIENCE).await?;
                match link::decode(&octets.ok_or(io::ErrorKind::UnexpectedEof)?)? {
                    Reply::Done(term) => return Ok(Ok(term)),
                    Reply::Failed(failure) => return Ok(Err(failure)),
                    more => hand_on(&rows, more).await?,
                }
            }
        })
    }
}

async fn hand_on(rows: &Option<mpsc::Sender<Reply>>, reply: Reply) -> io::Result<()> {
    let gone = |_| io::Error::from(io::ErrorKind::BrokenPipe);
    match rows {
        Some(rows) => rows.send(reply).await.map_err(gone),
        None => Ok(()),
    }
}

/// A peer that vanished in silence is noticed. One that vanishes under octets that it does not
/// acknowledge is not noticed here: the kernel's limit for that would also end a leg whose client does not read for a while.
/// The hosts of the nodes notice it (`host/neighbour`).
pub(super) fn tune(tcp: &TcpStream) -> io::Result<()> {
    let socket = socket2::SockRef::from(tcp);
    let probes = TcpKeepalive::new().with_time(SILENCE_MAX).with_interval(PROBE_AFTER);
    socket.set_tcp_keepalive(&probes)
}

async fn say(tcp: &mut TcpStream, word: &impl Serialize) -> io::Result<()> {
    let octets = link::encode(word).map_err(io::Error::other)?;
    write_frame(tcp, &octets, LEG_OPENING_BYTES_MAX, PATIENCE).await
}

async fn hear<T: DeserializeOwned>(tcp: &mut TcpStream) -> io::Result<T> {
    let octets = read_frame(tcp, LEG_OPENING_BYTES_MAX, PATIENCE).await?;
    let octets = octets.ok_or(io::ErrorKind::UnexpectedEof)?;
    link::decode(&octets).map_err(io::Error::other)
}

/// Serves a leg whose other end has proven the secret, until it is hung up on. Why it is refused is told to `refused` too.
pub async fn serve(
    mut tcp: TcpStream,
    node: Arc<Node>,
    hung_up: CancellationToken,
    refused: impl FnOnce(&str),
) -> io::Result<()> {
    tune(&tcp)?;
    let words: LegOpening = hear(&mut tcp).await?;
    match opening(&node, &words) {
        Ok(opening) => {
            say(&mut tcp, &LegVerdict::Welcome).await?;
            host::serve_leg(node, tcp, opening, hung_up).await;
            Ok(())
        }
        Err(why) => {
            refused(&format!("node {}: {why}", words.node));
            say(&mut tcp, &LegVerdict::Refused(why)).await
        }
    }
}

/// Who comes must be a member, this process the one that is looked for, and the names names.
fn opening(node: &Node, words: &LegOpening) -> Result<host::LegOpening, String> {
    if node.stopping().is_cancelled() {
        return Err("it is stopping".to_owned());
    }
    let bad = |what: &str, name: &str| format!("'{name}' is no name of a {what}");
    let uuid = |text: &str| text.parse::<NodeUuid>().map_err(|error| error.to_string());
    let own = Introduction::of(node.identity());
    let origin = uuid(&words.uuid)?;
    let who = Introduction {
        cluster: uuid(&words.cluster)?,
        node: origin,
        name: words.node.clone(),
        incarnation: words.incarnation,
        boot_id: words.boot_id,
        level: words.level,
        guest: false,
    };
    door::judge(&own, &node.snapshot().catalog, &who).map_err(|why| why.to_string())?;
    let wanted = (uuid(&words.leader.uuid)?, words.leader.incarnation);
    if wanted != (own.node, own.incarnation) {
        return Err(format!(
            "start {} of node {} is looked for, this is start {} of node {}",
            wanted.1, wanted.0, own.incarnation, own.node
        ));
    }
    Ok(host::LegOpening {
        node: words.node.as_str().into(),
        connection: ConnectionId(words.connection),
        origin: Origin {
            node: origin,
            stream: words.connection,
        },
        incarnation: words.incarnation,
        user: words.user.parse().map_err(|_| bad("user", &words.user))?,
        vhost: words.vhost.parse().map_err(|_| bad("virtual host", &words.vhost))?,
        peer: words.peer,
        local: words.local,
    })
}

#[cfg(test)]
#[path = "legs_tests.rs"]
mod tests;
