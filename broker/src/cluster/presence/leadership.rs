//! Having another node lead the definitions, because somebody wants it or because this one is about to go: whoever declares meanwhile waits for a
//! moment, and not for an election.
//!
//! Who may lead next is decided in `successor`, how it comes to that in `raft/take_over`. What is wanted twice is done once.

use super::Presence;
use crate::cluster::{
    raft::{MoveError, Reigns},
    successor::{Known, Unfit},
    transport::Peer,
};
use std::time::Duration;
use tokio::time::Instant;

/// How long who leads may need to hear how far the others are.
const NEWS_PATIENCE: Duration = Duration::from_millis(500);
/// How often it is looked.
const LOOK: Duration = Duration::from_millis(10);

/// What came of a wish that another node lead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Led {
    /// Who leads then.
    pub leader: String,
    /// It did not before.
    pub moves: bool,
}

impl Presence {
    /// Has the node of this name lead; or if none is named, any but this one. With `dry_run` it is only told who would.
    ///
    /// # Errors
    /// Why not: then the one who leads goes on.
    pub async fn move_leadership(&self, wanted: Option<&str>, dry_run: bool) -> Result<Led, MoveError> {
        let leader = self.store.leader();
        if let Some(leader) = leader.filter(|leader| self.is_so(leader, wanted)) {
            return Ok(Led {
                leader: leader.name,
                moves: false,
            });
        }
        let to = self.find_successor(wanted).await?;
        if !dry_run {
            self.hand_over(&to).await?;
        }
        Ok(Led {
            leader: to.name,
            moves: true,
        })
    }

    /// Before this node goes, or is out of service: has another lead, if this one does. Without one that can, there is an election when it is gone.
    pub async fn lead_no_more(&self) {
        if !self.leads() || self.others_up().is_empty() {
            return;
        }
        if let Err(why) = self.move_leadership(None, false).await {
            tracing::warn!("this node goes on leading the definitions: {why}");
        }
    }

    /// How often this node has begun to lead since it was started.
    pub fn reigns(&self) -> Reigns {
        self.store.reigns()
    }

    fn is_so(&self, leader: &Peer, wanted: Option<&str>) -> bool {
        match wanted {
            Some(name) => leader.name == name,
            None => leader.node != Some(self.identity.node),
        }
    }

    /// Whoever leads since a moment ago has not heard from all.
    async fn find_successor(&self, wanted: Option<&str>) -> Result<Peer, MoveError> {
        let deadline = Instant::now() + NEWS_PATIENCE;
        loop {
            let (why, may_pass) = match self.successor(wanted) {
                Some(Ok(next)) => return Ok(next),
                Some(Err(why)) => (MoveError::Refused(why.to_string()), why.may_pass()),
                None => {
                    let leader = self.store.leader();
                    let begins = leader
                        .as_ref()
                        .is_some_and(|leader| leader.node == Some(self.identity.node));
                    (MoveError::NotLeader(leader), begins)
                }
            };
            if !may_pass || Instant::now() >= deadline {
                return Err(why);
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// The node that leads next, or why there is none; nothing where that is not known.
    fn successor(&self, wanted: Option<&str>) -> Option<Result<Peer, Unfit>> {
        let progress = self.store.progress().filter(|_| self.leads())?;
        let (catalog, members) = (self.machine.catalog(), self.store.membership());
        let known = Known {
            own: self.identity.node,
            catalog: &catalog,
            members: &members,
            progress: &progress,
        };
        let next = known.successor(wanted);
        Some(next.map(|next| Peer {
            node: Some(next.uuid),
            name: next.name.to_string(),
        }))
    }

    async fn hand_over(&self, to: &Peer) -> Result<(), MoveError> {
        let begun = Instant::now();
        let moved = self.store.hand_over(to).await;
        let milliseconds = begun.elapsed().as_millis();
        match &moved {
            Ok(()) => tracing::info!(
                milliseconds,
                "the leadership of the definitions was handed over to {to}"
            ),
            Err(why) => tracing::warn!(
                milliseconds,
                "the leadership of the definitions was not handed over to {to}: {why}"
            ),
        }
        moved
    }
}
