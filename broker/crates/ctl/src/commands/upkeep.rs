//! Closing a node's ports for a while, giving memory back, and where a node and its tools are told things.
//!
//! No value of a secret is shown, only whether there is one.

use crate::command::{Command, Output, Scene, Session};
use crate::commands::plugins::never;
use crate::problem::{Problem, UNAVAILABLE};
use crate::run::Tool;
use link::{Failure, Request, Term};
use std::path::{Path, PathBuf};

const OPERATIONS: &str = "Operations";
const CONFIGURATION: &str = "Configuration and Environment";

pub(super) const COMMANDS: &[Command] = &[
    Command::new("suspend_listeners", |session| suspend(session, true))
        .help(
            "",
            "Suspends client connection listeners so that no new client connections are accepted",
        )
        .banner(|target, _, _| {
            format!(
                "Will suspend client connection listeners on node {}. The node will no longer accept client connections!",
                target.name
            )
        })
        .under(OPERATIONS),
    Command::new("resume_listeners", |session| suspend(session, false))
        .help("", "Resumes client connection listeners making them accept connections again")
        .banner(|target, _, _| {
            format!(
                "Will resume client connection listeners on node {}. The node will now accept client connections",
                target.name
            )
        })
        .under(OPERATIONS),
    Command::new("force_gc", |session| {
        session.ask(&Request::ReclaimMemory).map(|_| Output::Nothing)
    })
    .help("", "Has the node give freed memory back to the system")
    .banner(|target, _, _| {
        format!(
            "Will ask all processes on node {} to schedule a full sweep GC",
            target.name
        )
    })
    .under(OPERATIONS),
    Command::new("hipe_compile", never)
        .help("<directory>", "Does nothing: nothing is compiled here")
        .takes(0, 1)
        .by_itself(|_| {
            let text = "This command is a no-op. HiPE is no longer supported by modern Erlang versions";
            Ok(Output::Text(text.to_owned()))
        })
        .under("Deprecated"),
    Command::new("reclaim_quorum_memory", |session| {
        let (vhost, name) = (session.vhost(), session.argument(0));
        let place = format!("Target queue was not found in virtual host '{vhost}'");
        let words = |failure| match failure {
            Failure::NotFound => Problem::error(UNAVAILABLE, place),
            other => other.into(),
        };
        let request = Request::ReclaimQueueMemory { vhost, name };
        session.ask_or(&request, words).map(|_| Output::Nothing)
    })
    .help(
        "[--vhost <vhost>] <quorum queue>",
        "Has a quorum queue put the messages that it has in memory into the store",
    )
    .takes(1, 1)
    .banner(|_, _, args| format!("Will flush Raft WAL of quorum queue {} ...", args[0]))
    .of(&[Tool::Queues, Tool::Diagnostics])
    .under(OPERATIONS),
    Command::new("os_env", variables)
        .help(
            "",
            "Lists RabbitMQ-specific environment variables set on target node",
        )
        .banner(|target, _, _| {
            format!(
                "Listing RabbitMQ-specific environment variables defined on node {}...",
                target.name
            )
        })
        .in_diagnostics()
        .under(CONFIGURATION),
    Command::new("erlang_cookie_sources", never)
        .help(
            "",
            "Displays where tools look for the cluster's secret, and what is there",
        )
        .banner(|_, _, _| "Listing Erlang cookie sources used by CLI tools...".to_owned())
        .by_itself(cookie_sources)
        .in_diagnostics()
        .under(CONFIGURATION),
];

fn suspend(session: &mut Session<'_>, suspended: bool) -> Result<Output, Problem> {
    let request = Request::SuspendListeners { suspended };
    session.ask(&request).map(|_| Output::Nothing)
}

fn variables(session: &mut Session<'_>) -> Result<Output, Problem> {
    let Term::Map(variables) = session.ask(&Request::Variables)? else {
        return Ok(Output::Nothing);
    };
    let lines = variables.iter().map(|(name, value)| match value {
        Term::Binary(value) => format!("{name}={value}"),
        other => format!("{name}={other:?}"),
    });
    let text = lines.collect::<Vec<_>>().join("\n");
    let pair = |key: &str, value| (key.to_owned(), value);
    let json = vec![
        pair("node", Term::atom(&session.target.name)),
        pair("result", Term::text("ok")),
        pair("variables", Term::Map(variables)),
    ];
    Ok(Output::Both(text, Term::Map(json)))
}

/// What there is of the cookie's file.
struct Cookie {
    path: PathBuf,
    kind: &'static str,
    access: &'static str,
    size: Option<u64>,
}

impl Cookie {
    fn at(path: PathBuf) -> Self {
        let facts = std::fs::metadata(&path).ok();
        let kind = match &facts {
            Some(facts) if facts.is_file() => "regular",
            Some(facts) if facts.is_dir() => "directory",
            Some(_) => "other",
            None => "undefined",
        };
        Cookie {
            kind,
            access: access(&path),
            size: facts.map(|facts| facts.len()),
            path,
        }
    }
}

/// What this user may do with a file.
fn access(path: &Path) -> &'static str {
    let may = |access| rustix::fs::access(path, access).is_ok();
    match (may(rustix::fs::Access::READ_OK), may(rustix::fs::Access::WRITE_OK)) {
        (true, true) => "read_write",
        (true, false) => "read",
        (false, true) => "write",
        (false, false) => "none",
    }
}

fn cookie_sources(scene: &Scene<'_>) -> Result<Output, Problem> {
    scene.begin();
    let home = std::env::var("HOME").unwrap_or_default();
    let cookie = Cookie::at(Path::new(&home).join(".erlang.cookie"));
    let switch = scene.options.text("erlang-cookie").map(str::len);
    let variable = std::env::var("RABBITMQ_ERLANG_COOKIE").ok().map(|value| value.len());
    let user = std::env::var("USER").ok();
    let size = cookie.size.map_or_else(|| "(none)".to_owned(), |size| size.to_string());
    let section = |title: &str| format!("\u{1b}[1m{title}\u{1b}[0m");
    let lines = [
        section("Cookie File"),
        String::new(),
        format!("Effective user: {}", user.as_deref().unwrap_or("(none)")),
        format!("Effective home directory: {home}"),
        format!("Cookie file path: {}", cookie.path.display()),
        format!("Cookie file exists? {}", cookie.size.is_some()),
        format!("Cookie file type: {}", cookie.kind),
        format!("Cookie file access: {}", cookie.access),
        format!("Cookie file size: {size}"),
        String::new(),
        section("Cookie CLI Switch"),
        String::new(),
        format!("--erlang-cookie value set? {}", switch.is_some()),
        format!("--erlang-cookie value length: {}", switch.unwrap_or(0)),
        String::new(),
        format!("{} {}", section("Env variable "), section("\u{1b}[31m(Deprecated)")),
        String::new(),
        format!("RABBITMQ_ERLANG_COOKIE value set? {}", variable.is_some()),
        format!("RABBITMQ_ERLANG_COOKIE value length: {}", variable.unwrap_or(0)),
    ];
    let json = [
        ("cookie_file_access", Term::text(cookie.access)),
        ("cookie_file_exists", Term::Bool(cookie.size.is_some())),
        ("cookie_file_path", Term::text(cookie.path.display().to_string())),
        ("cookie_file_size", cookie.size.map_or_else(Term::none, Term::count)),
        ("cookie_file_type", Term::text(cookie.kind)),
        ("effective_user", user.map_or_else(Term::none, Term::text)),
        ("home_dir", Term::text(home.clone())),
        ("os_env_cookie_set", Term::Bool(variable.is_some())),
        ("os_env_cookie_value_length", Term::count(variable.unwrap_or(0) as u64)),
        ("switch_cookie_set", Term::Bool(switch.is_some())),
        ("switch_cookie_value_length", Term::count(switch.unwrap_or(0) as u64)),
    ];
    let json = json.map(|(key, value)| (key.to_owned(), value)).to_vec();
    Ok(Output::Both(lines.join("\n"), Term::Map(json)))
}
