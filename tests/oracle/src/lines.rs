//! From the text of a behaviour to the lines that one server plays: version choice, loops, unique names, targets.
//! Pure text work; nothing is sent here.

use anyhow::{Context as _, Result};
use regex::Regex;

use crate::server::Server;

/// Connection and channel that a line speaks on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    /// Connection name, `a` unless written.
    pub connection: String,
    /// Channel number, 1 unless written.
    pub channel: u16,
}

/// What a line is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Something to send or do.
    Do,
    /// `<`: exactly this comes next.
    Expect,
    /// `<~`: this comes next or within the group of such lines.
    ExpectUnordered,
    /// `!`: the channel is closed with this error.
    ChannelError,
    /// `!!`: the connection is closed with this error.
    ConnectionError,
}

/// One line ready to play.
#[derive(Clone, Debug)]
pub struct Line {
    /// Line number in the behaviour file.
    pub at: usize,
    /// Where it speaks.
    pub target: Target,
    /// What it is.
    pub kind: Kind,
    /// The rest of the line.
    pub text: String,
}

/// Prepares lines for `server`; every `$name` becomes `prefix` + `name`.
///
/// # Errors
/// A malformed loop or target.
pub fn prepare(lines: &[(usize, String)], server: &Server, prefix: &str) -> Result<Vec<Line>> {
    let names = Regex::new(r"\$([a-zA-Z0-9]+)")?;
    let mut out: Vec<Line> = Vec::new();
    for (at, text) in lines {
        let Some(text) = chosen(text, server) else { continue };
        let text = names.replace_all(text, |found: &regex::Captures<'_>| format!("{prefix}{}", &found[1]));
        for text in unrolled(&text).with_context(|| format!("line {at}"))? {
            let line = parse(*at, &text, out.last()).with_context(|| format!("line {at}"))?;
            out.push(line);
        }
    }
    Ok(out)
}

/// The line without its version prefix, `None` if it is for others.
fn chosen<'t>(text: &'t str, server: &Server) -> Option<&'t str> {
    let (prefix, rest) = text.split_once(": ").unwrap_or(("", text));
    if !matches!(prefix, "3.10" | "3.13" | "rabbitmq" | "warren") {
        return Some(text);
    }
    server.is(prefix).then_some(rest)
}

/// `each 1..3 line` as three lines with `%i` replaced.
fn unrolled(text: &str) -> Result<Vec<String>> {
    let (target, loop_text) = match text.split_once(" each ") {
        Some((target, rest)) if target.starts_with('@') && !target.contains(' ') => (format!("{target} "), rest),
        _ => match text.strip_prefix("each ") {
            Some(rest) => (String::new(), rest),
            None => return Ok(vec![text.to_owned()]),
        },
    };
    let (range, line) = loop_text.split_once(' ').context("each FROM..TO line")?;
    let (from, to) = range.split_once("..").context("each FROM..TO line")?;
    let (from, to): (i64, i64) = (from.parse()?, to.parse()?);
    Ok((from..=to)
        .map(|i| format!("{target}{}", line.replace("%i", &i.to_string())))
        .collect())
}

fn parse(at: usize, text: &str, before: Option<&Line>) -> Result<Line> {
    let (target, rest) = match text.strip_prefix('@') {
        Some(rest) => {
            let (name, rest) = rest.split_once(' ').context("nothing after the target")?;
            (Some(target(name)?), rest)
        }
        None => (None, text),
    };
    let kinds = [
        ("<~ ", Kind::ExpectUnordered),
        ("< ", Kind::Expect),
        ("!! ", Kind::ConnectionError),
        ("! ", Kind::ChannelError),
    ];
    let (kind, text) = kinds
        .into_iter()
        .find_map(|(mark, kind)| rest.strip_prefix(mark).map(|text| (kind, text)))
        .unwrap_or((Kind::Do, rest));
    let inherited = || match (&kind, before) {
        (Kind::Do, _) | (_, None) => Target {
            connection: "a".to_owned(),
            channel: 1,
        },
        (_, Some(line)) => line.target.clone(),
    };
    let target = target.unwrap_or_else(inherited);
    Ok(Line {
        at,
        target,
        text: text.trim().to_owned(),
        kind,
    })
}

/// `b2` is connection b, channel 2; `b` channel 1; `2` connection a.
fn target(name: &str) -> Result<Target> {
    let digits = name.find(|c: char| c.is_ascii_digit()).unwrap_or(name.len());
    let (connection, channel) = name.split_at(digits);
    Ok(Target {
        connection: if connection.is_empty() { "a" } else { connection }.to_owned(),
        channel: if channel.is_empty() {
            1
        } else {
            channel.parse().with_context(|| format!("target @{name}"))?
        },
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn server(version: (u16, u16)) -> Server {
        Server {
            name: "s".into(),
            host: String::new(),
            port: 0,
            user: String::new(),
            password: String::new(),
            management: None,
            prometheus: None,
            ctl: None,
            version,
            platform: "Erlang".into(),
        }
    }

    fn texts(line: &str, version: (u16, u16)) -> Vec<String> {
        let lines = prepare(&[(1, line.to_owned())], &server(version), "u_").unwrap();
        lines.into_iter().map(|line| line.text).collect()
    }

    #[test]
    fn names_loops_and_versions() {
        assert_eq!(texts("do $q '^$x$'", (3, 13)), ["do u_q '^u_x$'"]);
        assert_eq!(texts("each 1..2 go m%i", (3, 13)), ["go m1", "go m2"]);
        assert_eq!(texts("@2 each 1..2 go %i", (3, 13)), ["go 1", "go 2"]);
        assert_eq!(texts("3.10: old", (3, 10)), ["old"]);
        assert!(texts("3.10: old", (3, 13)).is_empty());
    }

    #[test]
    fn an_expectation_speaks_where_the_line_before_spoke() {
        let lines = [(1, "@b2 go".to_owned()), (2, "< came".to_owned()), (3, "go".to_owned())];
        let lines = prepare(&lines, &server((3, 13)), "u_").unwrap();
        let at = |i: usize| (lines[i].target.connection.as_str(), lines[i].target.channel);
        assert_eq!([at(0), at(1), at(2)], [("b", 2), ("b", 2), ("a", 1)]);
        assert_eq!(lines[1].kind, Kind::Expect);
    }
}
