//! Rebalancing: leaders are moved so that every node leads about as many mirrored queues.
//!
//! Each node hands over what it leads itself; who is asked asks the others, one after the other, and tells what came of it.

use access::{Pattern, PatternError};
use catalog::{NodeName, QueueRecord, Transfer};
use link::{Failure, QueueKind, Request, Term};
use model::Generation;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::time::Instant;

use super::super::node::Node;

/// A node begins no further hand-over after this: whoever asked waits.
const PATIENCE: Duration = Duration::from_secs(10);
/// So often all nodes are asked at most: each moves what it can.
const ROUNDS_MAX: usize = 100;

/// Which queues are meant.
#[derive(Clone, Debug)]
pub struct Selection {
    kind: QueueKind,
    vhost: Pattern,
    queue: Pattern,
}

/// How many queues a node leads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Led {
    /// Quorum queues.
    pub quorum: u64,
    /// Mirrored ones.
    pub classic: u64,
}

impl Selection {
    /// Of a type, by patterns of their virtual host's name and their own.
    ///
    /// # Errors
    /// The pattern that is none.
    pub fn new(kind: QueueKind, vhost: &str, queue: &str) -> Result<Self, PatternError> {
        Ok(Selection {
            kind,
            vhost: Pattern::new(vhost)?,
            queue: Pattern::new(queue)?,
        })
    }

    fn has(&self, queue: &QueueRecord) -> bool {
        let is_of_kind = match self.kind {
            QueueKind::All => true,
            QueueKind::Classic => !queue.is_quorum(),
            QueueKind::Quorum => queue.is_quorum(),
            QueueKind::Stream => false,
        };
        is_of_kind && self.vhost.matches(queue.vhost.as_str()) && self.queue.matches(queue.name.as_str())
    }

    fn request(&self) -> Request {
        Request::Rebalance {
            kind: self.kind,
            vhost_pattern: self.vhost.as_str().to_owned(),
            queue_pattern: self.queue.as_str().to_owned(),
            here: true,
        }
    }
}

impl Node {
    /// What would make all nodes lead about as many of these queues.
    pub fn rebalancing(&self, selection: &Selection) -> Vec<Transfer> {
        self.snapshot().catalog.rebalancing(|queue| selection.has(queue))
    }

    /// Hands over what others are to lead of these queues; the state of the definitions after that.
    pub async fn rebalance_here(&self, selection: &Selection) -> Generation {
        let own = self.identity().node;
        let plan = self.rebalancing(selection).into_iter();
        let transfers: Vec<Transfer> = plan.filter(|transfer| transfer.from == own).collect();
        let handed_over = self.hand_over(&transfers, Instant::now() + PATIENCE).await;
        if handed_over > 0 {
            tracing::info!(handed_over, "leaders of mirrored queues are rebalanced");
        }
        self.snapshot().generation()
    }

    /// Has all nodes hand over until each leads about as many of these queues, or nobody can do more. Which node leads how
    /// many afterwards.
    ///
    /// # Errors
    /// A node cannot be asked.
    pub async fn rebalance(&self, selection: &Selection) -> Result<BTreeMap<NodeName, Led>, Failure> {
        let mut before = None;
        for _ in 0..ROUNDS_MAX {
            let plan = self.rebalancing(selection);
            if plan.is_empty() || before.as_ref() == Some(&plan) {
                break;
            }
            let from = plan[0].from;
            before = Some(plan);
            if from == self.identity().node {
                self.rebalance_here(selection).await;
                continue;
            }
            let name = self.snapshot().catalog.node(from).map(|node| node.name.clone());
            let Some(name) = name else { break };
            let answer = self.ask_node(&name, selection.request(), None).await?;
            if let Term::Integer(generation) = answer {
                self.catch_up(Generation(u64::try_from(generation).unwrap_or(0))).await;
            }
        }
        Ok(self.led_of(selection))
    }

    /// Hands over queues that are led here, to nodes among these; how many there were, and how many others lead now.
    pub async fn transfer(
        &self,
        is_meant: impl Fn(&QueueRecord) -> bool,
        may_have: impl Fn(&str) -> bool,
    ) -> (usize, usize) {
        let snapshot = self.snapshot().clone();
        let own = self.identity().node;
        let name_fits = |node| snapshot.catalog.node(node).is_some_and(|node| may_have(&node.name));
        let meant = snapshot.catalog.leads(own).filter(|queue| is_meant(queue)).count();
        let transfers = snapshot.catalog.successors_among(own, &is_meant, name_fits);
        let moved = self.hand_over(&transfers, Instant::now() + PATIENCE).await;
        (meant, moved)
    }

    fn led_of(&self, selection: &Selection) -> BTreeMap<NodeName, Led> {
        let snapshot = self.snapshot();
        let is_replicated = |queue: &QueueRecord| queue.is_quorum() || queue.ha_mode().is_some();
        let meant = |queue: &&Arc<QueueRecord>| is_replicated(queue) && selection.has(queue);
        let mut counts: BTreeMap<NodeName, Led> = BTreeMap::new();
        for queue in snapshot.catalog.queues().filter(meant) {
            let led = counts.entry(queue.leader.clone()).or_default();
            match queue.is_quorum() {
                true => led.quorum += 1,
                false => led.classic += 1,
            }
        }
        counts
    }
}
