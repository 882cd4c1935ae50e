//! One round: load through the client Service, an operation, and the audit of everything that was promised meanwhile.

use super::cluster::{address, carry_out, connected_to, in_sync, kill_operator, messages, ready_pods, well};
use super::kube::within;
use super::plan::{NODES, Plan};
use super::trouble::cut_off;
use super::{Options, Outcome};
use crate::client::Connection;
use crate::finding::{Fault, Finding};
use crate::method::{self, DURABLE};
use crate::partition::book::{Fate, Seen, audit};
use crate::partition::gaps::longest_since;
use crate::partition::load::{Consumer, Door, Ends, Lane, PATIENCE, Progress, Published, Publisher, Signals};
use crate::partition::plan::Pace;
use amq_protocol::types::FieldTable;
use anyhow::{Result, ensure};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, ScopedJoinHandle, sleep};
use std::time::{Duration, Instant};

/// When all is as it should be, every client is served within this.
const SERVED: Duration = Duration::from_secs(60);
/// A drained queue is empty within this.
const DRAINED: Duration = Duration::from_secs(120);
/// How long the load runs before and after the operation.
const CALM: Duration = Duration::from_secs(2);
/// How often pods are counted.
const COUNT: Duration = Duration::from_secs(1);

/// Declares the queues of the load.
pub(super) fn declare(lanes: &[Lane]) -> Result<()> {
    let address = address()?;
    for lane in lanes {
        let mut connection = Connection::open_at(address, PATIENCE)?;
        connection.open_channel(1)?;
        connection.call(1, method::declare(&lane.queue, false, DURABLE, FieldTable::default()))?;
    }
    in_sync(NODES)
}

fn server(place: &str, text: impl Into<String>) -> Finding {
    Finding::at(Fault::Server, place, text)
}

/// What a round's conductor works with.
struct Stage<'a> {
    lanes: &'a [Lane],
    signals: &'a Signals,
    progress: &'a [Progress],
    service: &'a Mutex<SocketAddr>,
    plan: &'a Plan,
    word: &'a str,
    options: &'a Options,
}

/// One round, from load to audit.
pub(super) fn run(
    number: u32,
    plan: &Plan,
    lanes: &[Lane],
    every: Duration,
    (word, options): (&str, &Options),
) -> Outcome {
    let service = match address() {
        Ok(address) => Mutex::new(address),
        Err(error) => {
            let findings = vec![server("cluster", format!("{error:#}"))];
            return Outcome {
                findings,
                ..Outcome::default()
            };
        }
    };
    let signals = Signals::new();
    let progress: Vec<Progress> = lanes.iter().map(|_| Progress::default()).collect();
    let stage = Stage {
        lanes,
        signals: &signals,
        progress: &progress,
        service: &service,
        plan,
        word,
        options,
    };
    let publisher = |(lane, progress)| Publisher {
        lane,
        door: Door::Service(&service),
        round: number,
        every,
        signals: &signals,
        progress,
    };
    let consumer = |lane| Consumer {
        lane,
        door: Door::Service(&service),
        round: number,
        pace: Pace::Eager,
        signals: &signals,
    };
    let publishers: Vec<Publisher<'_>> = lanes.iter().zip(&progress).map(publisher).collect();
    let consumers: Vec<Consumer<'_>> = lanes.iter().map(consumer).collect();
    thread::scope(|scope| {
        let publishers = publishers.iter().map(|it| scope.spawn(|| it.run())).collect();
        let consumers = consumers.iter().map(|it| scope.spawn(|| it.run())).collect();
        stage.conduct(number, publishers, consumers)
    })
}

impl Stage<'_> {
    fn conduct(
        &self,
        number: u32,
        publishers: Vec<ScopedJoinHandle<'_, Published>>,
        consumers: Vec<ScopedJoinHandle<'_, (Seen, Ends)>>,
    ) -> Outcome {
        let mut outcome = Outcome::default();
        let mut unheard = BTreeSet::new();
        let from = self.operate(&mut outcome, &mut unheard).unwrap_or_else(|error| {
            outcome.findings.push(server("cluster", format!("{error:#}")));
            self.signals.now()
        });
        let to = self.signals.now();
        self.signals.enough.store(true, Ordering::Relaxed);
        let published: Vec<Published> = publishers.into_iter().map(join).collect();
        let drained = within(DRAINED, || {
            let left = messages()?;
            Ok((left > 0).then(|| format!("{left} messages are left")))
        });
        outcome
            .findings
            .extend(drained.err().map(|error| server("queues", format!("{error:#}"))));
        self.signals.done.store(true, Ordering::Relaxed);
        let seen: Vec<(Seen, Ends)> = consumers.into_iter().map(join).collect();
        for ((lane, published), (seen, ends)) in self.lanes.iter().zip(&published).zip(&seen) {
            outcome
                .findings
                .extend(audit(&lane.queue, number, &published.sent, seen));
            if let Some((first, last)) = published.sent.lost(seen) {
                let [first, last] = [first, last].map(|at| at.saturating_sub(from));
                let text = format!("what was lost was confirmed from {first} to {last} ms after the operation began");
                outcome.findings.push(server(&lane.queue, text));
            }
            outcome.sent += published.sent.fates.len() as u64;
            outcome.confirmed += published.sent.count(Fate::Confirmed);
            let (gap, since) = longest_since(&published.confirms, from, to);
            if unheard.contains(&lane.queue) {
                outcome.unheard_ms = outcome.unheard_ms.max(Some(gap));
            } else if gap > outcome.gap_ms {
                let told = format!(
                    "{} from {} ms on, {}",
                    lane.queue,
                    since.saturating_sub(from),
                    self.signals.clock(since)
                );
                (outcome.gap_ms, outcome.gap_of) = (gap, told);
            }
            for (end, times) in published.ends.iter().chain(ends) {
                *outcome.ends.entry(end.clone()).or_default() += times;
            }
        }
        outcome.rate = outcome.sent * 1000 / to.max(1);
        outcome
    }

    /// The operation and its end; the moment at which it began. `unheard` are queues whose publishers do not learn that their node cannot be reached.
    fn operate(&self, outcome: &mut Outcome, unheard: &mut BTreeSet<String>) -> Result<u64> {
        well(NODES)?;
        in_sync(NODES)?;
        self.wait_served(0)?;
        sleep(CALM);
        let queues: Vec<&str> = self.lanes.iter().map(|lane| lane.queue.as_str()).collect();
        *unheard = connected_to(&cut_off(self.plan.operation)?, &queues)?;
        let (from, over) = (self.signals.now(), AtomicBool::new(false));
        let (done, fewest) = thread::scope(|scope| {
            let counted = scope.spawn(|| fewest_ready(&over));
            let killed = scope.spawn(|| self.kill_operator(&over));
            let done = carry_out(self.plan.operation, self.word, self.options);
            over.store(true, Ordering::Relaxed);
            let killed = join(killed);
            (done.and(killed), join(counted))
        });
        done?;
        // A Service that was made anew has another address.
        *self.service.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = address()?;
        if self.plan.operation.keeps_all_but_one() {
            outcome.fewest = Some(fewest);
            if fewest + 1 < NODES as usize {
                let text = format!("only {fewest} of {NODES} nodes took clients at some moment");
                outcome.findings.push(server("cluster", text));
            }
        }
        self.wait_served(self.signals.now())?;
        sleep(CALM);
        Ok(from)
    }

    fn kill_operator(&self, over: &AtomicBool) -> Result<()> {
        let Some(after) = self.plan.operator_dies else {
            return Ok(());
        };
        let deadline = Instant::now() + Duration::from_millis(after);
        while Instant::now() < deadline && !over.load(Ordering::Relaxed) {
            sleep(Duration::from_millis(20));
        }
        // What is done may be that the API server is away.
        within(SERVED, || Ok(kill_operator().err().map(|error| error.to_string())))
    }

    /// Until every publisher has had a confirm for something that it sent after this moment.
    fn wait_served(&self, since: u64) -> Result<()> {
        let deadline = Instant::now() + SERVED;
        loop {
            let lanes = self.lanes.iter().zip(self.progress);
            let waiting = lanes.filter(|(_, progress)| !progress.since(since));
            let names: Vec<&str> = waiting.map(|(lane, _)| lane.queue.as_str()).collect();
            if names.is_empty() {
                return Ok(());
            }
            let who = names.join(", ");
            ensure!(Instant::now() < deadline, "no confirm within {SERVED:?} for {who}");
            sleep(Duration::from_millis(20));
        }
    }
}

/// The fewest pods that took clients at any moment when they were counted.
fn fewest_ready(over: &AtomicBool) -> usize {
    let mut fewest = NODES as usize;
    while !over.load(Ordering::Relaxed) {
        // An API server that does not answer says nothing of the pods.
        fewest = fewest.min(ready_pods().unwrap_or(fewest));
        sleep(COUNT);
    }
    fewest
}

fn join<T>(handle: ScopedJoinHandle<'_, T>) -> T {
    match handle.join() {
        Ok(value) => value,
        // The client's own panic is the campaign's.
        Err(panic) => std::panic::resume_unwind(panic),
    }
}
