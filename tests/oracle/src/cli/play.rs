//! Plays cases on servers and prints the columns. One case after the other, since they share users and virtual hosts.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use anyhow::{Context as _, Result, ensure};

use crate::cli::case::{Call, Case};
use crate::cli::scripts::{Script, Scripts, TOOL};
use crate::script;
use crate::server::{Ctl, Server};
use crate::stage;

/// What came of each case on one server: nothing, or what was wrong.
pub type Column = Vec<Option<String>>;

/// Plays all cases on all servers at once.
///
/// # Errors
/// A server does not hand out its script.
pub fn run(cases: &[Case], servers: &[Server]) -> Result<Vec<Column>> {
    let scripts = Scripts::download(cases, servers)?;
    let columns = std::thread::scope(|scope| {
        let columns: Vec<_> = servers
            .iter()
            .map(|server| scope.spawn(|| cases.iter().map(|case| judge(case, server, &scripts)).collect()))
            .collect();
        // A player that panics is a fault of this program and must be seen.
        columns
            .into_iter()
            .map(|column| column.join().unwrap_or_else(|e| std::panic::resume_unwind(e)))
            .collect()
    });
    Ok(columns)
}

/// A case of a script is played with the script of every server.
fn judge(case: &Case, server: &Server, scripts: &Scripts) -> Option<String> {
    match scripts.of(case) {
        [] => judge_with(case, server, None),
        scripts => scripts.iter().find_map(|script| judge_with(case, server, Some(script))),
    }
}

fn judge_with(case: &Case, server: &Server, script: Option<&Script>) -> Option<String> {
    let meant = |call: &&Call| call.only.as_deref().is_none_or(|only| server.is(only));
    let whose = script.map_or_else(String::new, |script| format!(" ({})", script.from));
    let failure = |call: &Call| {
        play(call, server, script)
            .err()
            .map(|error| format!("$ {}{whose}\n{error:#}", call.words.join(" ")))
    };
    case.calls.iter().filter(meant).find_map(failure)
}

fn play(call: &Call, server: &Server, script: Option<&Script>) -> Result<()> {
    if !call.amqp.is_empty() {
        let text = format!("== before\n{}", call.amqp.join("\n"));
        for behaviour in script::parse("cli", &text)? {
            stage::set(&behaviour, server, "cli_").context("AMQP before it")?;
        }
    }
    let ctl = server.ctl.as_ref().context("no command line for this server")?;
    let node = ctl
        .env
        .iter()
        .find(|(key, _)| key == "RABBITMQ_NODENAME")
        .map_or("", |(_, name)| name);
    let command = match (script, call.words.split_first()) {
        (Some(script), Some((tool, arguments))) if tool == TOOL => script.command(server, arguments)?,
        _ => command(ctl, &call.words, node)?,
    };
    let output = output(command, &call.input.join("\n")).context("starting the tool")?;
    let seen = (
        lines(&output.stdout, call.unordered),
        lines(&output.stderr, call.unordered),
        output.status.code(),
    );
    let wanted = (
        expected(&call.out, node, call.unordered),
        expected(&call.err, node, call.unordered),
        Some(call.exit),
    );
    let is_so = fit(&wanted.0, &seen.0) && fit(&wanted.1, &seen.1) && wanted.2 == seen.2;
    ensure!(is_so, "wanted {wanted:#?}\nsaw {seen:#?}");
    Ok(())
}

/// What a tool says that reads `input`, which is short enough for a pipe.
fn output(mut command: Command, input: &str) -> std::io::Result<Output> {
    let streams = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut tool = streams.spawn()?;
    if let Some(mut pipe) = tool.stdin.take() {
        // A tool that reads nothing may have ended already.
        let _ = pipe.write_all(input.as_bytes());
    }
    tool.wait_with_output()
}

/// The tool of this server that a case names.
fn command(ctl: &Ctl, words: &[String], node: &str) -> Result<Command> {
    let (tool, arguments) = words.split_first().context("no tool")?;
    let (program, leading) = ctl.command.split_first().context("no program")?;
    let mut command = match leading {
        // Debian's scripts lie side by side; Warren's tools are names of one program.
        [] => Command::new(program.replace("rabbitmqctl", tool)),
        _ => {
            let mut command = Command::new(program);
            command.arg(tool.strip_prefix("rabbitmq-").unwrap_or("ctl"));
            command
        }
    };
    command.args(arguments.iter().map(|word| word.replace("NODE", node)));
    command
        .env_clear()
        .envs(std::env::vars().filter(|(key, _)| key == "PATH"));
    command.envs(ctl.env.iter().cloned());
    Ok(command)
}

fn lines(octets: &[u8], unordered: bool) -> Vec<String> {
    let text = String::from_utf8_lossy(octets).into_owned();
    sorted(text.lines().map(str::to_owned).collect(), unordered)
}

fn expected(lines: &[String], node: &str, unordered: bool) -> Vec<String> {
    sorted(lines.iter().map(|line| line.replace("NODE", node)).collect(), unordered)
}

/// Stands for any text of a line, or alone for any lines.
const ANY: &str = "…";

fn fit(wanted: &[String], seen: &[String]) -> bool {
    match (wanted, seen) {
        ([], []) => true,
        ([any, wanted @ ..], _) if any == ANY => (0..=seen.len()).any(|skipped| fit(wanted, &seen[skipped..])),
        ([line, wanted @ ..], [text, seen @ ..]) => fits(line, text) && fit(wanted, seen),
        _ => false,
    }
}

fn fits(wanted: &str, seen: &str) -> bool {
    let Some((head, rest)) = wanted.split_once(ANY) else {
        return wanted == seen;
    };
    let Some(left) = seen.strip_prefix(head) else {
        return false;
    };
    let mut ends = left.char_indices().map(|(at, _)| at).chain([left.len()]);
    ends.any(|at| fits(rest, &left[at..]))
}

fn sorted(mut lines: Vec<String>, unordered: bool) -> Vec<String> {
    if unordered {
        lines.sort();
    }
    lines
}

/// Prints both columns, every failure, and the closing line of each server; true if nothing failed.
///
/// # Errors
/// The output cannot be written.
pub fn print(out: &mut impl Write, cases: &[Case], servers: &[Server], columns: &[Column]) -> Result<bool> {
    for (at, case) in cases.iter().enumerate() {
        let mark = |failure: &Option<String>| if failure.is_none() { "ok" } else { "FAIL" };
        let marks = servers
            .iter()
            .zip(columns)
            .map(|(server, column)| format!("{} {:<4}", server.name, mark(&column[at])));
        writeln!(out, "{}  {}", marks.collect::<Vec<_>>().join("  "), case.name)?;
    }
    for (server, column) in servers.iter().zip(columns) {
        for (case, failure) in cases.iter().zip(column) {
            if let Some(failure) = failure {
                writeln!(out, "\n{} FAIL {}\n{failure}", server.name, case.name)?;
            }
        }
    }
    for (server, column) in servers.iter().zip(columns) {
        let failed = column.iter().flatten().count();
        writeln!(
            out,
            "{}: {} passed, {failed} failed",
            server.name,
            column.len() - failed
        )?;
    }
    Ok(columns.iter().flatten().all(Option::is_none))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ellipsis_is_any_text_of_a_line_and_alone_any_lines_and_nothing_else_is_passed_over() {
        let is_so = |wanted: &[&str], seen: &[&str]| {
            let owned = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>();
            fit(&owned(wanted), &owned(seen))
        };
        assert!(is_so(&["a", "…", "z"], &["a", "z"]) && is_so(&["a", "…", "z"], &["a", "b", "z", "z"]));
        assert!(is_so(&["{port,…},"], &["{port,5672},"]) && is_so(&["…é…"], &["né e"]));
        assert!(!is_so(&["a", "…", "z"], &["a", "b"]) && !is_so(&["a"], &["a", "b"]) && !is_so(&["a…c"], &["a b"]));
    }
}
