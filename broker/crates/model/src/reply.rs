//! Reply codes of AMQP 0-9-1 and refusals: a protocol error is a value with code and scope (I10).
//!
//! Only the session closes channels and connections; all other rooms return a `Refusal`.

use std::fmt;

macro_rules! reply_codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal $text:literal,)*) => {
        /// AMQP 0-9-1 reply codes that a server sends.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum ReplyCode { $($(#[$doc])* $name = $code,)* }

        impl ReplyCode {
            /// The name that starts a reply text, such as `NOT_FOUND`.
            pub fn name(self) -> &'static str {
                match self { $(ReplyCode::$name => $text,)* }
            }

            /// The code with this number.
            pub fn of(number: u16) -> Option<ReplyCode> {
                match number { $($code => Some(ReplyCode::$name),)* _ => None }
            }
        }
    };
}

reply_codes! {
    /// Orderly close.
    Success = 200 "REPLY_SUCCESS",
    /// A mandatory message reached no queue.
    NoRoute = 312 "NO_ROUTE",
    /// The operator or a shutdown closes the connection.
    ConnectionForced = 320 "CONNECTION_FORCED",
    /// Permissions, reserved names, exclusive consumers.
    AccessRefused = 403 "ACCESS_REFUSED",
    /// No such queue or exchange.
    NotFound = 404 "NOT_FOUND",
    /// An exclusive queue of another connection.
    ResourceLocked = 405 "RESOURCE_LOCKED",
    /// Inequivalent or invalid arguments, unknown delivery tags.
    PreconditionFailed = 406 "PRECONDITION_FAILED",
    /// Octets that are no frame.
    FrameError = 501 "FRAME_ERROR",
    /// Malformed content of a frame.
    SyntaxError = 502 "SYNTAX_ERROR",
    /// Unknown method.
    CommandInvalid = 503 "COMMAND_INVALID",
    /// A method on a channel that is not open, or open twice.
    ChannelError = 504 "CHANNEL_ERROR",
    /// A frame out of sequence.
    UnexpectedFrame = 505 "UNEXPECTED_FRAME",
    /// Resources missing.
    ResourceError = 506 "RESOURCE_ERROR",
    /// Limits and refused virtual hosts.
    NotAllowed = 530 "NOT_ALLOWED",
    /// A feature of the protocol that is not offered.
    NotImplemented = 540 "NOT_IMPLEMENTED",
    /// The fault is ours.
    InternalError = 541 "INTERNAL_ERROR",
}

/// What a refusal closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The channel only.
    Channel,
    /// The whole connection.
    Connection,
}

/// A request refused: which code, what it closes, and the explanation without the code's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// AMQP reply code.
    pub code: ReplyCode,
    /// What the session closes for it.
    pub scope: Scope,
    /// Explanation, such as `no queue 'q' in vhost '/'`.
    pub text: String,
}

impl Refusal {
    /// A refusal that closes the channel.
    pub fn channel(code: ReplyCode, text: impl Into<String>) -> Self {
        Refusal {
            code,
            scope: Scope::Channel,
            text: text.into(),
        }
    }

    /// A refusal that closes the connection.
    pub fn connection(code: ReplyCode, text: impl Into<String>) -> Self {
        Refusal {
            code,
            scope: Scope::Connection,
            text: text.into(),
        }
    }
}

impl fmt::Display for Refusal {
    /// The reply text as it goes on the wire: `<CODE_NAME> - <explanation>`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.text.as_str() {
            "" => f.write_str(self.code.name()),
            text => write!(f, "{} - {text}", self.code.name()),
        }
    }
}

impl std::error::Error for Refusal {}
