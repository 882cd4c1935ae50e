//! What members of a cluster ask each other, and the two seams between the questions and whatever carries them.
//!
//! The store of the definitions, membership and liveness speak these words; the peer port carries them over TCP, tests
//! and simulations in memory. Nothing here knows a socket or the library that agrees. Variants and fields are only ever
//! added, with defaults: nodes of neighbouring releases understand each other.

use super::{
    Identity,
    log::{Entry, Membership, Position, Proposal, Vote},
    presence::Status,
};
use catalog::NodeKind;
use futures::future::BoxFuture;
use model::NodeUuid;
use serde::{Deserialize, Serialize};
use std::{fmt, io, sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;

/// Most octets of one request or answer.
pub const CALL_BYTES_MAX: usize = 64 << 20;

/// A node to be asked.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Peer {
    /// Which; unknown to a node that joins.
    #[serde(default)]
    pub node: Option<NodeUuid>,
    /// Its name, `rabbit@host`, by which it is found.
    pub name: String,
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// How a node introduces itself once both ends have proven the secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Introduction {
    /// The cluster it belongs to.
    pub cluster: NodeUuid,
    /// Which node.
    pub node: NodeUuid,
    /// Its name.
    pub name: String,
    /// How often it has been started.
    pub incarnation: u64,
    /// Drawn by its process.
    pub boot_id: u64,
    /// What it understands.
    #[serde(default)]
    pub level: u32,
    /// It does not say that it is a member: it wants to look around, or to join.
    #[serde(default)]
    pub guest: bool,
}

impl Introduction {
    /// How a process of a member introduces itself.
    pub fn of(identity: &Identity) -> Self {
        Introduction {
            cluster: identity.cluster,
            node: identity.node,
            name: identity.name.clone(),
            incarnation: identity.incarnation,
            boot_id: identity.boot_id,
            level: identity.level,
            guest: false,
        }
    }
}

/// Why a node that knows the secret is turned away all the same.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum Turned {
    /// It belongs to another cluster.
    #[error("it belongs to cluster {theirs}, this node to cluster {own}: reset it and let it join this one")]
    OtherCluster {
        /// The one that turns away.
        own: NodeUuid,
        /// The one that came.
        theirs: NodeUuid,
    },
    /// It was removed from the cluster.
    #[error(
        "node '{name}' ({node}) was removed from this cluster and cannot come back as it was: reset it and let it join again"
    )]
    Removed {
        /// What it is called.
        name: String,
        /// Which.
        node: NodeUuid,
    },
    /// It is unknown here.
    #[error("node '{name}' ({node}) is no member of this cluster: let it join")]
    Unknown {
        /// What it is called.
        name: String,
        /// Which.
        node: NodeUuid,
    },
    /// Another process says that it is this node.
    #[error(
        "another process is node {node} already: the data directory of '{name}' is a copy of one in use, or an old copy; \
         start it with an empty one"
    )]
    SameNode {
        /// What the one that came is called.
        name: String,
        /// Who both say they are.
        node: NodeUuid,
    },
    /// Another member has its name.
    #[error(
        "the cluster knows another node ({known}) by the name '{name}': remove that one first with \
         'rabbitmqctl forget_cluster_node {name}', or give this one another name"
    )]
    SameName {
        /// The name.
        name: String,
        /// Who has it.
        known: NodeUuid,
    },
    /// It is too old.
    #[error("it understands feature level {theirs}, this cluster needs {least} or later: upgrade it first")]
    TooOld {
        /// Its level.
        theirs: u32,
        /// The least that would do.
        least: u32,
    },
    /// The node does not take part now.
    #[error("the node is stopped: start it with 'rabbitmqctl start_app'")]
    Stopped,
    /// The node has never been started and looks for a cluster itself.
    #[error("the node looks for a cluster to join itself")]
    Forming,
}

/// Entries for a follower, and how far they count.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Append {
    /// The leader and its term.
    pub vote: Vote,
    /// What comes right before the entries.
    pub previous: Option<Position>,
    /// In order, without gaps.
    pub entries: Vec<Entry>,
    /// Up to where the log is committed.
    pub committed: Option<Position>,
}

/// What became of entries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Appended {
    /// All are safe.
    All,
    /// Those up to here are.
    Upto(Option<Position>),
    /// What comes before them is not there.
    Conflict,
    /// Another leader counts.
    Outvoted(Vote),
}

/// A candidate asks for a vote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidacy {
    /// For whom and which term.
    pub vote: Vote,
    /// Where its log ends.
    pub last: Option<Position>,
    /// The one who leads by this vote wants it: nobody need wait until that one is believed in no more.
    #[serde(default)]
    pub consent: Option<Vote>,
}

/// The one who leads wants another to lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TakeOver {
    /// By which it leads.
    pub vote: Vote,
    /// Where its log ends: nothing is added before somebody leads anew, or it gives up.
    pub last: Position,
}

/// The answer to a candidate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Voted {
    /// Whom the voter follows.
    pub vote: Vote,
    /// The candidate has the vote.
    pub granted: bool,
    /// Where the voter's log ends.
    pub last: Option<Position>,
}

/// A piece of all definitions for a node that is far behind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotPart {
    /// The leader and its term.
    pub vote: Vote,
    /// Names the snapshot.
    pub id: String,
    /// The last entry in it.
    pub applied: Option<Position>,
    /// The members then.
    pub membership: Membership,
    /// The entry that made them the members.
    pub membership_at: Option<Position>,
    /// Where the piece belongs.
    pub offset: u64,
    /// The piece.
    #[serde(with = "octets")]
    pub octets: Vec<u8>,
    /// Nothing comes after it.
    pub done: bool,
}

/// What became of a piece.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Received {
    /// Taken; whom the receiver follows.
    Taken(Vote),
    /// Another piece was due.
    Expected {
        /// Of this snapshot.
        id: String,
        /// At this place.
        offset: u64,
    },
}

/// A question to another node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Request {
    /// Nothing: is anybody there?
    Ping,
    /// The leader's entries.
    Append(Append),
    /// A candidate's wish.
    Vote(Candidacy),
    /// The leader's definitions.
    Snapshot(SnapshotPart),
    /// Have this committed.
    Propose(Proposal),
    /// To the leader: this process is alive.
    Beat {
        /// Which start of its node.
        incarnation: u64,
    },
    /// Who is there?
    Members,
    /// May it belong to the cluster?
    Join(Wish),
    /// Remove this node for ever.
    Remove(NodeUuid),
    /// Let it decide, or only listen, from its next start on.
    SetKind(NodeUuid, NodeKind),
    /// To the leader: this node stops; let the others decide without it.
    Yield(NodeUuid),
    /// Answer when the definitions up to this entry of the log are in force there.
    Reached(u64),
    /// A question of one room to the same room of another node.
    Host(Octets),
    /// Of the leader: stand for election now.
    TakeOver(TakeOver),
}

/// Words that only sender and receiver understand.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Octets(#[serde(with = "octets")] pub Vec<u8>);

impl From<Vec<u8>> for Octets {
    fn from(octets: Vec<u8>) -> Self {
        Octets(octets)
    }
}

/// A node wants to belong to a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wish {
    /// Who it will be.
    pub node: NodeUuid,
    /// What it is called.
    pub name: String,
    /// Whether it may decide.
    #[serde(default)]
    pub kind: NodeKind,
    /// Who it is until then, if it has ever been somebody.
    #[serde(default)]
    pub present: Option<NodeUuid>,
}

/// It belongs to the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Joined {
    /// Which cluster.
    pub cluster: NodeUuid,
    /// Who belongs to it, the new one too.
    pub status: Status,
}

impl Request {
    /// True if a node that is no member may ask it.
    pub fn is_for_guests(&self) -> bool {
        match self {
            Request::Ping | Request::Members | Request::Join(_) | Request::Remove(_) | Request::SetKind(..) => true,
            Request::Append(_) | Request::Vote(_) | Request::Snapshot(_) | Request::Propose(_) => false,
            Request::Beat { .. } | Request::Yield(_) | Request::Reached(_) | Request::Host(_) => false,
            Request::TakeOver(_) => false,
        }
    }
}

/// The answer to a question.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Reply {
    /// It is so.
    Done,
    /// To entries.
    Append(Appended),
    /// To a candidate.
    Vote(Voted),
    /// To a piece of a snapshot.
    Snapshot(Received),
    /// It was heard by one that leads.
    Beat {
        /// How long ago a majority followed that one, in milliseconds.
        age_ms: u64,
    },
    /// Who is there.
    Members(Status),
    /// It belongs to the cluster now.
    Joined(Joined),
    /// It does already.
    Already,
    /// The other room's words.
    Host(Octets),
    /// Ask this one, who leads, or ask later.
    NotLeader(Option<Peer>),
    /// It cannot be.
    Failed(String),
    /// It may not be.
    Turned(Turned),
    /// The question is not understood.
    Unknown,
}

/// The way to other nodes.
pub trait Transport: fmt::Debug + Send + Sync + 'static {
    /// Asks a node, and waits for its answer as long as `patience` lasts.
    ///
    /// # Errors
    /// `ConnectionRefused`, `ConnectionReset`, `TimedOut` and the like when it cannot be asked, `PermissionDenied` with
    /// a [`Turned`] inside when it does not want to be, `FileTooLarge` for a question above [`CALL_BYTES_MAX`].
    fn call(&self, to: &Peer, request: Request, patience: Duration) -> BoxFuture<'_, io::Result<Reply>>;
}

/// What answers other nodes.
pub trait Service: Send + Sync + 'static {
    /// How this node introduces itself.
    fn introduction(&self) -> Introduction;

    /// Judges somebody who has proven the secret.
    ///
    /// # Errors
    /// Why it is not wanted.
    fn admit(&self, who: &Introduction) -> Result<(), Turned>;

    /// Answers one question of somebody who was admitted.
    fn answer(&self, from: &Introduction, request: Request) -> BoxFuture<'_, Reply>;
}

/// A place among other nodes: how one process of a node reaches them and is reached.
pub trait Neighbourhood: Send + Sync {
    /// The way to others for a node that introduces itself so.
    fn transport(&self, own: Introduction) -> Arc<dyn Transport>;

    /// Others are answered by this from now on, until the token is cancelled.
    fn attach(&self, service: Arc<dyn Service>, ended: CancellationToken);
}

/// No other nodes anywhere.
#[derive(Clone, Copy, Debug, Default)]
pub struct Nobody;

impl Transport for Nobody {
    fn call(&self, to: &Peer, _: Request, _: Duration) -> BoxFuture<'_, io::Result<Reply>> {
        let text = format!("this node has no way to {to}");
        Box::pin(async move { Err(io::Error::new(io::ErrorKind::NotConnected, text)) })
    }
}

#[cfg(test)]
impl Neighbourhood for Nobody {
    fn transport(&self, _: Introduction) -> Arc<dyn Transport> {
        Arc::new(Nobody)
    }

    fn attach(&self, _: Arc<dyn Service>, _: CancellationToken) {}
}

/// Octets as octets: a list of numbers would be longer and slow.
mod octets {
    use serde::{Deserializer, Serializer, de};
    use std::fmt;

    pub(super) fn serialize<S: Serializer>(octets: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(octets)
    }

    struct Reader;

    impl de::Visitor<'_> for Reader {
        type Value = Vec<u8>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("octets")
        }

        fn visit_bytes<E: de::Error>(self, octets: &[u8]) -> Result<Vec<u8>, E> {
            Ok(octets.to_vec())
        }

        fn visit_byte_buf<E: de::Error>(self, octets: Vec<u8>) -> Result<Vec<u8>, E> {
            Ok(octets)
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        from.deserialize_byte_buf(Reader)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_read_back_as_they_were_and_unknown_ones_are_none() {
        let vote = Vote {
            term: 3,
            node: NodeUuid(7),
            won: true,
        };
        let part = SnapshotPart {
            vote,
            id: "3-9".into(),
            applied: None,
            membership: Membership::default(),
            membership_at: None,
            offset: 4,
            octets: vec![0, 200, 255],
            done: true,
        };
        for request in [Request::Ping, Request::Snapshot(part)] {
            let octets = rmp_serde::to_vec_named(&request).unwrap();
            assert_eq!(rmp_serde::from_slice::<Request>(&octets).unwrap(), request);
        }
        let strange = rmp_serde::to_vec_named("Dance").unwrap();
        assert!(rmp_serde::from_slice::<Request>(&strange).is_err());
    }
}
