//! What a node asks of a cluster while its own store is closed: who is there, may it join, may it leave.
//!
//! Decides nothing; the directory that follows from the answers is the caller's.

use super::{
    presence::Status,
    transport::{Joined, Peer, Reply, Request, Transport, Wish},
};
use catalog::NodeKind;
use model::NodeUuid;
use std::{io, time::Duration};

/// How long a node may take to have something committed.
const PATIENCE: Duration = Duration::from_secs(35);
/// How long a node may take to say what it knows.
const LOOK_PATIENCE: Duration = Duration::from_secs(5);

/// Why a cluster does not do what a stopped node wants.
#[derive(Debug, thiserror::Error)]
pub enum OutsideError {
    /// Nobody could be asked; this is the last one's reason.
    #[error("{name}: {source}")]
    Unreachable {
        /// Who was asked.
        name: String,
        /// Why it does not answer.
        source: io::Error,
    },
    /// There is nobody to ask.
    #[error("no other member is known")]
    Nobody,
    /// It is a member already.
    #[error("The node is already a member of this cluster")]
    Already,
    /// It may not be.
    #[error("{0}")]
    Refused(String),
}

async fn ask(
    transport: &dyn Transport,
    peer: &Peer,
    request: Request,
    patience: Duration,
) -> Result<Reply, OutsideError> {
    let asked = transport.call(peer, request, patience).await;
    asked.map_err(|source| OutsideError::Unreachable {
        name: peer.name.clone(),
        source,
    })
}

/// Who is there, as a node of this name sees it.
///
/// # Errors
/// When it does not answer.
pub async fn look(transport: &dyn Transport, name: &str) -> Result<Status, OutsideError> {
    let peer = Peer {
        node: None,
        name: name.to_owned(),
    };
    match ask(transport, &peer, Request::Members, LOOK_PATIENCE).await? {
        Reply::Members(status) => Ok(status),
        other => Err(OutsideError::Refused(format!("{name} answers {other:?}"))),
    }
}

/// Becomes a member of the cluster of a node of this name. The caller's directory must follow before it starts.
///
/// # Errors
/// When it does not answer, or the cluster does not want it.
pub async fn join(transport: &dyn Transport, name: &str, wish: Wish) -> Result<Joined, OutsideError> {
    let peer = Peer {
        node: None,
        name: name.to_owned(),
    };
    match ask(transport, &peer, Request::Join(wish), PATIENCE).await? {
        Reply::Joined(joined) => Ok(joined),
        Reply::Already => Err(OutsideError::Already),
        Reply::Failed(why) => Err(OutsideError::Refused(why)),
        other => Err(OutsideError::Refused(format!("{name} answers {other:?}"))),
    }
}

/// Asks members in turn, until one has had it committed.
async fn tell_one(transport: &dyn Transport, peers: &[Peer], request: Request) -> Result<(), OutsideError> {
    let mut last = OutsideError::Nobody;
    for peer in peers {
        match ask(transport, peer, request.clone(), PATIENCE).await {
            Ok(Reply::Done) => return Ok(()),
            Ok(Reply::Failed(why)) => last = OutsideError::Refused(why),
            Ok(other) => last = OutsideError::Refused(format!("{peer} answers {other:?}")),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Leaves the cluster for ever.
///
/// # Errors
/// When no member answers, or the cluster cannot be without it.
pub async fn leave(transport: &dyn Transport, peers: &[Peer], node: NodeUuid) -> Result<(), OutsideError> {
    tell_one(transport, peers, Request::Remove(node)).await
}

/// May decide, or only listens, from its next start on.
///
/// # Errors
/// When no member answers, or the cluster does not allow it.
pub async fn set_kind(
    transport: &dyn Transport,
    peers: &[Peer],
    node: NodeUuid,
    kind: NodeKind,
) -> Result<(), OutsideError> {
    tell_one(transport, peers, Request::SetKind(node, kind)).await
}
