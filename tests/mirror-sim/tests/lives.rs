//! Some lives for every run of the tests; a campaign is `make soak-mirror`. Decides nothing: a life says itself what it broke.

use std::collections::BTreeMap;

use mirror_sim::{Life, RULES, Rule, SHAPE, Shape};

/// What a campaign has to have seen, or it would prove nothing.
const SEEN: [&str; 15] = [
    "bases that were whole",
    "confirms",
    "crashes",
    "disks lost",
    "elections",
    "elections from disk",
    "lines cut",
    "hand-overs proposed",
    "letters",
    "links cut",
    "messages that died",
    "proposals of unknown outcome",
    "publishes that came late",
    "publishes that had come before",
    "publishes that were new",
];

/// The life that misses a rule, or one of the next few thousand does.
fn missed_by(rule: Rule) -> u64 {
    match rule {
        Rule::CompareAndSet | Rule::VersionToo => 781,
        Rule::InheritedSync => 1231,
        Rule::Settle => 5744,
        Rule::DeadLiveAgain => 493,
        _ => 1,
    }
}

#[test]
fn no_promise_is_broken_whatever_happens_to_the_nodes() {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for seed in 1..=400 {
        let mut life = Life::new(seed, SHAPE);
        assert_eq!(life.run(), None, "seed {seed}");
        for (what, count) in life.counts() {
            *counts.entry(what).or_default() += count;
        }
    }
    let never: Vec<&str> = SEEN.into_iter().filter(|what| !counts.contains_key(what)).collect();
    assert_eq!(never, [""; 0], "{counts:?}");
}

#[test]
fn a_seed_has_one_life() {
    let told = |seed| {
        let mut life = Life::new(seed, SHAPE).telling();
        let broken = life.run();
        (broken, life.told().to_vec())
    };
    for seed in 1..=20 {
        assert!(told(seed) == told(seed), "seed {seed}");
    }
}

#[test]
fn every_rule_that_is_left_out_is_missed() {
    let is_missed = |rule: &Rule| {
        let shape = Shape {
            without: Some(*rule),
            ..SHAPE
        };
        let first = missed_by(*rule);
        (first..first + 3000).any(|seed| Life::new(seed, shape).run().is_some())
    };
    let idle: Vec<Rule> = RULES.into_iter().filter(|rule| !is_missed(rule)).collect();
    assert_eq!(idle, []);
}
