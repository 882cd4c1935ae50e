//! One log line before it has a shape: what a tracing event says, taken apart.

use std::{
    fmt::{self, Write},
    time::{SystemTime, UNIX_EPOCH},
};
use tracing::{
    Event, Level,
    field::{Field, Visit},
};

/// Stands where RabbitMQ shows a process, in lines that belong to no connection.
const NOBODY: &str = "<0.0.0>";
/// Longest text of a line: more of it tells nobody anything.
const TEXT_BYTES_MAX: usize = 64 * 1024;

/// A line.
#[derive(Clone, Debug)]
pub(super) struct Line {
    /// Microseconds since the Unix epoch.
    pub(super) at_us: u64,
    /// How bad it is.
    pub(super) level: Level,
    /// `connection`, `channel` and so on; none is the default one.
    pub(super) category: Option<&'static str>,
    /// What RabbitMQ shows as process.
    pub(super) pid: String,
    /// The text; lines of it belong together.
    pub(super) text: String,
    /// What else is known, by name.
    pub(super) fields: Vec<(&'static str, serde_json::Value)>,
}

impl Line {
    /// What an event says, now. `categories` are the targets that are some.
    pub(super) fn of(event: &Event<'_>, categories: &[&'static str]) -> Self {
        let target = event.metadata().target();
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut line = Line {
            at_us: u64::try_from(since.as_micros()).unwrap_or(u64::MAX),
            level: *event.metadata().level(),
            category: categories.iter().find(|category| **category == target).copied(),
            pid: NOBODY.to_owned(),
            text: String::new(),
            fields: Vec::new(),
        };
        event.record(&mut line);
        let mut end = line.text.len().min(TEXT_BYTES_MAX);
        while !line.text.is_char_boundary(end) {
            end -= 1;
        }
        line.text.truncate(end);
        line
    }

    fn put(&mut self, field: &Field, value: serde_json::Value) {
        match (field.name(), value) {
            ("message", serde_json::Value::String(text)) => self.text = text,
            ("pid", serde_json::Value::String(pid)) => self.pid = pid,
            (name, value) => self.fields.push((name, value)),
        }
    }

    /// The text with what else is known behind it.
    pub(super) fn whole_text(&self) -> String {
        let mut text = self.text.clone();
        for (name, value) in &self.fields {
            let separator = if text.is_empty() { "" } else { " " };
            // Writing to a string cannot fail.
            let _ = match value {
                serde_json::Value::String(value) if is_plain(value) => write!(text, "{separator}{name}={value}"),
                value => write!(text, "{separator}{name}={value}"),
            };
        }
        text
    }
}

/// True if a value needs no quotes to be told from what follows it.
fn is_plain(value: &str) -> bool {
    !value.is_empty() && !value.chars().any(|c| c.is_whitespace() || c.is_control() || c == '"')
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}").into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.put(field, value.to_string().into());
    }
}
