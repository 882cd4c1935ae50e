//! The one source of chance: a number decides a whole life, and the same number always the same life.
//!
//! Never reads anything from outside.

use crate::chance::Chance;

/// Choices by a seed.
pub struct Draw(Chance);

impl Draw {
    /// The choices of a seed.
    pub fn new(seed: u64) -> Self {
        Draw(Chance::new(seed))
    }

    /// Less than `end`, or 0.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0.below(end.max(1))
    }

    /// An index of something of this length.
    pub fn index(&mut self, length: usize) -> usize {
        self.below(length as u64) as usize
    }

    /// True once in so many times.
    pub fn once_in(&mut self, times: u64) -> bool {
        self.0.once_in(times)
    }

    /// One of these, by weight.
    pub fn weighted<T: Copy>(&mut self, of: &[(u64, T)]) -> Option<T> {
        let total: u64 = of.iter().map(|(weight, _)| weight).sum();
        let mut at = self.below(total);
        of.iter().find_map(|(weight, item)| {
            if at < *weight {
                return Some(*item);
            }
            at -= weight;
            None
        })
    }
}
