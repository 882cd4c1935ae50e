//! How a call fails: what is written to standard error, and the exit code. All but a wrong option end with 1.

use std::io;

/// A failure to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Problem {
    /// The caller's words are to blame.
    Usage(String),
    /// An option is to blame.
    Option(String),
    /// The broker refuses, or cannot be asked.
    Refused(String),
    /// As it is.
    Plain(String),
}

impl Problem {
    /// The exit code.
    pub(crate) fn exit(&self) -> u8 {
        match self {
            Problem::Option(_) => 2,
            _ => 1,
        }
    }

    /// For standard error, without the last line end.
    pub(crate) fn text(&self, name: &str) -> String {
        match self {
            Problem::Usage(why) => format!("\nERROR: {why}\n\n{name} --help for help\n"),
            Problem::Option(why) => {
                format!("Usage\n=====\n  rabbitmqadmin [options] subcommand\n\n{name}: error: {why}")
            }
            Problem::Refused(why) => format!("*** {why}\n"),
            Problem::Plain(text) => text.clone(),
        }
    }

    /// A file that cannot be used.
    pub(crate) fn of_file(path: &str, error: &io::Error) -> Self {
        Problem::Refused(format!("{}: '{path}'", told(error)))
    }
}

/// An error of the system in the words that scripts look for.
pub(crate) fn told(error: &io::Error) -> String {
    let text = error.to_string();
    match error.raw_os_error() {
        None => text,
        Some(code) => {
            let text = text.split(" (os error").next().unwrap_or_default();
            format!("[Errno {code}] {text}")
        }
    }
}
