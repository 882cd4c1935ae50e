//! What can be wrong with a configuration. Every problem is found before the first is reported, and each names
//! its file, line, key and value, and what would be right. Passwords and other secrets are never shown.

use std::fmt;
use std::path::PathBuf;

/// Where a setting was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A line of a file, from 1.
    Line(PathBuf, usize),
    /// An environment variable.
    Variable(String),
    /// The built-in default.
    BuiltIn,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Line(file, line) => write!(f, "{}:{line}", file.display()),
            Origin::Variable(name) => write!(f, "environment variable {name}"),
            Origin::BuiltIn => f.write_str("built-in default"),
        }
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// A file that was asked for cannot be read.
    #[error("{}: cannot read the file: {why}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        why: String,
    },
    /// A line that is no setting.
    #[error("{at}: {text:?} is not a setting; a line reads 'key = value', or starts with '#'")]
    NotASetting {
        /// Where.
        at: Origin,
        /// The line.
        text: String,
    },
    /// A key that does not exist.
    #[error("{at}: You've tried to set {key}, but there is no setting with that name.{}", hint(nearest.as_deref()))]
    Unknown {
        /// Where.
        at: Origin,
        /// The key.
        key: String,
        /// The known key that is spelt most like it.
        nearest: Option<String>,
    },
    /// A value that the key cannot have.
    #[error("{at}: {key} = {value}: {right}")]
    BadValue {
        /// Where.
        at: Origin,
        /// The key.
        key: String,
        /// The value; `[hidden]` for a secret.
        value: String,
        /// What would be right.
        right: String,
    },
    /// A key of RabbitMQ that needs what this broker does not have.
    #[error("{at}: {key} cannot be set: {why}")]
    Refused {
        /// Where.
        at: Origin,
        /// The key.
        key: String,
        /// What is missing, and what to do.
        why: String,
    },
}

fn hint(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |key| format!(" Did you mean {key}?"))
}

/// Everything that is wrong with a configuration; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the configuration cannot be used:")?;
        self.0.iter().try_for_each(|problem| write!(f, "\n  - {problem}"))
    }
}

impl std::error::Error for Problems {}
