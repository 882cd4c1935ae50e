//! What the leader does without being asked: declares silent nodes dead, and brings the members closer to what the
//! definitions say, one change at a time.
//!
//! Which change is decided in `voters`, who is dead in `lease`.

use super::{Presence, commands::NodeStatus};
use crate::cluster::{
    transport::{Peer, Reply, Request},
    voters,
};
use catalog::{Command, NodeDeath};
use std::{collections::BTreeMap, io, sync::atomic::Ordering, time::Duration};
use tokio::time::Instant;

/// How often it is looked whether there is something to do.
const LOOK: Duration = Duration::from_millis(200);
/// How often it is looked whether somebody still listens where the other nodes were.
const LOOK_AROUND: Duration = Duration::from_millis(400);
/// How long after a refused connection it is tried again, before its node is given up.
const RETRY: Duration = Duration::from_millis(150);

impl Presence {
    /// Looks after the cluster as long as the node runs.
    pub(super) async fn keep(&self) {
        let (mut next_look_around, mut led) = (Instant::now(), None);
        loop {
            self.note_members();
            let leads = self.store.standing().settled;
            if let Some(term) = leads.filter(|_| leads != led) {
                tracing::info!("this node leads the definitions of the cluster, term {term}");
                next_look_around = Instant::now();
            }
            led = leads;
            let by_word = leads.is_some_and(|term| self.store.is_by_word(term));
            self.roll.lock().lead(leads, by_word, Instant::now());
            self.roll.lock().see(&self.machine.catalog(), Instant::now());
            if leads.is_some() && !self.is_overruled.load(Ordering::Acquire) {
                // Who hears of no majority may be the one that is gone.
                let is_followed = self.lease.lock().holds(Instant::now());
                if is_followed {
                    self.bury_silent().await;
                }
                self.change_members().await;
                if is_followed && Instant::now() >= next_look_around {
                    self.check_history().await;
                    self.raise_level().await;
                    self.bury_refused().await;
                    next_look_around = Instant::now() + LOOK_AROUND.min(self.patience.beat());
                }
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = self.store.standing_changes() => {}
            }
        }
    }

    async fn bury(&self, deaths: Vec<NodeDeath>) {
        if deaths.is_empty() {
            return;
        }
        let catalog = self.machine.catalog();
        let names = deaths.iter().filter_map(|death| catalog.node(death.node));
        let names: Vec<&str> = names.map(|node| node.name.as_ref()).collect();
        tracing::warn!("rabbit on node {} down", names.join(", "));
        if let Err(refusal) = self.store.propose_as_leader(Command::NodeDown(deaths)).await {
            tracing::warn!("that could not be committed: {refusal}");
        }
    }

    async fn bury_silent(&self) {
        let dead = self
            .roll
            .lock()
            .dead(self.identity.node, &self.machine.catalog(), Instant::now());
        self.bury(dead).await;
    }

    /// Where nobody listens any more, no process of that node is left.
    async fn bury_refused(&self) {
        let refused = self.refusing(self.others_up()).await;
        if refused.is_empty() {
            return;
        }
        tokio::time::sleep(RETRY).await;
        let refused = self.refusing(refused).await;
        let catalog = self.machine.catalog();
        let record = |peer: &Peer| peer.node.and_then(|node| catalog.node(node));
        let death = |record: &std::sync::Arc<catalog::NodeRecord>| NodeDeath {
            node: record.uuid,
            incarnation: record.incarnation,
        };
        self.bury(refused.iter().filter_map(record).map(death).collect()).await;
    }

    pub(super) async fn refusing(&self, peers: Vec<Peer>) -> Vec<Peer> {
        let look = peers.into_iter().map(|peer| async move {
            // A refusal comes at once; for a silent node the others do not wait.
            let looked = self.transport.call(&peer, Request::Ping, LOOK).await;
            // Nobody is there, or another node is: no process of this one listens where it was.
            let is_gone = |kind| matches!(kind, io::ErrorKind::ConnectionRefused | io::ErrorKind::AddrNotAvailable);
            looked.is_err_and(|error| is_gone(error.kind())).then_some(peer)
        });
        futures::future::join_all(look).await.into_iter().flatten().collect()
    }

    async fn change_members(&self) {
        let _one = self.changing.lock().await;
        let Some(members) = self.store.members_now().await else {
            return;
        };
        let Some(change) = voters::next_change(self.identity.node, &self.machine.catalog(), &members) else {
            return;
        };
        tracing::info!("the members change: {change:?}");
        match self.store.change(change).await {
            Reply::Done => {}
            other => tracing::debug!("the members did not change: {other:?}"),
        }
    }

    /// Writes down who belongs to the cluster, and what members must understand, whenever that is something else than before.
    fn note_members(&self) {
        let status = self.status();
        let key = |node: &NodeStatus| (node.node, node.name.clone(), node.kind);
        let known = |nodes: &[NodeStatus]| {
            nodes
                .iter()
                .map(|node| (node.node, key(node)))
                .collect::<BTreeMap<_, _>>()
        };
        let mut noted = self.noted.lock();
        let is_level_noted = self.noted_level.load(Ordering::Acquire) == status.level;
        if is_level_noted && known(&noted) == known(&status.nodes) {
            return;
        }
        match (self.note)(&status) {
            Ok(()) => {
                self.noted_level.store(status.level, Ordering::Release);
                *noted = status.nodes;
            }
            Err(error) => tracing::warn!("cannot write down who the members are: {error}"),
        }
    }
}
