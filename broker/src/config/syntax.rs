//! The text of `rabbitmq.conf` and `rabbitmq-env.conf`: lines to settings with their origin. Knows no key and no
//! type; a value is the text that was written, without quotes, comments and space around it.

use super::error::{Origin, Problem};
use std::path::Path;

/// A key with its value as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The key, dots between its segments.
    pub key: String,
    /// The value.
    pub value: String,
    /// Where it stands.
    pub at: Origin,
}

/// The settings of a `rabbitmq.conf`, and the lines that are none.
pub fn conf(path: &Path, text: &str) -> (Vec<Written>, Vec<Problem>) {
    lines(path, text, conf_line)
}

/// The variables of a `rabbitmq-env.conf`: `NAME=value`, perhaps with `export` and quotes. No shell is run.
pub fn env_conf(path: &Path, text: &str) -> (Vec<Written>, Vec<Problem>) {
    lines(path, text, env_line)
}

type Line = fn(&str) -> Option<(String, String)>;

fn lines(path: &Path, text: &str, line: Line) -> (Vec<Written>, Vec<Problem>) {
    let (mut found, mut wrong) = (Vec::new(), Vec::new());
    for (index, raw) in text.lines().enumerate() {
        let text = raw.trim_start_matches('\u{feff}').trim();
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        let at = Origin::Line(path.to_owned(), index + 1);
        match line(text) {
            Some((key, value)) => found.push(Written { key, value, at }),
            None => wrong.push(Problem::NotASetting {
                at,
                text: text.to_owned(),
            }),
        }
    }
    (found, wrong)
}

fn conf_line(line: &str) -> Option<(String, String)> {
    let (key, value) = line.split_once('=')?;
    let key = key.trim();
    (is_key(key) && !value.trim().is_empty()).then(|| Some((key.to_owned(), conf_value(value)?)))?
}

/// Single quotes protect `#`; without them a comment ends the value.
fn conf_value(text: &str) -> Option<String> {
    let text = text.trim();
    match text.strip_prefix('\'') {
        Some(quoted) => {
            let (value, rest) = quoted.split_once('\'')?;
            let rest = rest.trim();
            (rest.is_empty() || rest.starts_with('#')).then(|| value.to_owned())
        }
        None => {
            let value = text.split('#').next().unwrap_or_default().trim();
            (!value.is_empty()).then(|| value.to_owned())
        }
    }
}

/// Segments of letters, digits, `_`, `-`, `@`, `:` and escaped dots, joined by dots.
fn is_key(key: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-@:/".contains(c);
    let segments = segments(key);
    segments
        .iter()
        .all(|segment| !segment.is_empty() && segment.chars().all(|c| plain(c) || c == '.'))
}

/// The parts of a key between its dots; `\.` is a dot inside a part.
pub fn segments(key: &str) -> Vec<String> {
    let mut found = vec![String::new()];
    let mut chars = key.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' if chars.next_if_eq(&'.').is_some() => push(&mut found, '.'),
            '.' => found.push(String::new()),
            c => push(&mut found, c),
        }
    }
    found
}

fn push(segments: &mut [String], c: char) {
    if let Some(last) = segments.last_mut() {
        last.push(c);
    }
}

fn env_line(line: &str) -> Option<(String, String)> {
    let line = line.strip_prefix("export ").unwrap_or(line);
    let (name, value) = line.split_once('=')?;
    let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let value = env_value(value.trim())?;
    is_name.then(|| (name.to_owned(), value))
}

/// A word without quotes, or quoted whole; anything that a shell would expand is refused.
fn env_value(text: &str) -> Option<String> {
    let inside = |quote: char| text.strip_prefix(quote)?.strip_suffix(quote);
    if let Some(value) = inside('\'') {
        return (!value.contains('\'')).then(|| value.to_owned());
    }
    let (value, special) = match inside('"') {
        Some(value) => (value, "\"$`\\"),
        None => (text.split(" #").next().unwrap_or_default().trim(), "'\"$`\\ ;&|<>()"),
    };
    (!value.contains(|c| special.contains(c))).then(|| value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<(String, String)> {
        let (found, wrong) = conf(Path::new("a.conf"), text);
        assert_eq!(wrong, []);
        found.into_iter().map(|w| (w.key, w.value)).collect()
    }

    #[test]
    fn comments_blank_lines_and_quotes_are_understood() {
        let text = "# all\n\n heartbeat = 30 # seconds\ndefault_pass = 'p#w =x' # secret\r\nlog.file=false\n";
        let expected = [("heartbeat", "30"), ("default_pass", "p#w =x"), ("log.file", "false")];
        assert_eq!(read(text), expected.map(|(k, v)| (k.to_owned(), v.to_owned())));
    }

    #[test]
    fn a_line_that_is_no_setting_is_named_with_its_number() {
        for bad in [
            "foo",
            "= 3",
            "a =",
            "a = # c",
            "a b = 3",
            "a..b = 3",
            "a = 'x",
            "a = 'x' y",
        ] {
            let (found, wrong) = conf(Path::new("a.conf"), &format!("\n{bad}\n"));
            assert_eq!(found, [], "{bad}");
            let at = Origin::Line("a.conf".into(), 2);
            assert_eq!(
                wrong,
                [Problem::NotASetting {
                    at,
                    text: bad.to_owned()
                }]
            );
        }
    }

    #[test]
    fn an_escaped_dot_stays_inside_its_segment() {
        assert_eq!(segments(r"a.b\.c.d"), ["a", "b.c", "d"]);
    }

    #[test]
    fn env_files_are_assignments_and_never_run_anything() {
        let text = "NODENAME=a@b\nexport NODE_PORT=\"5673\"\nLOGS='-' \nBASE=/a/b # c\n";
        let (found, wrong) = env_conf(Path::new("e"), text);
        assert_eq!(wrong, []);
        let pairs: Vec<_> = found.iter().map(|w| (w.key.as_str(), w.value.as_str())).collect();
        assert_eq!(
            pairs,
            [
                ("NODENAME", "a@b"),
                ("NODE_PORT", "5673"),
                ("LOGS", "-"),
                ("BASE", "/a/b")
            ]
        );
        for bad in ["A=$HOME", "A=$(date)", "A=a b", "if x; then", "A=\"`b`\""] {
            assert_eq!(env_conf(Path::new("e"), bad).1.len(), 1, "{bad}");
        }
    }
}
