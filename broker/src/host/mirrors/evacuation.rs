//! Moving queues with one copy off this node, which is to go: each gets a copy on another node, and once that is in sync it leads, and is the only one.
//!
//! Done while somebody orders it and repeats the order: a minute after the last one no further queue begins, and those that have begun end. The rules of
//! mirrored queues judge every step, so a copy that is not counted never leads. What a policy ties to this node stays, as does what ends with its
//! connection or process.

use catalog::{
    Answer, Command, CopyState, MirrorAct, MirrorChange, MirrorsProposal, NodeRecord, QueueRecord, Transfer,
};
use model::{Epoch, HaMode, NodeUuid};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};
use tokio::{task::JoinHandle, time::Instant};

use super::super::node::{Node, Snapshot};

/// An order that is not repeated for so long is none any more.
const GOOD_FOR: Duration = Duration::from_secs(60);
/// How often it is looked what can be done.
const INTERVAL: Duration = Duration::from_millis(200);
/// Queues that have two copies at the same time.
const AT_ONCE_MAX: usize = 50;
/// Queues that are in sync elsewhere are handed over in this time, or tried again.
const HAND_OVER_PATIENCE: Duration = Duration::from_secs(10);
/// The record of a queue with one copy begins so when it gets its second one.
const FIRST: (Epoch, u64) = (Epoch(1), 1);

/// What was ordered, and who does it.
#[derive(Debug, Default)]
pub struct Evacuation {
    order: Option<Order>,
    task: Option<JoinHandle<()>>,
}

#[derive(Clone, Debug)]
struct Order {
    /// Names of nodes; all others if there is none.
    to: BTreeSet<String>,
    until: Instant,
}

impl Order {
    fn is_good(&self) -> bool {
        Instant::now() < self.until
    }
}

/// A queue with one copy, and with another one for a while if it moves already.
type Movable<'a> = (&'a Arc<QueueRecord>, Option<(NodeUuid, CopyState)>);

/// The queues of one copy that this node leads and that could be led elsewhere.
fn movable(snapshot: &Snapshot) -> Vec<Movable<'_>> {
    let can_move = |queue: &&Arc<QueueRecord>| {
        let has_one = matches!(queue.ha_mode(), None | Some(HaMode::Exactly(0 | 1)));
        queue.durable && queue.owner.is_none() && !queue.is_quorum() && has_one && !snapshot.is_remote(queue)
    };
    let other = |queue: &QueueRecord| {
        let replicas = queue.replicas.as_deref()?;
        let copies = || replicas.mirrors().map(|copy| (copy.node, copy.state));
        let first = copies().next();
        copies().find(|(_, state)| state.is_counted()).or(first)
    };
    let queues = snapshot.catalog.queues().filter(can_move);
    queues.map(|queue| (queue, other(queue))).collect()
}

/// Runs until the order is over, and what it has begun.
async fn run(node: Arc<Node>) {
    loop {
        tokio::select! {
            () = node.stopping().cancelled() => return,
            () = tokio::time::sleep(INTERVAL) => {}
        }
        let order = node.mirrors().evacuation.lock().order.clone();
        let Some(order) = order else { return };
        let goes_on = node.move_some(&order).await;
        let mut evacuation = node.mirrors().evacuation.lock();
        if !goes_on && !evacuation.order.as_ref().is_some_and(Order::is_good) {
            evacuation.order = None;
            return;
        }
    }
}

impl Node {
    /// Has queues with one copy move to these nodes, or to any if none is named, for as long as this is repeated. How many have yet to.
    pub fn evacuate(self: &Arc<Self>, to: BTreeSet<String>) -> usize {
        let until = Instant::now() + GOOD_FOR;
        let mut evacuation = self.mirrors().evacuation.lock();
        evacuation.order = Some(Order { to, until });
        if evacuation.task.as_ref().is_none_or(JoinHandle::is_finished) {
            evacuation.task = Some(tokio::spawn(run(self.clone())));
        }
        drop(evacuation);
        self.to_evacuate()
    }

    /// Queues with one copy that this node leads and that others could.
    pub fn to_evacuate(&self) -> usize {
        movable(&self.snapshot()).len()
    }

    /// Hands over what is in sync elsewhere, and has more become so. Whether a queue is on its way.
    async fn move_some(&self, order: &Order) -> bool {
        let snapshot = self.snapshot().clone();
        let all = movable(&snapshot);
        let (mut ready, mut changes, mut begun) = (Vec::new(), Vec::new(), 0);
        for (queue, other) in &all {
            let Some((to, state)) = *other else { continue };
            begun += 1;
            match (snapshot.catalog.node(to).is_some_and(|node| may_have(node)), state) {
                (false, _) => changes.push(change(queue, MirrorAct::RemoveCopy(to))),
                (true, CopyState::InSync { .. }) => ready.push(Transfer {
                    queue: queue.id,
                    from: self.identity().node,
                    to,
                }),
                // Refused where it has just ended: the next look knows.
                (true, CopyState::Disk | CopyState::Syncing) => drop(self.synchronise_here(queue, true)),
            }
        }
        if order.is_good() {
            let more = AT_ONCE_MAX.saturating_sub(begun);
            changes.extend(self.begin_some(&snapshot, order, &all, more));
        }
        self.propose_copies(changes).await;
        let handed_over = self.hand_over(&ready, Instant::now() + HAND_OVER_PATIENCE).await;
        if handed_over > 0 {
            tracing::info!(
                handed_over,
                left = all.len() - handed_over,
                "queues with one copy have moved to other nodes"
            );
        }
        begun > 0
    }

    /// A copy each for so many queues more, on whichever node without an alarm leads the fewest then.
    fn begin_some(&self, snapshot: &Snapshot, order: &Order, all: &[Movable<'_>], more: usize) -> Vec<MirrorChange> {
        let catalog = &snapshot.catalog;
        let is_meant = |node: &NodeRecord| order.to.is_empty() || order.to.contains(&*node.name);
        // What has no room is given no more.
        let alarmed = self.alarms().others();
        let can_take = |node: &NodeRecord| node.uuid != self.identity().node && !alarmed.contains_key(&node.uuid);
        let able = catalog.nodes().filter(|node| can_take(node));
        let able: Vec<_> = able.filter(|node| may_have(node) && is_meant(node)).collect();
        let mut loads: BTreeMap<&str, usize> = able.iter().map(|node| (&*node.name, 0)).collect();
        for queue in catalog.queues() {
            if let Some(load) = loads.get_mut(&*queue.leader) {
                *load += 1;
            }
        }
        let waiting = all.iter().filter(|(_, other)| other.is_none()).take(more);
        let begin = waiting.filter_map(|(queue, _)| {
            let to = able.iter().min_by_key(|node| loads.get(&*node.name))?;
            *loads.get_mut(&*to.name)? += 1;
            Some(change(queue, MirrorAct::AddCopy(to.uuid)))
        });
        begin.collect()
    }

    /// What is refused is looked at again.
    async fn propose_copies(&self, changes: Vec<MirrorChange>) {
        if changes.is_empty() {
            return;
        }
        let identity = self.identity();
        let proposal = MirrorsProposal {
            node: identity.node,
            incarnation: identity.incarnation,
            changes,
        };
        match self.commit(Command::Mirrors(proposal)).await {
            Ok(Answer::Mirrors(outcomes)) => {
                let refused = outcomes.iter().filter_map(|outcome| outcome.err());
                refused.for_each(|why| tracing::debug!("a queue with one copy does not begin to move: {why}"));
            }
            Ok(_) => {}
            Err(why) => tracing::warn!("queues with one copy cannot move now: {why}"),
        }
    }
}

/// It runs, and is to go on doing so.
fn may_have(node: &NodeRecord) -> bool {
    node.may_be_given_copies() && node.may_lead()
}

/// On the record as it is; it begins with its leader's copy where there is none.
pub(super) fn change(queue: &QueueRecord, act: MirrorAct) -> MirrorChange {
    let known = queue
        .replicas
        .as_ref()
        .map(|replicas| (replicas.epoch, replicas.version));
    let (epoch, version) = known.unwrap_or(FIRST);
    MirrorChange {
        queue: queue.id,
        epoch,
        version,
        act,
    }
}
