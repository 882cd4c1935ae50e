//! Client connections: how they are named in lists, and closing them.
//!
//! A connection's pid is `<node.start.number.0>`; that of a channel ends in the channel's number.

use link::{Failure, Reply, Request, Scope, Term};
use model::ConnectionId;
use tokio::sync::mpsc;

use super::Outcome;
use crate::host::{Client, Node};

/// How many connections were closed, as a node told it.
fn counted(answer: &Term) -> u64 {
    match answer {
        Term::Integer(count) => u64::try_from(*count).unwrap_or(0),
        _ => 0,
    }
}

/// Names a channel of a client, which may be connected to another node.
pub(super) fn channel_pid(node: &Node, client: &Client, channel: u16) -> String {
    let Some((home, connection)) = client.home() else {
        return node.pid(client.id.0, channel.into());
    };
    let snapshot = node.snapshot();
    let start = snapshot.catalog.node_by_name(home).map_or(0, |home| home.incarnation);
    format!("<{home}.{start}.{}.{channel}>", connection.0)
}

/// A pid in its parts: node, start, number.
fn parts(text: &str) -> Option<(&str, u64, u64)> {
    let inner = text.strip_prefix('<')?.strip_suffix('>')?;
    let mut parts = inner.rsplitn(4, '.');
    let (_part, number, start, name) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    Some((name, start.parse().ok()?, number.parse().ok()?))
}

/// A process of an earlier life, or of a node that is not there, is well formed and has ended.
pub(super) fn close(node: &Node, pid: String, reason: String) -> Outcome {
    let bad = || Failure::Refused(format!("Error:\n{{:invalid_pid_syntax, {pid:?}}}"));
    let (name, start, number) = parts(&pid).ok_or_else(bad)?;
    if name != &**node.name() {
        let is_there = node.snapshot().other_nodes().iter().any(|other| **other == *name);
        let to = name.to_owned();
        return match is_there {
            true => ask(node, &to, Request::CloseConnection { pid, reason }),
            false => Ok(Term::none()),
        };
    }
    let is_this_life = start == node.started_at().0 / 1000 || start == node.identity().incarnation;
    if let Some(client) = node.clients().get(ConnectionId(number)).filter(|_| is_this_life) {
        node.close_client(&client, &reason);
    }
    Ok(Term::none())
}

/// Has another node do it. Requests are performed where blocking is allowed.
pub(super) fn ask(node: &Node, to: &str, request: Request) -> Outcome {
    tokio::runtime::Handle::current().block_on(node.ask_node(to, request, None))
}

/// Has another node send rows before it answers.
pub(super) fn ask_for_rows(node: &Node, to: &str, request: Request, frames: mpsc::Sender<Reply>) -> Outcome {
    tokio::runtime::Handle::current().block_on(node.ask_node(to, request, Some(frames)))
}

/// Those of all nodes, this one's first; a node that does not answer closes none.
pub(super) fn close_all(node: &Node, scope: Scope, limit: u64, reason: String) -> Outcome {
    let (scope, is_whole) = match scope {
        Scope::Here(scope) => (*scope, false),
        scope => (scope, true),
    };
    let mut closed = close_own(node, &scope, limit, &reason);
    let others = node.snapshot().other_nodes();
    for other in others.iter().filter(|_| is_whole) {
        if limit > 0 && closed >= limit {
            break;
        }
        let request = Request::CloseConnections {
            scope: Scope::Here(Box::new(scope.clone())),
            limit: limit.saturating_sub(closed),
            reason: reason.clone(),
        };
        match ask(node, other, request) {
            Ok(answer) => closed += counted(&answer),
            Err(failure) => tracing::warn!("connections of node {other} stay open: {failure:?}"),
        }
    }
    Ok(Term::count(closed))
}

fn close_own(node: &Node, scope: &Scope, limit: u64, reason: &str) -> u64 {
    let mut chosen: Vec<_> = node.open_clients();
    chosen.retain(|client| is_meant(client, scope));
    if limit > 0 {
        chosen.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    }
    chosen.iter().for_each(|client| node.close_client(client, reason));
    chosen.len() as u64
}

fn is_meant(client: &Client, scope: &Scope) -> bool {
    client.profile().is_some_and(|profile| match scope {
        Scope::Vhost(vhost) => profile.vhost.as_str() == vhost,
        Scope::User(user) => profile.user.as_str() == user,
        Scope::All => true,
        // Taken off before.
        Scope::Here(_) => false,
    })
}
