//! Which positions are held, as ascending runs put together from several places, a limited number at a time.
//!
//! Whoever asks goes on behind the last run until there is none. Each place names its own in order; where one has more
//! than was asked for, the answer ends with what is known of all.

use model::Seq;

/// Positions from `from` on, gathered place by place.
pub(crate) struct Listing {
    from: Seq,
    runs_max: usize,
    found: Vec<(Seq, Seq)>,
    /// Beyond this a place may hold more than was found.
    upto: Seq,
}

impl Listing {
    pub(crate) fn new(from: Seq, runs_max: usize) -> Self {
        Self {
            from,
            runs_max: runs_max.max(1),
            found: Vec::new(),
            upto: Seq(u64::MAX),
        }
    }

    /// Where it begins.
    pub(crate) fn begin(&self) -> Seq {
        self.from
    }

    /// Adds a place that names its runs in ascending order.
    pub(crate) fn add(&mut self, runs: impl IntoIterator<Item = (Seq, Seq)>) {
        let from = self.from;
        let runs = runs.into_iter().filter(|run| run.1 >= from);
        for (taken, (first, last)) in runs.enumerate() {
            if taken == self.runs_max {
                self.upto = self.upto.min(before(first));
                return;
            }
            self.found.push((first.max(from), last));
        }
    }

    /// Adds pages in the order of their first positions; they may overlap.
    pub(crate) fn add_pages<R>(&mut self, pages: impl IntoIterator<Item = (Seq, R)>)
    where
        R: IntoIterator<Item = (Seq, Seq)>,
    {
        let begin = self.found.len();
        for (first, runs) in pages {
            // What comes in earlier pages may all be behind this one: then it is not enough.
            let found = &self.found[begin..];
            if found.len() >= self.runs_max && found.iter().any(|run| run.0 < first) {
                self.upto = self.upto.min(before(first));
                return;
            }
            let from = self.from;
            let runs = runs.into_iter().filter(|run| run.1 >= from);
            self.found.extend(runs.map(|(first, last)| (first.max(from), last)));
        }
    }

    /// The runs in order; neighbours are one.
    pub(crate) fn finish(mut self) -> Vec<(Seq, Seq)> {
        self.found.sort_unstable();
        let known = self.found.into_iter().filter(|run| run.0 <= self.upto);
        let mut runs = joined(known.map(|(first, last)| (first, last.min(self.upto))));
        runs.truncate(self.runs_max);
        runs
    }
}

fn before(seq: Seq) -> Seq {
    Seq(seq.0.saturating_sub(1))
}

/// Ascending runs of which none touches the next.
pub(crate) fn joined(runs: impl IntoIterator<Item = (Seq, Seq)>) -> Vec<(Seq, Seq)> {
    let mut joined: Vec<(Seq, Seq)> = Vec::new();
    for (first, last) in runs {
        match joined.last_mut() {
            Some((_, end)) if first.0 <= end.0.saturating_add(1) => *end = last.max(*end),
            Some(_) | None => joined.push((first, last)),
        }
    }
    joined
}

/// The parts of ascending runs that lie from `first` to `last`.
pub(crate) fn within(runs: &[(Seq, Seq)], first: Seq, last: Seq) -> impl Iterator<Item = (Seq, Seq)> {
    let begin = runs.partition_point(|run| run.1 < first);
    let reached = runs[begin..].iter().take_while(move |run| run.0 <= last);
    reached.map(move |run| (run.0.max(first), run.1.min(last)))
}

/// True if one of the ascending runs holds the position.
pub(crate) fn holds(runs: &[(Seq, Seq)], seq: Seq) -> bool {
    within(runs, seq, seq).next().is_some()
}

/// What lies from `first` to `last` and in none of the ascending runs.
pub(crate) fn outside(runs: &[(Seq, Seq)], first: Seq, last: Seq) -> Vec<(Seq, Seq)> {
    let (mut gaps, mut next) = (Vec::new(), Some(first));
    for (begin, end) in within(runs, first, last) {
        if let Some(from) = next.filter(|from| *from < begin) {
            gaps.push((from, before(begin)));
        }
        next = end.0.checked_add(1).map(Seq);
    }
    gaps.extend(next.filter(|from| *from <= last).map(|from| (from, last)));
    gaps
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn runs_of(positions: &BTreeSet<u64>) -> Vec<(Seq, Seq)> {
        joined(positions.iter().map(|seq| (Seq(*seq), Seq(*seq))))
    }

    fn positions(runs: &[(Seq, Seq)]) -> BTreeSet<u64> {
        runs.iter().flat_map(|run| run.0.0..=run.1.0).collect()
    }

    fn set() -> impl Strategy<Value = BTreeSet<u64>> {
        prop::collection::btree_set(1..60u64, 0..30)
    }

    proptest! {
        #[test]
        fn asked_again_and_again_every_position_of_every_place_is_named_once(
            mut places in prop::collection::vec(set(), 0..4),
            mut pages in prop::collection::vec(set(), 0..4),
            runs_max in 1..5usize,
        ) {
            // Each position is in one place only.
            let mut known = BTreeSet::new();
            places.iter_mut().chain(&mut pages).for_each(|place| place.retain(|seq| known.insert(*seq)));
            let mut paged: Vec<_> = pages.iter().map(runs_of).filter(|runs| !runs.is_empty()).collect();
            paged.sort();
            let (mut named, mut from) = (Vec::new(), Seq(0));
            loop {
                let mut listing = Listing::new(from, runs_max);
                places.iter().for_each(|place| listing.add(runs_of(place)));
                listing.add_pages(paged.iter().map(|runs| (runs[0].0, runs.clone())));
                let runs = listing.finish();
                prop_assert!(runs.len() <= runs_max);
                let Some((_, last)) = runs.last() else { break };
                from = last.next();
                named.extend(runs);
            }
            prop_assert!(named.is_sorted());
            let all: BTreeSet<u64> = places.iter().chain(&pages).flatten().copied().collect();
            prop_assert_eq!(named.iter().map(|run| run.1.0 - run.0.0 + 1).sum::<u64>(), all.len() as u64);
            prop_assert_eq!(positions(&named), all);
        }

        #[test]
        fn what_is_within_and_what_is_outside_make_up_the_range(set in set(), first in 1..60u64, more in 0..30u64) {
            let (runs, first, last) = (runs_of(&set), Seq(first), Seq(first + more));
            let inside: Vec<_> = within(&runs, first, last).collect();
            let expected: BTreeSet<u64> = set.range(first.0..=last.0).copied().collect();
            prop_assert_eq!(positions(&inside), expected.clone());
            let gaps = positions(&outside(&runs, first, last));
            prop_assert_eq!(gaps, (first.0..=last.0).filter(|seq| !expected.contains(seq)).collect::<BTreeSet<_>>());
            prop_assert_eq!(holds(&runs, first), set.contains(&first.0));
        }
    }
}
