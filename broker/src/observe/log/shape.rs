//! What a log line looks like: RabbitMQ's plain lines or JSON objects, with its choices of times, levels and fields.

use super::{clock, line::Line};
use crate::config::{LevelFormat, LogFormat, LogShape, TimeFormat};
use serde_json::Value;
use tracing::Level;

/// The last field of a map, for all that it does not name.
const REST: &str = "*";
/// As what a field is called that is left out.
const NOWHERE: &str = "-";

/// The octets of a line, its end included.
pub(super) fn render(line: &Line, shape: &LogShape) -> String {
    match shape.format {
        LogFormat::Plaintext => plain(line, shape),
        LogFormat::Json => format!("{}\n", json(line, shape)),
    }
}

/// What RabbitMQ calls a level; tracing's finest is one of its debug lines.
pub(super) fn level_name(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warning",
        Level::INFO => "info",
        _ => "debug",
    }
}

fn level(level: Level, format: LevelFormat) -> String {
    let short = |three: &str, four: &str| match format {
        LevelFormat::Lc3 | LevelFormat::Uc3 => three.to_owned(),
        LevelFormat::Lc4 | LevelFormat::Uc4 => four.to_owned(),
        LevelFormat::Lc | LevelFormat::Uc => level_name(level).to_owned(),
    };
    let text = match level {
        Level::ERROR => short("err", "erro"),
        Level::WARN => short("wrn", "warn"),
        Level::INFO => short("inf", "info"),
        _ => short("dbg", "dbug"),
    };
    match format {
        LevelFormat::Uc | LevelFormat::Uc3 | LevelFormat::Uc4 => text.to_uppercase(),
        LevelFormat::Lc | LevelFormat::Lc3 | LevelFormat::Lc4 => text,
    }
}

fn time(at_us: u64, format: TimeFormat) -> Value {
    let (seconds, us) = (at_us / 1_000_000, at_us % 1_000_000);
    let (date, time) = clock::shown(seconds);
    match format {
        TimeFormat::Rfc3339Space => format!("{date} {time}.{us:06}+00:00").into(),
        TimeFormat::Rfc3339T => format!("{date}T{time}.{us:06}+00:00").into(),
        TimeFormat::LagerDefault => format!("{date} {time}.{:03}", us / 1_000).into(),
        TimeFormat::EpochSecs => seconds.into(),
        TimeFormat::EpochUsecs => at_us.into(),
    }
}

/// A value inside a line.
pub(super) fn bare(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn plain(line: &Line, shape: &LogShape) -> String {
    let text = line.whole_text();
    let time = bare(&time(line.at_us, shape.time));
    let level = level(line.level, shape.level);
    let one = |text: &str| fill(&shape.template, line, &time, &level, text);
    if shape.single_line {
        return one(&text.lines().collect::<Vec<_>>().join(", "));
    }
    match text.is_empty() {
        true => one(""),
        false => text.lines().map(one).collect(),
    }
}

/// The template with its names replaced, as one line.
fn fill(template: &str, line: &Line, time: &str, level: &str, text: &str) -> String {
    let mut out = String::new();
    let mut rest = template;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let end = rest
            .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .unwrap_or(rest.len());
        let (name, behind) = rest.split_at(end);
        match name {
            "time" => out.push_str(time),
            "level" => out.push_str(level),
            "pid" => out.push_str(&line.pid),
            "msg" => out.push_str(text),
            "domain" => out.push_str(&domain(line)),
            other => {
                let found = line.fields.iter().find(|(field, _)| *field == other);
                out.push_str(&found.map(|(_, value)| bare(value)).unwrap_or_default());
            }
        }
        rest = behind;
    }
    out.push_str(rest);
    out.push('\n');
    out
}

/// The time of a line.
pub(super) fn time_text(line: &Line, shape: &LogShape) -> String {
    bare(&time(line.at_us, shape.time))
}

pub(super) fn domain(line: &Line) -> String {
    match line.category {
        Some(category) => format!("rabbitmq.{category}"),
        None => "rabbitmq".to_owned(),
    }
}

/// In the order in which RabbitMQ writes them.
fn json(line: &Line, shape: &LogShape) -> String {
    let mut all = vec![
        ("time", time(line.at_us, shape.time)),
        ("level", level(line.level, shape.level).into()),
        ("msg", line.text.clone().into()),
        ("domain", domain(line).into()),
    ];
    all.extend(line.fields.iter().cloned());
    all.push(("pid", line.pid.clone().into()));
    let mut members = Vec::new();
    let mut put = |name: &str, value: Value| members.push(format!("{}:{value}", Value::from(name)));
    let keeps_rest = !shape.fields.iter().any(|(from, to)| from == REST && to == NOWHERE);
    for (name, value) in all {
        match shape.fields.iter().find(|(from, _)| from == name) {
            Some((_, to)) if to == NOWHERE => {}
            Some((_, to)) => put(to, value),
            None if keeps_rest => put(name, value),
            None => {}
        }
    }
    if let Some(verbosity) = verbosity(line.level, shape) {
        put("verbosity", verbosity.into());
    }
    format!("{{{}}}", members.join(","))
}

fn verbosity(level: Level, shape: &LogShape) -> Option<i64> {
    let of = |wanted: &str| shape.verbosity.iter().find(|(name, _)| name == wanted);
    let found = of(level_name(level)).or_else(|| of(REST))?;
    Some(found.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Line {
        Line {
            at_us: 1_795_664_861_315_184,
            level: Level::WARN,
            category: Some("connection"),
            pid: "<0.786.0>".to_owned(),
            text: text.to_owned(),
            fields: vec![("queue", "a b".into()), ("left", 3.into())],
        }
    }

    #[test]
    fn a_plain_line_has_date_level_and_process_and_every_line_of_a_text_has_them() {
        assert_eq!(
            render(&line("one\n two"), &LogShape::default()),
            "2026-11-26 03:47:41.315184+00:00 [warning] <0.786.0> one\n\
             2026-11-26 03:47:41.315184+00:00 [warning] <0.786.0>  two queue=\"a b\" left=3\n"
        );
    }

    #[test]
    fn a_plain_line_takes_the_shape_that_is_asked_for() {
        let shape = LogShape {
            time: TimeFormat::LagerDefault,
            level: LevelFormat::Uc4,
            single_line: true,
            template: "$time|$level|$pid|$domain|$left|$msg".to_owned(),
            ..LogShape::default()
        };
        let expected = "2026-11-26 03:47:41.315|WARN|<0.786.0>|rabbitmq.connection|3|one, two queue=\"a b\" left=3\n";
        assert_eq!(render(&line("one\ntwo"), &shape), expected);
    }

    #[test]
    fn a_json_line_has_the_fields_of_rabbitmq() {
        let shape = LogShape {
            format: LogFormat::Json,
            ..LogShape::default()
        };
        let expected = "{\"time\":\"2026-11-26 03:47:41.315184+00:00\",\"level\":\"warning\",\"msg\":\"one\\ntwo\",\
                        \"domain\":\"rabbitmq.connection\",\"queue\":\"a b\",\"left\":3,\"pid\":\"<0.786.0>\"}\n";
        let got: Value = serde_json::from_str(&render(&line("one\ntwo"), &shape)).unwrap();
        assert_eq!(got, serde_json::from_str::<Value>(expected).unwrap());
    }

    #[test]
    fn fields_of_a_json_line_are_renamed_and_left_out() {
        let pairs = |text: &str| -> Vec<(String, String)> {
            let pair = |word: &str| word.split_once(':').map(|(a, b)| (a.to_owned(), b.to_owned()));
            text.split(' ').filter_map(pair).collect()
        };
        let shape = LogShape {
            format: LogFormat::Json,
            time: TimeFormat::EpochSecs,
            fields: pairs("time:ts msg:m *:-"),
            verbosity: vec![("debug".to_owned(), 7), ("*".to_owned(), 4)],
            ..LogShape::default()
        };
        let got: Value = serde_json::from_str(&render(&line("one"), &shape)).unwrap();
        assert_eq!(
            got,
            serde_json::json!({"ts": 1_795_664_861, "m": "one", "verbosity": 4})
        );
    }
}
