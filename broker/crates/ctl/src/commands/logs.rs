//! The node's log: where it is, its last lines, which lines are written.

use crate::command::{Command, Output, Session, flag};
use crate::commands::status::{at, items};
use crate::format;
use crate::options::{Kind, short};
use crate::problem::{Problem, UNAVAILABLE};
use link::{LogPlace, Request, Term};
use std::time::{Duration, Instant};

const CONFIGURATION: &str = "Configuration and Environment";
const MONITORING: &str = "Monitoring, observability and health checks";
/// The levels that can be set while a node runs.
const LEVELS: [&str; 6] = ["debug", "info", "warning", "error", "critical", "none"];
/// Lines that are shown unless said.
const LINES: i64 = 50;
/// Between two looks at a log that is followed.
const LOOKS_APART: Duration = Duration::from_millis(200);

pub(super) const COMMANDS: &[Command] = &[
    Command::new("set_log_level", |session| {
        let level = session.argument(0);
        session.ask(&Request::SetLogLevel { level }).map(|_| Output::Nothing)
    })
    .help("<log_level>", "Sets log level in the running node")
    .takes(1, 1)
    .checked(|_, args| match LEVELS.contains(&args[0].as_str()) {
        true => Ok(()),
        false => {
            let (level, known) = (&args[0], LEVELS.join(", "));
            let text = format!("level {level} is not supported. Try one of {known}");
            Err(Problem::error(UNAVAILABLE, text))
        }
    })
    .banner(|_, _, args| format!("Setting log level to \"{}\" ...", args[0]))
    .under(CONFIGURATION),
    Command::new("rotate_logs", |_| {
        let text = "This command does not rotate logs anymore [deprecated]";
        Err(Problem::error(UNAVAILABLE, text))
    })
    .help(
        "",
        "DEPRECATED. Logs are rotated by the node, or by whoever moves them away and sends SIGHUP",
    )
    .under("Deprecated"),
    Command::new("log_location", |session| {
        let status = session.ask(&Request::Status)?;
        let files = items(&status, "log_files").iter().map(format::text);
        let shown = if session.options.flag("all") { usize::MAX } else { 1 };
        let files: Vec<String> = files.take(shown).collect();
        let text = files.join("\n");
        let pairs = [
            ("node_name", Term::atom(&session.target.name)),
            ("paths", Term::List(files.into_iter().map(Term::text).collect())),
            ("result", Term::text("ok")),
        ];
        let pairs = pairs.map(|(key, value)| (key.to_owned(), value));
        Ok(Output::Both(text, Term::Map(pairs.to_vec())))
    })
    .help("[--all|-a]", "Shows log file location(s) on target node")
    .with(&[short("all", 'a', Kind::Flag)])
    .in_diagnostics()
    .banner(|target, _, _| format!("Log file location(s) on node {} ...", target.name))
    .under(CONFIGURATION),
    Command::new("log_tail", tail)
        .help(
            "[--number|-N <number>]",
            "Prints the last N lines of the log on the node",
        )
        .with(&[short("number", 'N', Kind::Number), flag("all")])
        .in_diagnostics()
        .banner(|target, options, _| {
            let number = options.number("number").unwrap_or(LINES);
            format!("Last {number} log lines on node {} ...", target.name)
        })
        .under(MONITORING),
    Command::new("log_tail_stream", stream)
        .help(
            "[--duration|-d <seconds>] [--timeout <timeout>]",
            "Streams logs from a running node for a period of time",
        )
        .with(&[short("duration", 'd', Kind::Number)])
        .in_diagnostics()
        .banner(|target, options, _| {
            let name = &target.name;
            match options.number("duration") {
                Some(seconds) => format!("Streaming logs from node {name} for {seconds} seconds ..."),
                None => format!("Streaming logs from node {name} ..."),
            }
        })
        .under(MONITORING),
];

/// Prints what is logged, as it comes, until the time is over.
fn stream(session: &mut Session<'_>) -> Result<Output, Problem> {
    let seconds = session.options.number("duration");
    let seconds = seconds.map(|seconds| Duration::from_secs(u64::try_from(seconds).unwrap_or(0)));
    let (begun, mut place) = (Instant::now(), None);
    loop {
        let answer = session.ask(&Request::LogSince { place })?;
        place = place_in(&answer);
        let lines = items(&answer, "lines");
        lines.iter().for_each(|line| tell!("{}", format::text(line)));
        if seconds.is_some_and(|seconds| begun.elapsed() >= seconds) {
            return Ok(Output::Printed);
        }
        std::thread::sleep(LOOKS_APART);
    }
}

fn place_in(answer: &Term) -> Option<LogPlace> {
    let number = |key: &str| match at(answer, &[key]) {
        Some(Term::Integer(number)) => u64::try_from(*number).ok(),
        _ => None,
    };
    Some(LogPlace {
        file: number("file")?,
        at: number("at")?,
    })
}

fn tail(session: &mut Session<'_>) -> Result<Output, Problem> {
    let number = session.options.number("number").unwrap_or(LINES);
    let lines = u64::try_from(number).unwrap_or(0);
    let lines = match session.ask(&Request::LogTail { lines })? {
        Term::List(lines) => lines,
        other => vec![other],
    };
    let text: Vec<String> = lines.iter().map(format::text).collect();
    Ok(Output::Values(text.join("\n"), Term::List(lines)))
}
