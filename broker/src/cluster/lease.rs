//! How long a node may serve without hearing of a majority, and how long others are believed to be alive.
//!
//! A node's own lease counts from when it sent what a confirmed leader answered; the leader counts from when it received.
//! So a node stops before it is declared dead. Pure: time is handed in (I2). No promise about messages stands on this.

use catalog::{Catalog, NodeDeath};
use model::NodeUuid;
use std::{collections::BTreeMap, time::Duration};
use tokio::time::Instant;

/// A node shows itself at least this often.
const BEAT_MAX: Duration = Duration::from_secs(1);
/// Clocks may run apart by so many thousandths.
const DRIFT_PER_MILLE: u32 = 10;
/// What a node had begun to write when its lease ended may take this long.
const FLUSH: Duration = Duration::from_millis(500);

/// Patience with silence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// How long a node serves without an answer.
    pub lease: Duration,
    /// When the leader declares a silent node dead: later than that node has stopped serving by itself.
    down_after: Duration,
}

/// Why times cannot be: which of them, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// A node would stop serving whenever another is elected to lead.
    #[error("must be at least {0:?}, or no election is over before")]
    TooShort(Duration),
    /// A node could still serve when others take its place.
    #[error("must be at most {0:?}, so that a node has stopped by itself when it is taken for dead")]
    TooLong(Duration),
}

impl Default for Patience {
    fn default() -> Self {
        Patience::of(Duration::from_secs(6))
    }
}

impl Patience {
    /// A silent node is dead after this time, and serves as long by itself as that allows.
    pub fn of(down_after: Duration) -> Self {
        Patience {
            lease: down_after * 5 / 6,
            down_after,
        }
    }

    /// As `of`, for which an election must be over in time; with a lease of its own, if that is short enough.
    ///
    /// # Errors
    /// What would be right, for the lease if there is one.
    pub fn checked(down_after: Duration, lease: Option<Duration>, candidacy_max: Duration) -> Result<Self, Unfit> {
        let patience = Patience {
            lease: lease.unwrap_or(Patience::of(down_after).lease),
            down_after,
        };
        let (lease_min, lease_max) = (candidacy_max * 5 / 4, Patience::lease_max(down_after));
        // Whoever is elected meanwhile has to answer before it is over.
        let is_short = patience.lease < candidacy_max + patience.beat();
        match lease {
            None if is_short || patience.lease > lease_max => Err(Unfit::TooShort(lease_min * 6 / 5)),
            Some(_) if is_short => Err(Unfit::TooShort(lease_min)),
            Some(lease) if lease > lease_max => Err(Unfit::TooLong(lease_max)),
            _ => Ok(patience),
        }
    }

    /// lease * (1 + drift) + flush is at most down_after * (1 - drift).
    fn lease_max(down_after: Duration) -> Duration {
        let left = (down_after * (1000 - DRIFT_PER_MILLE) / 1000).saturating_sub(FLUSH);
        left * 1000 / (1000 + DRIFT_PER_MILLE)
    }

    /// How often a node shows itself.
    pub fn beat(self) -> Duration {
        (self.lease / 5).min(BEAT_MAX)
    }

    /// When the leader declares a silent node dead.
    pub fn down_after(self) -> Duration {
        self.down_after
    }
}

/// A node's own lease.
#[derive(Debug)]
pub struct Lease {
    until: Instant,
    patience: Patience,
}

impl Lease {
    /// One that has run out.
    pub fn over(now: Instant, patience: Patience) -> Self {
        Lease { until: now, patience }
    }

    /// What was sent then was answered by a leader that a majority followed no longer than `age` before.
    pub fn renew(&mut self, sent: Instant, age: Duration) {
        let from = sent.checked_sub(age).unwrap_or(sent);
        self.until = self.until.max(from + self.patience.lease);
    }

    /// True while the node may serve.
    pub fn holds(&self, now: Instant) -> bool {
        now < self.until
    }
}

/// Whom the leader has heard of, and when.
#[derive(Debug)]
pub struct Roll {
    patience: Patience,
    /// So long nobody votes for another after the leader was heard last.
    belief: Duration,
    /// Since when it leads, and in which term; nobody was heard before.
    since: Option<(u64, Instant)>,
    /// It was elected at the word of the one before, who was not silent.
    by_word: bool,
    heard: BTreeMap<NodeUuid, Instant>,
    /// Which process of a node has shown itself, and what it understands.
    levels: BTreeMap<NodeUuid, (u64, u32)>,
    /// Which process of a node was seen to be up, and since when.
    seen: BTreeMap<NodeUuid, (u64, Instant)>,
}

impl Roll {
    /// An empty one, where nobody votes for another leader within `belief` after having heard the one that there is.
    pub fn new(patience: Patience, belief: Duration) -> Self {
        Roll {
            patience,
            belief,
            since: None,
            by_word: false,
            heard: BTreeMap::new(),
            levels: BTreeMap::new(),
            seen: BTreeMap::new(),
        }
    }

    /// It leads in this term, or nowhere. A new leader gives everybody a new lease: from its election on a majority confirms no
    /// other leader, so no lease that it has not heard of itself lasts longer than that. What the leader before it was confirmed is older still:
    /// each majority of then has one who voted now, after so much silence; unless it has started anew in between, or was asked to vote for somebody
    /// else by word, and may have voted sooner. Whoever was elected `by_word` knows of no silence.
    pub fn lead(&mut self, term: Option<u64>, by_word: bool, now: Instant) {
        if term != self.since.map(|(term, _)| term) {
            self.since = term.map(|term| (term, now));
            self.by_word = by_word;
            self.heard.clear();
            self.levels.clear();
            self.seen.clear();
        }
    }

    /// These are up. A process that has come since this node leads gets a full period to show itself in.
    pub fn see(&mut self, catalog: &Catalog, now: Instant) {
        let Some((_, since)) = self.since else { return };
        let from = if self.seen.is_empty() { since } else { now };
        for node in catalog.nodes().filter(|node| node.up) {
            let known = self.seen.get(&node.uuid).map(|(incarnation, _)| *incarnation);
            if known != Some(node.incarnation) {
                self.seen.insert(node.uuid, (node.incarnation, from));
            }
        }
    }

    /// A node has shown itself.
    pub fn hear(&mut self, node: NodeUuid, now: Instant) {
        self.heard.insert(node, now);
    }

    /// What this process of a node understands, as it says itself.
    pub fn note_level(&mut self, node: NodeUuid, incarnation: u64, level: u32) {
        self.levels.insert(node, (incarnation, level));
    }

    /// What every member but this one understands; nothing while one is down or has not shown itself.
    pub fn common_level(&self, own: NodeUuid, catalog: &Catalog) -> Option<u32> {
        let others = catalog.nodes().filter(|node| node.uuid != own);
        let mut levels = others.map(|node| match self.levels.get(&node.uuid) {
            Some((incarnation, level)) if node.up && *incarnation == node.incarnation => Some(*level),
            _ => None,
        });
        levels.try_fold(u32::MAX, |least, level| Some(least.min(level?)))
    }

    /// How long a lease that an earlier leader has confirmed lasts beyond the election, by a clock that runs late.
    fn inherited(&self) -> Duration {
        let silence = match self.by_word {
            true => Duration::ZERO,
            false => self.belief * (1000 - 2 * DRIFT_PER_MILLE) / 1000,
        };
        self.patience.lease.saturating_sub(silence)
    }

    /// The processes that are believed to be alive and have been silent too long.
    pub fn dead(&self, own: NodeUuid, catalog: &Catalog, now: Instant) -> Vec<NodeDeath> {
        let Some((_, since)) = self.since else {
            return Vec::new();
        };
        let up = catalog.nodes().filter(|node| node.up && node.uuid != own);
        let silent = up.filter(|node| {
            let seen = self.seen.get(&node.uuid).map_or(since, |(_, at)| *at);
            match self.heard.get(&node.uuid) {
                None if seen <= since => now.duration_since(since) >= self.inherited(),
                heard => now.duration_since(seen.max(*heard.unwrap_or(&seen))) >= self.patience.down_after(),
            }
        });
        let death = |node: &std::sync::Arc<catalog::NodeRecord>| NodeDeath {
            node: node.uuid,
            incarnation: node.incarnation,
        };
        silent.map(death).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use catalog::{Command, NodeKind};

    fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_node_stops_serving_before_its_leader_declares_it_dead() {
        let start = Instant::now();
        let patience = Patience::of(secs(6));
        let mut lease = Lease::over(start, patience);
        assert!(!lease.holds(start));
        lease.renew(start, Duration::ZERO);
        assert!(lease.holds(start + secs(4)) && !lease.holds(start + secs(5)));
        assert!(patience.down_after() > patience.lease);
        lease.renew(start + secs(1), secs(3));
        assert!(lease.holds(start + secs(4)), "an old answer takes nothing away");
    }

    #[test]
    fn times_that_would_let_two_serve_or_nobody_are_refused_with_what_would_be_right() {
        let check = |down_after: u64, lease: Option<u64>| {
            let patience = Patience::checked(
                Duration::from_millis(down_after),
                lease.map(Duration::from_millis),
                secs(3),
            );
            patience.map(|patience| (patience.lease.as_millis(), patience.beat().as_millis()))
        };
        assert_eq!(check(6000, None), Ok((5000, 1000)));
        assert_eq!(check(60_000, None), Ok((50_000, 1000)));
        assert_eq!(check(6000, Some(4000)), Ok((4000, 800)));
        assert_eq!(check(4500, None), Ok((3750, 750)), "the least that will do");
        assert_eq!(check(4400, None), Err(Unfit::TooShort(Duration::from_millis(4500))));
        assert_eq!(
            check(6000, Some(3000)),
            Err(Unfit::TooShort(Duration::from_millis(3750)))
        );
        let Err(Unfit::TooLong(most)) = check(6000, Some(6000)) else {
            panic!("a lease as long as that")
        };
        assert_eq!(check(6000, Some(most.as_millis() as u64)).map(|_| ()), Ok(()));
        assert!(most.mul_f64(1.01) + FLUSH <= secs(6).mul_f64(0.99));
    }

    #[test]
    fn all_who_are_silent_are_named_together_and_a_new_leader_begins_anew() {
        let mut catalog = Catalog::default();
        let up = |node: u128| Command::NodeUp {
            node: NodeUuid(node),
            name: format!("rabbit@{node}").into(),
            incarnation: 4,
            boot_id: 1,
            mirrors: false,
        };
        let add = |node: u128| Command::AddNode {
            node: NodeUuid(node),
            name: format!("rabbit@{node}").into(),
            kind: NodeKind::Disc,
        };
        for command in [up(1), add(2), up(2), add(3), up(3), add(4)] {
            catalog.apply(command, &mut Vec::new()).unwrap();
        }
        let (start, mut roll) = (Instant::now(), Roll::new(Patience::of(secs(6)), Duration::ZERO));
        let dead = |roll: &Roll, at: u64| {
            let dead = roll.dead(NodeUuid(1), &catalog, start + secs(at));
            dead.iter()
                .map(|death| (death.node.0, death.incarnation))
                .collect::<Vec<_>>()
        };
        assert!(dead(&roll, 100).is_empty(), "who does not lead declares nobody dead");
        roll.lead(Some(7), false, start);
        assert!(dead(&roll, 4).is_empty());
        roll.hear(NodeUuid(3), start + secs(4));
        assert_eq!(dead(&roll, 5), [(2, 4)]);
        assert_eq!(dead(&roll, 9), [(2, 4)]);
        assert_eq!(dead(&roll, 10), [(2, 4), (3, 4)]);
        roll.lead(Some(8), false, start + secs(10));
        assert!(dead(&roll, 14).is_empty());
    }

    #[test]
    fn leases_of_the_leader_before_are_as_old_as_the_silence_after_which_it_lost_its_votes() {
        let mut catalog = Catalog::default();
        let name = "rabbit@2".into();
        let (node, kind) = (NodeUuid(2), NodeKind::Disc);
        let up = |node: u128| Command::NodeUp {
            node: NodeUuid(node),
            name: format!("rabbit@{node}").into(),
            incarnation: 1,
            boot_id: 1,
            mirrors: false,
        };
        for command in [up(1), Command::AddNode { node, name, kind }, up(2)] {
            catalog.apply(command, &mut Vec::new()).unwrap();
        }
        let (patience, belief) = (Patience::of(secs(6)), Duration::from_millis(800));
        let (start, mut roll) = (Instant::now(), Roll::new(patience, belief));
        // Confirmed when the last voter heard the leader, which did not vote for another before it had been silent for so long.
        let mut lease = Lease::over(start, patience);
        lease.renew(start, Duration::ZERO);
        let elected = start + belief;
        roll.lead(Some(8), false, elected);
        roll.see(&catalog, elected);
        let dead = |at: Instant| !roll.dead(NodeUuid(1), &catalog, at).is_empty();
        assert!(!dead(start + patience.lease), "it may serve until then");
        assert!(!lease.holds(start + patience.lease));
        assert!(
            dead(start + patience.lease + Duration::from_millis(50)),
            "nobody waits longer than it may"
        );
        // Elected at the word of a leader that was heard a moment ago.
        roll.lead(Some(9), true, start);
        roll.see(&catalog, start);
        let dead = |at: Instant| !roll.dead(NodeUuid(1), &catalog, at).is_empty();
        assert!(
            !dead(start + patience.lease - Duration::from_millis(50)),
            "it may serve until then"
        );
        assert!(dead(start + patience.lease));
    }

    #[test]
    fn a_process_that_came_late_gets_a_full_period_to_show_itself() {
        let mut catalog = Catalog::default();
        let up = |node: u128, incarnation: u64| Command::NodeUp {
            node: NodeUuid(node),
            name: format!("rabbit@{node}").into(),
            incarnation,
            boot_id: 1,
            mirrors: false,
        };
        let add = Command::AddNode {
            node: NodeUuid(2),
            name: "rabbit@2".into(),
            kind: NodeKind::Disc,
        };
        for command in [up(1, 1), add] {
            catalog.apply(command, &mut Vec::new()).unwrap();
        }
        let (start, mut roll) = (Instant::now(), Roll::new(Patience::of(secs(6)), Duration::ZERO));
        roll.lead(Some(7), false, start);
        roll.see(&catalog, start);
        for (incarnation, at) in [(1, 100), (2, 104)] {
            catalog.apply(up(2, incarnation), &mut Vec::new()).unwrap();
            roll.see(&catalog, start + secs(at));
            assert!(roll.dead(NodeUuid(1), &catalog, start + secs(at + 5)).is_empty());
            assert_eq!(roll.dead(NodeUuid(1), &catalog, start + secs(at + 6)).len(), 1);
            // The process after it is not measured by what was heard of this one.
            roll.hear(NodeUuid(2), start + secs(at));
        }
    }
}
