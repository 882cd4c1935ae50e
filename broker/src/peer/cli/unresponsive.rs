//! Queues that do not answer: whose lock nobody gets in time, or whose node cannot be asked.
//!
//! A queue whose node is known to be down is not among them: it is down, and listed as such elsewhere.

use catalog::{Catalog, QueueRecord};
use link::{Failure, Listing, Request, Term};
use std::{sync::Arc, time::Duration};

use super::{clients, list::Rows, objects};
use crate::host::Node;

/// Which are looked at.
pub(super) struct Looked {
    /// Their virtual host.
    pub(super) vhost: String,
    /// Only those of this node.
    pub(super) local: bool,
    /// How long each may take.
    pub(super) patience: Duration,
}

/// Rows of those of this node, then, unless only they are wanted, those of each other node.
pub(super) fn queues(node: &Node, catalog: &Catalog, looked: &Looked, rows: &mut Rows<'_>) -> Result<(), Failure> {
    let snapshot = node.snapshot();
    let all = || {
        catalog
            .vhost(&looked.vhost)
            .into_iter()
            .flat_map(|vhost| vhost.queues())
    };
    for record in all().filter(|record| !snapshot.is_remote(record)) {
        let cell = snapshot.cell(record.id);
        if cell.is_some_and(|cell| !cell.answers_within(looked.patience)) {
            add(node, record, rows)?;
        }
    }
    let others = snapshot.other_nodes();
    for other in others.iter().filter(|_| !looked.local) {
        let what = Listing::Here(Box::new(Listing::UnresponsiveQueues {
            vhost: looked.vhost.clone(),
            local: true,
            millis: u64::try_from(looked.patience.as_millis()).unwrap_or(u64::MAX),
        }));
        let request = Request::List {
            what,
            columns: rows.columns.to_vec(),
        };
        if let Err(failure) = rows.pass_on(|frames| clients::ask_for_rows(node, other, request, frames))? {
            tracing::warn!("node {other} does not tell which of its queues do not answer: {failure:?}");
            all()
                .filter(|record| record.leader == *other)
                .try_for_each(|record| add(node, record, rows))?;
        }
    }
    Ok(())
}

fn add(node: &Node, record: &Arc<QueueRecord>, rows: &mut Rows<'_>) -> Result<(), Failure> {
    rows.add(|column| match column {
        "name" => Some(Term::text(record.name.as_str())),
        "durable" => Some(Term::Bool(record.durable)),
        "auto_delete" => Some(Term::Bool(record.auto_delete)),
        "arguments" => Some(objects::table(&record.args.table)),
        "pid" => Some(objects::queue_pid(node, record)),
        "recoverable_slaves" => Some(objects::mirror_nodes(node, record)),
        _ => None,
    })
}
