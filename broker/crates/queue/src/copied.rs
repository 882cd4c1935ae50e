//! A message with all that a copy of its queue must know of it, as the leader shows it and as a mirror takes it.
//!
//! Only facts; who sends what when is decided by those that mirror.

use model::{Millis, Seq};

/// A message for a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Copied<M> {
    /// Its position.
    pub seq: Seq,
    /// Its priority level in the queue.
    pub level: u8,
    /// When it expires; [`NEVER`](crate::NEVER) if it does not.
    pub expires: Millis,
    /// How often it came back.
    pub delivery_count: u32,
    /// It may have been handed out.
    pub delivered: bool,
    /// The message.
    pub message: M,
}
