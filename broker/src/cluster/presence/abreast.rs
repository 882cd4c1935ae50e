//! Whether the other nodes know what this one is about to say.
//!
//! A client that was told that its queue is there goes on at another node, or sends others there. So what is answered has been
//! applied by every node that is up; who does not answer in time is not waited for again until it does. All who wait share one
//! question to each node at a time. Nothing is decided here about who is up.

use super::Presence;
use crate::cluster::transport::{Peer, Reply, Request};
use model::NodeUuid;
use parking_lot::Mutex;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::sync::watch;

/// How long a node may take to come as far as this one before it is waited for no more.
const PATIENCE: Duration = Duration::from_secs(2);

/// How far another node is known to be.
#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    /// It has applied the log up to this entry.
    reached: u64,
    /// Somebody wants to know whether it has applied it up to this one.
    wanted: u64,
    /// It is being asked.
    is_asked: bool,
    /// It did not answer in time.
    is_late: bool,
}

impl Progress {
    /// True if the one who wants to know is to ask: nobody does yet.
    fn want(&mut self, entry: u64) -> bool {
        self.wanted = self.wanted.max(entry);
        let begins = self.reached < entry && !self.is_asked;
        self.is_asked |= begins;
        begins
    }

    /// What came of asking for an entry. Who asked goes on while more is wanted.
    fn heard(&mut self, entry: u64, has_reached: bool) {
        if has_reached {
            self.reached = self.reached.max(entry);
        }
        self.is_late = !has_reached;
        self.is_asked = has_reached && self.reached < self.wanted;
    }
}

/// How far each of the others is known to be.
#[derive(Default)]
pub(super) struct Abreast(Mutex<BTreeMap<NodeUuid, Arc<watch::Sender<Progress>>>>);

impl Abreast {
    /// Those of the nodes that are up; others are forgotten.
    fn of(&self, up: &[Peer]) -> Vec<(Peer, Arc<watch::Sender<Progress>>)> {
        let mut known = self.0.lock();
        known.retain(|node, _| up.iter().any(|peer| peer.node == Some(*node)));
        let of = |peer: &Peer| Some((peer.clone(), known.entry(peer.node?).or_default().clone()));
        up.iter().filter_map(of).collect()
    }
}

impl Presence {
    /// Back when all other nodes that are up have applied what this one has, or were too late; true if all have.
    pub async fn all_know(self: &Arc<Self>) -> bool {
        let entry = self.store.reached();
        let waits = self.abreast.of(&self.others_up()).into_iter();
        let waits = waits.map(|(peer, progress)| self.knows(peer, progress, entry));
        futures::future::join_all(waits).await.into_iter().all(|knows| knows)
    }

    async fn knows(self: &Arc<Self>, peer: Peer, progress: Arc<watch::Sender<Progress>>, entry: u64) -> bool {
        let mut begins = false;
        progress.send_if_modified(|progress| {
            begins = progress.want(entry);
            false
        });
        if begins {
            tokio::spawn(ask(self.clone(), peer, progress.clone()));
        }
        let mut seen = progress.subscribe();
        let known = seen.wait_for(|progress| progress.reached >= entry || progress.is_late);
        // Whoever asks ends with the node, and may not say so.
        let known = tokio::time::timeout(PATIENCE, known).await;
        matches!(known, Ok(Ok(progress)) if progress.reached >= entry)
    }
}

/// Asks a node how far it is as long as somebody wants to know and it answers.
async fn ask(presence: Arc<Presence>, peer: Peer, progress: Arc<watch::Sender<Progress>>) {
    let mut is_asked = true;
    while is_asked {
        let wanted = progress.borrow().wanted;
        let answer = presence.transport.call(&peer, Request::Reached(wanted), PATIENCE).await;
        // A node of an older release does not know the question: it is not waited for.
        let has_reached = matches!(answer, Ok(Reply::Done | Reply::Unknown));
        if !has_reached && !progress.borrow().is_late {
            tracing::debug!("{peer} is not waited for until it answers: {answer:?}");
        }
        progress.send_modify(|progress| {
            progress.heard(wanted, has_reached);
            is_asked = progress.is_asked;
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_asks_for_all_who_want_to_know() {
        let mut progress = Progress::default();
        assert!(progress.want(3), "the first asks");
        assert!(!progress.want(5), "it is being asked");
        progress.heard(3, true);
        assert!(progress.is_asked, "more is wanted");
        progress.heard(5, true);
        assert!(!progress.is_asked && !progress.want(4), "that is known");
        assert!(progress.want(6));
    }

    #[test]
    fn who_is_late_is_asked_again_and_not_waited_for_until_it_answers() {
        let mut progress = Progress::default();
        assert!(progress.want(3));
        progress.heard(3, false);
        assert!(progress.is_late && !progress.is_asked);
        assert!(progress.want(4) && progress.is_late);
        progress.heard(4, true);
        assert!(!progress.is_late && progress.reached == 4);
    }
}
