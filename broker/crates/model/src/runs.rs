//! A set of positions kept as runs: what comes and goes in order costs one run, whatever its length.
//!
//! Knows nothing of what stands at the positions. A gap in the middle costs one entry more, never one a position.

use std::collections::BTreeMap;

use crate::Seq;

/// A set of positions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Runs(Kept);

/// Nearly all sets are one run: those need no allocation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Kept {
    #[default]
    Nothing,
    One(u64, u64),
    /// Two or more, by their first positions, never touching each other.
    Many(BTreeMap<u64, u64>),
}

impl Runs {
    /// One run, both ends included.
    pub fn of(first: Seq, last: Seq) -> Self {
        let mut runs = Runs::default();
        runs.insert(first, last);
        runs
    }

    /// True if there is no position.
    pub fn is_empty(&self) -> bool {
        matches!(self.0, Kept::Nothing)
    }

    /// Number of positions.
    pub fn count(&self) -> u64 {
        self.iter().map(|(first, last)| last.0 - first.0 + 1).sum()
    }

    /// Number of runs: what the set costs.
    pub fn run_count(&self) -> usize {
        match &self.0 {
            Kept::Nothing => 0,
            Kept::One(..) => 1,
            Kept::Many(runs) => runs.len(),
        }
    }

    /// The lowest position.
    pub fn first(&self) -> Option<Seq> {
        self.iter().next().map(|(first, _)| first)
    }

    /// The highest position.
    pub fn last(&self) -> Option<Seq> {
        match &self.0 {
            Kept::Nothing => None,
            Kept::One(_, last) => Some(Seq(*last)),
            Kept::Many(runs) => runs.last_key_value().map(|(_, last)| Seq(*last)),
        }
    }

    /// True if the position is in the set.
    pub fn contains(&self, seq: Seq) -> bool {
        match &self.0 {
            Kept::Nothing => false,
            Kept::One(first, last) => (*first..=*last).contains(&seq.0),
            Kept::Many(runs) => runs.range(..=seq.0).next_back().is_some_and(|(_, last)| *last >= seq.0),
        }
    }

    /// The runs in order, both ends included.
    pub fn iter(&self) -> impl Iterator<Item = (Seq, Seq)> + '_ {
        let (one, many) = match &self.0 {
            Kept::Nothing => (None, None),
            Kept::One(first, last) => (Some((*first, *last)), None),
            Kept::Many(runs) => (None, Some(runs)),
        };
        let many = many.into_iter().flatten().map(|(first, last)| (*first, *last));
        one.into_iter().chain(many).map(|(first, last)| (Seq(first), Seq(last)))
    }

    /// The runs that reach into `first..=last`, cut to it.
    pub fn within(&self, first: Seq, last: Seq) -> Vec<(Seq, Seq)> {
        let cut = |(a, b): (Seq, Seq)| (a.max(first), b.min(last));
        let touching: Vec<(Seq, Seq)> = match &self.0 {
            Kept::Nothing | Kept::One(..) => self.iter().collect(),
            Kept::Many(runs) => {
                let before = runs.range(..first.0).next_back();
                let all = before.into_iter().chain(runs.range(first.0..=last.0));
                all.map(|(a, b)| (Seq(*a), Seq(*b))).collect()
            }
        };
        touching.into_iter().map(cut).filter(|(a, b)| a <= b).collect()
    }

    /// Adds a run; what is there already stays.
    pub fn insert(&mut self, first: Seq, last: Seq) {
        debug_assert!(first <= last);
        match &mut self.0 {
            Kept::Nothing => self.0 = Kept::One(first.0, last.0),
            Kept::One(a, b) if touches((*a, *b), (first.0, last.0)) => {
                (*a, *b) = ((*a).min(first.0), (*b).max(last.0));
            }
            Kept::One(a, b) => self.0 = Kept::Many(BTreeMap::from([(*a, *b), (first.0, last.0)])),
            Kept::Many(runs) => {
                merge(runs, first.0, last.0);
                self.settle();
            }
        }
    }

    /// Takes out what lies from `first` to `last` and calls `gone` with each run that was there.
    pub fn remove(&mut self, first: Seq, last: Seq, mut gone: impl FnMut(Seq, Seq)) {
        match &mut self.0 {
            Kept::Nothing => {}
            Kept::One(a, b) => {
                let (a, b) = (*a, *b);
                let (from, to) = (a.max(first.0), b.min(last.0));
                if from > to {
                    return;
                }
                gone(Seq(from), Seq(to));
                self.0 = match (a < from, to < b) {
                    (false, false) => Kept::Nothing,
                    (true, false) => Kept::One(a, from - 1),
                    (false, true) => Kept::One(to + 1, b),
                    (true, true) => Kept::Many(BTreeMap::from([(a, from - 1), (to + 1, b)])),
                };
            }
            Kept::Many(runs) => {
                cut(runs, first.0, last.0, &mut gone);
                self.settle();
            }
        }
    }

    /// Goes back to the form that needs no allocation where that is enough.
    fn settle(&mut self) {
        if let Kept::Many(runs) = &self.0
            && runs.len() < 2
        {
            self.0 = match runs.first_key_value() {
                None => Kept::Nothing,
                Some((first, last)) => Kept::One(*first, *last),
            };
        }
    }
}

/// True if the two overlap or stand side by side.
fn touches(a: (u64, u64), b: (u64, u64)) -> bool {
    a.0 <= b.1.saturating_add(1) && b.0 <= a.1.saturating_add(1)
}

fn merge(runs: &mut BTreeMap<u64, u64>, mut first: u64, mut last: u64) {
    while let Some((a, b)) = runs.range(..=last.saturating_add(1)).next_back().map(|(a, b)| (*a, *b))
        && touches((a, b), (first, last))
    {
        runs.remove(&a);
        (first, last) = (first.min(a), last.max(b));
    }
    runs.insert(first, last);
}

fn cut(runs: &mut BTreeMap<u64, u64>, first: u64, last: u64, gone: &mut impl FnMut(Seq, Seq)) {
    let before = runs.range(..first).next_back().map(|(a, b)| (*a, *b));
    let mut hit: Vec<(u64, u64)> = before.filter(|(_, b)| *b >= first).into_iter().collect();
    hit.extend(runs.range(first..=last).map(|(a, b)| (*a, *b)));
    for (a, b) in hit {
        runs.remove(&a);
        let (from, to) = (a.max(first), b.min(last));
        gone(Seq(from), Seq(to));
        if a < from {
            runs.insert(a, from - 1);
        }
        if to < b {
            runs.insert(to + 1, b);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn plain(runs: &Runs) -> BTreeSet<u64> {
        runs.iter().flat_map(|(first, last)| first.0..=last.0).collect()
    }

    #[test]
    fn what_comes_and_goes_in_order_is_one_run() {
        let mut runs = Runs::default();
        for seq in 1..=1000 {
            runs.insert(Seq(seq), Seq(seq));
        }
        runs.remove(Seq(1), Seq(400), |_, _| {});
        assert_eq!(runs, Runs::of(Seq(401), Seq(1000)));
        assert_eq!((runs.run_count(), runs.count()), (1, 600));
    }

    proptest! {
        #[test]
        fn runs_are_a_set(
            steps in prop::collection::vec((any::<bool>(), 0..60u64, 0..8u64), 1..80),
        ) {
            let (mut runs, mut set) = (Runs::default(), BTreeSet::new());
            for (inserts, first, more) in steps {
                let last = first + more;
                if inserts {
                    runs.insert(Seq(first), Seq(last));
                    set.extend(first..=last);
                } else {
                    let mut gone = BTreeSet::new();
                    runs.remove(Seq(first), Seq(last), |a, b| gone.extend(a.0..=b.0));
                    let expected: BTreeSet<u64> = set.range(first..=last).copied().collect();
                    prop_assert_eq!(&gone, &expected);
                    set.retain(|seq| !(first..=last).contains(seq));
                }
                prop_assert_eq!(plain(&runs), set.clone());
                prop_assert_eq!(runs.count(), set.len() as u64);
                prop_assert_eq!(runs.first().map(|seq| seq.0), set.first().copied());
                prop_assert_eq!(runs.last().map(|seq| seq.0), set.last().copied());
                let within: BTreeSet<u64> = runs.within(Seq(first), Seq(last)).iter().flat_map(|(a, b)| a.0..=b.0).collect();
                prop_assert_eq!(within, set.range(first..=last).copied().collect::<BTreeSet<_>>());
                for seq in 0..70 {
                    prop_assert_eq!(runs.contains(Seq(seq)), set.contains(&seq));
                }
                let apart = runs.iter().zip(runs.iter().skip(1)).all(|(a, b)| a.1.0 + 1 < b.0.0);
                prop_assert!(apart, "runs that touch are one");
            }
        }
    }
}
