//! The agreement library's types filled with ours, and the way between its data and what we write down.
//!
//! What is kept on disk is ours alone: an upgrade of the library must not change a file.

use crate::cluster::log::{self, Member, Payload, Position, Proposal};
use model::NodeUuid;
use openraft::{EntryPayload, StoredMembership};
use serde::{Deserialize, Serialize};
use std::{fmt, io::Cursor};

/// A node as the library knows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Id(pub NodeUuid);

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
impl From<u64> for Id {
    fn from(number: u64) -> Self {
        Id(NodeUuid(number.into()))
    }
}

/// An entry has been applied; what came of it is told to those who wait, not to the library.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied;

openraft::declare_raft_types!(
    /// Our types for the library.
    pub Types:
        D = Proposal,
        R = Applied,
        NodeId = Id,
        Node = Member,
        Entry = openraft::Entry<Types>,
        SnapshotData = Cursor<Vec<u8>>,
);

pub(super) type Entry = openraft::Entry<Types>;
pub(super) type LogId = openraft::LogId<Id>;
pub(super) type Vote = openraft::Vote<Id>;
pub(super) type Membership = openraft::Membership<Id, Member>;
pub(super) type StorageError = openraft::StorageError<Id>;

pub(super) fn position(id: &LogId) -> Position {
    Position {
        term: id.leader_id.term,
        leader: id.leader_id.node_id.0,
        index: id.index,
    }
}

pub(super) fn log_id(position: &Position) -> LogId {
    LogId {
        leader_id: openraft::CommittedLeaderId::new(position.term, Id(position.leader)),
        index: position.index,
    }
}

pub(super) fn vote_record(vote: &Vote) -> log::Vote {
    log::Vote {
        term: vote.leader_id.term,
        node: vote.leader_id.node_id.0,
        won: vote.committed,
    }
}

pub(super) fn vote(record: &log::Vote) -> Vote {
    match record.won {
        true => Vote::new_committed(record.term, Id(record.node)),
        false => Vote::new(record.term, Id(record.node)),
    }
}

pub(super) fn membership_record(membership: &Membership) -> log::Membership {
    let voters = membership.get_joint_config();
    log::Membership {
        voters: voters.iter().map(|set| set.iter().map(|id| id.0).collect()).collect(),
        members: membership.nodes().map(|(id, member)| (id.0, member.clone())).collect(),
    }
}

pub(super) fn membership(record: &log::Membership) -> Membership {
    let voters = record.voters.iter();
    let voters = voters.map(|set| set.iter().map(|id| Id(*id)).collect()).collect();
    let members = record.members.iter();
    let members: std::collections::BTreeMap<Id, Member> =
        members.map(|(id, member)| (Id(*id), member.clone())).collect();
    Membership::new(voters, members)
}

pub(super) fn stored(record: &log::Membership, at: Option<&Position>) -> StoredMembership<Id, Member> {
    StoredMembership::new(at.map(log_id), membership(record))
}

pub(super) fn entry_record(entry: &Entry) -> log::Entry {
    log::Entry {
        position: position(&entry.log_id),
        payload: match &entry.payload {
            EntryPayload::Blank => Payload::Blank,
            EntryPayload::Normal(proposal) => Payload::Proposal(proposal.clone()),
            EntryPayload::Membership(members) => Payload::Membership(membership_record(members)),
        },
    }
}

pub(super) fn entry(record: log::Entry) -> Entry {
    Entry {
        log_id: log_id(&record.position),
        payload: match record.payload {
            Payload::Blank => EntryPayload::Blank,
            Payload::Proposal(proposal) => EntryPayload::Normal(proposal),
            Payload::Membership(members) => EntryPayload::Membership(membership(&members)),
        },
    }
}
