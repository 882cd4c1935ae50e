//! Showing that the node is alive, and knowing from the answers whether it may serve.
//!
//! Its lease counts from when it sent; so does the leader's own, from when a majority has followed it last.

use super::Presence;
use crate::cluster::{
    MetaStore,
    transport::{Introduction, Peer, Reply, Request, Turned},
};
use catalog::{Command, NodeRecord};
use model::{NodeUuid, ReplyCode};
use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use tokio::time::Instant;

/// How often it is looked whether the node may serve.
const WEIGH: Duration = Duration::from_millis(100);
/// How long a start waits for the others at a time, and how often.
const WAIT: Duration = Duration::from_secs(30);
const WAITS: u32 = 10;
/// How soon a start that could not be committed is proposed again.
const PAUSE: Duration = Duration::from_millis(200);

/// Why a start is not committed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnnounceError {
    /// Nobody could commit it yet.
    #[error("{0}")]
    Later(String),
    /// The definitions say that it may not be.
    #[error("{0}")]
    Refused(String),
    /// Another member does not want it.
    #[error(transparent)]
    Turned(Turned),
}

impl Presence {
    /// Shows itself to whoever leads, again and again.
    pub(super) async fn beat(&self) {
        loop {
            let next = Instant::now() + self.patience.beat();
            self.show().await;
            self.come_back().await;
            tokio::time::sleep_until(next).await;
        }
    }

    async fn show(&self) {
        let Some(leader) = self.store.leader() else { return };
        if leader.node == Some(self.identity.node) {
            return;
        }
        let (sent, incarnation) = (Instant::now(), self.identity.incarnation);
        let asked = self
            .transport
            .call(&leader, Request::Beat { incarnation }, self.patience.beat());
        match asked.await {
            Ok(Reply::Beat { age_ms }) => self.lease.lock().renew(sent, Duration::from_millis(age_ms)),
            Ok(other) => tracing::debug!("{leader} does not confirm: {other:?}"),
            Err(error) => tracing::debug!("{leader} does not confirm: {error}"),
        }
    }

    /// A member shows itself here.
    pub(super) fn hear(&self, from: &Introduction) -> Reply {
        let Some(age) = self.store.standing().confirmed else {
            return Reply::NotLeader(self.store.leader());
        };
        let mut roll = self.roll.lock();
        roll.hear(from.node, Instant::now());
        roll.note_level(from.node, from.incarnation, from.level);
        drop(roll);
        let age_ms = age.elapsed().as_millis().try_into().unwrap_or(u64::MAX);
        Reply::Beat { age_ms }
    }

    /// Knows at all times what the node may do. Nothing else is waited for here: what the one who leads has to commit may take long when
    /// the majority is gone.
    pub(super) async fn weigh_always(&self) {
        loop {
            self.weigh();
            tokio::select! {
                () = tokio::time::sleep(WEIGH) => {}
                () = self.store.standing_changes() => {}
            }
        }
    }

    /// The leader's own lease, and what the node may do now.
    pub(super) fn weigh(&self) {
        let now = Instant::now();
        if let Some(confirmed) = self.store.standing().confirmed {
            self.lease.lock().renew(confirmed, Duration::ZERO);
        }
        let is_overruled = self.is_overruled.load(Ordering::Acquire);
        let serves = !is_overruled && self.lease.lock().holds(now) && self.own_record().is_some_and(|own| own.up);
        self.serving.send_if_modified(|serving| {
            let changed = *serving != serves;
            match (changed, serves) {
                (true, true) => tracing::info!("a majority of the cluster answers again: clients are served"),
                // Why has been said.
                (true, false) if is_overruled => {}
                (true, false) => tracing::warn!(
                    "no majority of the cluster answers: clients are not served until one does. If the other nodes are \
                     lost for good, 'rabbitmqctl force_majority' makes this node go on without them"
                ),
                (false, _) => {}
            }
            *serving = serves;
            changed
        });
    }

    fn own_record(&self) -> Option<Arc<NodeRecord>> {
        self.machine.catalog().node(self.identity.node).cloned()
    }

    /// Waits until this process's start is committed, as long as RabbitMQ would wait for its tables.
    ///
    /// # Errors
    /// When the others do not want it, or nobody could commit it in all that time.
    pub async fn settle(&self) -> anyhow::Result<()> {
        self.must_not_be_overruled().await?;
        let mut last = String::new();
        for left in (0..WAITS).rev() {
            let deadline = Instant::now() + WAIT;
            while Instant::now() < deadline {
                let announced = tokio::time::timeout_at(deadline, self.announce()).await;
                match announced {
                    // Only now it may know who the others are.
                    Ok(Ok(())) => return self.must_not_be_overruled().await,
                    Ok(Err(AnnounceError::Later(why))) => {
                        last = why;
                        tokio::time::sleep(PAUSE).await;
                    }
                    Ok(Err(why)) => anyhow::bail!("{why}"),
                    Err(_) => {}
                }
            }
            let others: Vec<String> = self.others().into_iter().map(|peer| peer.name).collect();
            let (ms, others) = (WAIT.as_millis(), others.join(", "));
            tracing::warn!("Waiting for the definitions of the cluster ({others}) for {ms} ms, {left} retries left");
        }
        anyhow::bail!(
            "{last}. Start the other members of the cluster first, above all the one that was stopped last, or let this \
             node start without them with 'rabbitmqctl force_boot'"
        )
    }

    /// The others as far as this node knows: of those who came while it was away it may have been told.
    fn others(&self) -> Vec<Peer> {
        let members = self.store.membership().members.into_iter();
        let members = members.map(|(node, member)| (node, member.name));
        let noted = self.noted.lock().clone();
        let noted = noted.into_iter().map(|noted| (noted.node, noted.name));
        let mut all: BTreeMap<NodeUuid, String> = noted.chain(members).collect();
        // A member by this node's own name is who it was before it lost its disk: it would meet itself there.
        all.retain(|node, name| *node != self.identity.node && *name != self.identity.name);
        let peer = |(node, name)| Peer { node: Some(node), name };
        all.into_iter().map(peer).collect()
    }

    /// Has this process's start committed. One try: while others start, there may be nobody to commit it yet.
    ///
    /// # Errors
    /// Why not; for good if the others do not want it.
    pub async fn announce(&self) -> Result<(), AnnounceError> {
        let proposed = tokio::select! {
            why = self.refused() => return Err(AnnounceError::Turned(why)),
            proposed = self.store.propose(self.start()) => proposed,
        };
        match proposed {
            Ok(_) => Ok(()),
            Err(refusal) if refusal.code == ReplyCode::PreconditionFailed => Err(AnnounceError::Refused(refusal.text)),
            Err(refusal) => Err(AnnounceError::Later(refusal.text)),
        }
    }

    /// Why the others do not want this node; as long as none says so, this is not back. Who has left for another cluster
    /// speaks for nobody, unless all have.
    async fn refused(&self) -> Turned {
        loop {
            let others = self.others();
            let mut elsewhere = Vec::new();
            for peer in &others {
                match self.turned_by(peer).await {
                    None | Some(Turned::Stopped | Turned::Forming) => {}
                    Some(why @ Turned::OtherCluster { .. }) => elsewhere.push(why),
                    Some(why) => return why,
                }
            }
            if elsewhere.len() == others.len()
                && let Some(why) = elsewhere.pop()
            {
                return why;
            }
            tokio::time::sleep(self.patience.beat()).await;
        }
    }

    async fn turned_by(&self, peer: &Peer) -> Option<Turned> {
        let looked = self.transport.call(peer, Request::Ping, self.patience.beat()).await;
        let turned = looked.err()?.into_inner()?.downcast::<Turned>().ok()?;
        Some(*turned)
    }

    fn start(&self) -> Command {
        Command::NodeUp {
            node: self.identity.node,
            name: self.identity.name.as_str().into(),
            incarnation: self.identity.incarnation,
            boot_id: self.identity.boot_id,
            mirrors: true,
        }
    }

    /// A node that was thought dead and is not says so, once it has a leader again.
    async fn come_back(&self) {
        let down = self
            .own_record()
            .is_some_and(|own| !own.up && own.incarnation == self.identity.incarnation);
        if !down || !self.lease.lock().holds(Instant::now()) {
            return;
        }
        match self.store.propose(self.start()).await {
            Ok(_) => tracing::info!("the cluster had given this node up; it is back"),
            Err(refusal) => tracing::warn!("the cluster has given this node up: {refusal}"),
        }
    }
}
