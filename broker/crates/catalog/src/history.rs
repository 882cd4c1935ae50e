//! Which history of the cluster this is, and how far its words have come.
//!
//! A node that was forced to go on without the others begins another history than that of those who knew more: it says so
//! in its first entry, so that the two can be told apart when they meet. The feature level only rises.

use crate::apply::Change;
use crate::command::{Answer, NodeDeath, Turn};
use crate::record::NodeRecord;
use crate::state::Catalog;
use model::NodeUuid;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// How often the cluster was made to go on without some of its members, and by whom last. The greater history wins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Forced {
    /// How often.
    pub times: u64,
    /// The node that went on.
    pub by: NodeUuid,
}

impl Catalog {
    /// How often the cluster was made to go on without some of its members.
    pub fn forced(&self) -> Forced {
        self.forced
    }

    /// The highest level of words that a leader of this cluster has understood; the first before any said so.
    pub fn level(&self) -> u32 {
        self.level.max(1)
    }

    /// Whether somebody wants that level to stay, so that nodes can go back to the release before.
    pub fn is_level_held(&self) -> bool {
        self.is_level_held
    }
}

impl Change<'_> {
    pub(crate) fn turn(&mut self, turn: Turn) -> Answer {
        match turn {
            Turn::Forced(by) => self.force(by),
            Turn::Level(level) => self.raise_level(level),
            Turn::LevelHeld(on) => self.hold_level(on),
        }
    }

    /// The others are down: it does not wait for their votes, and they say so when they are back.
    fn force(&mut self, by: NodeUuid) -> Answer {
        self.catalog.forced = Forced {
            times: self.catalog.forced.times + 1,
            by,
        };
        let others = self.catalog.nodes.values().filter(|node| node.up && node.uuid != by);
        let death = |node: &Arc<NodeRecord>| NodeDeath {
            node: node.uuid,
            incarnation: node.incarnation,
        };
        let deaths: Vec<NodeDeath> = others.map(death).collect();
        self.node_down(&deaths, false)
    }

    fn raise_level(&mut self, level: u32) -> Answer {
        self.catalog.level = self.catalog.level.max(level);
        Answer::Done
    }

    fn hold_level(&mut self, on: bool) -> Answer {
        self.catalog.is_level_held = on;
        Answer::Done
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Command;
    use crate::mirrors_fixture::{Cluster, uuid};

    #[test]
    fn each_force_makes_a_greater_history_and_levels_only_rise_also_after_an_image() {
        let mut catalog = Catalog::default();
        let mut apply = |command| catalog.apply(command, &mut Vec::new()).map(|_| ()).unwrap();
        apply(Command::History(Turn::Forced(NodeUuid(7))));
        apply(Command::History(Turn::Level(3)));
        apply(Command::History(Turn::Level(2)));
        let first = catalog.forced();
        assert_eq!((first.times, first.by, catalog.level()), (1, NodeUuid(7), 3));
        catalog
            .apply(Command::History(Turn::LevelHeld(true)), &mut Vec::new())
            .unwrap();
        let mut read = Catalog::try_from(catalog.image()).unwrap();
        assert!(read.is_level_held());
        assert!(read == catalog);
        read.apply(Command::History(Turn::Forced(NodeUuid(2))), &mut Vec::new())
            .unwrap();
        assert!(read.forced() > first && first > Forced::default());
    }

    #[test]
    fn who_goes_on_by_force_counts_the_others_as_down() {
        let mut cluster = Cluster::of("ab");
        cluster.apply(Command::History(Turn::Forced(uuid('b'))));
        let nodes = cluster.fixture.catalog.nodes();
        let up: Vec<NodeUuid> = nodes.filter(|node| node.up).map(|node| node.uuid).collect();
        assert_eq!(up, [uuid('b')]);
    }
}
