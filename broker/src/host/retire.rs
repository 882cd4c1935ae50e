//! Queues that ask to be deleted: the last consumer is gone, or nobody has used them for too long.
//!
//! Deleting waits for a commit, so it is done where waiting is allowed: by the task of the client that caused it, or
//! by the node's own task. From the moment it is asked for, the queue takes nothing more.

use catalog::Command;
use model::QueueId;
use parking_lot::Mutex;
use queue::Retire;
use std::{collections::BTreeMap, sync::Arc};
use tokio::sync::Notify;

use super::{cell::QueueCell, node::Node};

/// A queue that asks to be deleted, and why.
pub type Asked = (Arc<QueueCell>, Retire);

/// Queues that nobody's task deletes; each once.
#[derive(Debug, Default)]
pub struct Retirements {
    asked: Mutex<BTreeMap<QueueId, Asked>>,
    more: Notify,
}

impl Retirements {
    /// Leaves a queue to the node's task.
    pub fn ask(&self, cell: Arc<QueueCell>, why: Retire) {
        self.asked.lock().insert(cell.id, (cell, why));
        self.more.notify_one();
    }
}

/// Deletes queues until the node stops.
pub async fn run(node: Arc<Node>) {
    let stopped = node.stopping().clone();
    loop {
        tokio::select! {
            () = stopped.cancelled() => return,
            () = node.retirements().more.notified() => {}
        }
        let asked = std::mem::take(&mut *node.retirements().asked.lock());
        node.retire(asked.into_values().collect()).await;
    }
}

/// Closes a queue for good, unless it is in use again or closed already.
fn close(cell: &QueueCell, why: Retire) -> bool {
    let mut held = cell.hold();
    let used = why == Retire::LastConsumerGone && held.queue.counts().consumers > 0;
    !used && !std::mem::replace(&mut held.dead, true)
}

impl Node {
    /// Deletes queues that asked for it; all are gone afterwards.
    pub async fn retire(&self, asked: Vec<Asked>) {
        let closed = asked.into_iter().filter(|(cell, why)| close(cell, *why));
        futures::future::join_all(closed.map(|asked| self.delete_retired(asked))).await;
    }

    async fn delete_retired(&self, (cell, why): Asked) {
        tracing::info!(queue = %cell.name, vhost = %cell.vhost, ?why, "queue deletes itself");
        if let Err(refusal) = self.commit(Command::DeleteQueue(cell.id)).await {
            tracing::warn!(queue = %cell.name, "queue could not delete itself: {refusal}");
            cell.hold().dead = false;
        }
    }
}
