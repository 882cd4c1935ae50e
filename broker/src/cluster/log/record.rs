//! What the log says, as data of our own: the library that agrees on it may change, what is written down may not.
//!
//! Fields and variants are only ever added, with defaults. Contents are MessagePack with the fields' names.

use catalog::Command;
use model::NodeUuid;
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// A place in the log and the leader that put it there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Position {
    /// The leader's term.
    pub term: u64,
    /// The leader.
    pub leader: NodeUuid,
    /// The place, from 0.
    pub index: u64,
}

/// Whom this node follows in a term. Never taken back: a node that forgot it could vote twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vote {
    /// The term.
    pub term: u64,
    /// For whom.
    pub node: NodeUuid,
    /// A majority has voted so.
    pub won: bool,
}

/// A member as the others reach it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its name, `rabbit@host`.
    pub name: String,
}

/// Who decides, and who listens.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership {
    /// Voters: one set, two while it changes.
    pub voters: Vec<BTreeSet<NodeUuid>>,
    /// All members, listeners too.
    pub members: BTreeMap<NodeUuid, Member>,
}

/// Commands that one node proposes together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Proposal {
    /// Who proposes.
    pub origin: NodeUuid,
    /// Which of its starts.
    pub incarnation: u64,
    /// Counts its proposals since that start; one that comes again is not performed again.
    pub number: u64,
    /// What is to be done, in this order.
    pub commands: Arc<[Command]>,
}

/// What an entry is for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Payload {
    /// A leader has begun.
    Blank,
    /// The catalogue changes.
    Proposal(Proposal),
    /// The members change.
    Membership(Membership),
}

/// One entry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Its place.
    pub position: Position,
    /// What it says.
    pub payload: Payload,
}

/// One thing that happened to the log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Record {
    /// First in every segment: what the ones before said, since they will be removed.
    Standing {
        /// The last vote.
        vote: Option<Vote>,
        /// Up to where entries have been removed.
        purged: Option<Position>,
    },
    /// The node votes.
    Vote(Vote),
    /// Entries come in.
    Entries(Vec<Entry>),
    /// Entries from this place on are void.
    Truncate {
        /// The first one that is.
        since: u64,
    },
    /// Entries up to here are in a snapshot and not needed any more.
    Purge(Position),
}
