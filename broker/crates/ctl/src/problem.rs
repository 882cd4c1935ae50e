//! How a command fails: what is written to standard error, and the exit code. Codes are part of the contract.
//!
//! The node's failures get their default words here; a command that has others says so itself.

use link::Failure;

/// Wrong use.
pub(crate) const USAGE: u8 = 64;
/// Wrong data.
pub(crate) const DATA: u8 = 65;
/// No such user.
pub(crate) const NO_USER: u8 = 67;
/// Not available, or failed for a reason that has no code.
pub(crate) const UNAVAILABLE: u8 = 69;
/// Fault of the software, in RabbitMQ's reading also an existing user.
pub(crate) const SOFTWARE: u8 = 70;
/// Took too long.
pub(crate) const TIMEOUT: u8 = 75;
/// Not usable as it is set up.
pub(crate) const CONFIG: u8 = 78;

/// A failure to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    /// Exit code.
    pub(crate) exit: u8,
    /// For standard error, without the last line end.
    pub(crate) text: String,
    /// Wrong use of the command: its usage follows.
    pub(crate) is_usage: bool,
    /// The usage follows since the node is not in the state for this command, not since an argument is wrong.
    pub(crate) is_state: bool,
}

/// Ends the process if the other end of standard output is closed: nobody reads any more, which is no failure.
pub(crate) fn unheard(error: &std::io::Error) {
    if error.kind() == std::io::ErrorKind::BrokenPipe {
        std::process::exit(0);
    }
}

impl Problem {
    /// The text as it is.
    pub(crate) fn plain(exit: u8, text: impl Into<String>) -> Self {
        Problem {
            exit,
            text: text.into(),
            is_usage: false,
            is_state: false,
        }
    }

    /// The text under a line `Error:`.
    pub(crate) fn error(exit: u8, text: impl AsRef<str>) -> Self {
        Problem::plain(exit, format!("Error:\n{}", text.as_ref()))
    }

    /// Arguments that cannot be; usage follows.
    pub(crate) fn arguments(exit: u8, text: impl Into<String>) -> Self {
        Problem {
            is_usage: true,
            ..Problem::plain(exit, text)
        }
    }
}

impl Problem {
    /// The node's app is not in the state for this; usage follows.
    pub(crate) fn state(text: &str) -> Self {
        Problem {
            is_state: true,
            ..Problem::arguments(USAGE, text)
        }
    }

    /// The command needs a running app.
    pub(crate) fn app_stopped() -> Self {
        Problem::state(
            "this command requires the 'rabbit' app to be running on the target node. Start it with 'rabbitmqctl \
             start_app'.",
        )
    }

    /// The command needs a stopped app.
    pub(crate) fn app_running() -> Self {
        Problem::state(
            "this command requires the 'rabbit' app to be stopped on the target node. Stop it with 'rabbitmqctl \
             stop_app'.",
        )
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::UserExists(name) => Problem::error(SOFTWARE, format!("User \"{name}\" already exists")),
            Failure::NoSuchUser(name) => Problem::error(NO_USER, format!("User \"{name}\" does not exist")),
            Failure::NoSuchVhost(name) => Problem::plain(DATA, format!("Virtual host '{name}' does not exist")),
            Failure::NotFound => Problem::error(UNAVAILABLE, "not_found"),
            Failure::WrongPassword => Problem::error(DATA, "invalid credentials"),
            Failure::BadPattern(pattern, reason) => {
                Problem::error(UNAVAILABLE, format!("{{:invalid_regexp, '{pattern}', {reason}}}"))
            }
            Failure::BadJson => Problem::error(UNAVAILABLE, "JSON decoding error. Reason: badarg"),
            Failure::InUse => Problem::error(USAGE, "Queue is in use"),
            Failure::NotEmpty => Problem::error(USAGE, "Queue is not empty"),
            Failure::Refused(text) => Problem::error(UNAVAILABLE, text),
            Failure::Cluster { word, text } => {
                let text = text.replace('\'', "\\'");
                Problem::error(UNAVAILABLE, format!("{{:{word}, '{text}'}}"))
            }
            Failure::Unreachable(why) => Problem::error(UNAVAILABLE, why),
            Failure::ProcessRunning => Problem::state("this command requires the target node to be stopped."),
            Failure::AppStopped => Problem::app_stopped(),
            Failure::AppRunning => Problem::app_running(),
            Failure::Unknown => Problem::error(UNAVAILABLE, "this node does not know the request; update it first"),
        }
    }
}
