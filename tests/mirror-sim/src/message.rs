//! A message of the simulation: which publish it is, and whether it is to survive.
//!
//! Its body is the number, so that octets that crossed a link tell whether they are the right ones.

use model::Millis;
use queue::{Facts, Incoming, Message};

/// A message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Letter {
    /// Which publish.
    pub id: u32,
    /// Published with delivery mode 2.
    pub persistent: bool,
}

impl Letter {
    /// Octets of each body.
    pub const BYTES: u64 = 4;

    /// Its body.
    pub fn body(self) -> [u8; 4] {
        self.id.to_le_bytes()
    }

    /// The message that came over a link.
    pub fn of(entry: &mirror::Entry<'_>) -> Option<Letter> {
        let id = u32::from_le_bytes(entry.body.try_into().ok()?);
        let persistent = entry.persistent;
        Some(Letter { id, persistent })
    }
}

impl Message for Letter {
    fn body_bytes(&self) -> u64 {
        Letter::BYTES
    }

    fn is_persistent(&self) -> bool {
        self.persistent
    }

    fn resident_bytes(&self) -> u64 {
        64
    }
}

/// One that is being published.
#[derive(Clone, Copy, Debug)]
pub struct Arriving {
    /// It.
    pub letter: Letter,
    /// Its own time to live.
    pub ttl: Option<Millis>,
    /// Its priority.
    pub priority: u8,
}

impl Incoming for Arriving {
    type Message = Letter;

    fn facts(&self) -> Facts {
        Facts {
            body_bytes: Letter::BYTES,
            priority: self.priority,
            ttl: self.ttl,
            persistent: self.letter.persistent,
        }
    }

    fn keep(&mut self) -> Letter {
        self.letter
    }
}
