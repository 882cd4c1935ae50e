//! What leaders on this node want of their mirrors, done at intervals: links are made, mirrors attached, changes of the
//! copies proposed, many queues in one entry.
//!
//! Nothing here waits for an answer: a proposal whose outcome is not known keeps its own queue from the next one alone.

use catalog::{Answer, Command, MirrorAct, MirrorChange, MirrorsProposal, Replicas, Transfer};
use mirror::Act;
use model::{Generation, NodeUuid, QueueId};
use std::{
    collections::{BTreeSet, btree_map::Entry},
    sync::Arc,
    time::Duration,
};

use tokio::{task::JoinHandle, time::Instant};

use super::super::node::Node;
use super::{Led, link, record::words};

/// How often leaders are looked at.
const INTERVAL: Duration = Duration::from_millis(100);
/// What policies want to be led elsewhere is looked for anew after this.
const WISH_PATIENCE: Duration = Duration::from_secs(30);
/// Changes in one entry.
const CHANGES_MAX: usize = 1000;

/// Runs until the node stops.
pub async fn run(node: Arc<Node>) {
    let mut wishes = Wishes::default();
    loop {
        tokio::select! {
            () = node.stopping().cancelled() => return,
            () = tokio::time::sleep(INTERVAL) => {}
            () = node.mirrors().attention.notified() => {}
        }
        let all = node.mirrors().all_led();
        if all.is_empty() {
            continue;
        }
        make_links(&node, &all);
        wishes.follow(&node, &all);
        look(&node, all);
    }
}

/// Queues that policies want to be led by others.
#[derive(Default)]
struct Wishes {
    /// The state of the catalogue in which there were none.
    fulfilled: Option<Generation>,
    /// They are being handed over.
    under_way: Option<JoinHandle<()>>,
}

impl Wishes {
    /// Hands over what policies want elsewhere, once it can be.
    fn follow(&mut self, node: &Arc<Node>, all: &[Led]) {
        let snapshot = node.snapshot();
        let is_under_way = self.under_way.as_ref().is_some_and(|task| !task.is_finished());
        if is_under_way || self.fulfilled == Some(snapshot.generation()) {
            return;
        }
        let wanted = |led: &Led| {
            let record = snapshot.catalog.queue_by_id(led.cell.id)?;
            match snapshot.catalog.wanted(record)? {
                MirrorAct::HandOver { node: to, .. } => Some(Transfer {
                    queue: led.cell.id,
                    from: node.identity().node,
                    to,
                }),
                _ => None,
            }
        };
        let transfers: Vec<_> = all.iter().filter_map(wanted).collect();
        if transfers.is_empty() {
            self.fulfilled = Some(snapshot.generation());
            return;
        }
        let node = node.clone();
        self.under_way = Some(tokio::spawn(async move {
            let deadline = Instant::now() + WISH_PATIENCE;
            node.hand_over(&transfers, deadline).await;
        }));
    }
}

/// Every node with a mirror of a queue led here is reached by one link.
fn make_links(node: &Arc<Node>, all: &[Led]) {
    let mut wanted = BTreeSet::new();
    for led in all.iter().filter(|led| led.stream.is_busy()) {
        wanted.extend(led.stream.unattached());
    }
    for to in wanted {
        if let Entry::Vacant(place) = node.mirrors().links.lock().entry(to) {
            let link = place.insert(Arc::new(link::Link::new(to))).clone();
            tokio::spawn(link::run(node.clone(), link));
        }
    }
}

fn look(node: &Arc<Node>, all: Vec<Led>) {
    let now = node.now();
    synchronise_for_leavers(node, &all);
    let mut changes: Vec<(Led, MirrorChange)> = Vec::new();
    for led in all.into_iter().filter(|led| led.stream.is_busy()) {
        for to in led.stream.unattached() {
            if !is_up(node, to) {
                // It was so before this reign began, or will be told: nobody waits for what is known to be gone.
                led.stream.lose(to, now);
            } else if let Some(link) = node.mirrors().link(to).filter(|link| link.incarnation().is_some()) {
                node.attach(&led, &link);
            }
        }
        if let Some((version, act)) = led.stream.due(now) {
            let change = MirrorChange {
                queue: led.cell.id,
                epoch: led.stream.epoch(),
                version,
                act: words(act),
            };
            tell(node, led.cell.id, act);
            changes.push((led, change));
        }
    }
    while !changes.is_empty() {
        let some: Vec<_> = changes.drain(..CHANGES_MAX.min(changes.len())).collect();
        tokio::spawn(propose(node.clone(), some));
    }
}

/// A copy that is to take the place of one on a node that is to leave is synchronised whatever the policy says.
fn synchronise_for_leavers(node: &Node, all: &[Led]) {
    let snapshot = node.snapshot();
    let leavers: BTreeSet<NodeUuid> = snapshot
        .catalog
        .nodes()
        .filter(|node| node.leaving)
        .map(|node| node.uuid)
        .collect();
    if leavers.is_empty() {
        return;
    }
    let is_meant = |replicas: &Replicas| {
        let is_on_leaver = replicas.copies.iter().any(|copy| leavers.contains(&copy.node));
        is_on_leaver && snapshot.catalog.unsynchronised(replicas).next().is_some()
    };
    for led in all {
        let record = snapshot.catalog.queue_by_id(led.cell.id);
        let replicas = record.and_then(|record| record.replicas.as_deref());
        if replicas.is_some_and(is_meant) {
            led.stream.sync(true);
        }
    }
}

fn is_up(node: &Node, other: NodeUuid) -> bool {
    let snapshot = node.snapshot();
    snapshot.catalog.node(other).is_some_and(|other| other.up)
}

/// One line per decision, for who asks at night why a queue has fewer mirrors.
fn tell(node: &Node, queue: QueueId, act: Act) {
    let snapshot = node.snapshot();
    let name_of = |uuid| snapshot.catalog.node(uuid).map(|node| node.name.clone());
    let mirror = name_of(act.node());
    let Some(record) = snapshot.catalog.queue_by_id(queue) else {
        return;
    };
    match act {
        Act::Evict(_) => tracing::warn!(
            ?mirror,
            "{}: a mirror does not acknowledge and is to count no more until it is synchronised again",
            record.title()
        ),
        Act::AddInSync { .. } => {
            tracing::info!(?mirror, "{}: a mirror is synchronised and is to count", record.title())
        }
        Act::HandOver { .. } => tracing::info!(?mirror, "{}: a mirror is to lead", record.title()),
    }
}

async fn propose(node: Arc<Node>, changes: Vec<(Led, MirrorChange)>) {
    let identity = node.identity();
    let proposal = MirrorsProposal {
        node: identity.node,
        incarnation: identity.incarnation,
        changes: changes.iter().map(|(_, change)| *change).collect(),
    };
    match node.commit(Command::Mirrors(proposal)).await {
        Ok(Answer::Mirrors(outcomes)) => {
            for ((_, change), outcome) in changes.iter().zip(outcomes) {
                if let Err(refusal) = outcome {
                    tracing::debug!(queue = change.queue.0, ?refusal, "a change of mirrors is refused");
                }
            }
        }
        Ok(_) => {}
        Err(refusal) => tracing::warn!("a change of mirrors cannot be committed: {refusal}"),
    }
    let now = node.now();
    for (led, change) in changes {
        led.stream.answered(change.version, now);
    }
}
