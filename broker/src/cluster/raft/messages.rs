//! The library's questions and answers as ours, and back. What is on the wire is ours, as what is on the disk.
//!
//! Nothing is decided here.

use super::types::{Id, Types, entry, entry_record, log_id, membership_record, position, stored, vote, vote_record};
use crate::cluster::{
    log::Member,
    transport::{Append, Appended, Candidacy, Received, SnapshotPart, Voted},
};
use openraft::{
    SnapshotMeta,
    error::{InstallSnapshotError, RaftError, SnapshotMismatch},
    raft::{
        AppendEntriesRequest, AppendEntriesResponse, InstallSnapshotRequest, InstallSnapshotResponse, VoteRequest,
        VoteResponse,
    },
};

pub(super) fn append(request: &AppendEntriesRequest<Types>) -> Append {
    Append {
        vote: vote_record(&request.vote),
        previous: request.prev_log_id.as_ref().map(position),
        entries: request.entries.iter().map(entry_record).collect(),
        committed: request.leader_commit.as_ref().map(position),
    }
}

pub(super) fn append_request(append: Append) -> AppendEntriesRequest<Types> {
    AppendEntriesRequest {
        vote: vote(&append.vote),
        prev_log_id: append.previous.as_ref().map(log_id),
        entries: append.entries.into_iter().map(entry).collect(),
        leader_commit: append.committed.as_ref().map(log_id),
    }
}

pub(super) fn appended(response: AppendEntriesResponse<Id>) -> Appended {
    match response {
        AppendEntriesResponse::Success => Appended::All,
        AppendEntriesResponse::PartialSuccess(upto) => Appended::Upto(upto.as_ref().map(position)),
        AppendEntriesResponse::Conflict => Appended::Conflict,
        AppendEntriesResponse::HigherVote(vote) => Appended::Outvoted(vote_record(&vote)),
    }
}

pub(super) fn append_response(appended: Appended) -> AppendEntriesResponse<Id> {
    match appended {
        Appended::All => AppendEntriesResponse::Success,
        Appended::Upto(upto) => AppendEntriesResponse::PartialSuccess(upto.as_ref().map(log_id)),
        Appended::Conflict => AppendEntriesResponse::Conflict,
        Appended::Outvoted(record) => AppendEntriesResponse::HigherVote(vote(&record)),
    }
}

pub(super) fn candidacy(request: &VoteRequest<Id>) -> Candidacy {
    Candidacy {
        vote: vote_record(&request.vote),
        last: request.last_log_id.as_ref().map(position),
        consent: None,
    }
}

pub(super) fn vote_request(candidacy: &Candidacy) -> VoteRequest<Id> {
    VoteRequest {
        vote: vote(&candidacy.vote),
        last_log_id: candidacy.last.as_ref().map(log_id),
    }
}

pub(super) fn voted(response: &VoteResponse<Id>) -> Voted {
    Voted {
        vote: vote_record(&response.vote),
        granted: response.vote_granted,
        last: response.last_log_id.as_ref().map(position),
    }
}

pub(super) fn vote_response(voted: &Voted) -> VoteResponse<Id> {
    VoteResponse {
        vote: vote(&voted.vote),
        vote_granted: voted.granted,
        last_log_id: voted.last.as_ref().map(log_id),
    }
}

pub(super) fn part(request: InstallSnapshotRequest<Types>) -> SnapshotPart {
    let meta = request.meta;
    SnapshotPart {
        vote: vote_record(&request.vote),
        id: meta.snapshot_id,
        applied: meta.last_log_id.as_ref().map(position),
        membership: membership_record(meta.last_membership.membership()),
        membership_at: meta.last_membership.log_id().as_ref().map(position),
        offset: request.offset,
        octets: request.data,
        done: request.done,
    }
}

pub(super) fn snapshot_request(part: SnapshotPart) -> InstallSnapshotRequest<Types> {
    let meta: SnapshotMeta<Id, Member> = SnapshotMeta {
        last_log_id: part.applied.as_ref().map(log_id),
        last_membership: stored(&part.membership, part.membership_at.as_ref()),
        snapshot_id: part.id,
    };
    InstallSnapshotRequest {
        vote: vote(&part.vote),
        meta,
        offset: part.offset,
        data: part.octets,
        done: part.done,
    }
}

pub(super) type Installed = Result<InstallSnapshotResponse<Id>, RaftError<Id, InstallSnapshotError>>;

/// What became of a piece; the error is the library's own.
pub(super) fn received(installed: Installed) -> Result<Received, String> {
    match installed {
        Ok(response) => Ok(Received::Taken(vote_record(&response.vote))),
        Err(RaftError::APIError(InstallSnapshotError::SnapshotMismatch(mismatch))) => Ok(Received::Expected {
            id: mismatch.expect.id,
            offset: mismatch.expect.offset,
        }),
        Err(RaftError::Fatal(error)) => Err(error.to_string()),
    }
}

#[expect(clippy::result_large_err, reason = "the error is the library's own")]
/// The other way; `got` is the piece that was sent.
pub(super) fn snapshot_response(received: Received, got: (String, u64)) -> Installed {
    match received {
        Received::Taken(record) => Ok(InstallSnapshotResponse { vote: vote(&record) }),
        Received::Expected { id, offset } => {
            let expect = (id, offset).into();
            let got = got.into();
            Err(RaftError::APIError(SnapshotMismatch { expect, got }.into()))
        }
    }
}
