//! A broken promise, in words that can be read without this program. It decides nothing; the auditors do.

use crate::message::Id;
use std::fmt;

/// What kind of promise was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    /// What must be there is not.
    Lost,
    /// A message is there more often than it was published.
    Twice,
    /// Messages stand in another order than before, or than they were published in.
    Disorder,
    /// What was settled for good is back.
    Resurrected,
    /// A message that nobody may have published there.
    Phantom,
    /// A body that is not what was published.
    Damaged,
    /// A message that was delivered before does not say so.
    Unmarked,
    /// More than a queue may hold, or another number than the server tells.
    Count,
    /// A queue, exchange or binding is not what was agreed.
    Definition,
    /// The server refused, fell silent or ended where it must not.
    Server,
}

/// One broken promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    /// Its kind.
    pub(crate) fault: Fault,
    /// The queue or other thing it was found at.
    pub(crate) place: String,
    /// The message it is about.
    pub(crate) id: Option<Id>,
    /// What was found, and why it is wrong.
    pub(crate) text: String,
}

impl Finding {
    /// About a message.
    pub(crate) fn of(fault: Fault, place: &str, id: Id, text: impl Into<String>) -> Self {
        Self {
            fault,
            place: place.to_owned(),
            id: Some(id),
            text: text.into(),
        }
    }

    /// About something else.
    pub(crate) fn at(fault: Fault, place: &str, text: impl Into<String>) -> Self {
        Self {
            fault,
            place: place.to_owned(),
            id: None,
            text: text.into(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { fault, place, id, text } = self;
        match id {
            Some(id) => write!(f, "{fault:?}: message {id} in '{place}': {text}"),
            None => write!(f, "{fault:?}: '{place}': {text}"),
        }
    }
}
