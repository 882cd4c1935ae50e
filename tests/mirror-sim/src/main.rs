//! Lives by the thousand: `mirror-sim N SEED` runs N of them from SEED on and ends at the first that breaks a promise;
//! `mirror-sim tell SEED` tells one; `mirror-sim rules N` leaves each rule out until a life shows it.

use std::collections::BTreeMap;
use std::process::ExitCode;

use mirror_sim::{Life, RULES, SHAPE, Shape};

fn many(first: u64, lives: u64) -> ExitCode {
    let mut counts: BTreeMap<&'static str, u64> = BTreeMap::new();
    for seed in first..first + lives {
        let mut life = Life::new(seed, SHAPE);
        if let Some(broken) = life.run() {
            println!("seed {seed}: {broken}\n{} passed, 1 failed", seed - first);
            return ExitCode::FAILURE;
        }
        for (what, count) in life.counts() {
            *counts.entry(what).or_default() += count;
        }
    }
    println!("{lives} lives from seed {first}: no promise broken; {counts:?}\n{lives} passed, 0 failed");
    ExitCode::SUCCESS
}

fn tell(seed: u64) -> ExitCode {
    let mut life = Life::new(seed, SHAPE).telling();
    let broken = life.run();
    life.told().iter().for_each(|line| println!("{line}"));
    println!("seed {seed}: {broken:?}");
    ExitCode::from(u8::from(broken.is_some()))
}

fn rules(lives: u64) -> ExitCode {
    let mut is_idle = false;
    for rule in RULES {
        let without = Some(rule);
        let found = (1..=lives).find_map(|seed| Some((seed, Life::new(seed, Shape { without, ..SHAPE }).run()?)));
        match found {
            Some((seed, broken)) => println!("without {rule:?}: seed {seed}: {broken}"),
            None => {
                is_idle = true;
                println!("without {rule:?}: {lives} lives do not miss it");
            }
        }
    }
    ExitCode::from(u8::from(is_idle))
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize| arguments.get(at).and_then(|text| text.parse::<u64>().ok());
    match (arguments.first().map(String::as_str), number(0), number(1)) {
        (Some("tell"), _, Some(seed)) => tell(seed),
        (Some("rules"), _, Some(lives)) => rules(lives),
        (_, Some(lives), Some(seed)) => many(seed, lives),
        _ => {
            eprintln!("mirror-sim N SEED | tell SEED | rules N");
            ExitCode::from(2)
        }
    }
}
