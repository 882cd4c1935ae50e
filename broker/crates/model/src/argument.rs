//! Why an argument is refused, and the checks that several arguments share, in RabbitMQ's words.
//!
//! Texts follow Erlang's printing of terms, since clients and tests match on them.

use crate::Value;

/// A declaration argument that is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ArgumentError {
    /// The value is wrong; the problem is printed as RabbitMQ prints it, such as `{value_negative,-1}`.
    Value {
        /// Which argument.
        key: &'static str,
        /// What is wrong.
        problem: String,
    },
    /// The argument means nothing to this type of queue.
    Foreign {
        /// Which argument.
        key: &'static str,
        /// The type, such as `rabbit_classic_queue`.
        module: &'static str,
    },
}

impl ArgumentError {
    pub(crate) fn value(problem: impl Into<String>) -> Self {
        ArgumentError::Value {
            key: "",
            problem: problem.into(),
        }
    }

    /// A problem that RabbitMQ prints as a text in quotes.
    pub(crate) fn quoted(problem: impl AsRef<str>) -> Self {
        Self::value(format!("\"{}\"", problem.as_ref()))
    }

    pub(crate) fn unacceptable(value: &Value) -> Self {
        Self::value(format!("{{unacceptable_type,{}}}", value.type_name()))
    }

    /// The same error, named after its argument.
    pub(crate) fn of(self, key: &'static str) -> Self {
        match self {
            ArgumentError::Value { problem, .. } => ArgumentError::Value { key, problem },
            ArgumentError::Foreign { module, .. } => ArgumentError::Foreign { key, module },
        }
    }

    /// The explanation, for `what` such as `queue 'q' in vhost '/'`.
    pub fn text(&self, what: &str) -> String {
        match self {
            ArgumentError::Value { key, problem } => format!("invalid arg '{key}' for {what}: {problem}"),
            ArgumentError::Foreign { key, module } => format!("invalid arg '{key}' for {what} of queue type {module}"),
        }
    }
}

impl std::fmt::Display for ArgumentError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text("this object"))
    }
}

impl std::error::Error for ArgumentError {}

pub(crate) fn integer_of(value: &Value) -> Result<i128, ArgumentError> {
    let integer = value.as_integer();
    integer.ok_or_else(|| ArgumentError::quoted(format!("expected integer, got {}", value.type_name())))
}

pub(crate) fn not_negative(value: &Value) -> Result<u64, ArgumentError> {
    let integer = integer_of(value)?;
    u64::try_from(integer).map_err(|_| ArgumentError::value(format!("{{value_negative,{integer}}}")))
}

pub(crate) fn bool_of(value: &Value) -> Result<bool, ArgumentError> {
    match value {
        Value::Bool(on) => Ok(*on),
        other => Err(ArgumentError::unacceptable(other)),
    }
}

pub(crate) fn text_of(value: &Value) -> Result<&str, ArgumentError> {
    match value {
        Value::LongStr(octets) => {
            std::str::from_utf8(octets).map_err(|_| ArgumentError::quoted("expected text in UTF-8"))
        }
        other => Err(ArgumentError::unacceptable(other)),
    }
}

/// One of a list of words; otherwise RabbitMQ's atom for the fault.
pub(crate) fn one_of(value: &Value, words: &[&str], atom: &str) -> Result<(), ArgumentError> {
    let text = text_of(value)?;
    if words.contains(&text) {
        Ok(())
    } else {
        Err(ArgumentError::value(atom))
    }
}
