//! A copy's pages in the store: which positions they hold, and what is cut out of them while they lie there.
//!
//! Nothing is read to take a message out of a page. Pages of a level rarely overlap (only after a restart or within a
//! base); those that do lie in layers, so that the pages around a position are found without a search.

use std::collections::BTreeMap;

use model::{PageId, Runs, Seq};

use crate::counts::Tally;
use crate::page::RestoredPage;

/// A page of a copy. Octets are those of the whole page in proportion to what is left of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct CopyPage {
    pub(crate) id: PageId,
    pub(crate) level: u8,
    pub(crate) tally: Tally,
    pub(crate) expiring: u64,
    pub(crate) runs: Runs,
    /// The store was asked for it, by the queue that this copy was, and will answer.
    pub(crate) is_loading: bool,
}

impl From<RestoredPage> for CopyPage {
    fn from(page: RestoredPage) -> Self {
        let mut runs = Runs::default();
        page.seqs.iter().for_each(|(first, last)| runs.insert(*first, *last));
        Self {
            id: page.id,
            level: page.level,
            tally: page.tally,
            expiring: page.expiring,
            runs,
            is_loading: false,
        }
    }
}

impl CopyPage {
    fn ends(&self) -> (Seq, Seq) {
        (
            self.runs.first().unwrap_or_default(),
            self.runs.last().unwrap_or_default(),
        )
    }

    /// Takes positions out; returns the first and the last of those that were there.
    fn cut(&mut self, first: Seq, last: Seq) -> Option<(Seq, Seq)> {
        let (mut count, mut ends) = (0, None);
        self.runs.remove(first, last, |first, last| {
            count += last.0 - first.0 + 1;
            ends = Some(spanning(ends, (first, last)));
        });
        let before = self.tally.messages;
        let left = before.saturating_sub(count);
        let share = |of: u64| share(of, left, before);
        self.tally = Tally {
            messages: left,
            bytes: share(self.tally.bytes),
            persistent: share(self.tally.persistent),
            persistent_bytes: share(self.tally.persistent_bytes),
        };
        // Too many rather than too few: time is looked at as long as one may be left.
        self.expiring = self.expiring.min(left);
        ends
    }
}

/// The part of `of` that `left` out of `before` messages have.
fn share(of: u64, left: u64, before: u64) -> u64 {
    let part = u128::from(of) * u128::from(left) / u128::from(before.max(1));
    u64::try_from(part).unwrap_or(u64::MAX)
}

/// One run from the lowest to the highest of both.
pub(crate) fn spanning(known: Option<(Seq, Seq)>, run: (Seq, Seq)) -> (Seq, Seq) {
    known.map_or(run, |known| (known.0.min(run.0), known.1.max(run.1)))
}

/// Pages of one level that do not overlap, by the first positions they had.
type Layer = BTreeMap<Seq, CopyPage>;

#[derive(Default)]
pub(crate) struct CopyPages {
    levels: BTreeMap<u8, Vec<Layer>>,
    tally: Tally,
}

/// What a removal did to pages.
#[derive(Default)]
pub(crate) struct Cut {
    /// From the first to the last position that was in a page.
    pub(crate) ends: Option<(Seq, Seq)>,
    pub(crate) count: u64,
    /// Pages of which nothing is left.
    pub(crate) emptied: Vec<PageId>,
}

impl CopyPages {
    /// What is in all of them.
    pub(crate) fn tally(&self) -> &Tally {
        &self.tally
    }

    /// The lowest position of each level that has pages.
    pub(crate) fn firsts(&self) -> BTreeMap<u8, Seq> {
        let first = |layers: &Vec<Layer>| {
            layers
                .iter()
                .filter_map(|layer| layer.values().next())
                .map(|page| page.ends().0)
                .min()
        };
        self.levels
            .iter()
            .filter_map(|(level, layers)| Some((*level, first(layers)?)))
            .collect()
    }

    /// The highest position of all.
    pub(crate) fn last(&self) -> Option<Seq> {
        let layers = self.levels.values().flatten();
        layers
            .filter_map(|layer| layer.values().next_back())
            .map(|page| page.ends().1)
            .max()
    }

    pub(crate) fn insert(&mut self, page: CopyPage) {
        if page.runs.is_empty() {
            return;
        }
        self.tally.add_all(&page.tally);
        let ends = page.ends();
        let layers = self.levels.entry(page.level).or_default();
        match layers.iter_mut().find(|layer| around(layer, ends).next().is_none()) {
            Some(layer) => drop(layer.insert(ends.0, page)),
            None => layers.push(Layer::from([(ends.0, page)])),
        }
    }

    /// The level of a position that lies in a page.
    pub(crate) fn level_of(&self, seq: Seq) -> Option<u8> {
        let layers = self.levels.values().flatten();
        let mut pages = layers.flat_map(|layer| around(layer, (seq, seq)));
        pages.find(|page| page.runs.contains(seq)).map(|page| page.level)
    }

    /// Takes out what lies from `first` to `last`.
    pub(crate) fn remove(&mut self, first: Seq, last: Seq) -> Cut {
        let mut cut = Cut::default();
        for layer in self.levels.values_mut().flatten() {
            let keys: Vec<Seq> = around_keys(layer, (first, last)).collect();
            for key in keys {
                let Some(page) = layer.get_mut(&key) else { continue };
                let before = page.tally;
                let ends = page.cut(first, last);
                self.tally.remove_all(&before);
                self.tally.add_all(&page.tally);
                cut.count += before.messages - page.tally.messages;
                cut.ends = ends.map(|ends| spanning(cut.ends, ends)).or(cut.ends);
                if page.runs.is_empty() {
                    cut.emptied.push(page.id);
                    layer.remove(&key);
                }
            }
        }
        self.tidy_up();
        cut
    }

    /// Takes a page out that is on its way; `None` if it is not, or not wanted any more.
    pub(crate) fn take_loading(&mut self, id: PageId) -> Option<CopyPage> {
        let mut layers = self.levels.values_mut().flatten();
        let page = layers.find_map(|layer| {
            let key = layer.iter().find(|(_, page)| page.id == id && page.is_loading)?.0;
            let key = *key;
            layer.remove(&key)
        })?;
        self.tally.remove_all(&page.tally);
        self.tidy_up();
        Some(page)
    }

    /// Runs of positions from `first` to `last`, in no order.
    pub(crate) fn within(&self, first: Seq, last: Seq) -> impl Iterator<Item = (Seq, Seq)> {
        let layers = self.levels.values().flatten();
        let pages = layers.flat_map(move |layer| around(layer, (first, last)));
        pages.flat_map(move |page| page.runs.within(first, last))
    }

    /// Layer by layer, the pages that reach behind `from`, in order, each with its first position.
    pub(crate) fn layers(&self, from: Seq) -> impl Iterator<Item = impl Iterator<Item = (Seq, &Runs)>> {
        let layers = self.levels.values().flatten();
        layers.map(move |layer| around(layer, (from, Seq(u64::MAX))).map(|page| (page.ends().0, &page.runs)))
    }

    pub(crate) fn into_pages(self) -> impl Iterator<Item = CopyPage> {
        self.levels.into_values().flatten().flat_map(Layer::into_values)
    }

    fn tidy_up(&mut self) {
        self.levels.retain(|_, layers| {
            layers.retain(|layer| !layer.is_empty());
            !layers.is_empty()
        });
    }
}

/// The pages of a layer that may reach into this range.
fn around(layer: &Layer, range: (Seq, Seq)) -> impl Iterator<Item = &CopyPage> {
    around_keys(layer, range).filter_map(|key| layer.get(&key))
}

fn around_keys(layer: &Layer, (first, last): (Seq, Seq)) -> impl Iterator<Item = Seq> {
    let before = layer.range(..first).next_back();
    let before = before.filter(|(_, page)| page.ends().1 >= first);
    before.into_iter().chain(layer.range(first..=last)).map(|(key, _)| *key)
}
