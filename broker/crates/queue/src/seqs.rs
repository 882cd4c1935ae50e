//! The positions of a lane's fresh messages, as runs: a lane that gets every message of the queue needs one run.
//!
//! Positions only ascend; nothing here knows what stands at them.

use std::collections::VecDeque;

use model::Seq;

#[derive(Clone, Copy, Default)]
struct Run {
    first: u64,
    count: u64,
}

impl Run {
    /// First and last position.
    fn ends(self) -> (Seq, Seq) {
        (Seq(self.first), Seq(self.first + self.count - 1))
    }

    fn is_continued_by(self, seq: Seq) -> bool {
        self.first + self.count == seq.0
    }
}

/// Ascending positions; the first run lies here, further ones on the heap.
#[derive(Default)]
pub(crate) struct Seqs {
    front: Run,
    more: VecDeque<Run>,
}

impl Seqs {
    /// The lowest position; only asked while there is one.
    pub(crate) fn front(&self) -> Seq {
        debug_assert!(self.front.count > 0, "a fresh message without a position");
        Seq(self.front.first)
    }

    /// First and last position of each run, ascending.
    pub(crate) fn runs(&self) -> impl Iterator<Item = (Seq, Seq)> {
        let runs = std::iter::once(&self.front).chain(&self.more);
        runs.filter(|run| run.count > 0).map(|run| run.ends())
    }

    /// The highest position.
    pub(crate) fn back(&self) -> Option<Seq> {
        let last = self.more.back().unwrap_or(&self.front);
        (last.count > 0).then(|| last.ends().1)
    }

    /// Adds all of `higher`.
    pub(crate) fn append(&mut self, higher: Self) {
        for run in std::iter::once(higher.front)
            .chain(higher.more)
            .filter(|run| run.count > 0)
        {
            let last = self.more.back_mut().unwrap_or(&mut self.front);
            if last.count == 0 {
                *last = run;
            } else if last.is_continued_by(Seq(run.first)) {
                last.count += run.count;
            } else {
                self.more.push_back(run);
            }
        }
    }

    pub(crate) fn push_back(&mut self, seq: Seq) {
        let last = self.more.back_mut().unwrap_or(&mut self.front);
        if last.count == 0 {
            *last = Run { first: seq.0, count: 1 };
        } else if last.is_continued_by(seq) {
            last.count += 1;
        } else {
            self.more.push_back(Run { first: seq.0, count: 1 });
        }
    }

    pub(crate) fn pop_front(&mut self) -> Seq {
        assert!(self.front.count > 0, "a fresh message without a position");
        let seq = Seq(self.front.first);
        self.front.first += 1;
        self.front.count -= 1;
        if self.front.count == 0
            && let Some(next) = self.more.pop_front()
        {
            self.front = next;
        }
        seq
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_come_out_as_they_went_in_with_gaps_and_without() {
        let positions = [1, 2, 3, 7, 8, 20, 22, 23].map(Seq);
        let mut seqs = Seqs::default();
        positions.iter().for_each(|seq| seqs.push_back(*seq));
        for seq in positions {
            assert_eq!((seqs.front(), seqs.pop_front()), (seq, seq));
        }
        seqs.push_back(Seq(24));
        assert_eq!(seqs.pop_front(), Seq(24));
    }

    #[test]
    fn appended_positions_continue_the_last_run() {
        let of = |positions: &[u64]| {
            let mut seqs = Seqs::default();
            positions.iter().for_each(|seq| seqs.push_back(Seq(*seq)));
            seqs
        };
        let mut seqs = of(&[]);
        for part in [of(&[1, 2]), of(&[]), of(&[3, 5]), of(&[9])] {
            seqs.append(part);
        }
        let runs: Vec<_> = seqs.runs().collect();
        assert_eq!(runs, [(Seq(1), Seq(3)), (Seq(5), Seq(5)), (Seq(9), Seq(9))]);
        assert_eq!(seqs.back(), Some(Seq(9)));
    }

    #[test]
    fn neighbours_share_a_run() {
        let mut seqs = Seqs::default();
        (1..=1_000).for_each(|n| seqs.push_back(Seq(n)));
        assert!(seqs.more.is_empty());
    }
}
