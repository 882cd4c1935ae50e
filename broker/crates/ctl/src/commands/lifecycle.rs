//! Starting, stopping and resetting the app, waiting for it, and ending the process.
//!
//! What is stopped is told first.

use super::operations::count;
use crate::client::Client;
use crate::command::{App, Command, Output, Session, flag};
use crate::node::Target;
use crate::options::{Kind, Options, short};
use crate::problem::{Problem, TIMEOUT, UNAVAILABLE, USAGE};
use link::{Cookie, Request, Term};
use std::time::{Duration, Instant};

const NODES: &str = "Nodes";
/// How long a stopped node's process may take to end.
const STOP_PATIENCE: Duration = Duration::from_secs(60);
/// How often a node is asked whether it is up.
const LOOK: Duration = Duration::from_millis(100);
/// How long `wait` waits for the parts of a node, in milliseconds, unless said otherwise.
const WAIT_MS: i64 = 10_000;

pub(super) const COMMANDS: &[Command] = &[
    Command::new("await_startup", await_startup)
        .help("[--timeout <timeout>]", "Waits until the node serves clients")
        .app(App::Either)
        .in_both()
        .under(NODES),
    Command::new("force_reset", |session| {
        session.ask(&Request::Reset { force: true }).map(|_| Output::Nothing)
    })
    .help("", "Makes a stopped node a blank one, without telling its cluster")
    .app(App::Stopped)
    .banner(|target, _, _| format!("Forcefully resetting node {} ...", target.name))
    .under(NODES),
    Command::new("reset", |session| {
        session.ask(&Request::Reset { force: false }).map(|_| Output::Nothing)
    })
    .help("", "Makes a stopped node a blank one, which has left its cluster")
    .app(App::Stopped)
    .banner(|target, _, _| format!("Resetting node {} ...", target.name))
    .under(NODES),
    Command::new("shutdown", shutdown)
        .help(
            "[--wait] [--timeout <timeout>]",
            "Stops the node and waits until its process has ended",
        )
        .with(&[flag("wait")])
        .app(App::Either)
        .under("Nodes"),
    Command::new("stop", stop)
        .help(
            "[--idempotent] [<pidfile>]",
            "Stops the node; with its pid file, waits until its process has ended",
        )
        .takes(0, 1)
        .with(&[flag("idempotent")])
        .app(App::Either)
        .banner(|target, _, _| format!("Stopping and halting node {} ...", target.name))
        .under("Nodes"),
    Command::new("start_app", |session| {
        session.ask(&Request::StartApp).map(|_| Output::Nothing)
    })
    .help("", "Starts what serves clients in a node whose process is there")
    .app(App::Either)
    .banner(|target, _, _| format!("Starting node {} ...", target.name))
    .under(NODES),
    Command::new("stop_app", |session| {
        session.ask(&Request::StopApp).map(|_| Output::Nothing)
    })
    .help("", "Stops what serves clients; the process stays, for tools and peers")
    .app(App::Either)
    .banner(|target, _, _| format!("Stopping rabbit application on node {} ...", target.name))
    .under(NODES),
    Command::new("wait", |_| Ok(Output::Nothing))
        .help(
            "[<pidfile>] [--pid|-P <pid>] [--timeout <timeout>]",
            "Waits until the node of a pid file, or of a process, serves clients",
        )
        .takes(0, 1)
        .with(&[short("pid", 'P', Kind::Number)])
        .checked(|options, arguments| match (options.number("pid"), arguments.len()) {
            (None, 0) => Err(Problem::arguments(USAGE, "\"No pid or pidfile specified\"")),
            (Some(_), 1) => Err(Problem::arguments(USAGE, "\"Cannot specify both pid and pidfile\"")),
            _ => Ok(()),
        })
        .app(App::Either)
        .alone(wait)
        .in_both()
        .under(NODES),
];

/// Asks again and again until the deadline; false when that has come.
fn looks_until(deadline: Option<Instant>, mut look: impl FnMut() -> Result<bool, Problem>) -> Result<bool, Problem> {
    while !look()? {
        if deadline.is_some_and(|deadline| Instant::now() + LOOK > deadline) {
            return Ok(false);
        }
        std::thread::sleep(LOOK);
    }
    Ok(true)
}

fn await_startup(session: &mut Session<'_>) -> Result<Output, Problem> {
    let seconds = session.options.number("timeout").unwrap_or(300);
    let seconds = u64::try_from(seconds).unwrap_or(u64::MAX / 2);
    let deadline = Instant::now().checked_add(Duration::from_secs(seconds));
    let runs = looks_until(deadline, || Ok(session.ask(&Request::IsRunning)? == Term::Bool(true)))?;
    match runs {
        true => Ok(Output::Nothing),
        false => Err(Problem::error(UNAVAILABLE, "rabbit_is_not_running")),
    }
}

fn stop(session: &mut Session<'_>) -> Result<Output, Problem> {
    session.ask(&Request::Stop)?;
    if let Some(file) = session.arguments.first() {
        let pid = std::fs::read_to_string(file)
            .ok()
            .and_then(|text| text.trim().parse().ok());
        let pid = pid.ok_or_else(|| Problem::error(UNAVAILABLE, format!("no pid in {file}")))?;
        wait_for_process(pid)?;
    }
    Ok(Output::Nothing)
}

fn shutdown(session: &mut Session<'_>) -> Result<Output, Problem> {
    let pid = count(&session.ask(&Request::Stop)?);
    let name = session.target.name.clone();
    if session.options.is_off("wait") {
        return Ok(Output::Text(format!(
            "Shutting down RabbitMQ node {name} running at PID {pid}"
        )));
    }
    tell!("Shutting down RabbitMQ node {name} running at PID {pid}");
    tell!("Waiting for PID {pid} to terminate");
    session.client.wait_for_end();
    wait_for_process(pid)?;
    Ok(Output::Text(format!(
        "RabbitMQ node {name} running at PID {pid} successfully shut down"
    )))
}

/// A process of this machine; one of another is gone from here at once.
fn wait_for_process(pid: i64) -> Result<(), Problem> {
    let deadline = Instant::now() + STOP_PATIENCE;
    while lives(pid) {
        if Instant::now() > deadline {
            return Err(Problem::error(TIMEOUT, format!("PID {pid} does not terminate")));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

/// True while the process does something; one that has ended and was not looked after has ended.
fn lives(pid: i64) -> bool {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = text.rsplit(") ").next();
    state.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('Z'))
}

/// `wait`: first for the file, then for the process to be reached, then for its app.
fn wait(target: &Target, cookie: &Cookie, options: &Options, arguments: &[String]) -> Result<Option<Output>, Problem> {
    let ms = options
        .number("timeout")
        .map_or(WAIT_MS, |seconds| seconds.saturating_mul(1000));
    let deadline = u64::try_from(ms)
        .ok()
        .and_then(|ms| Instant::now().checked_add(Duration::from_millis(ms)));
    let say = |line: String| {
        if !options.quiet() {
            tell!("{line}");
        }
    };
    let in_time = |done: bool| match done {
        true => Ok(()),
        false => {
            let text = format!(
                "Error: operation wait on node {} timed out. Timeout value used: {ms}",
                target.name
            );
            Err(Problem::plain(TIMEOUT, text))
        }
    };
    let pid = match (options.number("pid"), arguments.first()) {
        (None, Some(file)) => {
            say(format!("Waiting for pid file '{file}' to appear"));
            in_time(looks_until(deadline, || Ok(pid_in(file).is_some()))?)?;
            let pid = pid_in(file).unwrap_or_default();
            say(format!("pid is {pid}"));
            pid
        }
        (given, _) => given.unwrap_or_default(),
    };
    let name = &target.name;
    say(format!(
        "Waiting for erlang distribution on node '{name}' while OS process '{pid}' is running"
    ));
    let mut client = None;
    in_time(looks_until(deadline, || {
        client = Client::connect(target, cookie).ok();
        match lives(pid) || client.is_some() {
            true => Ok(client.is_some()),
            false => Err(Problem::error(UNAVAILABLE, "process_not_running")),
        }
    })?)?;
    say(format!(
        "Waiting for applications 'rabbit_and_plugins' to start on node '{name}'"
    ));
    let mut asks = || match &mut client {
        Some(client) => Ok(client.ask(&Request::IsRunning, |_| Ok(()))?? == Term::Bool(true)),
        None => Ok(false),
    };
    in_time(looks_until(deadline, &mut asks)?)?;
    let text = format!("Applications 'rabbit_and_plugins' are running on node '{name}'");
    Ok(Some(if options.quiet() {
        Output::Nothing
    } else {
        Output::Text(text)
    }))
}

/// The process id that a file holds.
fn pid_in(file: &str) -> Option<i64> {
    std::fs::read_to_string(file).ok()?.trim().parse().ok()
}
