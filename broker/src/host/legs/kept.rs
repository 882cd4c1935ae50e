//! The octets of publishes that a leader has not answered, kept until it has: they are sent again when the way breaks.
//!
//! What is kept are the very chunks that were written, so that keeping costs no copy. A chunk goes once all publishes in
//! it are answered. Pure: no lock, no socket.

use smallvec::SmallVec;
use std::collections::VecDeque;

use super::super::pool;

/// The publishes in a chunk that want an answer.
#[derive(Debug, Default)]
struct Marks {
    /// The lowest of their numbers; 0 = there is none.
    first: u64,
    /// The last of each channel, by the channel's own count.
    last: SmallVec<[(u16, u64); 1]>,
}

impl Marks {
    fn note(&mut self, channel: u16, count: u64, sequence: u64) {
        self.first = match self.first {
            0 => sequence,
            first => first.min(sequence),
        };
        match self.last.iter_mut().find(|(known, _)| *known == channel) {
            Some((_, last)) => *last = count,
            None => self.last.push((channel, count)),
        }
    }

    fn are_answered(&self, answered: &impl Fn(u16) -> Option<u64>) -> bool {
        let is_answered = |(channel, last): &(u16, u64)| answered(*channel).is_none_or(|upto| upto >= *last);
        self.last.iter().all(is_answered)
    }
}

/// Chunks that may have to be sent again.
#[derive(Debug, Default)]
pub struct Kept {
    written: VecDeque<(Vec<u8>, Marks)>,
    writing: Marks,
    out: Marks,
    bytes: usize,
    /// The highest number so far.
    highest: u64,
    /// The lowest of those that are sent again by another way than before.
    lowest_again: Option<u64>,
}

impl Kept {
    /// A publish that wants an answer goes into the chunk that is being filled: the `count`th of its channel.
    pub fn note(&mut self, channel: u16, count: u64, sequence: u64) {
        if sequence < self.highest {
            let lowest = self.lowest_again.get_or_insert(sequence);
            *lowest = sequence.min(*lowest);
        }
        self.highest = self.highest.max(sequence);
        self.out.note(channel, count, sequence);
    }

    /// A number at or below every one that is unanswered, of which the next is `sequence`.
    pub fn floor(&self, sequence: u64) -> u64 {
        let front = self.written.front().map_or(0, |(_, marks)| marks.first);
        let firsts = [front, self.writing.first, self.out.first, sequence];
        let lowest = firsts.into_iter().filter(|first| *first > 0).min().unwrap_or(sequence);
        self.lowest_again.map_or(lowest, |again| again.min(lowest))
    }

    /// A chunk has been written, and the one that was filled is next. What need not be kept is left empty.
    pub fn turn(&mut self, written: &mut Vec<u8>, answered: impl Fn(u16) -> Option<u64>) {
        let marks = std::mem::replace(&mut self.writing, std::mem::take(&mut self.out));
        if marks.are_answered(&answered) {
            written.clear();
            return;
        }
        self.bytes += written.len();
        // A buffer that is hardly used is worth more elsewhere.
        let octets = match written.len() * 2 < written.capacity() {
            true => written.as_slice().to_vec(),
            false => std::mem::take(written),
        };
        written.clear();
        self.written.push_back((octets, marks));
    }

    /// Publishes were answered, so many of each channel; `None` for one that is closed.
    pub fn let_go(&mut self, answered: impl Fn(u16) -> Option<u64>) {
        let is_over = |chunk: &mut (Vec<u8>, Marks)| chunk.1.are_answered(&answered);
        while let Some((octets, _)) = self.written.pop_front_if(is_over) {
            self.bytes -= octets.len();
            pool::give_back(octets);
        }
    }

    /// Nothing is unanswered.
    pub fn let_all_go(&mut self) {
        self.let_go(|_| None);
        self.lowest_again = None;
    }

    /// Octets that are kept.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes the chunks that were written, oldest first.
    pub fn take(&mut self) -> Vec<Vec<u8>> {
        self.bytes = 0;
        self.written.drain(..).map(|(octets, _)| octets).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fills a chunk with a publish each for these channels, numbers from `sequence`, and writes it.
    fn write(kept: &mut Kept, sequence: u64, publishes: &[(u16, u64)]) {
        for (place, (channel, count)) in publishes.iter().enumerate() {
            kept.note(*channel, *count, sequence + place as u64);
        }
        kept.turn(&mut Vec::new(), |_| Some(0));
        let mut chunk = vec![0; 100];
        kept.turn(&mut chunk, |_| Some(0));
        assert!(chunk.is_empty());
    }

    #[test]
    fn a_chunk_is_kept_until_all_publishes_in_it_are_answered_on_all_channels() {
        let mut kept = Kept::default();
        write(&mut kept, 1, &[(1, 1), (2, 1)]);
        write(&mut kept, 3, &[(1, 2)]);
        assert_eq!((kept.bytes(), kept.floor(4)), (200, 1));
        kept.let_go(|channel| (channel == 1).then_some(1));
        assert_eq!((kept.bytes(), kept.floor(4)), (100, 3), "channel 2 is closed");
        kept.let_go(|_| Some(2));
        assert_eq!((kept.bytes(), kept.floor(4)), (0, 4));
    }

    #[test]
    fn what_nobody_waits_for_is_not_kept() {
        let mut kept = Kept::default();
        write(&mut kept, 1, &[]);
        assert_eq!(kept.bytes(), 0);
        kept.note(1, 1, 1);
        kept.turn(&mut Vec::new(), |_| Some(0));
        let mut answered_meanwhile = vec![0; 100];
        kept.turn(&mut answered_meanwhile, |_| Some(1));
        assert!(answered_meanwhile.is_empty() && kept.take().is_empty());
    }

    #[test]
    fn the_floor_is_never_above_a_publish_that_came_from_another_way() {
        let mut kept = Kept::default();
        write(&mut kept, 50, &[(1, 1)]);
        write(&mut kept, 3, &[(1, 2)]);
        assert_eq!(kept.floor(51), 3);
        kept.let_go(|_| Some(2));
        kept.let_all_go();
        assert_eq!(kept.floor(51), 51);
    }
}
