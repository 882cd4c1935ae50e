//! Values as Erlang's tools show them: the difference between text, words and numbers decides how each format prints.
//!
//! Only data: printing is the command line's matter.

use serde::{Deserialize, Serialize};

/// One value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Term {
    /// A word, such as `running`; the empty one is no value.
    #[serde(rename = "a")]
    Atom(String),
    /// Text.
    #[serde(rename = "b")]
    Binary(String),
    /// A whole number.
    #[serde(rename = "i")]
    Integer(i64),
    /// A fraction.
    #[serde(rename = "f")]
    Float(f64),
    /// Yes or no.
    #[serde(rename = "t")]
    Bool(bool),
    /// A process, as `<node.creation.number.number>`.
    #[serde(rename = "p")]
    Pid(String),
    /// Values in order.
    #[serde(rename = "l")]
    List(Vec<Term>),
    /// Named values.
    #[serde(rename = "m")]
    Map(Vec<(String, Term)>),
    /// An AMQP table: name, type and value.
    #[serde(rename = "r")]
    Table(Vec<(String, String, Term)>),
}

/// A word as Erlang prints it: in quotes unless it is plain.
pub fn atom_text(word: &str) -> String {
    let plain = word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '@');
    match plain && word.starts_with(|c: char| c.is_ascii_lowercase()) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\\', "\\\\").replace('\'', "\\'")),
    }
}

impl Term {
    /// No value: shown as an empty field.
    pub fn none() -> Self {
        Term::Atom(String::new())
    }

    /// A word.
    pub fn atom(word: impl Into<String>) -> Self {
        Term::Atom(word.into())
    }

    /// Text.
    pub fn text(text: impl Into<String>) -> Self {
        Term::Binary(text.into())
    }

    /// A count; what no 64-bit number holds is the largest.
    pub fn count(number: impl TryInto<i64>) -> Self {
        Term::Integer(number.try_into().unwrap_or(i64::MAX))
    }
}
