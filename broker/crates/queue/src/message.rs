//! What the queue must know of a message: of one that is still in the publisher's read buffer, and of a kept one.
//!
//! The queue never looks into a message; whoever owns the bytes says these facts once.

use model::Millis;

/// The expiry of a message that has none.
pub const NEVER: Millis = Millis(u64::MAX);

/// What a publish says about itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Octets of the body; `x-max-length-bytes` counts these.
    pub body_bytes: u64,
    /// Priority as published; absent is 0, above the queue's maximum is the maximum.
    pub priority: u8,
    /// The message's own `expiration`; the queue's TTL applies as well and the shorter one counts.
    pub ttl: Option<Millis>,
    /// Published with delivery mode 2, the same as its [`Message`] will say.
    pub persistent: bool,
}

/// A published message that still lies in the publisher's read buffer.
pub trait Incoming {
    /// What it becomes when the queue must hold on to it.
    type Message: Message;

    /// Asked once per publish to a queue.
    fn facts(&self) -> Facts;

    /// Copies it out of the read buffer. Called at most once per publish to a queue, and not at all if a
    /// consumer without acknowledgements takes it. Queues of one fan-out may share what the first call made.
    fn keep(&mut self) -> Self::Message;
}

/// A message the queue holds: a handle of 8 octets keeps a backlog at 16 octets a message.
pub trait Message: Clone {
    /// Octets of the body, the same as its [`Facts`] said.
    fn body_bytes(&self) -> u64;

    /// Published with delivery mode 2.
    fn is_persistent(&self) -> bool;

    /// Octets of memory it takes while a queue holds it; always the same answer. The queue adds its own per entry.
    fn resident_bytes(&self) -> u64;
}
