//! Client connections: how they are named in lists, and closing them.
//!
//! A connection's pid is `<node.start.number.0>`; that of a channel ends in the channel's number.

use link::{Failure, Scope, Term};
use model::ConnectionId;

use super::Outcome;
use crate::host::{Client, Node};

/// Names a part of this node as RabbitMQ names processes.
pub(super) fn pid(node: &Node, number: u64, part: u64) -> String {
    format!("<{}.{}.{number}.{part}>", node.name(), node.started_at().0 / 1000)
}

/// The connection that a pid means, if it has the shape of one: `None` is no pid.
fn connection(node: &Node, text: &str) -> Option<ConnectionId> {
    let inner = text.strip_prefix('<')?.strip_suffix('>')?;
    let mut parts = inner.rsplitn(4, '.');
    let (_part, number, start, name) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let (number, start) = (number.parse().ok()?, start.parse::<u64>().ok()?);
    let own = name == &**node.name() && start == node.started_at().0 / 1000;
    // A process of another node or an earlier life: well formed, and not here.
    Some(ConnectionId(if own { number } else { u64::MAX }))
}

pub(super) fn close(node: &Node, pid: &str, reason: &str) -> Outcome {
    let id =
        connection(node, pid).ok_or_else(|| Failure::Refused(format!("Error:\n{{:invalid_pid_syntax, {pid:?}}}")))?;
    if let Some(client) = node.clients().get(id) {
        node.close_client(&client, reason);
    }
    Ok(Term::none())
}

pub(super) fn close_all(node: &Node, scope: &Scope, limit: u64, reason: &str) -> Outcome {
    let mut chosen: Vec<_> = node.open_clients();
    chosen.retain(|client| is_meant(client, scope));
    if limit > 0 {
        chosen.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    }
    chosen.iter().for_each(|client| node.close_client(client, reason));
    Ok(Term::count(chosen.len()))
}

fn is_meant(client: &Client, scope: &Scope) -> bool {
    client.profile().is_some_and(|profile| match scope {
        Scope::Vhost(vhost) => profile.vhost.as_str() == vhost,
        Scope::User(user) => profile.user.as_str() == user,
        Scope::All => true,
    })
}
