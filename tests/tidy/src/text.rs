//! Rules that need no syntax tree: head comments, lengths of files, words that must not be committed, and lints that
//! were switched off without saying why. The banned words are put together here so that this file does not hold them.

use crate::source::{Finding, Source};

/// The most lines of a file.
const FILE_LINES_MAX: usize = 800;
/// The fewest characters of a head comment: less is a title, and says neither what a file decides nor what it leaves.
const HEAD_CHARACTERS_MIN: usize = 60;

/// Rust files that do not open with a `//!` comment of at least [`HEAD_CHARACTERS_MIN`] characters.
pub fn head_comments(source: &Source) -> Vec<Finding> {
    let head = source.text.lines().map_while(|line| line.strip_prefix("//!"));
    let characters: usize = head.map(|line| line.trim().chars().count()).sum();
    if !source.is_rust() || characters >= HEAD_CHARACTERS_MIN {
        return Vec::new();
    }
    let wanted = format!("at least {HEAD_CHARACTERS_MIN}: what it decides, and what it must never do");
    let reason = format!("opens with {characters} characters of `//!`, {wanted}");
    vec![finding(source, 1, "head-comment", reason)]
}

/// Rust files and scripts that are too long to hold one thing.
pub fn long_files(source: &Source) -> Vec<Finding> {
    let lines = source.text.lines().count();
    let kept_short = source.is_rust() || source.path.ends_with(".py") || source.path.ends_with(".sh");
    if !kept_short || lines <= FILE_LINES_MAX {
        return Vec::new();
    }
    let reason = format!("{lines} lines, at most {FILE_LINES_MAX}: one file per noun");
    vec![finding(source, FILE_LINES_MAX + 1, "file-length", reason)]
}

/// Words that must not be committed anywhere, and why.
fn banned_anywhere() -> [(String, &'static str); 6] {
    let not_done = "finish it, or file an issue and say here what holds until then";
    let one_machine = "a path of one developer's machine; the repository must work anywhere";
    [
        (["TO", "DO"].concat(), not_done),
        (["FIX", "ME"].concat(), not_done),
        (["XX", "X:"].concat(), not_done),
        (["/wo", "rk/"].concat(), one_machine),
        (["/tmp/tar", "get-"].concat(), one_machine),
        (["../sha", "red/"].concat(), one_machine),
    ]
}

/// Words that must not be committed, here.
pub fn banned_words(source: &Source) -> Vec<Finding> {
    let anywhere = banned_anywhere();
    let lines: Vec<_> = source.text.lines().collect();
    let hits = lines.iter().enumerate().flat_map(|(at, line)| {
        let hit = anywhere.iter().find(|(word, _)| line.contains(word.as_str()));
        hit.map(|(word, reason)| finding(source, at + 1, "banned-word", format!("'{word}': {reason}")))
    });
    hits.chain(stray_prints(source, &lines)).collect()
}

/// A server logs through `tracing`. What prints all the same says so with `clippy::print_stdout` or `_stderr` and a reason above it.
fn stray_prints(source: &Source, lines: &[&str]) -> Vec<Finding> {
    if !prints_are_logs(&source.path) {
        return Vec::new();
    }
    let prints = |line: &str| ["print!(", "println!("].iter().any(|word| line.contains(word));
    let explained = |at: usize| {
        lines[at.saturating_sub(4)..at]
            .iter()
            .any(|line| line.contains("clippy::print_std"))
    };
    (0..lines.len())
        .filter(|at| prints(lines[*at]) && !explained(*at))
        .map(|at| {
            finding(
                source,
                at + 1,
                "print",
                "a server logs through `tracing`; only main.rs, ctl and perf print".into(),
            )
        })
        .collect()
}

fn prints_are_logs(path: &str) -> bool {
    let free = ["broker/crates/ctl/", "broker/crates/perf/", "broker/fuzz/"];
    path.starts_with("broker/")
        && !path.contains("/examples/")
        && path.ends_with(".rs")
        && path != "broker/src/main.rs"
        && !free.iter().any(|room| path.starts_with(room))
}

/// `#[allow(...)]` and `#[expect(...)]` that do not say why.
pub fn unexplained_allows(source: &Source) -> Vec<Finding> {
    if !source.is_rust() {
        return Vec::new();
    }
    let lines: Vec<_> = source.text.lines().collect();
    let unexplained =
        |at: &usize| opens_allow(lines[*at]) && !attribute(&lines[*at..]).iter().any(|line| line.contains("reason"));
    (0..lines.len())
        .filter(unexplained)
        .map(|at| {
            finding(
                source,
                at + 1,
                "allow",
                "say why: `#[allow(lint, reason = \"...\")]`".into(),
            )
        })
        .collect()
}

fn opens_allow(line: &str) -> bool {
    ["#[allow(", "#![allow(", "#[expect(", "#![expect("]
        .iter()
        .any(|open| line.trim_start().starts_with(open))
}

/// The lines of the attribute that opens here.
fn attribute<'a>(lines: &'a [&'a str]) -> &'a [&'a str] {
    let closes = lines
        .iter()
        .position(|line| line.trim_end().ends_with(")]"))
        .map_or(lines.len(), |last| last + 1);
    &lines[..closes]
}

fn finding(source: &Source, line: usize, rule: &'static str, reason: String) -> Finding {
    Finding {
        file: source.path.clone(),
        line,
        rule,
        reason,
    }
}
