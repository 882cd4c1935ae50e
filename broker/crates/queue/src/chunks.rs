//! A first-in first-out list that grows by chunks: no copy when it doubles, no slack beyond one chunk.
//!
//! Knows nothing of messages, and never gives access to the middle.

use std::collections::VecDeque;

/// Items per chunk: 2 KiB of 16-octet entries.
const CHUNK_ITEMS: usize = 128;

pub(crate) struct Chunks<T> {
    /// Empty only if everything is.
    front: VecDeque<T>,
    /// None is empty.
    rest: VecDeque<VecDeque<T>>,
}

impl<T> Default for Chunks<T> {
    fn default() -> Self {
        Self {
            front: VecDeque::new(),
            rest: VecDeque::new(),
        }
    }
}

impl<T> Chunks<T> {
    pub(crate) fn is_empty(&self) -> bool {
        self.front.is_empty()
    }

    pub(crate) fn front(&self) -> Option<&T> {
        self.front.front()
    }

    #[inline]
    pub(crate) fn push_back(&mut self, item: T) {
        if self.rest.is_empty() && self.front.len() < CHUNK_ITEMS {
            return self.front.push_back(item);
        }
        match self.rest.back_mut() {
            Some(last) if last.len() < CHUNK_ITEMS => last.push_back(item),
            Some(_) | None => {
                let mut chunk = VecDeque::with_capacity(CHUNK_ITEMS);
                chunk.push_back(item);
                self.rest.push_back(chunk);
            }
        }
    }

    #[inline]
    pub(crate) fn pop_front(&mut self) -> Option<T> {
        let item = self.front.pop_front();
        if self.front.is_empty() && !self.rest.is_empty() {
            self.refill();
        }
        item
    }

    /// Adds all of `later`, without moving its items.
    pub(crate) fn append(&mut self, later: Self) {
        if self.front.is_empty() {
            *self = later;
        } else if !later.front.is_empty() {
            self.rest.push_back(later.front);
            self.rest.extend(later.rest);
        }
    }

    /// For a look at items in ascending order of their places.
    pub(crate) fn walk(&self) -> Walk<'_, T> {
        Walk {
            chunk: &self.front,
            begin: 0,
            rest: self.rest.iter(),
        }
    }

    #[cold]
    fn refill(&mut self) {
        if let Some(next) = self.rest.pop_front() {
            self.front = next;
        }
        if self.rest.is_empty() {
            self.rest = VecDeque::new();
        }
    }
}

/// Looks at items, passing over whole chunks.
pub(crate) struct Walk<'a, T> {
    chunk: &'a VecDeque<T>,
    /// Items before the chunk.
    begin: u64,
    rest: std::collections::vec_deque::Iter<'a, VecDeque<T>>,
}

impl<'a, T> Walk<'a, T> {
    /// The item that so many are before; never one before an earlier one.
    pub(crate) fn get(&mut self, index: u64) -> Option<&'a T> {
        while index >= self.begin + self.chunk.len() as u64 {
            self.begin += self.chunk.len() as u64;
            self.chunk = self.rest.next()?;
        }
        self.chunk.get(usize::try_from(index - self.begin).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn appended_chunks_come_after_those_before(
            (first, second, third) in (0..400usize, 0..400usize, 0..400usize),
        ) {
            let mut chunks = Chunks::default();
            (0..first).for_each(|item| chunks.push_back(item));
            let mut later = Chunks::default();
            (first..first + second).for_each(|item| later.push_back(item));
            chunks.append(later);
            (first + second..first + second + third).for_each(|item| chunks.push_back(item));
            let mut walk = chunks.walk();
            for item in (0..first + second + third).step_by(7) {
                prop_assert_eq!(walk.get(item as u64), Some(&item));
            }
            prop_assert_eq!(walk.get((first + second + third) as u64), None);
            for item in 0..first + second + third {
                prop_assert_eq!(chunks.pop_front(), Some(item));
            }
            prop_assert!(chunks.is_empty());
        }

        #[test]
        fn chunks_are_first_in_first_out_across_their_borders(
            bursts in prop::collection::vec((0..400usize, 0..400usize), 1..12),
        ) {
            let (mut chunks, mut plain) = (Chunks::default(), VecDeque::new());
            for (pushes, pops) in bursts {
                for item in 0..pushes {
                    chunks.push_back(item);
                    plain.push_back(item);
                }
                for _ in 0..pops {
                    prop_assert_eq!(chunks.front(), plain.front());
                    prop_assert_eq!(chunks.pop_front(), plain.pop_front());
                    prop_assert_eq!(chunks.is_empty(), plain.is_empty());
                }
            }
        }
    }
}
