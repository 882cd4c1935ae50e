//! Everything that can end a run early, each in a sentence that says what to change.

/// Why a run did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An option that cannot be, alone or together with others.
    #[error("--{option} {value}: {problem}")]
    Option {
        /// Its long name.
        option: &'static str,
        /// What was given.
        value: String,
        /// What would be right.
        problem: String,
    },
    /// No connection to the broker.
    #[error("cannot connect to {address}: {source}")]
    Connect {
        /// Host and port.
        address: String,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A connection that broke.
    #[error("connection to the broker lost: {0}")]
    Lost(#[from] std::io::Error),
    /// The broker closed a channel or the connection.
    #[error("the broker refused: {code} {text}")]
    Refused {
        /// AMQP reply code.
        code: u16,
        /// Its text.
        text: String,
    },
    /// The broker said nothing for so long.
    #[error("no answer from the broker for {seconds} s while {doing}")]
    Silent {
        /// How long, in seconds.
        seconds: f64,
        /// What was being done.
        doing: &'static str,
    },
    /// Octets that are no AMQP, or a method out of place.
    #[error("the broker does not speak AMQP 0-9-1 as expected: {0}")]
    Protocol(String),
    /// A process whose CPU time cannot be read.
    #[error("cannot read the CPU time of process {pid}: {source}")]
    Process {
        /// Process id.
        pid: u32,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The machine beside the load.
    #[error("cannot measure the machine (--yardsticks): {0}")]
    Yardstick(std::io::Error),
    /// The run ended, but not as it should.
    #[error("{0}")]
    Incomplete(String),
}
