//! The definitions on several nodes, with everything that may go wrong between them: a model of a replicated log (terms,
//! leaders that nobody follows any more, proposals lost, late and twice) drives the real state machine on every node.
//! Nodes lag, die, restart from snapshots, lose their disks; clients ask whatever node they are on. An auditor looks
//! after every entry.
//!
//! Every choice comes from the seed. `SEEDS=20000 FIRST_SEED=1` in the environment runs more of them; a failure prints
//! the seed that shows it again.

#![expect(
    clippy::unwrap_used,
    reason = "a simulated life ends with the first thing that cannot be"
)]

mod auditor;
#[path = "../../../store/tests/crash/chance.rs"]
mod chance;
mod cluster;
mod load;
mod log;
mod member;

use cluster::{Cluster, Counts};

/// Steps of one life.
const STEPS: u64 = 1_000;

#[expect(
    clippy::disallowed_methods,
    reason = "a campaign is told by the environment how long it is"
)]
fn number(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(default)
}

/// A seed's whole life: what happened, and how often.
fn live(seed: u64) -> (String, Counts) {
    let mut cluster = Cluster::new(seed);
    for _ in 0..STEPS {
        cluster.step();
    }
    cluster.settle();
    cluster.end()
}

#[test]
fn every_node_says_the_same_whatever_happens_between_them() {
    let first = number("FIRST_SEED", 1);
    let mut counts = Counts::default();
    for seed in first..first + number("SEEDS", 200) {
        let lived = std::panic::catch_unwind(|| live(seed));
        match lived {
            Ok((_, own)) => counts.add(&own),
            Err(_) => panic!("seed {seed}"),
        }
    }
    tell(&counts);
    // A campaign that never reached the interesting places would prove nothing.
    assert_eq!(counts.never(), [""; 0], "{counts:?}");
}

#[test]
fn a_seed_has_one_life() {
    for seed in 1..=20 {
        assert_eq!(live(seed).0, live(seed).0, "seed {seed}");
    }
}

/// What a campaign reports.
#[expect(clippy::print_stdout, reason = "a campaign's figures go to whoever runs it")]
fn tell(counts: &Counts) {
    println!("{counts:?}");
}
