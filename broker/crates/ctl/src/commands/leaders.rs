//! `rabbitmq-queues` and `rabbitmq-upgrade`: moving the leaders of mirrored queues, and taking a node out of service.

use crate::command::{Command, Output, Session, text};
use crate::format::{Format, Printer, pretty};
use crate::problem::{Problem, USAGE};
use crate::run::Tool;
use link::{QueueKind, Request, Term};
use std::time::Duration;

const COLUMNS: [&str; 3] = [
    "Node name",
    "Number of quorum queues",
    "Number of replicated classic queues",
];

const MAINTENANCE: &str = "Maintenance";

pub(super) const COMMANDS: &[Command] = &[
    Command::new("drain", |session| maintain(session, true))
        .help(
            "",
            "Takes a node out of service: its clients are closed, and others lead what they can",
        )
        .banner(|target, _, _| {
            format!(
                "Will put node {} into maintenance mode. The node will no longer serve any client traffic!",
                target.name
            )
        })
        .of(&[Tool::Upgrade])
        .under(MAINTENANCE),
    Command::new("revive", |session| maintain(session, false))
        .help(
            "",
            "Puts a node back into service; leaders do not come back by themselves",
        )
        .banner(|target, _, _| {
            format!(
                "Will put node {} back into regular operating mode. The node will again serve client traffic and host \
                 primary queue replicas.",
                target.name
            )
        })
        .of(&[Tool::Upgrade])
        .under(MAINTENANCE),
    Command::new("await_online_synchronized_mirror", |session| {
        await_none(session, &Request::MirrorSyncCritical, &Request::CountUnmirrored)
    })
    .help(
        "",
        "Waits until every mirrored queue that the node leads has a mirror in sync",
    )
    .within(120)
    .banner(|_, options, _| {
        let seconds = options.number("timeout").unwrap_or(120);
        format!(
            "Will wait for a synchronised mirror be online for all classic mirrored queues for {seconds} seconds..."
        )
    })
    .of(&[Tool::Upgrade])
    .under(MAINTENANCE),
    Command::new("await_online_quorum_plus_one", |session| {
        await_none(session, &Request::QuorumCritical, &Request::CountCritical)
    })
    .help(
        "",
        "Waits until every quorum queue with a member on the node could do without it",
    )
    .within(120)
    .banner(|_, options, _| {
        let seconds = options.number("timeout").unwrap_or(120);
        format!("Will wait for a quorum + 1 of nodes to be online for all quorum queues for {seconds} seconds...")
    })
    .of(&[Tool::Upgrade])
    .under(MAINTENANCE),
    Command::new("post_upgrade", |session| {
        rebalance_of(session, QueueKind::All, Output::Text(String::new()))
    })
    .help(
        "",
        "Done after an upgrade: spreads the leaders of replicated queues over the nodes",
    )
    .banner(|_, _, _| "Executing post upgrade tasks...\nRebalancing queue masters...".to_owned())
    .of(&[Tool::Upgrade])
    .under(MAINTENANCE),
    Command::new("rebalance", rebalance)
        .help(
            "all|classic|quorum|stream [--vhost-pattern <pattern>] [--queue-pattern <pattern>]",
            "Moves leaders of replicated queues so that every node leads about as many",
        )
        .takes(1, 1)
        .with(&[text("vhost-pattern"), text("queue-pattern")])
        .checked(|_, args| kind(&args[0]).map(|_| ()))
        .banner(|_, _, args| format!("Re-balancing leaders of {} queues...", args[0]))
        .of(&[Tool::Queues])
        .under("Replication"),
];

/// How often a node is asked again.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(500);

fn maintain(session: &mut Session<'_>, on: bool) -> Result<Output, Problem> {
    session.ask(&Request::Maintenance { on }).map(|_| Output::Nothing)
}

/// Until the command's time is over; a node that no other could miss is not waited for, which is told by what answers no list then.
fn await_none(session: &mut Session<'_>, critical: &Request, count: &Request) -> Result<Output, Problem> {
    if !matches!(session.ask(critical)?, Term::List(_)) {
        return Ok(alone(session));
    }
    while session.ask(count)? != Term::Integer(0) {
        std::thread::sleep(LOOK_AGAIN_AFTER);
    }
    Ok(Output::Nothing)
}

fn alone(session: &Session<'_>) -> Output {
    if session.options.quiet() {
        return Output::Nothing;
    }
    let said = |check: &str| {
        format!("Target node seems to be the only one in a single node cluster, the {check} does not apply")
    };
    let json = [("message", said("check")), ("result", "ok".to_owned())];
    let json = json.map(|(key, value)| (key.to_owned(), Term::text(value)));
    Output::Both(said("command"), Term::Map(json.into()))
}

fn kind(word: &str) -> Result<QueueKind, Problem> {
    match word {
        "all" => Ok(QueueKind::All),
        "classic" => Ok(QueueKind::Classic),
        "quorum" => Ok(QueueKind::Quorum),
        "stream" => Ok(QueueKind::Stream),
        other => Err(Problem::arguments(
            USAGE,
            format!("type {other} is not supported. Try all, classic, quorum or stream."),
        )),
    }
}

fn rebalance(session: &mut Session<'_>) -> Result<Output, Problem> {
    let kind = kind(&session.argument(0))?;
    let nothing = pretty(&["Output".to_owned()], &[vec![Term::text("[]")]]);
    rebalance_of(session, kind, Output::Text(nothing))
}

/// `nothing` is what a table without rows is shown as.
fn rebalance_of(session: &mut Session<'_>, kind: QueueKind, nothing: Output) -> Result<Output, Problem> {
    let pattern = |name: &str| session.options.text(name).unwrap_or(".*").to_owned();
    let request = Request::Rebalance {
        kind,
        vhost_pattern: pattern("vhost-pattern"),
        queue_pattern: pattern("queue-pattern"),
        here: false,
    };
    let format = match session.options.text("formatter") {
        None => Format::PrettyTable,
        Some(_) => Format::of(session.options)?,
    };
    let rows = match session.ask(&request)? {
        Term::List(rows) => rows,
        _ => Vec::new(),
    };
    if rows.is_empty() && format == Format::PrettyTable {
        return Ok(nothing);
    }
    let mut printer = Printer::new(format, &COLUMNS.map(str::to_owned), true);
    for row in rows {
        if let Term::List(cells) = row {
            printer.row(cells)?;
        }
    }
    printer.end(false)?;
    Ok(Output::Printed)
}
