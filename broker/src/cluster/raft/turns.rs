//! Turns at the log: whatever becomes an entry of it takes one until that is committed, and whoever moves the leadership has all others wait.
//!
//! Nobody asks the library for an entry without one.

use super::types::{Id, Types};
use crate::cluster::log::{Member, Proposal};
use openraft::{
    Raft,
    error::{ClientWriteError, RaftError},
    raft::ClientWriteResponse,
};
use std::sync::Arc;
use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

/// What the library says to what it was asked to write.
pub(super) type Written<T = ClientWriteResponse<Types>> = Result<T, RaftError<Id, ClientWriteError<Id, Member>>>;

/// The turns of one node.
#[derive(Clone)]
pub(super) struct Turns {
    raft: Raft<Types>,
    lock: Arc<RwLock<()>>,
}

impl Turns {
    pub(super) fn at(raft: &Raft<Types>) -> Self {
        Turns {
            raft: raft.clone(),
            lock: Arc::default(),
        }
    }

    /// Has a proposal become an entry; committed when this is back, and applied here.
    pub(super) async fn write(&self, proposal: Proposal) -> Written {
        let _turn = self.take().await;
        self.raft.client_write(proposal).await
    }

    /// One of many at the same time.
    pub(super) async fn take(&self) -> RwLockReadGuard<'_, ()> {
        self.lock.read().await
    }

    /// The only one: those before it have ended, and others wait until it has.
    pub(super) async fn take_alone(&self) -> RwLockWriteGuard<'_, ()> {
        self.lock.write().await
    }
}
