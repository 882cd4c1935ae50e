//! `rabbitmq-queues`: members of quorum queues, who they are, who comes and who goes.

use crate::command::{Command, Output, Session, flag, text};
use crate::format::{Format, Printer};
use crate::problem::{Problem, UNAVAILABLE, USAGE};
use crate::run::Tool;
use link::{Failure, Request, Term};

const REPLICATION: &str = "Replication";
const QUEUES: &[Tool] = &[Tool::Queues];
const MEMBER: &str = "[--vhost <vhost>] <queue> <node>";

pub(super) const COMMANDS: &[Command] = &[
    Command::new("add_member", |session| {
        let (vhost, name, node) = (session.vhost(), session.argument(0), session.argument(1));
        changed(session, &Request::AddMember { vhost, name, node })
    })
    .help(MEMBER, "Adds a quorum queue member (replica) on the given node.")
    .takes(2, 2)
    .banner(|_, _, args| format!("Adding a replica for queue {} on node {}...", args[0], args[1]))
    .of(QUEUES)
    .under(REPLICATION),
    Command::new("delete_member", |session| {
        let (vhost, name, node) = (session.vhost(), session.argument(0), session.argument(1));
        changed(session, &Request::DeleteMember { vhost, name, node })
    })
    .help(MEMBER, "Removes a quorum queue member (replica) on the given node.")
    .takes(2, 2)
    .banner(|_, _, args| format!("Removing a replica of queue {} on node {}...", args[0], args[1]))
    .of(QUEUES)
    .under(REPLICATION),
    Command::new("grow", grow)
        .help(
            "<node> <all | even> [--vhost-pattern <pattern>] [--queue-pattern <pattern>]",
            "Grows quorum queue clusters by adding a member (replica) on the specified node for all matching queues",
        )
        .takes(2, 2)
        .with(&[text("vhost-pattern"), text("queue-pattern"), flag("errors-only")])
        .checked(|_, args| match args[1].as_str() {
            "all" | "even" => Ok(()),
            other => Err(Problem::arguments(
                USAGE,
                format!("\"strategy '{other}' is not recognised.\""),
            )),
        })
        .banner(|_, _, args| format!("Growing {} quorum queues on {}...", args[1], args[0]))
        .of(QUEUES)
        .under("Cluster"),
    Command::new("shrink", |session| {
        let node = session.argument(0);
        resized(session, &Request::ShrinkMembers { node })
    })
    .help(
        "<node> [--errors-only]",
        "Shrinks quorum queue clusters by removing any members (replicas) on the given node.",
    )
    .takes(1, 1)
    .with(&[flag("errors-only")])
    .banner(|_, _, args| format!("Shrinking quorum queues on {}...", args[0]))
    .of(QUEUES)
    .under("Cluster"),
    Command::new("quorum_status", status)
        .help("[--vhost <vhost>] <queue>", "Displays quorum status of a quorum queue")
        .takes(1, 1)
        .banner(|target, _, args| format!("Status of quorum queue {} on node {} ...", args[0], target.name))
        .of(&[Tool::Queues, Tool::Diagnostics])
        .under("Monitoring, observability and health checks"),
    Command::new("peek", peek)
        .help(
            "[--vhost <vhost>] <queue> <position> [--timeout <timeout>]",
            "Peeks at the given position of a quorum queue",
        )
        .takes(2, 2)
        .within(60)
        .checked(|_, args| match args[1].parse::<u64>() {
            Ok(1..) => Ok(()),
            _ => {
                let text = "\"position value must be a positive integer\"";
                Err(Problem::arguments(USAGE, text))
            }
        })
        .banner(|target, _, args| {
            let (queue, place, node) = (&args[0], &args[1], &target.name);
            format!("Peeking at quorum queue {queue} at position {place} on node {node} ...")
        })
        .of(QUEUES)
        .under("Monitoring, observability and health checks"),
];

/// One message, by names and values.
fn peek(session: &mut Session<'_>) -> Result<Output, Problem> {
    let (vhost, name) = (session.vhost(), session.argument(0));
    let place = session.argument(1).parse::<u64>().unwrap_or(1) - 1;
    let missing = format!("Target queue was not found in virtual host '{vhost}'");
    let words = |failure| match failure {
        Failure::NotFound => Problem::error(UNAVAILABLE, missing),
        other => other.into(),
    };
    let answer = session.ask_or(&Request::PeekQueue { vhost, name, place }, words)?;
    let Term::Map(mut pairs) = answer else {
        return Ok(Output::Nothing);
    };
    let format = match session.options.text("formatter") {
        None => Format::PrettyTable,
        Some(_) => Format::of(session.options)?,
    };
    if format == Format::Json {
        pairs.sort_by(|one, other| one.0.cmp(&other.0));
        let result = ("result".to_owned(), Term::text("ok"));
        let whole = Term::Map(vec![("message".to_owned(), Term::Map(pairs)), result]);
        return Ok(Output::Both(String::new(), whole));
    }
    let mut printer = Printer::new(format, &["keys", "values"].map(str::to_owned), true);
    for (key, value) in pairs {
        printer.row(vec![Term::text(key), flat(value)])?;
    }
    printer.end(false)?;
    Ok(Output::Printed)
}

/// A list of one is that one.
fn flat(value: Term) -> Term {
    match value {
        Term::List(items) => match <[Term; 1]>::try_from(items) {
            Ok([one]) => one,
            Err(items) => Term::List(items),
        },
        other => other,
    }
}

/// A queue that is not there is that word alone.
fn words(failure: Failure) -> Problem {
    match failure {
        Failure::NotFound | Failure::NoSuchVhost(_) => Problem::error(UNAVAILABLE, "not_found"),
        other => other.into(),
    }
}

fn changed(session: &mut Session<'_>, request: &Request) -> Result<Output, Problem> {
    session.ask_or(request, words).map(|_| Output::Nothing)
}

fn grow(session: &mut Session<'_>) -> Result<Output, Problem> {
    let pattern = |name: &str| session.options.text(name).unwrap_or(".*").to_owned();
    let request = Request::GrowMembers {
        node: session.argument(0),
        even: session.argument(1) == "even",
        vhost_pattern: pattern("vhost-pattern"),
        queue_pattern: pattern("queue-pattern"),
    };
    resized(session, &request)
}

/// The rows of a list that is an answer.
fn rows(answer: Term) -> impl Iterator<Item = Vec<Term>> {
    let Term::List(rows) = answer else {
        return Vec::new().into_iter();
    };
    let cells = rows.into_iter().filter_map(|row| match row {
        Term::List(cells) => Some(cells),
        _ => None,
    });
    cells.collect::<Vec<_>>().into_iter()
}

/// A table of queues, whose size has changed or should have.
fn resized(session: &mut Session<'_>, request: &Request) -> Result<Output, Problem> {
    let answer = session.ask(request)?;
    let columns = ["vhost", "name", "size", "result"].map(str::to_owned);
    let silent = session.options.flag("silent") || session.options.is_off("table-headers");
    let mut printer = Printer::new(Format::of(session.options)?, &columns, !silent);
    let wanted = |row: &Vec<Term>| {
        let failed = matches!(row.last(), Some(Term::Binary(result)) if result != "ok");
        failed || !session.options.flag("errors-only")
    };
    for row in rows(answer).filter(wanted) {
        printer.row(row)?;
    }
    printer.end(true)?;
    Ok(Output::Printed)
}

const STATUS: [&str; 7] = [
    "Node Name",
    "Raft State",
    "Log Index",
    "Commit Index",
    "Snapshot Index",
    "Term",
    "Machine Version",
];

fn status(session: &mut Session<'_>) -> Result<Output, Problem> {
    let (vhost, name) = (session.vhost(), session.argument(0));
    let answer = session.ask_or(&Request::QuorumStatus { vhost, name }, words)?;
    let format = match session.options.text("formatter") {
        None => Format::PrettyTable,
        Some(_) => Format::of(session.options)?,
    };
    let mut printer = Printer::new(format, &STATUS.map(str::to_owned), true);
    for row in rows(answer) {
        printer.row(as_shown(row))?;
    }
    printer.end(false)?;
    Ok(Output::Printed)
}

/// There are no snapshots apart from the log, and one version of the machine.
fn as_shown(row: Vec<Term>) -> Vec<Term> {
    let mut row = row.into_iter();
    let mut next = || row.next().unwrap_or_else(Term::none);
    let (name, state, held, durable, term) = (next(), next(), next(), next(), next());
    let snapshot = Term::atom("undefined");
    vec![name, state, held, durable, snapshot, term, Term::count(1)]
}
