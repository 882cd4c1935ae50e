//! Where a matched binding sends a message, and the set of such places with the number of bindings to each.
//!
//! A place stays as long as one binding leads to it.

use crate::small_map::SmallMap;
use model::{ExchangeName, QueueId};

/// A queue, or an exchange to go on with.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Target {
    Queue(QueueId),
    Exchange(ExchangeName),
}

/// Places with the number of bindings to each.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Targets(SmallMap<Target, u32>);

impl Targets {
    pub(crate) fn add(&mut self, target: Target) {
        let count = self.0.get(&target).copied().unwrap_or(0);
        self.0.insert(target, count.saturating_add(1));
    }

    pub(crate) fn remove(&mut self, target: &Target) {
        match self.0.get(target) {
            Some(count) if *count > 1 => self.0.insert(target.clone(), count - 1),
            _ => self.0.remove(target),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Target> {
        self.0.iter().map(|(target, _)| target)
    }

    /// The place that a number falls on, evenly.
    pub(crate) fn pick(&self, number: u64) -> Option<&Target> {
        let count = self.0.len() as u64;
        let at = number.checked_rem(count)?;
        self.0
            .nth(usize::try_from(at).unwrap_or_default())
            .map(|(target, _)| target)
    }
}
