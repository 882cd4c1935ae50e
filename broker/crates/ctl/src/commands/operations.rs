//! Queues, and closing connections.
//!
//! What is closed is told first.

use crate::command::{Command, Output, Session, flag, number};
use crate::options::{Kind, short};
use crate::problem::{Problem, USAGE};
use link::{Failure, Request, Scope, Term};

const OPERATIONS: &str = "Operations";
pub(super) const COMMANDS: &[Command] = &[
    Command::new("close_all_connections", close_all)
        .help(
            "[--vhost <vhost> --limit <limit>] [-n <node> --global] <explanation>",
            "Closes the connections in a virtual host, or all with --global",
        )
        .takes(1, 1)
        .with(&[flag("global"), number("limit")])
        .banner(|target, options, args| match options.flag("global") {
            true => format!(
                "Closing all connections to node {} (across all vhosts), reason: {}...",
                target.name, args[0]
            ),
            false => format!(
                "Closing all connections in vhost {}, reason: {}...",
                options.vhost(),
                args[0]
            ),
        })
        .under(OPERATIONS),
    Command::new("close_all_user_connections", |session| {
        let (user, reason) = (session.argument(0), session.argument(1));
        let scope = Scope::User(user);
        let request = Request::CloseConnections {
            scope,
            limit: 0,
            reason,
        };
        session.ask(&request).map(|_| Output::Nothing)
    })
    .help("<username> <explanation>", "Closes the connections of a user")
    .takes(2, 2)
    .banner(|_, _, args| format!("Closing connections of user {}, reason: {}...", args[0], args[1]))
    .under(OPERATIONS),
    Command::new("close_connection", |session| {
        let (pid, reason) = (session.argument(0), session.argument(1));
        session
            .ask(&Request::CloseConnection { pid, reason })
            .map(|_| Output::Nothing)
    })
    .help(
        "<connection pid> <explanation>",
        "Closes the connection with this pid, as list_connections shows it",
    )
    .takes(2, 2)
    .banner(|_, _, args| format!("Closing connection {}, reason: {}...", args[0], args[1]))
    .under(OPERATIONS),
    Command::new("delete_queue", delete_queue)
        .help(
            "<queue_name> [--if-empty|-e] [--if-unused|-u] [--timeout <timeout>]",
            "Deletes a queue",
        )
        .takes(1, 1)
        .with(&[short("if-empty", 'e', Kind::Flag), short("if-unused", 'u', Kind::Flag)])
        .banner(|_, options, args| {
            let condition = match (options.flag("if-empty"), options.flag("if-unused")) {
                (true, true) => "if queue is empty and unused ",
                (true, false) => "if queue is empty ",
                (false, true) => "if queue is unused ",
                (false, false) => "",
            };
            format!(
                "Deleting queue '{}' on vhost '{}' {condition}...",
                args[0],
                options.vhost()
            )
        })
        .under("Queues"),
    Command::new("purge_queue", |session| {
        let (vhost, name) = (session.vhost(), session.argument(0));
        session
            .ask(&Request::PurgeQueue { vhost, name })
            .map(|_| Output::Nothing)
    })
    .help("<queue> [--timeout <timeout>]", "Removes the ready messages of a queue")
    .takes(1, 1)
    .banner(|_, options, args| format!("Purging queue '{}' in vhost '{}' ...", args[0], options.vhost()))
    .under("Queues"),
    Command::new("sync_queue", |session| synchronise(session, true))
        .help(
            "[--vhost <vhost>] <queue>",
            "Has the mirrors of a queue fetch the messages that they lack, while the queue serves on",
        )
        .takes(1, 1)
        .banner(|_, options, args| format!("Synchronising queue '{}' in vhost '{}' ...", args[0], options.vhost()))
        .under("Replication"),
    Command::new("cancel_sync_queue", |session| synchronise(session, false))
        .help(
            "[--vhost <vhost>] <queue>",
            "Has the mirrors of a queue stop fetching; what they have stays for the next time",
        )
        .takes(1, 1)
        .banner(|_, options, args| {
            let vhost = options.vhost();
            format!("Stopping synchronising queue '{}' in vhost '{vhost}' ...", args[0])
        })
        .under("Replication"),
];

/// What is not being synchronised is no failure: RabbitMQ says so and exits with 0.
fn synchronise(session: &mut Session<'_>, wanted: bool) -> Result<Output, Problem> {
    let request = Request::SyncQueue {
        vhost: session.vhost(),
        name: session.argument(0),
        wanted,
    };
    match session.ask(&request) {
        Ok(_) => Ok(Output::Nothing),
        Err(problem) if problem.text.ends_with("not_syncing") => Ok(Output::Text("not_syncing".to_owned())),
        Err(problem) => Err(problem),
    }
}

/// A number in an answer.
pub(super) fn count(term: &Term) -> i64 {
    match term {
        Term::Integer(number) => *number,
        _ => 0,
    }
}

fn close_all(session: &mut Session<'_>) -> Result<Output, Problem> {
    let scope = match session.options.flag("global") {
        true => Scope::All,
        false => Scope::Vhost(session.vhost()),
    };
    let limit = u64::try_from(session.options.number("limit").unwrap_or(0)).unwrap_or(0);
    let reason = session.argument(0);
    let closed = session.ask(&Request::CloseConnections { scope, limit, reason })?;
    Ok(Output::Text(format!("Closed {} connections", count(&closed))))
}

fn delete_queue(session: &mut Session<'_>) -> Result<Output, Problem> {
    let request = Request::DeleteQueue {
        vhost: session.vhost(),
        name: session.argument(0),
        if_empty: session.options.flag("if-empty"),
        if_unused: session.options.flag("if-unused"),
    };
    let words = |failure| match failure {
        Failure::NotFound => Problem::error(USAGE, "Queue not found"),
        other => other.into(),
    };
    let ready = count(&session.ask_or(&request, words)?);
    Ok(Output::Text(format!(
        "Queue was successfully deleted with {ready} ready messages"
    )))
}
