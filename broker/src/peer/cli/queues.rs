//! Purging and deleting queues for an administrator, who needs no permission and no ownership.
//!
//! Conditions are judged under the queue's lock, as for a client.

use catalog::{Command, Conditions, QueueRecord};
use link::{Failure, Term};
use std::sync::Arc;

use super::{Outcome, commit};
use crate::host::{Node, check_led_here};

fn record(node: &Node, vhost: &str, name: &str) -> Result<Arc<QueueRecord>, Failure> {
    let found = node.snapshot().catalog.queue(vhost, name).cloned();
    found.ok_or(Failure::NotFound)
}

/// Requests are performed where blocking is allowed.
pub(super) fn wait_for(answer: impl Future<Output = Outcome>) -> Outcome {
    tokio::runtime::Handle::current().block_on(answer)
}

pub(super) fn purge(node: &Node, vhost: &str, name: &str) -> Outcome {
    let record = record(node, vhost, name)?;
    if node.snapshot().is_remote(&record) {
        return wait_for(node.purge_far(&record));
    }
    let cell = node.cell(&record).map_err(|_| Failure::NotFound)?;
    Ok(Term::count(node.purge_cell(&cell)))
}

pub(super) fn synchronise(node: &Node, vhost: &str, name: &str, wanted: bool) -> Outcome {
    let record = record(node, vhost, name)?;
    if node.is_away(&record) {
        return Err(Failure::NotFound);
    }
    wait_for(async { node.synchronise(&record, wanted).await.map(|()| Term::none()) })
}

pub(super) fn delete(node: &Node, vhost: &str, name: &str, conditions: Conditions) -> Outcome {
    let record = record(node, vhost, name)?;
    if node.snapshot().is_remote(&record) {
        return wait_for(node.delete_far(&record, conditions));
    }
    let cell = node.cell(&record).map_err(|_| Failure::NotFound)?;
    let ready = {
        let mut held = cell.hold();
        check_led_here(&cell, &record).map_err(super::refused)?;
        let counts = held.queue.counts();
        if conditions.if_unused && counts.consumers > 0 {
            return Err(Failure::InUse);
        }
        if conditions.if_empty && counts.ready.messages > 0 {
            return Err(Failure::NotEmpty);
        }
        held.dead = true;
        counts.ready.messages
    };
    let deleted = commit(node, Command::DeleteQueue(record.id));
    if deleted.is_err() {
        let mut held = cell.hold();
        held.dead = check_led_here(&cell, &record).is_err();
    }
    deleted.map(|_| Term::count(ready))
}

/// The names of the queues that depend on this node, or nothing if there is no other node.
pub(super) fn critical(node: &Node, which: fn(&Node) -> Vec<Arc<catalog::QueueRecord>>) -> Term {
    if node.is_alone() {
        return Term::none();
    }
    let row = |record: &catalog::QueueRecord| {
        let name = format!("queue '{}' in vhost '{}'", record.name.as_str(), record.vhost.as_str());
        Term::text(name)
    };
    Term::List(which(node).iter().map(|record| row(record)).collect())
}
