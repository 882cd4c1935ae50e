//! The campaign against a cluster: three nodes in network namespaces under load, and round after round something goes wrong:
//! kills, frozen processes, partitions, restarts. Afterwards all is audited. It conducts and keeps the counts; clients
//! work, the cluster suffers, pure functions judge.

pub(crate) mod book;
mod cluster;
mod definer;
pub(crate) mod gaps;
pub(crate) mod load;
mod net;
mod node;
pub(crate) mod plan;
mod release;
mod round;

use crate::finding::Finding;
use crate::lane::now;
use crate::server::warren_binary;
use anyhow::{Context, Result, bail, ensure};
use cluster::{Cluster, Trial};
use gaps::Gaps;
use load::{Ends, Lane};
use net::{HOSTS, Net};
use node::Kind;
pub(crate) use plan::Queues;
use plan::{Plan, Setting};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Findings that a report spells out.
const FINDINGS_SHOWN: usize = 12;
/// Rounds of the brief campaign.
pub(crate) const BRIEF_ROUNDS: u32 = 5;
/// What the mirrored queues' policy matches.
const PATTERN: &str = "^part\\.q\\.";

/// What the command line asks for.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// `warren` or `rabbitmq`.
    pub(crate) server: String,
    /// The kind of queues.
    pub(crate) queues: Queues,
    /// So many rounds in all.
    pub(crate) rounds: u32,
    /// Makes the plans.
    pub(crate) seed: Option<u64>,
    /// Where the campaign lives.
    pub(crate) dir: PathBuf,
    /// Messages a second, all publishers together.
    pub(crate) rate: u64,
    /// A few short rounds of a fixed plan.
    pub(crate) brief: bool,
    /// Beginnings of the troubles' names; all of them if there are none.
    pub(crate) only: Vec<String>,
}

/// What survives from round to round.
#[derive(Debug, Serialize, Deserialize)]
struct State {
    seed: u64,
    server: String,
    queues: Queues,
    /// So often the campaign was begun or gone on with; each time with queues of its own.
    launches: u32,
    next_round: u32,
    failed: Vec<u32>,
    seconds: f64,
    counts: Counts,
    gaps: Gaps,
    /// Milliseconds from the end of a trouble until every client was served, by round.
    recoveries: Vec<u64>,
    /// Confirms a second before the trouble, by round.
    #[serde(default)]
    rates: Vec<u64>,
}

/// What has been counted.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Counts {
    sent: u64,
    confirmed: u64,
    refused: u64,
    returned: u64,
    unknown: u64,
    deliveries: u64,
    duplicates: u64,
    definitions: u64,
}

/// What one round brought.
#[derive(Debug, Default)]
struct Outcome {
    trial: Trial,
    findings: Vec<Finding>,
    counts: Counts,
    /// Who led each queue when the trouble began; none where that is where it was declared.
    leaders: BTreeMap<String, usize>,
    waits: Vec<(gaps::Side, u64)>,
    recovery_ms: Option<u64>,
    /// Confirms a second before the trouble.
    rate: Option<u64>,
    ends: Ends,
    /// The cluster cannot be used for another round.
    broken: bool,
}

/// A campaign in its directory.
struct Campaign {
    options: Options,
    kind: Kind,
    state: State,
    cluster: Cluster,
}

/// Runs it in a network of its own, until so many rounds are done in all.
///
/// # Errors
/// A promise was broken, or no such network can be made here.
pub(crate) fn run(options: Options, arguments: &[String]) -> Result<()> {
    if net::enter(arguments)?.is_some() {
        return Ok(());
    }
    let began = Instant::now();
    let mut campaign = Campaign::open(options)?;
    let done = campaign.rounds(began);
    println!("{}", campaign.summary());
    done?;
    let failed = &campaign.state.failed;
    ensure!(failed.is_empty(), "promises were broken in rounds {failed:?}");
    Ok(())
}

fn kind(server: &str) -> Result<Kind> {
    match server {
        "warren" => Ok(Kind::Warren(warren_binary()?)),
        "rabbitmq" => Ok(Kind::Rabbitmq),
        other => bail!("--server {other}: 'warren' or 'rabbitmq'"),
    }
}

impl Campaign {
    fn open(options: Options) -> Result<Self> {
        let file = options.dir.join("state.json");
        let mut state = if file.exists() {
            let state: State = serde_json::from_slice(&fs::read(&file)?)
                .with_context(|| format!("{} is no campaign of this version", file.display()))?;
            let same = options.seed.is_none_or(|seed| seed == state.seed);
            let (seed, server, queues) = (state.seed, &state.server, state.queues);
            ensure!(
                same && *server == options.server && queues == options.queues,
                "{} holds a campaign of seed {seed}, server {server} and {queues:?} queues",
                options.dir.display()
            );
            state
        } else {
            State {
                seed: options.seed.unwrap_or_else(now),
                server: options.server.clone(),
                queues: options.queues,
                launches: 0,
                next_round: 0,
                failed: Vec::new(),
                seconds: 0.0,
                counts: Counts::default(),
                gaps: Gaps::default(),
                recoveries: Vec::new(),
                rates: Vec::new(),
            }
        };
        fs::create_dir_all(&options.dir)?;
        state.launches += 1;
        let kind = kind(&options.server)?;
        let cluster = Cluster::new(Net::make()?, &kind, &options.dir.join("nodes"))?;
        if !cluster.net.delays {
            println!("this kernel delays no packets (no netem): that trouble is left out");
        }
        Ok(Self {
            options,
            kind,
            state,
            cluster,
        })
    }

    fn setting(&self) -> Setting {
        Setting {
            queues: self.options.queues,
            judge: !self.kind.is_warren(),
            delays: self.cluster.net.delays,
        }
    }

    fn rounds(&mut self, began: Instant) -> Result<()> {
        let (seed, next) = (self.state.seed, self.state.next_round);
        let (rounds, dir) = (self.options.rounds, self.options.dir.display());
        println!("seed {seed}, rounds {next} to {rounds}, in {dir}");
        let before = self.state.seconds;
        let brief = if self.options.brief { plan::brief() } else { Vec::new() };
        self.begin()?;
        while self.state.next_round < self.options.rounds {
            let number = self.state.next_round;
            let plan = match brief.get(number as usize) {
                Some(plan) => plan.clone(),
                None => Plan::one_of(&self.options.only, seed, number, self.setting())?,
            };
            let started = Instant::now();
            let outcome = round::run(self, number, &plan);
            self.keep(number, &plan, outcome, started.elapsed())?;
            self.state.seconds = before + began.elapsed().as_secs_f64();
            self.save()?;
        }
        Ok(())
    }

    /// Forms or finds the cluster, and declares the queues of this launch; those of earlier ones go.
    fn begin(&mut self) -> Result<()> {
        self.save()?;
        self.cluster.start()?;
        let old = definer::queues(&self.cluster.agreed(round::AGREED)?);
        let old = old.into_iter().filter(|name| name.starts_with("part.")).collect();
        definer::remove(1, &old, round::SERVED)?;
        if self.options.queues == Queues::Mirrored {
            let policy = r#"{"ha-mode":"all","ha-sync-mode":"automatic"}"#;
            let node = &self.cluster.nodes[0];
            node.ctl(&self.cluster.net, &["set_policy", "part", PATTERN, policy])?;
        }
        round::declare(&self.lanes(), self.options.queues)?;
        Ok(())
    }

    /// Every node leads a queue for the publisher of each node.
    fn lanes(&self) -> Vec<Lane> {
        let (launch, seed) = (self.state.launches, self.state.seed);
        let lane = |at: usize| {
            let (leader, publisher) = (1 + at / HOSTS, 1 + at % HOSTS);
            let queue = format!("part.q.{launch}.{leader}{publisher}");
            Lane {
                leader,
                publisher,
                consumer: 1 + (leader + publisher) % HOSTS,
                origin: crate::message::Origin {
                    lane: queue.clone(),
                    seed,
                },
                queue,
            }
        };
        (0..HOSTS * HOSTS).map(lane).collect()
    }

    /// Writes down and tells what a round brought; a cluster that is broken is kept aside, and a new one takes its place.
    fn keep(&mut self, number: u32, plan: &Plan, outcome: Outcome, took: Duration) -> Result<()> {
        let leading = if outcome.trial.led { ", leader hit" } else { "" };
        let kind = format!("{}{leading}", plan.trouble.name());
        for (side, ms) in &outcome.waits {
            self.state.gaps.add(&kind, *side, *ms);
        }
        self.state.counts.add(&outcome.counts);
        self.state.recoveries.extend(outcome.recovery_ms);
        self.state.rates.extend(outcome.rate);
        self.state.next_round = number + 1;
        let counts = outcome.counts;
        let word = if outcome.findings.is_empty() { "ok" } else { "FAILED" };
        let served = outcome
            .recovery_ms
            .map_or(String::from("never"), |ms| format!("{ms} ms"));
        println!(
            "{word:<7} round {number} ({kind}): {plan}; {} confirms a second before; {} sent, {} confirmed, {} duplicates, \
             {} definitions, all served after {served}, {:.1} s",
            outcome.rate.unwrap_or(0),
            counts.sent,
            counts.confirmed,
            counts.duplicates,
            counts.definitions,
            took.as_secs_f64()
        );
        if !outcome.findings.is_empty() {
            self.state.failed.push(number);
            self.report(number, plan, &outcome)?;
        }
        if outcome.broken { self.replace(number) } else { Ok(()) }
    }

    fn report(&self, number: u32, plan: &Plan, outcome: &Outcome) -> Result<()> {
        let count = outcome.findings.len();
        let mut text = format!("seed {}, round {number}: {plan}: {count} findings\n", self.state.seed);
        for finding in outcome.findings.iter().take(FINDINGS_SHOWN) {
            writeln!(text, "{finding}")?;
        }
        println!("{text}");
        writeln!(text, "victims {:?}", outcome.trial.victims)?;
        for line in &outcome.trial.story {
            writeln!(text, "    {line}")?;
        }
        for (end, times) in &outcome.ends {
            writeln!(text, "    {times} times: {end}")?;
        }
        for finding in outcome.findings.iter().skip(FINDINGS_SHOWN) {
            writeln!(text, "{finding}")?;
        }
        let place = self.failure(number);
        fs::create_dir_all(&place)?;
        fs::write(place.join("failure.txt"), &text)?;
        for node in &self.cluster.nodes {
            node.copy_logs(&place)?;
        }
        println!("the report and the nodes' logs are in {}", place.display());
        Ok(())
    }

    fn failure(&self, number: u32) -> PathBuf {
        self.options.dir.join("failures").join(format!("{number:06}"))
    }

    /// A new cluster in the place of one that does not work any more.
    fn replace(&mut self, number: u32) -> Result<()> {
        for node in &mut self.cluster.nodes {
            // It may be that which does not run any more.
            let _ = node.kill();
        }
        self.cluster.net.mend()?;
        let nodes = self.options.dir.join("nodes");
        fs::rename(&nodes, self.failure(number).join("nodes"))?;
        println!("that cluster is kept with the report; the campaign goes on with a new one");
        self.cluster.renew(&self.kind, &nodes)?;
        self.state.launches += 1;
        self.begin()
    }

    fn save(&self) -> Result<()> {
        let (file, new) = (self.options.dir.join("state.json"), self.options.dir.join("state.new"));
        fs::write(&new, serde_json::to_vec(&self.state)?)?;
        Ok(fs::rename(new, file)?)
    }

    fn summary(&self) -> String {
        let State { counts, .. } = &self.state;
        let mut recoveries = self.state.recoveries.clone();
        recoveries.sort_unstable();
        let recovery = |at: usize| recoveries.get(at).copied().unwrap_or(0);
        let mut rates = self.state.rates.clone();
        rates.sort_unstable();
        let rate = |at: usize| rates.get(at).copied().unwrap_or(0);
        format!(
            "{}\nall clients served again after {} ms (median), {} ms (longest)\n\
             {} confirms a second before a trouble (median), {} (lowest)\n\
             {} messages sent: {} confirmed, {} refused, {} returned, {} without an answer; {} deliveries, {} of them \
             duplicates; {} changes of definitions\n\
             {} rounds in {:.0} s, {} failed",
            self.state.gaps.table(),
            recovery(recoveries.len() / 2),
            recovery(recoveries.len().saturating_sub(1)),
            rate(rates.len() / 2),
            rate(0),
            counts.sent,
            counts.confirmed,
            counts.refused,
            counts.returned,
            counts.unknown,
            counts.deliveries,
            counts.duplicates,
            counts.definitions,
            self.state.next_round,
            self.state.seconds,
            self.state.failed.len()
        )
    }
}

impl Counts {
    fn add(&mut self, other: &Self) {
        let Self {
            sent,
            confirmed,
            refused,
            returned,
            unknown,
            deliveries,
            duplicates,
            definitions,
        } = other;
        self.sent += sent;
        self.confirmed += confirmed;
        self.refused += refused;
        self.returned += returned;
        self.unknown += unknown;
        self.deliveries += deliveries;
        self.duplicates += duplicates;
        self.definitions += definitions;
    }
}

/// A few rounds, in a process of their own.
///
/// # Errors
/// They failed.
pub(crate) fn brief(server: &str) -> Result<()> {
    let dir = tempfile::TempDir::with_prefix("soak-partition-")?;
    let arguments = ["--server", server, "partition", "--brief", "--dir"].map(str::to_owned);
    let arguments = [&arguments[..], &[dir.path().display().to_string()]].concat();
    let entered = net::enter(&arguments)?;
    entered.context("the brief campaign is inside a network already")
}
