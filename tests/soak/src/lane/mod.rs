//! Lanes: each a thread with queues of its own, so that what it knows of them follows from one sequence of steps. All lanes
//! load the same server at once. Here is what they share: the round, the end of it, and how a queue is looked through.

pub(crate) mod consumer;
pub(crate) mod dead_letter;
pub(crate) mod definitions;
pub(crate) mod publisher;
pub(crate) mod shelves;
pub(crate) mod transaction;

use crate::audit::{Crash, Look, Observed, Rules};
use crate::client::{Connection, Content, Event, Failure, PATIENCE};
use crate::dice::{Dice, mix};
use crate::finding::{Fault, Finding};
use crate::journal::Journal;
use crate::message::{Id, Origin};
use crate::method;
use crate::shelf::{Moment, Shelf};
use amq_protocol::protocol::{AMQPClass, basic};
use amq_protocol::types::FieldTable;
use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Why a lane's work ends.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The server went away, as it does at the end of every round.
    Gone,
    /// A promise was broken.
    Found(Finding),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Gone => Self::Gone,
            other => Self::Found(Finding::at(Fault::Server, "connection", other.to_string())),
        }
    }
}

impl From<Finding> for Stop {
    fn from(finding: Finding) -> Self {
        Self::Found(finding)
    }
}

/// What the conductor tells all lanes while a round runs.
#[derive(Debug, Default)]
pub(crate) struct Signals {
    quiet: AtomicBool,
    ending: AtomicBool,
    /// Messages published.
    pub(crate) published: AtomicU64,
    /// Publishes confirmed or committed.
    pub(crate) confirmed: AtomicU64,
    /// Deliveries read.
    pub(crate) delivered: AtomicU64,
}

impl Signals {
    /// From now on nobody publishes; what was acked ages.
    pub(crate) fn hush(&self) {
        self.quiet.store(true, Ordering::SeqCst);
    }

    /// From now on the server may go away at any moment.
    pub(crate) fn end(&self) {
        self.ending.store(true, Ordering::SeqCst);
    }

    /// Whether the end was announced.
    pub(crate) fn ending(&self) -> bool {
        self.ending.load(Ordering::SeqCst)
    }

    /// Whether silence was asked for.
    pub(crate) fn quiet(&self) -> bool {
        self.quiet.load(Ordering::SeqCst)
    }

    fn count(counter: &AtomicU64, more: usize) {
        counter.fetch_add(more as u64, Ordering::Relaxed);
    }
}

/// One round, as a lane sees it.
pub(crate) struct Round<'a> {
    /// Its number.
    pub(crate) number: u32,
    /// Where the server listens.
    pub(crate) port: u16,
    /// Seed and lane, which make the bodies.
    pub(crate) origin: Origin,
    /// How the server ended before.
    pub(crate) crash: Crash,
    /// What is promised.
    pub(crate) rules: Rules,
    /// What the conductor says.
    pub(crate) signals: &'a Signals,
    /// Where events are written down.
    pub(crate) journal: Journal,
}

impl Round<'_> {
    /// This lane's chances in this round; `purpose` keeps several streams apart.
    pub(crate) fn dice(&self, purpose: u64) -> Dice {
        let lane = self
            .origin
            .lane
            .bytes()
            .fold(0, |state, octet| mix(state ^ u64::from(octet)));
        Dice::new(&[self.origin.seed, u64::from(self.number), lane, purpose])
    }

    /// A size as messages have: mostly small, now and then of several frames.
    pub(crate) fn size(&self, dice: &mut Dice) -> usize {
        let (low, high) = match dice.weighted(&[70, 25, 4, 1]) {
            0 => (60, 400),
            1 => (400, 4_000),
            2 => (4_000, 40_000),
            _ => (130_000, 300_000),
        };
        (dice.between(low, high) as usize).min(self.rules.octets_max)
    }

    /// Writes an event down.
    pub(crate) fn note(&self, text: impl AsRef<str>) {
        self.journal.note(text.as_ref());
    }
}

/// Everything that is known in one lane.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Lane {
    /// Queues with publishers, consumers and confirms.
    Shelves(shelves::Shelves),
    /// Queues that are written and read in transactions.
    Transactions(transaction::Transactions),
    /// Queues whose dead letters go to another.
    DeadLetters(dead_letter::DeadLetters),
    /// Queues, exchanges and bindings that come and go.
    Definitions(definitions::Definitions),
}

impl Lane {
    /// Every lane of a campaign, before its first round.
    pub(crate) fn all() -> Vec<Self> {
        let mut lanes = shelves::Shelves::all()
            .into_iter()
            .map(Self::Shelves)
            .collect::<Vec<_>>();
        lanes.push(Self::Transactions(transaction::Transactions::new()));
        lanes.extend(dead_letter::DeadLetters::all().into_iter().map(Self::DeadLetters));
        lanes.push(Self::Definitions(definitions::Definitions::new()));
        lanes
    }

    /// Its name, which no other lane has.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Shelves(lane) => &lane.name,
            Self::Transactions(lane) => &lane.name,
            Self::DeadLetters(lane) => &lane.name,
            Self::Definitions(lane) => &lane.name,
        }
    }

    /// Compares the server with what is known, and makes what was found the new knowledge. In the first round it
    /// declares instead.
    pub(crate) fn audit(&mut self, round: &Round<'_>) -> Result<Vec<Finding>, Stop> {
        match self {
            Self::Shelves(lane) => lane.audit(round),
            Self::Transactions(lane) => lane.audit(round),
            Self::DeadLetters(lane) => lane.audit(round),
            Self::Definitions(lane) => lane.audit(round),
        }
    }

    /// Works until the server goes away, and keeps the facts.
    pub(crate) fn load(&mut self, round: &Round<'_>) -> Stop {
        match self {
            Self::Shelves(lane) => lane.load(round),
            Self::Transactions(lane) => lane.load(round),
            Self::DeadLetters(lane) => lane.load(round),
            Self::Definitions(lane) => lane.load(round),
        }
    }

    /// How many messages it knows of.
    pub(crate) fn known_count(&self) -> usize {
        match self {
            Self::Shelves(lane) => count(&lane.shelves),
            Self::Transactions(lane) => count(&lane.shelves),
            Self::DeadLetters(lane) => lane.letters.len(),
            Self::Definitions(lane) => lane.known_count(),
        }
    }
}

fn count(shelves: &[Shelf]) -> usize {
    shelves.iter().map(|shelf| shelf.copies.len()).sum()
}

/// This moment.
pub(crate) fn now() -> Moment {
    // Before 1970 there was no AMQP; a clock that says so is a clock at 0.
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_millis() as Moment
}

/// `millis` from now, for waits.
pub(crate) fn within(millis: u64) -> Instant {
    Instant::now() + Duration::from_millis(millis)
}

/// Asks how many messages are ready; a queue that is not there is a finding.
pub(crate) fn ready_count(connection: &mut Connection, channel: u16, queue: &str) -> Result<usize, Stop> {
    match connection.call(channel, method::ask(queue)) {
        Ok(answer) => Ok(method::ready_count(&answer).unwrap_or_default()),
        Err(Failure::Refused { code, text }) => Err(definition(queue, format!("it must exist: {code} {text}")).into()),
        Err(other) => Err(other.into()),
    }
}

/// A finding about what exists.
pub(crate) fn definition(place: &str, text: impl Into<String>) -> Finding {
    Finding::at(Fault::Definition, place, text)
}

/// Takes every ready message of a queue, unacknowledged, on a channel that is opened for it. The last delivery tag is answered
/// too.
pub(crate) fn look(
    connection: &mut Connection,
    channel: u16,
    queue: &str,
    origin: &Origin,
) -> Result<(Look, u64), Stop> {
    let began = now();
    connection.open_channel(channel)?;
    connection.call(channel, method::prefetch(0))?;
    let announced = ready_count(connection, channel, queue)?;
    connection.call(channel, method::consume(queue, "look"))?;
    let (mut messages, mut last) = (Vec::new(), 0);
    let mut take = |content: &Content| {
        let (tag, redelivered) = delivery(&content.method);
        last = last.max(tag);
        messages.push(Observed {
            id: origin.read(&content.body),
            redelivered,
        });
        messages.len()
    };
    let (deadline, mut taken) = (Instant::now() + PATIENCE, 0);
    while taken < announced
        && let Some(event) = connection.next(deadline.min(within(3_000)))?
    {
        if let Event::Content(_, content) = event {
            taken = take(&content);
        }
    }
    connection.call(channel, method::cancel("look"))?;
    while let Some(Event::Content(_, content)) = connection.next(Instant::now())? {
        take(&content);
    }
    while let Some(content) = connection.get(channel, queue, false)? {
        take(&content);
    }
    let ended = now();
    Ok((Look { messages, began, ended }, last))
}

/// The delivery tag and whether it was delivered before.
pub(crate) fn delivery(method: &basic::AMQPMethod) -> (u64, bool) {
    match method {
        basic::AMQPMethod::Deliver(deliver) => (deliver.delivery_tag, deliver.redelivered),
        basic::AMQPMethod::GetOk(got) => (got.delivery_tag, got.redelivered),
        _ => (0, false),
    }
}

/// Declares what must exist already: first asks, then declares with the same arguments, which only an equal queue accepts.
pub(crate) fn must_exist(
    connection: &mut Connection,
    channel: u16,
    queue: &str,
    arguments: FieldTable,
) -> Result<(), Stop> {
    ready_count(connection, channel, queue)?;
    match connection.call(channel, method::declare(queue, false, method::DURABLE, arguments)) {
        Ok(_) => Ok(()),
        Err(Failure::Refused { code, text }) => Err(definition(queue, format!("it has changed: {code} {text}")).into()),
        Err(other) => Err(other.into()),
    }
}

/// What a lane concludes when its work ends: the server may only go away when the conductor said so.
pub(crate) fn conclude(stop: Stop, signals: &Signals) -> Stop {
    match stop {
        Stop::Gone if !signals.ending() => {
            let text = "it went away although nobody had stopped it";
            Stop::Found(Finding::at(Fault::Server, "server", text))
        }
        other => other,
    }
}

/// Properties of a message of ours.
pub(crate) fn properties(persistent: bool, priority: Option<u8>) -> basic::AMQPProperties {
    let properties = basic::AMQPProperties::default().with_delivery_mode(if persistent { 2 } else { 1 });
    match priority {
        Some(priority) => properties.with_priority(priority),
        None => properties,
    }
}

/// Confirms in an event: the tag, whether all before it too, and whether it was refused.
pub(crate) fn confirm_of(event: &Event) -> Option<(u64, bool, bool)> {
    match event {
        Event::Method(_, AMQPClass::Basic(basic::AMQPMethod::Ack(ack))) => Some((ack.delivery_tag, ack.multiple, true)),
        Event::Method(_, AMQPClass::Basic(basic::AMQPMethod::Nack(nack))) => {
            Some((nack.delivery_tag, nack.multiple, false))
        }
        _ => None,
    }
}

/// Ids as notes name them.
pub(crate) fn names(ids: &[Id]) -> String {
    ids.iter().map(Id::to_string).collect::<Vec<_>>().join(" ")
}
