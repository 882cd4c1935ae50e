//! What a log's records add up to: the last vote, and the entries that are there.
//!
//! The same for a log that is read and one that is written. Never reads or writes a file.

use super::record::{Entry, Position, Record, Vote};
use std::collections::BTreeMap;

/// The state after some records.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    /// The last vote.
    pub vote: Option<Vote>,
    /// Up to where entries have been removed.
    pub purged: Option<Position>,
    /// Entries by their index.
    pub entries: BTreeMap<u64, Entry>,
}

impl State {
    /// Follows one record.
    pub(super) fn follow(&mut self, record: Record) {
        match record {
            Record::Standing { vote, purged } => {
                self.vote = vote.or(self.vote);
                self.purge(purged);
            }
            Record::Vote(vote) => self.vote = Some(vote),
            Record::Entries(entries) => {
                let placed = entries.into_iter().map(|entry| (entry.position.index, entry));
                self.entries.extend(placed);
            }
            Record::Truncate { since } => drop(self.entries.split_off(&since)),
            Record::Purge(upto) => self.purge(Some(upto)),
        }
    }

    fn purge(&mut self, upto: Option<Position>) {
        if let Some(upto) = upto.filter(|upto| Some(*upto) > self.purged) {
            self.entries = self.entries.split_off(&(upto.index + 1));
            self.purged = Some(upto);
        }
    }

    /// The first index that should be there and is not.
    pub(super) fn gap(&self) -> Option<u64> {
        let first = self.purged.map_or(0, |purged| purged.index + 1);
        let expected = first..;
        let found = self.entries.keys();
        expected
            .zip(found)
            .find(|(expected, found)| expected != *found)
            .map(|(expected, _)| expected)
    }
}
