//! Who decides and who listens: the only place that changes it. Changes are entries of the log and count like any other;
//! one at a time.
//!
//! Who should vote is decided elsewhere.

use super::{service::written, store::RaftStore, types::Id};
use crate::cluster::{log::Member, transport::Reply};
use model::NodeUuid;
use openraft::ChangeMembers;
use std::{collections::BTreeSet, time::Duration};

/// How long a change may take before it is left to itself.
const PATIENCE: Duration = Duration::from_secs(20);

/// One change of the members.
#[expect(dead_code, reason = "the commands that change members come next")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A node listens from now on.
    Add(NodeUuid, Member),
    /// These decide from now on; all others listen.
    Voters(BTreeSet<NodeUuid>),
    /// A node that only listens goes.
    Remove(NodeUuid),
}

#[cfg_attr(not(test), expect(dead_code, reason = "the commands that change members come next"))]
impl RaftStore {
    /// Changes the members. `Done` once that is committed, `NotLeader` where it cannot be done.
    pub async fn change(&self, change: Change) -> Reply {
        let changed = async {
            match change {
                Change::Add(node, member) => written(self.raft.add_learner(Id(node), member, false).await),
                Change::Voters(voters) => {
                    let voters = ChangeMembers::ReplaceAllVoters(voters.into_iter().map(Id).collect());
                    written(self.raft.change_membership(voters, true).await)
                }
                Change::Remove(node) => {
                    let gone = ChangeMembers::RemoveNodes(BTreeSet::from([Id(node)]));
                    written(self.raft.change_membership(gone, false).await)
                }
            }
        };
        let late = |_| Reply::Failed("no majority of the members answers".into());
        tokio::time::timeout(PATIENCE, changed).await.unwrap_or_else(late)
    }
}
