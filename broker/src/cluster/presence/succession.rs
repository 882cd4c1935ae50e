//! Taking a dead leader's place early: where nobody listens any more its process is gone, as is one that has said that it stops, and nobody need
//! wait as long as for one that is only silent.
//!
//! Only when somebody stands is decided here. Who may win, and that one at most leads in a term, is the library's: who
//! stands too early is not elected, and all goes on as without.

use super::Presence;
use crate::cluster::{transport::Peer, voters};
use model::NodeUuid;
use std::time::Duration;
use tokio::time::Instant;

/// How often it is looked whether the leader is heard.
const LOOK: Duration = Duration::from_millis(50);
/// How long after a refused connection it is tried again, before its node is given up.
const RETRY: Duration = Duration::from_millis(50);
/// So much later than the others may have stopped believing in the leader, since nobody hears it at the same instant.
const MARGIN: Duration = Duration::from_millis(30);
/// Who is next in line waits so much longer for the one before.
const TURN: Duration = Duration::from_millis(150);

impl Presence {
    /// Watches the leader as long as the node runs.
    pub(super) async fn watch_leader(&self) {
        loop {
            tokio::time::sleep(LOOK).await;
            if let Some(leader) = self.lost_leader().await {
                self.succeed(&leader).await;
            }
        }
    }

    /// Another node that leads, is late, and is known to have stopped or does not listen any more.
    async fn lost_leader(&self) -> Option<Peer> {
        if !self.store.misses_leader() {
            return None;
        }
        let leader = self
            .store
            .leader()
            .filter(|peer| peer.node != Some(self.identity.node))?;
        let record = leader.node.and_then(|node| self.machine.catalog().node(node).cloned());
        if record.is_some_and(|record| !record.up) {
            return Some(leader);
        }
        for _ in 0..2 {
            if self.refusing(vec![leader.clone()]).await.is_empty() {
                return None;
            }
            tokio::time::sleep(RETRY).await;
        }
        Some(leader)
    }

    /// Stands for election once the others believe in the leader no more than this node does, unless another is faster.
    async fn succeed(&self, leader: &Peer) {
        let members = self.store.membership();
        let voters: Vec<NodeUuid> = voters::voters(&members).into_iter().collect();
        let Some(turn) = turn(self.identity.node, leader.node, &voters) else {
            return;
        };
        tokio::time::sleep_until(self.store.believes_until() + MARGIN + TURN * turn).await;
        let is_awaited = self.store.leader().as_ref() == Some(leader) && self.store.believes_until() < Instant::now();
        if is_awaited {
            tracing::info!("{leader}, which led the definitions, is gone: this node stands for election");
            self.store.stand().await;
        }
    }
}

/// How many voters stand before this node; nothing if it does not vote.
fn turn(own: NodeUuid, leader: Option<NodeUuid>, voters: &[NodeUuid]) -> Option<u32> {
    let mut left = voters.iter().filter(|node| Some(**node) != leader);
    left.position(|node| *node == own)
        .and_then(|turn| u32::try_from(turn).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn voters_stand_one_after_the_other_and_who_does_not_vote_never() {
        let voters = [NodeUuid(1), NodeUuid(2), NodeUuid(3)];
        let leader = Some(NodeUuid(2));
        let turns = [1, 2, 3, 4].map(|node| turn(NodeUuid(node), leader, &voters));
        assert_eq!(turns, [Some(0), None, Some(1), None]);
    }
}
