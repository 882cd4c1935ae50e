//! Members of quorum queues for the command line: who they are, who comes, who goes.
//!
//! Which queues may have members is said in RabbitMQ's words; what becomes of it is the queue's leader's matter.

use access_rules::Pattern;
use catalog::QueueRecord;
use link::{Failure, Request, Term};
use std::sync::Arc;

use super::{Outcome, access_rules, queues::wait_for};
use crate::host::{Growing, Member, Membership, Node, Resized};

pub(super) fn execute(node: &Node, request: Request) -> Outcome {
    match request {
        Request::AddMember { vhost, name, node: on } => change(node, (&vhost, &name), &on, Membership::Add),
        Request::DeleteMember { vhost, name, node: on } => change(node, (&vhost, &name), &on, Membership::Delete),
        Request::GrowMembers {
            node: on,
            even,
            vhost_pattern,
            queue_pattern,
        } => {
            let pattern = |text: &str| {
                let bad = |why: access_rules::PatternError| Failure::BadPattern(text.to_owned(), why.to_string());
                Pattern::new(text).map_err(bad)
            };
            let meant = Growing {
                even,
                vhost: pattern(&vhost_pattern)?,
                queue: pattern(&queue_pattern)?,
            };
            wait_for(async { Ok(rows(node.grow(&on, &meant).await)) })
        }
        Request::ShrinkMembers { node: on } => wait_for(async { Ok(rows(node.shrink_members(&on).await)) }),
        Request::QuorumStatus { vhost, name } => status(node, &vhost, &name),
        Request::ReclaimQueueMemory { vhost, name } => reclaim(node, &vhost, &name),
        _ => Err(Failure::Unknown),
    }
}

fn record(node: &Node, vhost: &str, name: &str) -> Result<Arc<QueueRecord>, Failure> {
    let found = node.snapshot().catalog.queue(vhost, name).cloned();
    found.ok_or(Failure::NotFound)
}

fn change(node: &Node, (vhost, name): (&str, &str), on: &str, what: Membership) -> Outcome {
    let record = record(node, vhost, name)?;
    wait_for(async { node.change_members(&record, on, what).await.map(|()| Term::none()) })
}

/// Virtual host, name, members now, and what came of it.
fn rows(all: Vec<Resized>) -> Term {
    let row = |resized: Resized| {
        let result = match resized.outcome {
            Ok(()) => "ok".to_owned(),
            Err(Failure::Refused(word)) if word == "last_node" => "error: the last node cannot be removed".to_owned(),
            Err(Failure::Refused(why)) => format!("error: {why}"),
            Err(other) => format!("error: {other:?}"),
        };
        Term::List(vec![
            Term::text(resized.record.vhost.as_str()),
            Term::text(resized.record.name.as_str()),
            Term::count(resized.size as u64),
            Term::text(result),
        ])
    };
    Term::List(all.into_iter().map(row).collect())
}

fn status(node: &Node, vhost: &str, name: &str) -> Outcome {
    let record = record(node, vhost, name)?;
    wait_for(async {
        let members = node.members(&record).await?;
        Ok(Term::List(members.into_iter().map(Member::row).collect()))
    })
}

/// The leader's part of the queue's memory, wherever that is.
fn reclaim(node: &Node, vhost: &str, name: &str) -> Outcome {
    let record = record(node, vhost, name)?;
    if !record.is_quorum() {
        let why = "This operation is not applicable to classic queues";
        return Err(Failure::Refused(why.to_owned()));
    }
    if node.is_away(&record) {
        return Ok(Term::none());
    }
    if node.snapshot().is_remote(&record) {
        let (vhost, name) = (vhost.to_owned(), name.to_owned());
        return wait_for(node.ask_node(&record.leader, Request::ReclaimQueueMemory { vhost, name }, None));
    }
    let cell = node.cell(&record).map_err(|_| Failure::NotFound)?;
    Ok(Term::count(node.page_out(&cell)))
}
