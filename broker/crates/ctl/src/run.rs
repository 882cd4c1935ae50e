//! One call of a tool: find the command, check it, connect, say what is going to happen, do it, say what came of it.
//!
//! Nothing is printed on standard output before the node has been reached.

use crate::client::{self, Client};
use crate::command::{App, ByItself, Command, Offline, OfflineRun, Output, Scene, Session, asked_columns, timeout};
use crate::commands;
use crate::elixir;
use crate::format::{self, Format};
use crate::help;
use crate::node::Target;
use crate::options::Options;
use crate::problem::{CONFIG, Problem, SOFTWARE, USAGE};
use crate::reference;
use link::{Request, Term};
use std::io::Write as _;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// The tools that this crate is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    /// `rabbitmqctl`
    Ctl,
    /// `rabbitmq-diagnostics`
    Diagnostics,
    /// `rabbitmq-plugins`
    Plugins,
    /// `rabbitmq-queues`
    Queues,
    /// `rabbitmq-streams`, all commands of which are refused by name.
    Streams,
    /// `rabbitmq-upgrade`
    Upgrade,
}

impl Tool {
    /// The name that it is called by.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Tool::Ctl => "rabbitmqctl",
            Tool::Diagnostics => "rabbitmq-diagnostics",
            Tool::Plugins => "rabbitmq-plugins",
            Tool::Queues => "rabbitmq-queues",
            Tool::Streams => "rabbitmq-streams",
            Tool::Upgrade => "rabbitmq-upgrade",
        }
    }

    /// All of them.
    pub(crate) const ALL: [Tool; 6] = [
        Tool::Ctl,
        Tool::Diagnostics,
        Tool::Plugins,
        Tool::Queues,
        Tool::Streams,
        Tool::Upgrade,
    ];

    /// The tool that is called by this name.
    pub fn called(name: &str) -> Option<Self> {
        Tool::ALL.into_iter().find(|tool| tool.name() == name)
    }

    /// Its commands.
    pub(crate) fn commands(self) -> impl Iterator<Item = &'static Command> {
        commands::all().filter(move |command| command.tools.contains(&self))
    }
}

/// Runs a tool with its arguments, the tool's own name left out.
pub fn main(tool: Tool, arguments: &[String], offline: &Offline) -> ExitCode {
    match run(tool, &named(arguments), offline) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            // Where nobody reads the text, the exit code tells as much.
            let _ = writeln!(std::io::stderr(), "{}", problem.text);
            ExitCode::from(problem.exit)
        }
    }
}

/// The line with its command by name: shells' completions call `autocomplete` as if it were an option.
fn named(line: &[String]) -> Vec<String> {
    let mut line = line.to_vec();
    if let Some(first) = line.first_mut().filter(|first| *first == "--auto-complete") {
        *first = "autocomplete".to_owned();
    }
    line
}

fn run(tool: Tool, line: &[String], offline: &Offline) -> Result<(), Problem> {
    let first = Options::read(line, &[]);
    if first.flag("version") {
        tell!("{}", commands::VERSION);
        return Ok(());
    }
    if first.flag("print-reference") {
        return say(reference::page().trim_end());
    }
    let Some(name) = first_argument(line) else {
        let page = help::overview(tool);
        return match first.flag("help") {
            true => say(&page),
            false => Err(Problem::plain(USAGE, page)),
        };
    };
    if let Some(done) = local(tool, &name, &first) {
        return done;
    }
    let command = find(tool, &name)?;
    let options = Options::read(line, command.switches);
    if options.flag("help") {
        return say(help::of(tool, command));
    }
    let arguments: Vec<String> = options.arguments.iter().skip(1).cloned().collect();
    let by_itself = command
        .by_itself
        .filter(|_| command.by_itself_with.is_none_or(|option| options.flag(option)));
    let done = check(command, &options, &arguments).and_then(|()| match (command.offline, by_itself) {
        (Some(run), _) => execute_offline(command, run, (&options, &arguments), offline),
        (None, Some(run)) => execute_by_itself(command, run, (&options, &arguments), offline),
        (None, None) => execute(command, &options, &arguments),
    });
    done.map_err(|problem| with_usage(problem, tool, command, line))
}

fn execute_offline(
    command: &'static Command,
    run: OfflineRun,
    (options, arguments): (&Options, &[String]),
    offline: &Offline,
) -> Result<(), Problem> {
    let format = Format::of(options)?;
    let target = Target::of(options).map_err(|why| Problem::plain(CONFIG, why))?;
    let banner = (command.banner)(&target, options, arguments);
    if !banner.is_empty() && !options.quiet() && !format.is_for_machines() {
        tell!("{banner}");
    }
    if options.is_dry_run() {
        return Ok(());
    }
    show(run(offline, arguments)?, format, command, &target)
}

/// A command that finds out for itself whether there is a node to ask.
fn execute_by_itself(
    command: &'static Command,
    run: ByItself,
    (options, arguments): (&Options, &[String]),
    offline: &Offline,
) -> Result<(), Problem> {
    let target = Target::of(options).map_err(|why| Problem::plain(CONFIG, why))?;
    let scene = Scene {
        offline,
        target: &target,
        options,
        arguments,
        format: Format::of(options)?,
        banner: (command.banner)(&target, options, arguments),
    };
    if options.is_dry_run() {
        scene.begin();
        return Ok(());
    }
    show(run(&scene)?, scene.format, command, scene.target)
}

fn say(text: impl std::fmt::Display) -> Result<(), Problem> {
    tell!("{text}");
    Ok(())
}

/// The command's name, which options of any command may precede.
fn first_argument(line: &[String]) -> Option<String> {
    let every: Vec<_> = commands::all().flat_map(|command| command.switches).copied().collect();
    Options::read(line, &every).arguments.into_iter().next()
}

/// What needs no node.
fn local(tool: Tool, name: &str, options: &Options) -> Option<Result<(), Problem>> {
    match name {
        "version" => Some(say(commands::VERSION)),
        "autocomplete" => Some(complete(tool, &options.arguments)),
        "help" => Some(match options.arguments.get(1) {
            None => say(help::overview(tool)),
            Some(name) => find(tool, name).map(|command| tell!("{}", help::of(tool, command))),
        }),
        _ => None,
    }
}

/// The commands that begin as the word behind `autocomplete` does, for shells; none for no word.
fn complete(tool: Tool, arguments: &[String]) -> Result<(), Problem> {
    let prefix = match arguments {
        [_] => return Ok(()),
        [_, prefix] => prefix,
        more => {
            let text = format!(
                "Error (argument validation): too many arguments.\nArguments given:\n\t{}",
                more.join(" ")
            );
            return Err(Problem::plain(USAGE, text));
        }
    };
    let names = tool.commands().map(|command| command.name);
    let mut names: Vec<&str> = names.chain(["autocomplete", "help", "version"]).collect();
    names.retain(|name| name.starts_with(prefix.as_str()));
    names.sort_unstable();
    names.into_iter().try_for_each(say)
}

fn find(tool: Tool, name: &str) -> Result<&'static Command, Problem> {
    if let Some(command) = tool.commands().find(|command| command.name == name) {
        return Ok(command);
    }
    if let Some(why) = commands::why_not(name) {
        let version = env!("CARGO_PKG_VERSION");
        let text = format!("\nCommand '{name}' is not implemented by Warren {version}: {why}. \n");
        return Err(Problem::plain(USAGE, text));
    }
    let close = tool
        .commands()
        .map(|command| (strsim::jaro(command.name, name), command.name));
    let best = close
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .filter(|(score, _)| *score > 0.9);
    let text = match best {
        Some((_, best)) => format!("\nCommand '{name}' not found. \nDid you mean '{best}'? \n"),
        None => format!("\nCommand '{name}' not found. \n{}", help::overview(tool)),
    };
    Err(Problem::plain(USAGE, text))
}

fn check(command: &Command, options: &Options, arguments: &[String]) -> Result<(), Problem> {
    if !options.invalid.is_empty() {
        let lines = options.invalid.iter().map(|(name, value)| format!("{name} : {value}"));
        let lines: Vec<String> = lines.collect();
        let text = format!("Invalid options for this command:\n{}", lines.join("\n"));
        return Err(Problem::arguments(USAGE, text));
    }
    match arguments.len() {
        count if count < command.counts.0 => return Err(Problem::arguments(USAGE, "not enough arguments.")),
        count if count > command.counts.1 => return Err(Problem::arguments(USAGE, "too many arguments.")),
        _ => {}
    }
    if let Some((known, _)) = command.columns {
        let mut unknown = asked_columns(arguments);
        unknown.retain(|column| !known.contains(&column.as_str()));
        if !unknown.is_empty() {
            let text = format!("Info key(s) {} are not supported", unknown.join(","));
            return Err(Problem::arguments(USAGE, text));
        }
    }
    (command.check)(options, arguments)
}

fn with_usage(problem: Problem, tool: Tool, command: &Command, line: &[String]) -> Problem {
    if !problem.is_usage {
        return problem;
    }
    let what = match problem.is_state {
        true => "Error",
        false => "Error (argument validation)",
    };
    let text = format!(
        "{what}: {}\nArguments given:\n\t{}\n{}",
        problem.text,
        line.join(" "),
        help::usage(tool, command)
    );
    Problem::plain(problem.exit, text)
}

fn execute(command: &'static Command, options: &Options, arguments: &[String]) -> Result<(), Problem> {
    let format = Format::of(options)?;
    let target = Target::of(options).map_err(|why| Problem::plain(CONFIG, why))?;
    let deadline = deadline(command, options).map_err(|()| timeout(command, &target, options))?;
    let cookie = client::cookie(options.text("erlang-cookie"))?;
    if let Some(alone) = command.alone.filter(|_| !options.is_dry_run())
        && let Some(output) = alone(&target, &cookie, options, arguments)?
    {
        return show(output, format, command, &target);
    }
    let mut client = Client::connect(&target, &cookie)?;
    client.set_deadline(deadline);
    look_at_app(command, &mut client)?;
    let banner = (command.banner)(&target, options, arguments);
    if !banner.is_empty() && !options.quiet() && !format.is_for_machines() {
        tell!("{banner}");
    }
    if options.is_dry_run() {
        return Ok(());
    }
    let mut session = Session {
        client: &mut client,
        target: &target,
        options,
        arguments,
        command,
        cookie_hash: cookie.hash(),
    };
    match (command.run)(&mut session) {
        Ok(output) => show(output, format, command, &target),
        Err(problem) if format == Format::Json && !problem.is_usage => Err(as_json(&problem, &target)),
        Err(problem) => Err(problem),
    }
}

/// A command for another state of the app is refused before it says anything.
fn look_at_app(command: &Command, client: &mut Client) -> Result<(), Problem> {
    if command.app == App::Either {
        return Ok(());
    }
    let runs = client.ask(&Request::IsRunning, |_| Ok(()))?? == Term::Bool(true);
    match (command.app, runs) {
        (App::Running, false) => Err(Problem::app_stopped()),
        (App::Stopped, true) => Err(Problem::app_running()),
        _ => Ok(()),
    }
}

/// When the command must be done; a negative number of seconds is for ever, zero is over already.
fn deadline(command: &Command, options: &Options) -> Result<Option<Instant>, ()> {
    match options.number("timeout").or(command.timeout) {
        None => Ok(None),
        Some(0) => Err(()),
        Some(seconds) => Ok(u64::try_from(seconds)
            .ok()
            .and_then(|seconds| Instant::now().checked_add(Duration::from_secs(seconds)))),
    }
}

/// Shows what came of a command.
fn show(output: Output, format: Format, command: &Command, target: &Target) -> Result<(), Problem> {
    match (output, format) {
        (Output::Printed, _) => Ok(()),
        (Output::Nothing, Format::Json) => say(as_object(vec![
            ("node", Term::atom(&target.name)),
            ("result", Term::text("ok")),
        ])),
        (Output::Nothing, _) => Ok(()),
        (Output::Text(text), Format::Json) => say(as_object(vec![("message", Term::text(text))])),
        (Output::Both(_, term) | Output::Values(_, term), Format::Json) => say(format::json(&term)),
        (Output::Formats { json, .. }, Format::Json) => say(format::json(&json)),
        (Output::Formats { erlang, .. }, Format::Erlang) => say(erlang),
        (Output::Value { term, .. }, Format::Json) => say(as_object(vec![
            ("node", Term::atom(&target.name)),
            ("result", Term::text("ok")),
            ("value", term),
        ])),
        (Output::Value { term, .. } | Output::Values(_, term), Format::Erlang) => say(format::erlang(&term)),
        (Output::Value { term, .. } | Output::Values(_, term), Format::Inspect | Format::String) => {
            say(elixir::inspect(&term))
        }
        (
            Output::Text(text)
            | Output::Both(text, _)
            | Output::Value { text, .. }
            | Output::Values(text, _)
            | Output::Formats { text, .. },
            _,
        ) => sentence(text, format, command),
    }
}

/// A text in formats that have no other words for it.
fn sentence(text: String, format: Format, command: &Command) -> Result<(), Problem> {
    match format {
        Format::Erlang => say(format::erlang(&Term::text(text))),
        Format::PrettyTable => {
            let rows: Vec<Vec<Term>> = text.lines().map(|line| vec![Term::text(line)]).collect();
            say(format::pretty(&["Output".to_owned()], &rows))
        }
        Format::Csv | Format::JsonStream => {
            let text = format!("this formatter is for lists; '{}' answers with a text", command.name);
            Err(Problem::plain(SOFTWARE, text))
        }
        Format::Table | Format::Json | Format::Inspect | Format::String => say(text),
    }
}

fn as_object(pairs: Vec<(&str, Term)>) -> String {
    let pairs = pairs.into_iter().map(|(key, value)| (key.to_owned(), value));
    format::json(&Term::Map(pairs.collect()))
}

/// Failures for machines.
fn as_json(problem: &Problem, target: &Target) -> Problem {
    let message = problem.text.strip_prefix("Error:\n").unwrap_or(&problem.text);
    let pairs = vec![
        ("message", Term::text(message)),
        ("node", Term::atom(&target.name)),
        ("result", Term::text("error")),
    ];
    Problem::plain(problem.exit, as_object(pairs))
}
