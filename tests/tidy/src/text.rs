//! Rules that need no syntax tree: head comments, lengths of files, words that must not be committed, and lints that
//! were switched off without saying why. The banned words are put together here so that this file does not hold them.

use crate::source::{Finding, Source};

/// The most lines of a file.
const FILE_LINES_MAX: usize = 800;
/// The fewest lines of a head comment; one line seldom says what a file must never do.
const HEAD_LINES_MIN: usize = 2;

/// Rust files that do not open with a `//!` comment of at least [`HEAD_LINES_MIN`] lines.
pub fn head_comments(source: &Source) -> Vec<Finding> {
    let lines = source.text.lines().take_while(|line| line.starts_with("//!")).count();
    if !source.is_rust() || lines >= HEAD_LINES_MIN {
        return Vec::new();
    }
    let reason = format!(
        "opens with {lines} lines of `//!`, at least {HEAD_LINES_MIN}: what it decides, and what it must never do"
    );
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
    let mut banned: Vec<_> = banned_anywhere().into_iter().collect();
    if prints_are_logs(&source.path) {
        let reason = "a server logs through `tracing`; only main.rs, ctl and perf print";
        banned.push((["print", "ln!("].concat(), reason));
        banned.push((["eprint", "ln!("].concat(), reason));
    }
    let lines = source.text.lines().enumerate();
    lines
        .flat_map(|(at, line)| {
            let hit = banned.iter().find(|(word, _)| line.contains(word.as_str()));
            hit.map(|(word, reason)| finding(source, at + 1, "banned-word", format!("'{word}': {reason}")))
        })
        .collect()
}

fn prints_are_logs(path: &str) -> bool {
    let free = ["broker/crates/ctl/", "broker/crates/perf/"];
    path.starts_with("broker/")
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
