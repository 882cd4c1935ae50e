//! Log lines for systemd's journal: whether there are any, and what is told with each.
//!
//! Knows no socket; `observe` sends.

use super::settings::{LogLevel, LogShape};
use super::value::Value;

/// Log lines for the journal.
#[derive(Clone, Debug, Default)]
pub struct Journal {
    /// Whether lines go there.
    pub is_on: bool,
    /// Least level; none is the category's own.
    pub level: Option<LogLevel>,
    /// What is told with a line besides its text.
    pub fields: Fields,
    /// The text's shape.
    pub shape: LogShape,
}

/// Where a field's value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// It is the same with every line.
    Fixed(String),
    /// Of each line: `priority`, `level`, `pid`, `os_pid`, `time`, `domain`, or a field of the line.
    OfLine(String),
}

/// Names of the journal's fields, with what they hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fields(pub Vec<(String, Source)>);

impl Default for Fields {
    fn default() -> Self {
        let fixed = |text: &str| Source::Fixed(text.to_owned());
        let of_line = |name: &str| Source::OfLine(name.to_owned());
        Fields(vec![
            ("SYSLOG_IDENTIFIER".to_owned(), fixed("rabbitmq-server")),
            ("SYSLOG_TIMESTAMP".to_owned(), of_line("time")),
            ("SYSLOG_PID".to_owned(), of_line("os_pid")),
            ("PRIORITY".to_owned(), of_line("priority")),
            ("ERL_PID".to_owned(), of_line("pid")),
        ])
    }
}

impl Value for Fields {
    const KIND: &'static str = "words such as ERL_PID=pid SYSLOG_IDENTIFIER=\"rabbitmq\" priority";
    fn read(text: &str) -> Result<Self, String> {
        text.split_whitespace().map(field).collect::<Result<_, _>>().map(Fields)
    }
}

/// `NAME=of_line`, `NAME="fixed"`, or `of_line` alone, whose name is its own in capitals.
fn field(word: &str) -> Result<(String, Source), String> {
    let (name, value) = match word.split_once('=') {
        Some((name, value)) => (name.to_owned(), value),
        None => (word.to_uppercase(), word),
    };
    let is_name = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    // What begins with an underscore the journal writes itself, and takes from nobody.
    let is_sound = name.starts_with(|c: char| c.is_ascii_uppercase()) && name.chars().all(is_name) && name != "MESSAGE";
    if !is_sound || value.is_empty() {
        return Err("must be fields such as ERL_PID=pid: capital letters, and where the value comes from".to_owned());
    }
    let fixed = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
    let source = match fixed {
        Some(text) => Source::Fixed(text.to_owned()),
        None => Source::OfLine(value.to_owned()),
    };
    Ok((name, source))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_have_names_in_capitals_and_values_of_the_line_or_fixed_ones() {
        let fixed = Source::Fixed("rabbit".to_owned());
        let read = Fields::read("SYSLOG_IDENTIFIER=\"rabbit\" priority ERL_PID=pid");
        let of_line = |name: &str| Source::OfLine(name.to_owned());
        let expected = [
            ("SYSLOG_IDENTIFIER", fixed),
            ("PRIORITY", of_line("priority")),
            ("ERL_PID", of_line("pid")),
        ];
        let expected = expected.map(|(name, source)| (name.to_owned(), source));
        assert_eq!(read, Ok(Fields(expected.to_vec())));
        for bad in ["MESSAGE=x", "_PID=pid", "a b=c", "X="] {
            assert!(Fields::read(bad).is_err(), "{bad}");
        }
    }
}
