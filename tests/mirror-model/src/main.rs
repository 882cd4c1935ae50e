//! Explores the mirror protocol for as long as it is told to: `KEY=VALUE` each, defaults in brackets.
//!
//! `messages` [2], `transient` [0, bits], `crashes` [1], `deaths` [1], `proposals` [1], `consumes` [0], `hand-over` [0],
//! `in-sync` [7, bits], `floor` [1], `off` [a rule's name], `strict` [1], `duplicates-are-fine` [0]; `states` [30000000],
//! `heal-every` [0]; with `walks`, random walks of `length` [80] from `seed` [1], compared with the broker's catalogue.

use mirror_model::{Bounds, Extent, Rule, Shadow, breadth, walk};
use std::process::ExitCode;
use std::str::FromStr;

struct Words(Vec<(String, String)>);

impl Words {
    fn read(arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let pairs = arguments.map(|word| {
            let pair = word
                .split_once('=')
                .map(|(key, value)| (key.to_owned(), value.to_owned()));
            pair.ok_or_else(|| format!("'{word}': expected KEY=VALUE"))
        });
        Ok(Words(pairs.collect::<Result<_, _>>()?))
    }

    fn take<T: FromStr>(&mut self, key: &str, default: T) -> Result<T, String> {
        let Some(place) = self.0.iter().position(|(known, _)| known == key) else {
            return Ok(default);
        };
        let (_, value) = self.0.swap_remove(place);
        value.parse().map_err(|_| format!("{key}={value}: expected a number"))
    }

    fn rule(&mut self) -> Result<Option<Rule>, String> {
        let Some(place) = self.0.iter().position(|(known, _)| known == "off") else {
            return Ok(None);
        };
        self.0.swap_remove(place).1.parse().map(Some)
    }

    fn bounds(&mut self) -> Result<Bounds, String> {
        let usual = Bounds::default();
        Ok(Bounds {
            messages: self.take("messages", usual.messages)?,
            transient: self.take("transient", usual.transient)?,
            crashes: self.take("crashes", usual.crashes)?,
            deaths: self.take("deaths", usual.deaths)?,
            proposals: self.take("proposals", usual.proposals)?,
            consumes: self.take("consumes", usual.consumes)?,
            hands_over: self.take("hand-over", 0u8)? != 0,
            in_sync: self.take("in-sync", usual.in_sync)?,
            floor: self.take("floor", usual.floor)?,
            off: self.rule()?,
            strict: self.take("strict", 1u8)? != 0,
            duplicates_are_fine: self.take("duplicates-are-fine", 0u8)? != 0,
        })
    }
}

fn explore() -> Result<bool, String> {
    let mut words = Words::read(std::env::args().skip(1))?;
    let bounds = words.bounds()?;
    let extent = Extent {
        states_max: words.take("states", 30_000_000)?,
        heal_every: words.take("heal-every", 0)?,
    };
    let (walks, length, seed) = (
        words.take("walks", 0)?,
        words.take("length", 80)?,
        words.take("seed", 1)?,
    );
    if let Some((key, _)) = words.0.first() {
        return Err(format!("{key}: no such key"));
    }
    let found = match walks {
        0 => breadth(&bounds, extent),
        _ => {
            let compares = bounds.off.is_none() && bounds.floor == 1;
            let shadow = Shadow::new(&bounds)?;
            walk(&bounds, walks, length, seed, || {
                let mut shadow = compares.then(|| shadow.clone());
                move |before, step, after| {
                    shadow
                        .as_mut()
                        .map_or(Ok(()), |shadow| shadow.follow(before, step, after))
                }
            })
        }
    };
    println!("{found}");
    Ok(found.violation.is_none())
}

fn main() -> ExitCode {
    match explore() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(text) => {
            eprintln!("{text}");
            ExitCode::from(64)
        }
    }
}
