//! The campaign of operations: a cluster on a Kubernetes, which the operator runs, is restarted, scaled, stopped, drained and hurt under load, one
//! operation after the other, and the operator is killed meanwhile. Afterwards all is audited. It conducts and keeps the counts; clients
//! work, pure functions judge.

mod certificates;
mod cluster;
mod kube;
mod plan;
mod renew;
mod round;
mod trouble;
mod upgrade;

use crate::dice::mix;
use crate::finding::Finding;
use crate::lane::now;
use crate::message::Origin;
use crate::partition::load::Lane;
use anyhow::{Context, Result, ensure};
use plan::{Means, Plan};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Queues of each kind.
const QUEUES_OF_A_KIND: usize = 3;
/// Findings that a report spells out.
const FINDINGS_SHOWN: usize = 20;

/// What the command line asks for.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// So many operations in all.
    pub(crate) rounds: u32,
    /// Makes the plans.
    pub(crate) seed: Option<u64>,
    /// Where the campaign lives.
    pub(crate) dir: PathBuf,
    /// Messages a second, all publishers together.
    pub(crate) rate: u64,
    /// Names of operations; all if there are none.
    pub(crate) only: Vec<String>,
    /// A few rounds of a fixed plan.
    pub(crate) brief: bool,
    /// Images of this release and of later ones, in order.
    pub(crate) releases: Vec<String>,
    /// The script that runs this Kubernetes, if it is ours to break.
    pub(crate) local: Option<PathBuf>,
    /// Nodes speak TLS to each other.
    pub(crate) tls: bool,
}

impl Options {
    fn means(&self) -> Means {
        Means {
            releases: self.releases.len() > 1,
            is_local: self.local.is_some(),
            tls: self.tls,
        }
    }
}

/// What survives from round to round.
#[derive(Debug, Default, Serialize, Deserialize)]
struct State {
    seed: u64,
    /// So often the campaign was begun or gone on with; each time with queues of its own.
    launches: u32,
    next_round: u32,
    failed: Vec<u32>,
    confirmed: u64,
    sent: u64,
    /// The longest waits for a confirm in milliseconds, by operation.
    gaps: BTreeMap<String, Vec<u64>>,
}

/// What one round brought.
#[derive(Debug, Default)]
struct Outcome {
    findings: Vec<Finding>,
    sent: u64,
    confirmed: u64,
    /// How many were sent in a second while the load ran.
    rate: u64,
    gap_ms: u64,
    /// Whose wait that was, and when it began after the operation had.
    gap_of: String,
    /// The same of those whose own connection went dead without a word, if there were any.
    unheard_ms: Option<u64>,
    /// Fewest pods that took clients at any moment, where that matters.
    fewest: Option<usize>,
    ends: BTreeMap<String, u64>,
}

struct Campaign {
    options: Options,
    state: State,
}

/// Runs it until so many operations are done in all.
///
/// # Errors
/// A promise was broken, or there is no such Kubernetes.
pub(crate) fn run(options: Options) -> Result<()> {
    let mut campaign = Campaign::open(options)?;
    let done = campaign.rounds();
    println!("{}", campaign.summary());
    done?;
    let failed = &campaign.state.failed;
    if campaign.options.brief {
        println!(
            "{} passed, {} failed",
            campaign.state.next_round as usize - failed.len(),
            failed.len()
        );
    }
    ensure!(failed.is_empty(), "promises were broken in rounds {failed:?}");
    Ok(())
}

impl Campaign {
    fn open(options: Options) -> Result<Self> {
        let file = options.dir.join("state.json");
        let mut state = match file.exists() {
            true => serde_json::from_slice::<State>(&fs::read(&file)?)
                .with_context(|| format!("{} is no campaign of this version", file.display()))?,
            false => State {
                seed: options.seed.unwrap_or_else(now),
                ..State::default()
            },
        };
        let seed = state.seed;
        ensure!(
            options.seed.is_none_or(|wanted| wanted == seed),
            "{} holds a campaign of seed {seed}",
            options.dir.display()
        );
        fs::create_dir_all(&options.dir)?;
        state.launches += 1;
        Ok(Self { options, state })
    }

    fn rounds(&mut self) -> Result<()> {
        let (seed, next) = (self.state.seed, self.state.next_round);
        let brief = match self.options.brief {
            true => plan::brief(self.options.means()),
            false => Vec::new(),
        };
        if self.options.brief {
            self.options.rounds = u32::try_from(brief.len())?;
        }
        let (rounds, dir) = (self.options.rounds, self.options.dir.display());
        println!("seed {seed}, rounds {next} to {rounds}, in {dir}");
        self.save()?;
        cluster::make(self.options.tls)?;
        let lanes = self.lanes();
        cluster::clear(&self.ending())?;
        round::declare(&lanes)?;
        while self.state.next_round < rounds {
            let number = self.state.next_round;
            let plan = match brief.get(number as usize) {
                Some(plan) => Some(*plan),
                None => Plan::new(seed, number, &self.options.only, self.options.means()),
            };
            let plan = plan.context("no operation that can be done here is called so")?;
            let began = Instant::now();
            let every = Duration::from_micros(1_000_000 * lanes.len() as u64 / self.options.rate.max(1));
            let word = format!("{:x}-{number}", mix(seed ^ u64::from(self.state.launches)));
            let outcome = round::run(number, &plan, &lanes, every, (&word, &self.options));
            self.keep(number, &plan, &outcome, began.elapsed())?;
        }
        Ok(())
    }

    /// How the names of this launch's queues end.
    fn ending(&self) -> String {
        format!(".{}", self.state.launches)
    }

    fn lanes(&self) -> Vec<Lane> {
        let lane = |(kind, number): (&str, usize)| {
            let queue = format!("{kind}{number}{}", self.ending());
            Lane {
                leader: 0,
                publisher: 0,
                consumer: 0,
                origin: Origin {
                    lane: queue.clone(),
                    seed: self.state.seed,
                },
                queue,
            }
        };
        let kinds = [cluster::MIRRORED, cluster::TWICE].into_iter();
        let named = kinds.flat_map(|kind| (0..QUEUES_OF_A_KIND).map(move |number| (kind, number)));
        named.map(lane).collect()
    }

    /// Writes down and tells what a round brought.
    fn keep(&mut self, number: u32, plan: &Plan, outcome: &Outcome, took: Duration) -> Result<()> {
        let state = &mut self.state;
        state.next_round = number + 1;
        state.sent += outcome.sent;
        state.confirmed += outcome.confirmed;
        let kind = plan.operation.name().to_owned();
        state.gaps.entry(kind).or_default().push(outcome.gap_ms);
        let word = if outcome.findings.is_empty() { "ok" } else { "FAILED" };
        let killed = plan
            .operator_dies
            .map_or(String::new(), |ms| format!(", operator killed after {ms} ms"));
        let fewest = outcome
            .fewest
            .map_or(String::new(), |fewest| format!(", never fewer than {fewest} nodes"));
        let unheard = outcome.unheard_ms.map_or(String::new(), |ms| {
            format!(", {ms} ms for who was connected to what was cut off")
        });
        println!(
            "{word:<7} round {number}: {}{killed}: {} sent, {} a second, {} confirmed, longest wait {} ms ({}){unheard}{fewest}, {:.0} s",
            plan.operation,
            outcome.sent,
            outcome.rate,
            outcome.confirmed,
            outcome.gap_ms,
            outcome.gap_of,
            took.as_secs_f64()
        );
        let is_kept = outcome.findings.is_empty();
        if !is_kept {
            state.failed.push(number);
        }
        self.report(number, outcome, is_kept)?;
        self.save()
    }

    /// What was found, and why connections ended: beside the state, and for all to see if a promise was broken.
    fn report(&self, number: u32, outcome: &Outcome, is_kept: bool) -> Result<()> {
        let shown = outcome
            .findings
            .iter()
            .take(FINDINGS_SHOWN)
            .map(|finding| format!("{finding}\n"));
        let ends = outcome
            .ends
            .iter()
            .map(|(end, times)| format!("    {times} times: {end}\n"));
        let text: String = shown.chain(ends).collect();
        if !is_kept {
            println!("{} findings\n{text}", outcome.findings.len());
        }
        let name = if is_kept { "round" } else { "failure" };
        fs::write(self.options.dir.join(format!("{name}-{number}.txt")), text)?;
        Ok(())
    }

    fn save(&self) -> Result<()> {
        let (file, new) = (self.options.dir.join("state.json"), self.options.dir.join("state.new"));
        fs::write(&new, serde_json::to_vec(&self.state)?)?;
        Ok(fs::rename(new, file)?)
    }

    fn summary(&self) -> String {
        let State { gaps, .. } = &self.state;
        let line = |(kind, waits): (&String, &Vec<u64>)| {
            let mut waits = waits.clone();
            waits.sort_unstable();
            let (middle, last) = (waits.get(waits.len() / 2), waits.last());
            let ms = |wait: Option<&u64>| wait.copied().unwrap_or_default();
            format!("{kind:<16} {:>6} {:>10} {:>10}\n", waits.len(), ms(middle), ms(last))
        };
        let lines: String = gaps.iter().map(line).collect();
        format!(
            "longest waits for a confirm, in ms\n{:<16} {:>6} {:>10} {:>10}\n{lines}{} sent, {} confirmed; {} operations, {} failed",
            "operation",
            "times",
            "median",
            "longest",
            self.state.sent,
            self.state.confirmed,
            self.state.next_round,
            self.state.failed.len()
        )
    }
}
