//! Promotions by force (R18): a queue of which no copy with all confirmed messages can be had is led by one without, if its
//! policy prefers that to waiting.
//!
//! The node that would lead proposes it. A leader that was lost may come back or still run for a moment, so it is waited
//! for; one that was stopped is not.

use catalog::{Command, Promotion};
use model::QueueId;
use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use super::super::node::Node;

/// How often it is looked.
const INTERVAL: Duration = Duration::from_secs(1);
/// How long a leader that was lost is waited for: longer than a node is believed to run, and than one takes to start again.
const FORCE_AFTER: Duration = Duration::from_secs(60);

/// Runs until the node stops.
pub async fn run(node: Arc<Node>) {
    let mut waiting: BTreeMap<QueueId, Instant> = BTreeMap::new();
    loop {
        tokio::select! {
            () = node.stopping().cancelled() => return,
            () = tokio::time::sleep(INTERVAL) => {}
        }
        let snapshot = node.snapshot().clone();
        if snapshot.catalog.nodes().all(|node| node.up) {
            waiting.clear();
            continue;
        }
        let own = (node.identity().node, node.identity().incarnation);
        let forced = snapshot.catalog.to_be_forced();
        let forced: Vec<Promotion<'_>> = forced
            .filter(|forced| (forced.node, forced.incarnation) == own)
            .collect();
        waiting.retain(|queue, _| forced.iter().any(|forced| forced.queue.id == *queue));
        for Promotion { queue, was_stopped, .. } in forced {
            let since = *waiting.entry(queue.id).or_insert_with(Instant::now);
            if was_stopped || since.elapsed() >= FORCE_AFTER {
                promote(&node, queue).await;
            }
        }
    }
}

async fn promote(node: &Node, queue: &catalog::QueueRecord) {
    // What is lost is told by the entry itself, on every node.
    if let Err(why) = node.commit(Command::ForcePromote(queue.id)).await {
        tracing::warn!(
            "{} cannot be led by this node although its policy says so: {why}",
            queue.title()
        );
    }
}
