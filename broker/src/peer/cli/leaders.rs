//! Who leads queues: rebalancing, taking the node out of service, and how many queues could not do without it.

use link::{Failure, Request, Term};

use super::{Outcome, queues::wait_for, refused};
use crate::host::{Node, Selection};

pub(super) fn execute(node: &Node, request: Request) -> Outcome {
    match request {
        Request::Rebalance {
            kind,
            vhost_pattern,
            queue_pattern,
            here,
        } => {
            let selection = Selection::new(kind, &vhost_pattern, &queue_pattern);
            rebalance(node, &selection.map_err(|why| Failure::Refused(why.to_string()))?, here)
        }
        Request::Maintenance { on } => maintain(node, on),
        Request::CountUnmirrored => Ok(Term::count(node.unmirrored() as u64)),
        Request::CountCritical => Ok(Term::count(node.critical() as u64)),
        _ => Err(Failure::Unknown),
    }
}

fn rebalance(node: &Node, selection: &Selection, here: bool) -> Outcome {
    if here {
        return wait_for(async { Ok(Term::count(node.rebalance_here(selection).await.0)) });
    }
    wait_for(async {
        let counts = node.rebalance(selection).await?;
        let rows = counts.into_iter().map(|(name, led)| {
            Term::List(vec![
                Term::atom(&*name),
                Term::count(led.quorum),
                Term::count(led.classic),
            ])
        });
        Ok(Term::List(rows.collect()))
    })
}

/// Leaders are moved away, and clients closed; or both may come again.
fn maintain(node: &Node, on: bool) -> Outcome {
    wait_for(async {
        let done = match on {
            true => node.drain().await,
            false => node.revive().await,
        };
        done.map(|()| Term::none()).map_err(refused)
    })
}
