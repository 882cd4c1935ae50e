//! One round: load on a whole cluster, a trouble, healing, and the audit of everything that was promised meanwhile.

use super::book::{Fate, Seen, Sent, audit};
use super::cluster::{Cluster, Trial};
use super::definer::{self, Definer, Definitions};
use super::gaps::{Side, allowed, longest, rate_before, side};
use super::load::{Consumer, Door, Ends, Lane, PATIENCE, Progress, Published, Publisher, Signals};
use super::net::{HOSTS, amqp};
use super::node::Node;
use super::plan::{Plan, Queues, Trouble};
use super::{Campaign, Counts, Outcome};
use crate::client::{Connection, Failure};
use crate::dice::Dice;
use crate::finding::{Fault, Finding};
use crate::method::{self, DURABLE};
use amq_protocol::types::{AMQPValue, FieldTable};
use anyhow::{Result, ensure};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::thread::{self, ScopedJoinHandle, sleep};
use std::time::{Duration, Instant};

/// After healing every client is served within this.
pub(super) const SERVED: Duration = Duration::from_secs(40);
/// After healing all nodes know the same definitions within this.
pub(super) const AGREED: Duration = Duration::from_secs(15);
/// A drained queue is empty within this.
const DRAINED: Duration = Duration::from_secs(60);
/// Mirrors are in sync within this.
const IN_SYNC: Duration = Duration::from_secs(60);
/// A node that is alone has stopped serving by then, in milliseconds.
const LONELY_MS: u64 = 6_500;
/// How soon it is looked again.
const LOOK: Duration = Duration::from_millis(100);

/// The clients of a round.
struct Clients<'s> {
    publishers: Vec<ScopedJoinHandle<'s, Published>>,
    consumers: Vec<ScopedJoinHandle<'s, (Seen, Ends)>>,
    definers: Vec<ScopedJoinHandle<'s, Definitions>>,
}

/// What a round's conductor works with.
struct Stage<'a> {
    lanes: &'a [Lane],
    queues: Queues,
    signals: &'a Signals,
    progress: &'a [Progress],
    plan: &'a Plan,
}

/// Declares each queue at the node that is to lead it.
pub(super) fn declare(lanes: &[Lane], queues: Queues) -> Result<()> {
    let mut arguments = FieldTable::default();
    if queues == Queues::Quorum {
        arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
    }
    for lane in lanes {
        let mut connection = Connection::open_at(amqp(lane.leader), PATIENCE)?;
        connection.open_channel(1)?;
        connection.call(1, method::declare(&lane.queue, false, DURABLE, arguments.clone()))?;
    }
    Ok(())
}

fn server(place: &str, text: impl Into<String>) -> Finding {
    Finding::at(Fault::Server, place, text)
}

/// One round, from load to audit. A cluster that does not become whole is broken.
pub(super) fn run(campaign: &mut Campaign, number: u32, plan: &Plan) -> Outcome {
    let lanes = campaign.lanes();
    let signals = Signals::new();
    let progress: Vec<Progress> = lanes.iter().map(|_| Progress::default()).collect();
    let stage = Stage {
        lanes: &lanes,
        queues: campaign.options.queues,
        signals: &signals,
        progress: &progress,
        plan,
    };
    let every = Duration::from_micros(1_000_000 * lanes.len() as u64 / campaign.options.rate.max(1));
    let prefix = format!("part.d.{}.{number}", campaign.state.launches);
    let dice = |node: usize| Dice::new(&[campaign.state.seed, number.into(), node as u64, 0x6465_6669]);
    let publisher = |at: usize| Publisher {
        lane: &lanes[at],
        door: Door::Node(lanes[at].publisher),
        round: number,
        every,
        signals: &signals,
        progress: &progress[at],
    };
    let consumer = |at: usize| Consumer {
        lane: &lanes[at],
        door: Door::Node(lanes[at].consumer),
        round: number,
        pace: plan.paces[at],
        signals: &signals,
    };
    let definer = |node: usize| Definer {
        prefix: format!("{prefix}.{node}"),
        node,
        signals: &signals,
        dice: dice(node),
    };
    let publishers: Vec<Publisher<'_>> = (0..lanes.len()).map(publisher).collect();
    let consumers: Vec<Consumer<'_>> = (0..lanes.len()).map(consumer).collect();
    let definers: Vec<Definer<'_>> = (1..=HOSTS).map(definer).collect();
    thread::scope(|scope| {
        let clients = Clients {
            publishers: publishers.iter().map(|it| scope.spawn(|| it.run())).collect(),
            consumers: consumers.iter().map(|it| scope.spawn(|| it.run())).collect(),
            definers: definers.into_iter().map(|it| scope.spawn(|| it.run())).collect(),
        };
        stage.conduct(&mut campaign.cluster, clients, number, &prefix)
    })
}

impl Stage<'_> {
    fn conduct(&self, cluster: &mut Cluster, clients: Clients<'_>, number: u32, prefix: &str) -> Outcome {
        let mut outcome = Outcome::default();
        let from = match self.suffer(cluster, &mut outcome) {
            Ok(from) => from,
            Err(error) => {
                outcome.broken = true;
                outcome.findings.push(server("cluster", format!("{error:#}")));
                0
            }
        };
        let ended = self.signals.now();
        self.signals.enough.store(true, Ordering::Relaxed);
        let published: Vec<Published> = clients.publishers.into_iter().map(join).collect();
        let mut defined: Vec<Definitions> = clients.definers.into_iter().map(join).collect();
        if let Trouble::Wipe(victim) = self.plan.trouble {
            defined.get_mut(victim - 1).into_iter().for_each(definer::lose_disk);
        }
        self.signals.drain.store(true, Ordering::Relaxed);
        if !outcome.broken {
            outcome.findings.extend(
                self.drain(cluster)
                    .err()
                    .map(|error| server("queues", format!("{error:#}"))),
            );
        }
        self.signals.done.store(true, Ordering::Relaxed);
        let seen: Vec<(Seen, Ends)> = clients.consumers.into_iter().map(join).collect();
        self.judge_messages(number, &published, &seen, &mut outcome);
        self.judge_waits(&published, from, ended, &mut outcome);
        if !outcome.broken {
            judge_definitions(cluster, &defined, prefix, &mut outcome);
        }
        gather_ends(&mut outcome, &published, &seen, &defined);
        outcome
    }

    /// The trouble and its end; the moment at which it began.
    fn suffer(&self, cluster: &mut Cluster, outcome: &mut Outcome) -> Result<u64> {
        if self.queues == Queues::Mirrored {
            self.wait_in_sync(cluster)?;
        }
        self.wait_served(0)?;
        outcome.leaders = self.leaders(cluster)?;
        sleep(Duration::from_millis(self.plan.before));
        let from = self.signals.now();
        let signals = self.signals;
        outcome.trial = cluster.suffer(&self.plan.trouble, &|| signals.now())?;
        let healed = self.signals.now();
        outcome.trial.story.push(format!("{healed} all is mended"));
        cluster.heal()?;
        outcome
            .trial
            .story
            .push(format!("{} the cluster is whole", self.signals.now()));
        self.wait_served(healed)?;
        outcome.recovery_ms = Some(self.signals.now() - healed);
        Ok(from)
    }

    /// Until every publisher has had a confirm for something that it sent after this moment.
    fn wait_served(&self, since: u64) -> Result<()> {
        let deadline = Instant::now() + SERVED;
        loop {
            let waiting = self
                .lanes
                .iter()
                .zip(self.progress)
                .filter(|(_, progress)| !progress.since(since));
            let waiting: Vec<String> = waiting
                .map(|(lane, _)| format!("{} through node {}", lane.queue, lane.publisher))
                .collect();
            if waiting.is_empty() {
                return Ok(());
            }
            let who = waiting.join(", ");
            ensure!(
                Instant::now() < deadline,
                "no confirm within {SERVED:?} for what is published to {who}"
            );
            sleep(Duration::from_millis(5));
        }
    }

    fn wait_in_sync(&self, cluster: &Cluster) -> Result<()> {
        let deadline = Instant::now() + IN_SYNC;
        loop {
            let columns = ["list_queues", "name", "slave_pids", "synchronised_slave_pids"];
            let lists = cluster.nodes[0].ask(&cluster.net, &columns)?;
            let complete = |queue: &Value| {
                let mirrors = queue.get("synchronised_slave_pids").and_then(Value::as_array);
                mirrors.is_some_and(|mirrors| mirrors.len() == HOSTS - 1)
            };
            let missing = self
                .lanes
                .iter()
                .filter(|lane| !row(&lists, &lane.queue).is_some_and(complete))
                .count();
            if missing == 0 {
                return Ok(());
            }
            ensure!(
                Instant::now() < deadline,
                "{missing} queues have no mirrors in sync within {IN_SYNC:?}: {lists}"
            );
            sleep(LOOK);
        }
    }

    /// Who leads each queue now: another than at first, once that one was lost.
    fn leaders(&self, cluster: &Cluster) -> Result<BTreeMap<String, usize>> {
        let lists = cluster.nodes[0].ask(&cluster.net, &["list_queues", "name", "pid"])?;
        let leader = |lane: &Lane| {
            let pid = row(&lists, &lane.queue)?.get("pid")?.as_str()?;
            let leads = |node: &&Node| pid.starts_with(&format!("<{}.", node.name()));
            Some((lane.queue.clone(), cluster.nodes.iter().find(leads)?.number))
        };
        Ok(self.lanes.iter().filter_map(leader).collect())
    }

    /// Until every queue is empty, looked at twice.
    fn drain(&self, cluster: &Cluster) -> Result<()> {
        let (deadline, mut empty) = (Instant::now() + DRAINED, 0);
        while empty < 2 {
            let lists = cluster.nodes[0].ask(&cluster.net, &["list_queues", "name", "messages"])?;
            let left = self.lanes.iter().map(|lane| {
                let messages = row(&lists, &lane.queue).and_then(|queue| queue.get("messages")?.as_u64());
                (lane, messages)
            });
            let left: Vec<_> = left.filter(|(_, messages)| *messages != Some(0)).collect();
            empty = if left.is_empty() { empty + 1 } else { 0 };
            let text = || {
                left.iter()
                    .map(|(lane, messages)| format!("{}: {messages:?}", lane.queue))
                    .collect::<Vec<_>>()
            };
            ensure!(
                Instant::now() < deadline,
                "not drained within {DRAINED:?}: {}",
                text().join(", ")
            );
            sleep(LOOK);
        }
        Ok(())
    }

    fn judge_messages(&self, round: u32, published: &[Published], seen: &[(Seen, Ends)], outcome: &mut Outcome) {
        for ((lane, published), (seen, _)) in self.lanes.iter().zip(published).zip(seen) {
            if !outcome.broken {
                outcome
                    .findings
                    .extend(audit(&lane.queue, round, &published.sent, seen));
            }
            outcome.counts.add(&counted(&published.sent, seen));
        }
    }

    fn judge_waits(&self, published: &[Published], from: u64, to: u64, outcome: &mut Outcome) {
        let mut waits = BTreeMap::<Side, u64>::new();
        for (lane, published) in self.lanes.iter().zip(published) {
            let leader = outcome.leaders.get(&lane.queue).copied().unwrap_or(lane.leader);
            let side = side(lane, leader, &outcome.trial.victims);
            let wait = longest(&published.confirms, from, to);
            let longest = waits.entry(side).or_default();
            *longest = wait.max(*longest);
            if let Some(allowed) = allowed(&self.plan.trouble, side, self.queues)
                && wait > allowed
                && !outcome.broken
            {
                let text = format!(
                    "the publisher at node {}, which was not hit, had no confirm for {wait} ms",
                    lane.publisher
                );
                outcome.findings.push(server(&lane.queue, text));
            }
            outcome.findings.extend(served_alone(lane, published, &outcome.trial));
        }
        outcome.waits = waits.into_iter().collect();
        let confirms = published.iter().map(|published| published.confirms.as_slice());
        outcome.rate = (!outcome.broken).then(|| rate_before(confirms, from, self.plan.before));
    }
}

/// A node that is alone confirms nothing, once it must know.
fn served_alone(lane: &Lane, published: &Published, trial: &Trial) -> Option<Finding> {
    let (node, from, to) = trial.lonely?;
    let at = published
        .confirms
        .iter()
        .find(|at| (from + LONELY_MS..to).contains(at))?;
    (lane.publisher == node).then(|| {
        let text = format!("node {node} was alone from {from} to {to} and confirmed at {at}");
        server(&lane.queue, text)
    })
}

fn counted(sent: &Sent, seen: &Seen) -> Counts {
    Counts {
        sent: sent.fates.len() as u64,
        confirmed: sent.count(Fate::Confirmed),
        refused: sent.count(Fate::Refused),
        returned: sent.count(Fate::Returned),
        unknown: sent.count(Fate::Unknown),
        deliveries: seen.deliveries,
        duplicates: seen.duplicates() + seen.earlier,
        definitions: 0,
    }
}

fn judge_definitions(cluster: &Cluster, defined: &[Definitions], prefix: &str, outcome: &mut Outcome) {
    let known: BTreeMap<_, _> = defined
        .iter()
        .flat_map(|definitions| definitions.known.clone())
        .collect();
    outcome.counts.definitions = defined.iter().map(|definitions| definitions.answers.len() as u64).sum();
    let listing = match cluster.agreed(AGREED) {
        Ok(listing) => listing,
        Err(error) => {
            return outcome
                .findings
                .push(Finding::at(Fault::Definition, "cluster", format!("{error:#}")));
        }
    };
    // All definers' queues of earlier rounds are gone by then.
    let ours = prefix.rsplit_once('.').map_or(prefix, |(launch, _)| launch);
    outcome.findings.extend(definer::audit(&known, &listing, ours));
    let names: BTreeSet<String> = definer::queues(&listing)
        .into_iter()
        .filter(|name| name.starts_with(ours))
        .collect();
    let removed = definer::remove(1, &names, SERVED);
    outcome.findings.extend(
        removed
            .err()
            .map(|failure: Failure| server("definitions", failure.to_string())),
    );
}

fn gather_ends(outcome: &mut Outcome, published: &[Published], seen: &[(Seen, Ends)], defined: &[Definitions]) {
    let publishers = published.iter().map(|published| ("publisher", &published.ends));
    let consumers = seen.iter().map(|(_, ends)| ("consumer", ends));
    let definers = defined.iter().map(|definitions| ("definer", &definitions.ends));
    for (who, ends) in publishers.chain(consumers).chain(definers) {
        for (end, times) in ends {
            *outcome.ends.entry(format!("{who}: {end}")).or_default() += times;
        }
    }
}

/// The line of a list that is about this queue.
fn row<'a>(lists: &'a Value, queue: &str) -> Option<&'a Value> {
    let rows = lists.as_array()?;
    rows.iter()
        .find(|row| row.get("name").and_then(Value::as_str) == Some(queue))
}

fn join<T>(handle: ScopedJoinHandle<'_, T>) -> T {
    match handle.join() {
        Ok(value) => value,
        // The client's own panic is the campaign's.
        Err(panic) => std::panic::resume_unwind(panic),
    }
}
