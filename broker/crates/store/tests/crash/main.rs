//! Crashes between any two writes: a random life of some queues on a disk that loses what it may and is full at times,
//! opened again and again. What was durable and not removed must be there, once, as it was; what was removed durably must not; nothing
//! else may be.
//!
//! Every choice comes from the seed. `SEEDS=5000 FIRST_SEED=1` in the environment runs more of them; a failure prints
//! the seed that shows it again.

mod chance;
mod life;

use life::Life;

const GENERATIONS: u64 = 4;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(default)
}

#[test]
fn what_was_durable_survives_every_crash_and_nothing_else_appears() {
    let first = number("FIRST_SEED", 1);
    let mut crashes = life::Crashes::default();
    for seed in first..first + number("SEEDS", 400) {
        let mut life = Life::new(seed);
        for _ in 0..GENERATIONS {
            life.run();
            crashes.count(life.crash());
        }
    }
    // A campaign that never reached the interesting places would prove nothing.
    assert!(
        crashes.power_cuts > 0 && crashes.kills > 0 && crashes.mid_step > 0,
        "{crashes:?}"
    );
    assert!(
        crashes.retired > 0 && crashes.lost_unsynced > 0 && crashes.full > 0,
        "{crashes:?}"
    );
    tell(&crashes);
}

/// What a campaign reports.
#[expect(clippy::print_stdout, reason = "a campaign's figures go to whoever runs it")]
fn tell(crashes: &life::Crashes) {
    println!("{crashes:?}");
}
