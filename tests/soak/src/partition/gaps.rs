//! How long clients were without a confirm, by kind of trouble and by whom it hit, and which of these waits are too long.
//! Pure.

use super::load::Lane;
use super::plan::{Queues, Trouble};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// Longest wait that is allowed while a killed node is given up, in milliseconds; on a busy machine.
const KILLED_MS: u64 = 5_000;
/// The same while a silent one is.
const SILENT_MS: u64 = 12_000;

/// Where a publisher stood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Side {
    /// Its node and its queue's were left alone.
    Bystander,
    /// Its queue was led by a node that was hit.
    Leader,
    /// Its own node was hit.
    Own,
}

/// Where this publisher stood whose queue was led there when the trouble began.
pub(crate) fn side(lane: &Lane, leader: usize, victims: &BTreeSet<usize>) -> Side {
    match (victims.contains(&lane.publisher), victims.contains(&leader)) {
        (true, _) => Side::Own,
        (false, true) => Side::Leader,
        (false, false) => Side::Bystander,
    }
}

/// The longest time without a confirm that reaches beyond `from`, until `to`, in milliseconds.
pub(crate) fn longest(confirms: &[u64], from: u64, to: u64) -> u64 {
    longest_since(confirms, from, to).0
}

/// The same, and when it began.
pub(crate) fn longest_since(confirms: &[u64], from: u64, to: u64) -> (u64, u64) {
    let first = confirms.partition_point(|at| *at < from);
    let before = first.checked_sub(1).map_or(from, |before| confirms[before]);
    let mut last = before;
    let mut longest = (0, from);
    for at in confirms[first..].iter().take_while(|at| **at <= to).chain([&to]) {
        if at - last > longest.0 {
            longest = (at - last, last);
        }
        last = *at;
    }
    longest
}

/// Confirms a second of all these publishers in the milliseconds `ms` before `from`.
pub(crate) fn rate_before<'a>(confirms: impl Iterator<Item = &'a [u64]>, from: u64, ms: u64) -> u64 {
    let began = from.saturating_sub(ms);
    let within = |confirms: &[u64]| confirms.iter().filter(|at| (began..from).contains(at)).count() as u64;
    confirms.map(within).sum::<u64>() * 1_000 / (from - began).max(1)
}

/// How long this publisher may wait; nothing if no promise is made.
pub(crate) fn allowed(trouble: &Trouble, side: Side, queues: Queues) -> Option<u64> {
    let promised = match side {
        Side::Bystander => true,
        Side::Leader => queues != Queues::Single,
        Side::Own => false,
    };
    let patience = match trouble {
        Trouble::Kill(..) | Trouble::Wipe(_) => KILLED_MS,
        Trouble::Freeze(..) | Trouble::Isolate(..) | Trouble::Mute(..) | Trouble::Deaf(..) => SILENT_MS,
        Trouble::KillAll(..)
        | Trouble::OneWay(..)
        | Trouble::Pair(..)
        | Trouble::Flap(..)
        | Trouble::Loss(..)
        | Trouble::Delay(..)
        | Trouble::Rolling(_)
        | Trouble::Upgrade(_)
        | Trouble::StopAll(..)
        | Trouble::Scatter(..) => return None,
    };
    promised.then_some(patience)
}

/// Waits by kind of trouble and side: of each round the longest.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Gaps(BTreeMap<String, BTreeMap<Side, Vec<u64>>>);

impl Gaps {
    /// One round's longest wait of a side.
    pub(crate) fn add(&mut self, kind: &str, side: Side, ms: u64) {
        self.0
            .entry(kind.to_owned())
            .or_default()
            .entry(side)
            .or_default()
            .push(ms);
    }

    /// A line for each kind: rounds, median and longest for each side.
    pub(crate) fn table(&self) -> String {
        let mut text = String::from("longest time without a confirm, in ms: median / worst of the rounds\n");
        let mut row = |cells: [&str; 5]| {
            let [kind, rounds, bystander, leader, own] = cells;
            // Writing to a string does not fail.
            let _ = writeln!(text, "{kind:<26} {rounds:>6} {bystander:>15} {leader:>15} {own:>15}");
        };
        row(["trouble", "rounds", "bystander", "queue hit", "own node hit"]);
        for (kind, sides) in &self.0 {
            let rounds = sides.values().map(Vec::len).max().unwrap_or(0).to_string();
            let cell = |side| sides.get(&side).map_or(String::from("-"), |waits| figures(waits));
            let (bystander, leader, own) = (cell(Side::Bystander), cell(Side::Leader), cell(Side::Own));
            row([kind, &rounds, &bystander, &leader, &own]);
        }
        text
    }
}

fn figures(waits: &[u64]) -> String {
    let mut sorted = waits.to_vec();
    sorted.sort_unstable();
    let (median, worst) = (sorted.get(sorted.len() / 2), sorted.last());
    format!("{} / {}", median.unwrap_or(&0), worst.unwrap_or(&0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_wait_counts_from_the_last_confirm_before_and_to_the_end() {
        assert_eq!(longest(&[100, 200, 900, 1000], 300, 1100), 700);
        assert_eq!(longest(&[100, 200], 300, 1100), 900);
        assert_eq!(longest(&[], 300, 1100), 800);
        assert_eq!(longest(&[100, 5000], 300, 1100), 1000);
        assert_eq!(longest_since(&[100, 200, 900, 1000], 300, 1100), (700, 200));
    }

    #[test]
    fn the_rate_before_a_trouble_is_that_of_all_publishers_together() {
        let confirms: [&[u64]; 2] = [&[100, 900, 1400, 1500], &[1000, 1499]];
        assert_eq!(rate_before(confirms.into_iter(), 1500, 500), 6);
        assert_eq!(rate_before(confirms.into_iter(), 0, 500), 0);
    }

    #[test]
    fn the_table_has_a_line_for_each_kind() {
        let mut gaps = Gaps::default();
        gaps.add("kill", Side::Own, 30);
        gaps.add("kill", Side::Own, 10);
        gaps.add("kill", Side::Own, 20);
        let table = gaps.table();
        assert!(
            table
                .lines()
                .last()
                .is_some_and(|line| line.contains("20 / 30") && line.contains(" 3 ")),
            "{table}"
        );
    }
}
