//! The crash campaign: round after round on one data directory, the server is started, audited, loaded and killed. An image
//! of directory and knowledge is kept from the beginning of every round, so that an interrupted campaign goes on there
//! and a failed round can be run again. It conducts; the lanes work and the auditors judge.

use crate::audit::{Crash, Rules};
use crate::finding::{Fault, Finding};
use crate::journal::{self, Journal};
use crate::lane::{Lane, Round, Signals, Stop, now};
use crate::message::Origin;
use crate::plan::Plan;
use crate::server::{Broker, Server};
use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, ScopedJoinHandle};
use std::time::Duration;

/// Findings that a failure report spells out.
const FINDINGS_SHOWN: usize = 12;

/// What survives from round to round.
#[derive(Debug, Serialize, Deserialize)]
struct State {
    seed: u64,
    server: String,
    next_round: u32,
    crash: Crash,
    start_ms: u64,
    lanes: Vec<Lane>,
}

/// A campaign in its directory.
#[derive(Debug)]
pub(crate) struct Campaign {
    directory: PathBuf,
    broker: Broker,
    state: State,
}

/// What a round has found, by lane.
type Findings = Vec<(String, Finding)>;

impl Campaign {
    /// Goes on with the campaign in `directory`, or begins one there.
    ///
    /// # Errors
    /// The directory holds a campaign of another seed or server.
    pub(crate) fn open(directory: &Path, server: &str, seed: Option<u64>) -> Result<Self> {
        let image = directory.join("before/state.json");
        let state = if image.exists() {
            restore(directory)?;
            let state: State = serde_json::from_slice(&fs::read(&image)?)
                .with_context(|| format!("{} is no campaign of this version", image.display()))?;
            let same = seed.is_none_or(|seed| seed == state.seed) && state.server == server;
            let (seed, server) = (state.seed, &state.server);
            ensure!(
                same,
                "{} holds a campaign of seed {seed} and server {server}",
                directory.display()
            );
            state
        } else {
            State {
                seed: seed.unwrap_or_else(now),
                server: server.to_owned(),
                next_round: 0,
                crash: Crash {
                    at: now(),
                    clean: true,
                    kills: 0,
                },
                start_ms: 500,
                lanes: Lane::all(),
            }
        };
        fs::create_dir_all(directory)?;
        Ok(Self {
            directory: directory.to_owned(),
            broker: Broker::named(server)?,
            state,
        })
    }

    /// Keeps only the lanes whose names begin so.
    pub(crate) fn only(&mut self, names: &[String]) -> Result<()> {
        if !names.is_empty() {
            self.state
                .lanes
                .retain(|lane| names.iter().any(|name| lane.name().starts_with(name)));
            ensure!(!self.state.lanes.is_empty(), "no lane is called {}", names.join(" or "));
        }
        Ok(())
    }

    /// Runs until so many rounds are done in all.
    ///
    /// # Errors
    /// A promise was broken: the report is printed and kept.
    pub(crate) fn run(&mut self, rounds: u32) -> Result<()> {
        let (seed, next) = (self.state.seed, self.state.next_round);
        println!(
            "seed {seed}, rounds {next} to {rounds}, in {}",
            self.directory.display()
        );
        while self.state.next_round < rounds {
            self.save()?;
            let round = self.state.next_round;
            let plan = Plan::new(seed, round);
            let findings = self.round(round, &plan)?;
            if !findings.is_empty() {
                return self.fail(round, &plan, &findings);
            }
            journal::forget(&self.directory, round);
            self.state.next_round += 1;
        }
        self.save()
    }

    /// One round, from the start of the server to its end.
    fn round(&mut self, number: u32, plan: &Plan) -> Result<Findings> {
        for percent in &plan.false_starts {
            self.false_start(*percent)?;
            self.state.crash.kills += 1;
        }
        let mut server = Server::launch(&self.broker, &self.directory)?;
        let started = match server.wait_ready() {
            Ok(started) => started,
            Err(error) => return Ok(vec![own(format!("it does not start again: {error:#}"))]),
        };
        self.state.start_ms = started.as_millis() as u64;
        let signals = Signals::default();
        let known: usize = self.state.lanes.iter().map(Lane::known_count).sum();
        let (findings, crash) = self.conduct(number, plan, server, &signals)?;
        let Some(crash) = crash else {
            println!("round {number}: broken promises among {known} known messages");
            return Ok(findings);
        };
        self.state.crash = crash;
        self.report(number, known, plan, &signals);
        Ok(findings)
    }

    fn report(&self, number: u32, known: usize, plan: &Plan, signals: &Signals) {
        let counted = [&signals.published, &signals.confirmed, &signals.delivered].map(|n| n.load(Ordering::Relaxed));
        println!(
            "round {number}: started in {} ms, {known} known messages audited; {} published, {} confirmed, {} delivered in {} \
             ms{}; {}",
            self.state.start_ms,
            counted[0],
            counted[1],
            counted[2],
            plan.load.as_millis(),
            if plan.quiet.is_some() { " and a silence" } else { "" },
            if plan.clean { "stopped" } else { "killed" },
        );
    }

    /// Kills the server while it starts.
    fn false_start(&mut self, percent: u32) -> Result<()> {
        let mut server = Server::launch(&self.broker, &self.directory)?;
        let patience = Duration::from_millis(self.state.start_ms * u64::from(percent) / 100);
        thread::sleep(patience);
        if percent > 100 {
            server.wait_ready()?;
        }
        server.kill().context("killed while it started")
    }

    /// Lets every lane audit; if all is well, lets them work and ends the server under them.
    fn conduct(
        &mut self,
        number: u32,
        plan: &Plan,
        server: Server,
        signals: &Signals,
    ) -> Result<(Findings, Option<Crash>)> {
        let (seed, crash, port) = (self.state.seed, self.state.crash, server.port);
        let rules = if self.broker.is_warren() {
            Rules::WARREN
        } else {
            Rules::RABBITMQ
        };
        let mut rounds = Vec::new();
        for lane in &self.state.lanes {
            rounds.push(Round {
                number,
                port,
                origin: Origin {
                    lane: lane.name().to_owned(),
                    seed,
                },
                crash,
                rules,
                signals,
                journal: Journal::begin(&self.directory, number, lane.name())?,
            });
        }
        thread::scope(|scope| {
            let (audited, audits) = channel();
            let mut gates = Vec::new();
            let mut workers = Vec::new();
            for (lane, round) in self.state.lanes.iter_mut().zip(&rounds) {
                let (open, gate) = channel();
                let audited = audited.clone();
                gates.push(open);
                workers.push((
                    round.origin.lane.clone(),
                    scope.spawn(move || work(lane, round, &audited, &gate)),
                ));
            }
            let findings = gather(&audits, workers.len());
            if !findings.is_empty() {
                drop(gates);
                return Ok((findings, None));
            }
            gates.iter().for_each(open);
            let (crash, ended) = end(plan, server, signals);
            let mut findings = join(workers);
            findings.extend(ended.err().map(|error| own(format!("{error:#}"))));
            Ok((findings, Some(crash)))
        })
    }

    /// Keeps an image of directory and knowledge.
    fn save(&self) -> Result<()> {
        let new = self.directory.join("before.new");
        remove(&new)?;
        fs::create_dir_all(&new)?;
        copy(&self.directory.join("data"), &new.join("data"))?;
        fs::write(new.join("state.json"), serde_json::to_vec(&self.state)?)?;
        let (image, old) = (self.directory.join("before"), self.directory.join("before.old"));
        remove(&old)?;
        if image.exists() {
            fs::rename(&image, &old)?;
        }
        fs::rename(&new, &image)?;
        remove(&old)
    }

    /// Writes and prints what was found, and how to see it again.
    fn fail(&self, round: u32, plan: &Plan, findings: &Findings) -> Result<()> {
        let mut text = format!(
            "seed {}, round {round}, {plan:?}, after {:?}: {} findings\n",
            self.state.seed,
            self.state.crash,
            findings.len()
        );
        for (kind, count) in kinds(findings) {
            writeln!(text, "{count} times {kind}")?;
        }
        for (lane, finding) in findings.iter().take(FINDINGS_SHOWN) {
            writeln!(text, "{lane}: {finding}")?;
            let id = finding.id.map(|id| id.to_string()).unwrap_or_default();
            for line in journal::lines_about(&self.directory, lane, &id) {
                writeln!(text, "    {line}")?;
            }
        }
        println!("{text}");
        for (lane, finding) in findings.iter().skip(FINDINGS_SHOWN) {
            writeln!(text, "{lane}: {finding}")?;
        }
        let report = self.directory.join("failure.txt");
        fs::write(&report, &text)?;
        let dir = self.directory.display();
        println!(
            "the report is {}; what the lanes did is in {dir}/journal",
            report.display()
        );
        println!(
            "the directory as it was before this round is {dir}/before; to start the server on it again, audit it and \
             run the round's plan again:\n  soak crash --server {} --dir {dir} --rounds {}",
            self.state.server,
            round + 1
        );
        bail!(
            "{} promises were broken in round {round} of seed {}",
            findings.len(),
            self.state.seed
        )
    }
}

/// One lane's thread: audits, tells, waits for the gate, works.
fn work(lane: &mut Lane, round: &Round<'_>, audited: &Sender<(String, Vec<Finding>)>, gate: &Receiver<()>) -> Stop {
    let findings = match lane.audit(round) {
        Ok(findings) => findings,
        Err(Stop::Found(finding)) => vec![finding],
        Err(Stop::Gone) => vec![Finding::at(Fault::Server, "server", "it went away during the audit")],
    };
    // The conductor listens until every lane has told.
    let _ = audited.send((round.origin.lane.clone(), findings));
    match gate.recv() {
        Ok(()) => lane.load(round),
        Err(_) => Stop::Gone,
    }
}

fn gather(audits: &Receiver<(String, Vec<Finding>)>, lanes: usize) -> Findings {
    let told = audits.iter().take(lanes);
    told.flat_map(|(lane, findings)| findings.into_iter().map(move |finding| (lane.clone(), finding)))
        .collect()
}

fn open(gate: &Sender<()>) {
    // A lane that no longer waits has ended with a finding, which the join tells.
    let _ = gate.send(());
}

/// Lets the lanes work, then ends the server; the error is one of the server's.
fn end(plan: &Plan, server: Server, signals: &Signals) -> (Crash, Result<()>) {
    thread::sleep(plan.load);
    if let Some(quiet) = plan.quiet {
        signals.hush();
        thread::sleep(quiet);
    }
    signals.end();
    let at = now();
    let ended = if plan.clean { server.terminate() } else { server.kill() };
    (
        Crash {
            at,
            clean: plan.clean,
            kills: usize::from(!plan.clean),
        },
        ended.context("at the end of the round"),
    )
}

fn join(workers: Vec<(String, ScopedJoinHandle<'_, Stop>)>) -> Findings {
    let mut findings = Vec::new();
    for (lane, worker) in workers {
        match worker.join() {
            Ok(Stop::Gone) => {}
            Ok(Stop::Found(finding)) => findings.push((lane, finding)),
            Err(_) => findings.push((lane, Finding::at(Fault::Server, "lane", "the lane itself panicked"))),
        }
    }
    findings
}

/// How often each promise was broken, by queue.
fn kinds(findings: &Findings) -> BTreeMap<String, usize> {
    let mut kinds = BTreeMap::new();
    for (_, finding) in findings {
        *kinds
            .entry(format!("{:?} in '{}'", finding.fault, finding.place))
            .or_default() += 1;
    }
    kinds
}

fn own(text: String) -> (String, Finding) {
    ("conductor".to_owned(), Finding::at(Fault::Server, "server", text))
}

/// Puts the image of the last round's beginning in the place of what came after.
fn restore(directory: &Path) -> Result<()> {
    let data = directory.join("data");
    remove(&data)?;
    copy(&directory.join("before/data"), &data)
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    if !from.exists() {
        return Ok(fs::create_dir_all(to)?);
    }
    let status = Command::new("cp")
        .args(["-a", "--reflink=auto", "--sparse=auto"])
        .arg(from)
        .arg(to)
        .status()?;
    ensure!(
        status.success(),
        "cp from {} to {}: {status}",
        from.display(),
        to.display()
    );
    Ok(())
}

fn remove(directory: &Path) -> Result<()> {
    if directory.exists() {
        fs::remove_dir_all(directory).with_context(|| format!("cannot remove {}", directory.display()))?;
    }
    Ok(())
}
