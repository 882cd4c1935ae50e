//! The library's way to other members, over whatever carries questions between nodes.
//!
//! Decides nothing; the library tries again. Entries too many for one question go in several.

use super::{
    messages,
    take_over::Consent,
    types::{Id, Types},
};
use crate::cluster::{
    log::Member,
    transport::{Peer, Reply, Request, Transport},
};
use openraft::{
    RaftNetwork, RaftNetworkFactory,
    error::{InstallSnapshotError, NetworkError, RPCError, RaftError, RemoteError, Unreachable},
    network::{Backoff, RPCOption},
    raft::{
        AppendEntriesRequest, AppendEntriesResponse, InstallSnapshotRequest, InstallSnapshotResponse, VoteRequest,
        VoteResponse,
    },
};
use std::{io, sync::Arc, time::Duration};

/// How soon a member that could not be reached is tried again.
const PAUSE: Duration = Duration::from_millis(200);

/// The way to all members.
#[derive(Clone, Debug)]
pub(super) struct Network {
    pub(super) transport: Arc<dyn Transport>,
    pub(super) consent: Arc<Consent>,
}

/// The way to one.
#[derive(Clone, Debug)]
pub(super) struct Way {
    transport: Arc<dyn Transport>,
    consent: Arc<Consent>,
    target: Id,
    peer: Peer,
}

type Failure<E> = RPCError<Id, Member, E>;

impl RaftNetworkFactory<Types> for Network {
    type Network = Way;

    async fn new_client(&mut self, target: Id, member: &Member) -> Way {
        Way {
            transport: self.transport.clone(),
            consent: self.consent.clone(),
            target,
            peer: Peer {
                node: Some(target.0),
                name: member.name.clone(),
            },
        }
    }
}

/// Whether it is worth asking again soon.
fn failure<E: std::error::Error>(error: &io::Error) -> Failure<E> {
    match error.kind() {
        io::ErrorKind::TimedOut | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
            RPCError::Network(NetworkError::new(error))
        }
        _ => RPCError::Unreachable(Unreachable::new(error)),
    }
}

/// An answer to another question, or none that helps.
fn strange<E: std::error::Error>(reply: &Reply) -> Failure<E> {
    let error = io::Error::other(format!("the member answers {reply:?}"));
    RPCError::Unreachable(Unreachable::new(&error))
}

impl Way {
    async fn ask(&self, request: Request, option: &RPCOption) -> io::Result<Reply> {
        self.transport.call(&self.peer, request, option.hard_ttl()).await
    }
}

impl RaftNetwork<Types> for Way {
    async fn append_entries(
        &mut self,
        mut request: AppendEntriesRequest<Types>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<Id>, Failure<RaftError<Id>>> {
        let whole = request.entries.len();
        loop {
            let asked = self.ask(Request::Append(messages::append(&request)), &option).await;
            match asked {
                Err(error) if error.kind() == io::ErrorKind::FileTooLarge && request.entries.len() > 1 => {
                    request.entries.truncate(request.entries.len() / 2);
                }
                Err(error) => return Err(failure(&error)),
                Ok(Reply::Append(appended)) => {
                    let last = request.entries.last().map(|entry| entry.log_id);
                    return Ok(match messages::append_response(appended) {
                        AppendEntriesResponse::Success if request.entries.len() < whole => {
                            AppendEntriesResponse::PartialSuccess(last)
                        }
                        response => response,
                    });
                }
                Ok(other) => return Err(strange(&other)),
            }
        }
    }

    async fn install_snapshot(
        &mut self,
        request: InstallSnapshotRequest<Types>,
        option: RPCOption,
    ) -> Result<InstallSnapshotResponse<Id>, Failure<RaftError<Id, InstallSnapshotError>>> {
        let got = (request.meta.snapshot_id.clone(), request.offset);
        match self.ask(Request::Snapshot(messages::part(request)), &option).await {
            Ok(Reply::Snapshot(received)) => {
                let installed = messages::snapshot_response(received, got);
                installed.map_err(|error| RPCError::RemoteError(RemoteError::new(self.target, error)))
            }
            Ok(other) => Err(strange(&other)),
            Err(error) => Err(failure(&error)),
        }
    }

    async fn vote(
        &mut self,
        request: VoteRequest<Id>,
        option: RPCOption,
    ) -> Result<VoteResponse<Id>, Failure<RaftError<Id>>> {
        let mut candidacy = messages::candidacy(&request);
        candidacy.consent = self.consent.to(&candidacy.vote);
        match self.ask(Request::Vote(candidacy), &option).await {
            Ok(Reply::Vote(voted)) => Ok(messages::vote_response(&voted)),
            Ok(other) => Err(strange(&other)),
            Err(error) => Err(failure(&error)),
        }
    }

    fn backoff(&self) -> Backoff {
        Backoff::new(std::iter::repeat(PAUSE))
    }
}
