//! The connecting end of the handshake: both prove the secret, and the connection is ready for its channel.
//!
//! Every secret that this node accepts is tried, the current one first: peers may be at different points of a rotation.

use link::{Channel, Cookie, HANDSHAKE_BYTES_MAX, Hello, Verdict};
use std::{io, net::SocketAddr, sync::Arc, time::Duration};
use tokio::net::TcpStream;

use super::{
    pace,
    stream::{read_frame, write_frame},
    tls::PeerTls,
};

/// Longest time for connecting and for each word of the handshake.
const PATIENCE: Duration = Duration::from_secs(5);

/// Longest time for connecting alone. After a network has been away the kernel asks ever more rarely; who asks anew is heard at
/// once. One question may be lost.
const CONNECT_PATIENCE: Duration = Duration::from_millis(1500);

/// Who a node shows itself to be where it connects.
#[derive(Debug)]
pub struct Credentials {
    /// The secrets to try, the current one first.
    pub secrets: Vec<Cookie>,
    /// How to speak TLS; none for who never does.
    pub tls: Option<Arc<PeerTls>>,
}

/// Connects to the node `to` at one of its addresses, and proves one of the secrets.
///
/// # Errors
/// Why not: `ConnectionRefused` when nobody listens, `PermissionDenied` when the node does not take the secret.
pub async fn enter(
    addresses: &[SocketAddr],
    channel: Channel,
    from: &str,
    to: &str,
    own: &Credentials,
) -> io::Result<TcpStream> {
    let tls = own.tls.as_deref();
    let mut last = io::Error::new(io::ErrorKind::NotFound, format!("{to} has no address"));
    for address in addresses {
        for secret in &own.secrets {
            match tokio::time::timeout(PATIENCE, enter_at(*address, channel, (from, to), (secret, tls))).await {
                Ok(Ok(tcp)) => return Ok(tcp),
                Ok(Err(error)) => {
                    let other_secret = error.kind() == io::ErrorKind::PermissionDenied;
                    last = error;
                    if !other_secret {
                        break;
                    }
                }
                Err(_) => {
                    last = io::Error::new(io::ErrorKind::TimedOut, format!("{address} does not answer"));
                    break;
                }
            }
        }
    }
    Err(last)
}

async fn enter_at(
    address: SocketAddr,
    channel: Channel,
    (from, to): (&str, &str),
    (secret, tls): (&Cookie, Option<&PeerTls>),
) -> io::Result<TcpStream> {
    let hello = Hello::new(channel, from, to);
    let own = (secret, tls);
    match introduce(address, &hello, own).await? {
        Ok(tcp) => Ok(tcp),
        // It is of the release before.
        Err(Verdict::WrongVersion(theirs)) if link::is_spoken(theirs) => {
            let let_in = introduce(address, &hello.in_version(theirs), own).await?;
            let_in.map_err(|verdict| refused((from, to), &verdict))
        }
        Err(verdict) => Err(refused((from, to), &verdict)),
    }
}

/// Connects and proves the secret with these first words; the verdict, if that was not enough.
async fn introduce(
    address: SocketAddr,
    hello: &Hello,
    (secret, tls): (&Cookie, Option<&PeerTls>),
) -> io::Result<Result<TcpStream, Verdict>> {
    let to = &hello.to;
    let mut tcp = dial(address).await?;
    if let Some(tls) = tls {
        tcp = match tls.connect(tcp, to).await {
            Err(why) if tls.goes_without(to, &why) => dial(address).await?,
            secured => secured?,
        };
    }
    say(&mut tcp, hello).await?;
    let challenge = match hear(&mut tcp).await? {
        Verdict::Prove(challenge) => challenge,
        other => return Ok(Err(other)),
    };
    say(&mut tcp, &link::prove(secret, hello, &challenge)).await?;
    Ok(match hear(&mut tcp).await? {
        Verdict::Welcome(proof) if link::verify(secret, hello, &challenge, proof) => Ok(tcp),
        Verdict::Welcome(_) => Err(Verdict::WrongSecret),
        other => Err(other),
    })
}

async fn dial(address: SocketAddr) -> io::Result<TcpStream> {
    tokio::time::timeout(CONNECT_PATIENCE, pace::connect(address)).await?
}

fn refused((from, to): (&str, &str), verdict: &Verdict) -> io::Error {
    let (kind, text) = match verdict {
        Verdict::WrongSecret => (
            io::ErrorKind::PermissionDenied,
            format!("{to} has another secret: the .erlang.cookie files of all nodes must be the same"),
        ),
        Verdict::WrongVersion(version) => (
            io::ErrorKind::Unsupported,
            format!(
                "{to} speaks version {version} of the peer protocol, this node {}",
                link::protocol_version()
            ),
        ),
        // It was looked for where this node is because nobody knows better: that says nothing of it.
        Verdict::OtherNode(name) if name == from => (
            io::ErrorKind::NotFound,
            format!("where {to} is cannot be found out: {name} is where it was looked for"),
        ),
        Verdict::OtherNode(name) => (io::ErrorKind::AddrNotAvailable, format!("{name} is there, not {to}")),
        Verdict::Prove(_) | Verdict::Welcome(_) => (
            io::ErrorKind::InvalidData,
            format!("{to} does not keep to the handshake"),
        ),
    };
    io::Error::new(kind, text)
}

async fn say(tcp: &mut TcpStream, message: &impl serde::Serialize) -> io::Result<()> {
    let octets = link::encode(message)?;
    write_frame(tcp, &octets, HANDSHAKE_BYTES_MAX, PATIENCE).await
}

async fn hear<T: serde::de::DeserializeOwned>(tcp: &mut TcpStream) -> io::Result<T> {
    let octets = read_frame(tcp, HANDSHAKE_BYTES_MAX, PATIENCE).await?;
    let octets = octets.ok_or(io::ErrorKind::UnexpectedEof)?;
    Ok(link::decode(&octets)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_that_meets_itself_does_not_know_that_the_other_one_is_gone() {
        let kind = |there: &str| refused(("rabbit@a", "rabbit@b"), &Verdict::OtherNode(there.into())).kind();
        assert_eq!(kind("rabbit@c"), io::ErrorKind::AddrNotAvailable);
        assert_eq!(kind("rabbit@a"), io::ErrorKind::NotFound);
    }
}
