//! Arguments of a binding to a headers exchange, compiled once into what a message's headers must show.
//!
//! Compared by value: widths of integers do not matter, a string is never a number. `x-` keys count only where
//! `x-match` says so.

use model::{Table, Value};
use std::collections::BTreeMap;

/// Up to so many pairs or headers are searched one by one; with more of both, headers are sorted first, so that two
/// tables as large as a frame do not cost the product of their sizes.
const SCAN_MAX: usize = 16;

/// How many pairs must agree, and whether keys starting with `x-` count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    All,
    Any,
}

/// A compiled binding.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct HeaderMatch {
    mode: Mode,
    /// Void means: present with any value.
    pairs: Vec<(String, Value)>,
}

/// `x-match` is not one of the four words; the text is RabbitMQ's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadMatch(String);

impl HeaderMatch {
    pub(crate) fn compile(arguments: &Table) -> Result<Self, BadMatch> {
        let (mode, with_x) = mode(arguments.get("x-match"))?;
        let counts = |key: &str| key != "x-match" && (with_x || !key.starts_with("x-"));
        let pairs = arguments.0.iter().filter(|(key, _)| counts(key)).cloned().collect();
        Ok(HeaderMatch { mode, pairs })
    }

    pub(crate) fn matches(&self, headers: &Table) -> bool {
        if self.pairs.len().min(headers.0.len()) <= SCAN_MAX {
            return self.judge(|key| headers.get(key));
        }
        let mut sorted = BTreeMap::new();
        for (key, value) in &headers.0 {
            sorted.entry(key.as_str()).or_insert(value);
        }
        self.judge(|key| sorted.get(key).copied())
    }

    fn judge<'a>(&self, find: impl Fn(&str) -> Option<&'a Value>) -> bool {
        let agrees = |(key, wanted): &(String, Value)| find(key).is_some_and(|value| same(wanted, value));
        match self.mode {
            Mode::All => self.pairs.iter().all(agrees),
            Mode::Any => self.pairs.iter().any(agrees),
        }
    }
}

fn mode(value: Option<&Value>) -> Result<(Mode, bool), BadMatch> {
    let Some(value) = value else {
        return Ok((Mode::All, false));
    };
    match (value, value.as_text()) {
        (_, Some("all")) => Ok((Mode::All, false)),
        (_, Some("any")) => Ok((Mode::Any, false)),
        (_, Some("all-with-x")) => Ok((Mode::All, true)),
        (_, Some("any-with-x")) => Ok((Mode::Any, true)),
        (Value::LongStr(_), _) => Err(BadMatch(format!(
            "Invalid x-match field value {}; expected all, any, all-with-x, or any-with-x",
            value.term()
        ))),
        _ => Err(BadMatch(format!(
            "Invalid x-match field type {} (value {}); expected longstr",
            value.type_name(),
            value.term()
        ))),
    }
}

fn same(wanted: &Value, value: &Value) -> bool {
    match (wanted, value) {
        (Value::Void, _) => true,
        (Value::LongStr(a) | Value::Bytes(a), Value::LongStr(b) | Value::Bytes(b)) => a == b,
        _ => match (number(wanted), number(value)) {
            (Some(a), Some(b)) => a == b,
            _ => wanted == value,
        },
    }
}

/// Numbers compare with numbers of every kind; beyond 2^53 only integers are exact, which `Number` keeps.
#[derive(PartialEq)]
enum Number {
    Whole(i128),
    Fraction(f64),
}

fn number(value: &Value) -> Option<Number> {
    let float = match value {
        Value::F32(n) => f64::from(*n),
        Value::F64(n) => *n,
        Value::Timestamp(seconds) => return Some(Number::Whole((*seconds).into())),
        integer => return integer.as_integer().map(Number::Whole),
    };
    // The bounds keep the conversion exact.
    let whole = float.fract() == 0.0 && float.abs() < 9.0e15;
    Some(if whole {
        Number::Whole(float as i128)
    } else {
        Number::Fraction(float)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(arguments: Table, headers: Table) -> bool {
        HeaderMatch::compile(&arguments).unwrap().matches(&headers)
    }

    #[test]
    fn headers_match_as_rabbitmq_was_seen_to() {
        let one = || Value::I32(1);
        let cases: Vec<(Table, Table, bool)> = vec![
            ([("a", one())].into(), [("a", Value::I64(1)), ("b", one())].into(), true),
            ([("a", one())].into(), [("a", "1".into())].into(), false),
            ([("a", one())].into(), [("a", Value::Bool(true))].into(), false),
            ([("a", one())].into(), [("a", Value::F64(1.0))].into(), true),
            ([("a", one()), ("b", one())].into(), [("a", one())].into(), false),
            (
                [("x-match", "any".into()), ("a", one()), ("b", one())].into(),
                [("a", one())].into(),
                true,
            ),
            ([("x-match", "all".into())].into(), Table::default(), true),
            ([("x-match", "any".into())].into(), [("a", one())].into(), false),
            (Table::default(), [("a", one())].into(), true),
            ([("a", Value::Void)].into(), [("a", "anything".into())].into(), true),
            ([("a", Value::Void)].into(), Table::default(), false),
            ([("x-mine", one())].into(), Table::default(), true),
            (
                [("x-match", "all-with-x".into()), ("x-mine", one())].into(),
                Table::default(),
                false,
            ),
            (
                [("x-match", "any-with-x".into()), ("x-mine", one())].into(),
                [("x-mine", one())].into(),
                true,
            ),
            (
                [("x-match", "any".into()), ("x-mine", one())].into(),
                [("x-mine", one())].into(),
                false,
            ),
        ];
        for (arguments, headers, expected) in cases {
            assert_eq!(
                matches(arguments.clone(), headers.clone()),
                expected,
                "{arguments:?} on {headers:?}"
            );
        }
    }

    #[test]
    fn a_bad_x_match_is_refused_in_rabbitmqs_words() {
        let text = |value: Value| {
            HeaderMatch::compile(&[("x-match", value)].into())
                .unwrap_err()
                .to_string()
        };
        assert_eq!(
            text("zz".into()),
            "Invalid x-match field value <<\"zz\">>; expected all, any, all-with-x, or any-with-x"
        );
        assert_eq!(
            text(Value::I32(1)),
            "Invalid x-match field type signedint (value 1); expected longstr"
        );
    }
}
