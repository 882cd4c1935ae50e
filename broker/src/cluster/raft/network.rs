//! The way to other members. A cluster of one has none: nobody is reached.
//!
//! Decides nothing; the library tries again.

use super::types::{Id, Types};
use crate::cluster::log::Member;
use openraft::{
    RaftNetwork, RaftNetworkFactory,
    error::{InstallSnapshotError, RPCError, RaftError, Unreachable},
    network::RPCOption,
    raft::{
        AppendEntriesRequest, AppendEntriesResponse, InstallSnapshotRequest, InstallSnapshotResponse, VoteRequest,
        VoteResponse,
    },
};
use std::io;

/// No way to anybody.
#[derive(Clone, Debug, Default)]
pub struct Alone;

type Failure<E> = RPCError<Id, Member, E>;

fn unreachable<E: std::error::Error>() -> Failure<E> {
    let error = io::Error::new(io::ErrorKind::NotConnected, "this node has no way to other members");
    RPCError::Unreachable(Unreachable::new(&error))
}

impl RaftNetworkFactory<Types> for Alone {
    type Network = Alone;

    async fn new_client(&mut self, _target: Id, _node: &Member) -> Alone {
        Alone
    }
}

impl RaftNetwork<Types> for Alone {
    async fn append_entries(
        &mut self,
        _: AppendEntriesRequest<Types>,
        _: RPCOption,
    ) -> Result<AppendEntriesResponse<Id>, Failure<RaftError<Id>>> {
        Err(unreachable())
    }

    async fn install_snapshot(
        &mut self,
        _: InstallSnapshotRequest<Types>,
        _: RPCOption,
    ) -> Result<InstallSnapshotResponse<Id>, Failure<RaftError<Id, InstallSnapshotError>>> {
        Err(unreachable())
    }

    async fn vote(&mut self, _: VoteRequest<Id>, _: RPCOption) -> Result<VoteResponse<Id>, Failure<RaftError<Id>>> {
        Err(unreachable())
    }
}
