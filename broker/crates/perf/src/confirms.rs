//! Which publishes of a channel are not confirmed yet, and how long each waited.
//!
//! Brokers confirm in any order and many at once: `low` is the last tag below which all are confirmed.

use std::collections::{BTreeSet, VecDeque};

/// Unconfirmed publishes of one channel.
#[derive(Debug, Default)]
pub(crate) struct Confirms {
    /// Last tag given.
    last: u64,
    /// All up to here are confirmed.
    low: u64,
    /// Confirmed above `low`.
    early: BTreeSet<u64>,
    /// Last tag of each write and when it was sent, in nanoseconds.
    writes: VecDeque<(u64, u64)>,
}

impl Confirms {
    /// `count` more publishes, sent at `nanos`.
    pub(crate) fn sent(&mut self, count: u64, nanos: u64) {
        self.last += count;
        self.writes.push_back((self.last, nanos));
    }

    pub(crate) fn outstanding(&self) -> u64 {
        self.last - self.low - self.early.len() as u64
    }

    /// Takes note of an ack or nack; calls `each` with the time sent and the number of publishes it settled.
    /// `false` for a tag never given or already settled.
    pub(crate) fn settled(&mut self, tag: u64, multiple: bool, mut each: impl FnMut(u64, u64)) -> bool {
        let upto = if tag == 0 && multiple { self.last } else { tag };
        if upto > self.last || upto <= self.low || (!multiple && self.early.contains(&upto)) {
            return multiple && upto <= self.last;
        }
        match multiple || upto == self.low + 1 {
            true => self.settle_upto(upto, &mut each),
            false => {
                self.early.insert(upto);
                each(self.sent_at(upto), 1);
            }
        }
        true
    }

    fn sent_at(&self, tag: u64) -> u64 {
        let at = self.writes.partition_point(|(last, _)| *last < tag);
        self.writes.get(at).map_or(0, |(_, nanos)| *nanos)
    }

    fn settle_upto(&mut self, upto: u64, each: &mut impl FnMut(u64, u64)) {
        while self.low < upto {
            let Some(&(last, nanos)) = self.writes.front() else {
                return;
            };
            let until = last.min(upto);
            let still_early = self.early.split_off(&(until + 1));
            let count = until - self.low - self.early.len() as u64;
            self.early = still_early;
            self.low = until;
            if count > 0 {
                each(nanos, count);
            }
            self.forget_write(last);
        }
        self.join_early();
    }

    /// What was confirmed early and now borders on `low` belongs below it.
    fn join_early(&mut self) {
        while self.early.first() == Some(&(self.low + 1)) {
            self.early.pop_first();
            self.low += 1;
        }
        while let Some(&(last, _)) = self.writes.front().filter(|(last, _)| *last <= self.low) {
            self.forget_write(last);
        }
    }

    fn forget_write(&mut self, last: u64) {
        if last <= self.low {
            self.writes.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn confirms_out_of_order_are_each_counted_once_with_their_own_time() {
        let mut confirms = Confirms::default();
        confirms.sent(3, 100);
        confirms.sent(2, 200);
        let mut seen = Vec::new();
        for (tag, multiple) in [(4, false), (2, false), (5, true), (5, true)] {
            assert!(confirms.settled(tag, multiple, |nanos, count| seen.push((nanos, count))));
        }
        assert_eq!(seen, [(200, 1), (100, 1), (100, 2), (200, 1)]);
        assert_eq!(confirms.outstanding(), 0);
        assert!(!confirms.settled(6, false, |_, _| {}));
        assert!(!confirms.settled(5, false, |_, _| {}));
    }

    proptest! {
        #[test]
        fn any_order_of_confirms_counts_every_publish_once(steps in proptest::collection::vec((0_u64..5, 1_u64..60, any::<bool>()), 1..60)) {
            let mut confirms = Confirms::default();
            let mut open = BTreeSet::new();
            let mut last = 0;
            for (sent, tag, multiple) in steps {
                if sent > 0 {
                    confirms.sent(sent, last + sent);
                    open.extend(last + 1..=last + sent);
                    last += sent;
                }
                let expected: Vec<u64> = open.iter().copied().filter(|t| tag <= last && (*t == tag || (multiple && *t < tag))).collect();
                let mut count = 0;
                confirms.settled(tag, multiple, |_, n| count += n);
                prop_assert_eq!(count, expected.len() as u64);
                open.retain(|tag| !expected.contains(tag));
                prop_assert_eq!(confirms.outstanding(), open.len() as u64);
            }
        }
    }
}
