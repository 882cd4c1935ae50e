//! The lane of definitions: queues, exchanges and bindings come and go, one operation at a time, with messages in between.
//! What was answered must hold after a crash; what was not may or may not. Probes through every exchange prove the
//! bindings. Transient, exclusive and auto-delete things must be gone after every restart.

use super::consumer::Consumer;
use super::publisher::{Draft, Publisher};
use super::{Round, Stop, conclude, definition, look, now, within};
use crate::audit::{self, Crash};
use crate::client::{Connection, Failure};
use crate::dice::Dice;
use crate::finding::Finding;
use crate::message::Id;
use crate::method::{self, DURABLE, Flags};
use crate::shelf::{Moment, Shelf, Spec};
use crate::topology::{Fact, KINDS, Known, To, Topology};
use amq_protocol::protocol::AMQPClass;
use amq_protocol::types::FieldTable;
use serde::{Deserialize, Serialize};

const QUEUES: usize = 5;
const KEYS: [&str; 3] = ["a", "b", "*"];
const MESSAGES_MAX: usize = 300;
/// Queues that no restart may leave, with their flags.
const PASSING: [(&str, Flags); 4] = [
    (
        "definitions.transient",
        Flags {
            durable: false,
            exclusive: false,
            auto_delete: false,
        },
    ),
    (
        "definitions.exclusive",
        Flags {
            durable: false,
            exclusive: true,
            auto_delete: false,
        },
    ),
    (
        "definitions.exclusive-durable",
        Flags {
            durable: true,
            exclusive: true,
            auto_delete: false,
        },
    ),
    (
        "definitions.auto-delete",
        Flags {
            durable: false,
            exclusive: false,
            auto_delete: true,
        },
    ),
];
const PASSING_EXCHANGE: &str = "definitions.transient-exchange";

/// What is known of the lane.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Definitions {
    /// The lane's name.
    pub(crate) name: String,
    topology: Topology,
    shelves: Vec<Shelf>,
    /// Whether a round has made what no restart may leave.
    passing_made: bool,
}

impl Definitions {
    /// The lane before its first round.
    pub(crate) fn new() -> Self {
        let spec = |index| Shelf::new(Spec::plain(format!("definitions.{index}")));
        Self {
            name: "definitions".to_owned(),
            topology: Topology::new(QUEUES),
            shelves: (0..QUEUES).map(spec).collect(),
            passing_made: false,
        }
    }

    /// How many messages it knows of.
    pub(crate) fn known_count(&self) -> usize {
        super::count(&self.shelves)
    }

    fn exchange(index: usize) -> String {
        format!("definitions.exchange.{index}")
    }

    fn asking(&self, thing: To) -> AMQPClass {
        match thing {
            To::Queue(index) => method::ask(self.shelves[index].name()),
            To::Exchange(index) => method::exchange(&Self::exchange(index), KINDS[index], true, DURABLE),
        }
    }

    fn things() -> impl Iterator<Item = To> {
        (0..QUEUES).map(To::Queue).chain((0..KINDS.len()).map(To::Exchange))
    }

    /// Compares what exists, what the queues hold and where probes go with what is known.
    pub(crate) fn audit(&mut self, round: &Round<'_>) -> Result<Vec<Finding>, Stop> {
        let mut connection = Connection::open(round.port)?;
        connection.open_channel(1)?;
        self.topology
            .doubt(round.crash.doubts(round.rules).unwrap_or(Moment::MAX));
        let mut findings = self.audit_passing(&mut connection)?;
        findings.extend(self.audit_existence(round, &mut connection)?);
        findings.extend(self.audit_queues(round, &mut connection, round.crash)?);
        if findings.is_empty() {
            self.make_sure(&mut connection)?;
            self.probe(round)?;
            let live = Crash {
                at: now(),
                clean: true,
                kills: 0,
            };
            findings.extend(self.audit_queues(round, &mut connection, live)?);
        }
        Ok(findings)
    }

    fn audit_passing(&self, connection: &mut Connection) -> Result<Vec<Finding>, Stop> {
        let mut findings = Vec::new();
        if !self.passing_made {
            return Ok(findings);
        }
        for (name, flags) in PASSING {
            if exists(connection, method::ask(name))? {
                findings.push(definition(name, format!("{flags:?} and yet it survived a restart")));
            }
        }
        if exists(
            connection,
            method::exchange(PASSING_EXCHANGE, "fanout", true, Flags::default()),
        )? {
            findings.push(definition(PASSING_EXCHANGE, "transient and yet it survived a restart"));
        }
        Ok(findings)
    }

    fn audit_existence(&mut self, round: &Round<'_>, connection: &mut Connection) -> Result<Vec<Finding>, Stop> {
        let mut findings = Vec::new();
        for thing in Self::things() {
            let found = exists(connection, self.asking(thing))?;
            let known = self.topology.known(thing);
            round.note(format!("{thing:?} exists: {found}, known: {known:?}"));
            match (known, found) {
                (Known::Yes, false) => findings.push(definition(&self.label(thing), "declared, and lost by a restart")),
                (Known::No, true) => findings.push(definition(&self.label(thing), "deleted, and back after a restart")),
                _ => {}
            }
            self.topology.found(thing, found, now());
            if let (To::Queue(index), false) = (thing, found) {
                self.shelves[index].copies.clear();
            }
        }
        Ok(findings)
    }

    fn label(&self, thing: To) -> String {
        match thing {
            To::Queue(index) => self.shelves[index].name().to_owned(),
            To::Exchange(index) => Self::exchange(index),
        }
    }

    fn audit_queues(
        &mut self,
        round: &Round<'_>,
        connection: &mut Connection,
        crash: Crash,
    ) -> Result<Vec<Finding>, Stop> {
        let mut findings = Vec::new();
        for (index, shelf) in self.shelves.iter_mut().enumerate() {
            if self.topology.known(To::Queue(index)) == Known::Yes {
                let (seen, _) = look(connection, 2, shelf.name(), &round.origin)?;
                round.note(format!("'{}' holds {:?}", shelf.name(), seen.messages));
                findings.extend(audit::judge(shelf, &seen, crash, round.rules));
                audit::settle(shelf, &seen);
                connection.close_channel(2)?;
            }
        }
        Ok(findings)
    }

    /// A binding that was in flight is made to exist.
    fn make_sure(&mut self, connection: &mut Connection) -> Result<(), Stop> {
        for at in 0..self.topology.bindings.len() {
            if self.topology.bindings[at].fact.known == Known::Unsure {
                let binding = self.topology.bindings[at].clone();
                let answer = connection.call(1, self.binding_method(true, binding.from, binding.to, &binding.key));
                answer?;
                self.topology.bindings[at].fact = since_now(Known::Yes);
            }
        }
        Ok(())
    }

    fn binding_method(&self, wanted: bool, from: usize, to: To, key: &str) -> AMQPClass {
        let source = Self::exchange(from);
        match to {
            To::Queue(index) => method::bind(wanted, self.shelves[index].name(), &source, key),
            To::Exchange(index) => method::bind_exchange(wanted, &Self::exchange(index), &source, key),
        }
    }

    /// A message through every exchange with every key, which must arrive where the bindings lead and nowhere else.
    fn probe(&mut self, round: &Round<'_>) -> Result<(), Stop> {
        let mut publisher = Publisher::open(round.port, 1, 0)?;
        for index in 0..KINDS.len() {
            for key in ["a", "b"] {
                self.publish(round, &mut publisher, index, key, 100)?;
            }
        }
        publisher.settle(round, &mut self.shelves, 0)
    }

    fn publish(
        &mut self,
        round: &Round<'_>,
        publisher: &mut Publisher,
        exchange: usize,
        key: &str,
        size: usize,
    ) -> Result<(), Stop> {
        if self.topology.known(To::Exchange(exchange)) != Known::Yes {
            return Ok(());
        }
        let to = self.topology.route(exchange, key);
        let draft = Draft {
            size,
            persistent: true,
            priority: None,
            expiration_ms: None,
        };
        let name = Self::exchange(exchange);
        publisher.publish(round, &mut self.shelves, (&name, key, &to), draft)?;
        Ok(())
    }

    /// Works until the server goes away.
    pub(crate) fn load(&mut self, round: &Round<'_>) -> Stop {
        let mut work = match Work::open(self, round) {
            Ok(work) => work,
            Err(stop) => return conclude(stop, round.signals),
        };
        let stop = loop {
            let step = if round.signals.quiet() {
                work.hush()
            } else {
                work.step()
            };
            if let Err(stop) = step {
                break stop;
            }
        };
        work.publisher.drain(round, &mut work.lane.shelves);
        conclude(stop, round.signals)
    }
}

fn since_now(known: Known) -> Fact {
    Fact { known, since: now() }
}

/// Asks for a queue or an exchange; a channel that was closed over it is opened again.
fn exists(connection: &mut Connection, asking: AMQPClass) -> Result<bool, Stop> {
    match connection.call(1, asking) {
        Ok(_) => Ok(true),
        Err(Failure::Refused { code: 404, .. }) => {
            connection.open_channel(1)?;
            Ok(false)
        }
        Err(other) => Err(other.into()),
    }
}

/// The lane at work in one round.
struct Work<'a> {
    lane: &'a mut Definitions,
    round: &'a Round<'a>,
    publisher: Publisher,
    consumer: Consumer,
    dice: Dice,
}

impl<'a> Work<'a> {
    fn open(lane: &'a mut Definitions, round: &'a Round<'a>) -> Result<Self, Stop> {
        let mut work = Self {
            publisher: Publisher::open(round.port, 0, 0)?,
            consumer: Consumer::open(round.port, 50)?,
            dice: round.dice(1),
            lane,
            round,
        };
        work.make_passing()?;
        Ok(work)
    }

    fn call(&mut self, method: AMQPClass) -> Result<(), Stop> {
        self.consumer.connection.call(1, method)?;
        Ok(())
    }

    fn make_passing(&mut self) -> Result<(), Stop> {
        self.lane.passing_made = true;
        self.call(method::exchange(PASSING_EXCHANGE, "fanout", false, Flags::default()))?;
        for (name, flags) in PASSING {
            self.call(method::declare(name, false, flags, FieldTable::default()))?;
            self.call(method::bind(true, name, PASSING_EXCHANGE, ""))?;
        }
        Ok(())
    }

    fn step(&mut self) -> Result<(), Stop> {
        let mut dice = Dice::new(&[self.dice.next()]);
        match dice.weighted(&[18, 6, 12, 4, 18, 8, 24, 10]) {
            0 => self.declare(To::Queue(dice.below(QUEUES as u64) as usize)),
            1 => self.delete(To::Queue(dice.below(QUEUES as u64) as usize)),
            2 => self.declare(To::Exchange(dice.below(KINDS.len() as u64) as usize)),
            3 => self.delete(To::Exchange(dice.below(KINDS.len() as u64) as usize)),
            4 => self.bind(true, &mut dice),
            5 => self.bind(false, &mut dice),
            6 => self.publish(&mut dice),
            _ => self.get(&mut dice),
        }
    }

    fn declare(&mut self, thing: To) -> Result<(), Stop> {
        let before = self.lane.topology.known(thing);
        self.round.note(format!("declare {thing:?}, {before:?} before"));
        if before == Known::No {
            self.lane.topology.set(thing, Known::Unsure, now());
        }
        self.call(match thing {
            To::Queue(index) => method::declare(self.lane.shelves[index].name(), false, DURABLE, FieldTable::default()),
            To::Exchange(index) => method::exchange(&Definitions::exchange(index), KINDS[index], false, DURABLE),
        })?;
        self.round.note("declared");
        if before != Known::Yes {
            self.lane.topology.set(thing, Known::Yes, now());
        }
        Ok(())
    }

    fn delete(&mut self, thing: To) -> Result<(), Stop> {
        self.round.note(format!("delete {thing:?}"));
        if self.lane.topology.known(thing) == Known::Yes {
            self.lane.topology.take(thing, Known::Unsure, now());
        }
        self.each_in(thing, |shelf, id| shelf.leave(id));
        self.call(match thing {
            To::Queue(index) => method::delete(self.lane.shelves[index].name()),
            To::Exchange(index) => method::delete_exchange(&Definitions::exchange(index)),
        })?;
        self.round.note("deleted");
        if self.lane.topology.known(thing) != Known::No {
            self.lane.topology.take(thing, Known::No, now());
        }
        let from = now();
        self.each_in(thing, |shelf, id| shelf.left(id, from));
        Ok(())
    }

    /// Does something with every message of a queue.
    fn each_in(&mut self, thing: To, act: impl Fn(&mut Shelf, Id)) {
        if let To::Queue(index) = thing {
            let shelf = &mut self.lane.shelves[index];
            let all: Vec<Id> = shelf.copies.keys().copied().collect();
            all.into_iter().for_each(|id| act(shelf, id));
        }
    }

    /// Binds a queue to an exchange, or an exchange to one before it, so that no message goes in a circle.
    fn bind(&mut self, wanted: bool, dice: &mut Dice) -> Result<(), Stop> {
        let (from, key) = (dice.below(KINDS.len() as u64) as usize, KEYS[dice.below(3) as usize]);
        let to = if dice.percent(25) && from + 1 < KINDS.len() {
            To::Exchange(dice.between(from as u64 + 1, KINDS.len() as u64 - 1) as usize)
        } else {
            To::Queue(dice.below(QUEUES as u64) as usize)
        };
        let ends = [to, To::Exchange(from)].map(|end| self.lane.topology.known(end));
        if ends != [Known::Yes; 2] {
            return Ok(());
        }
        let binding = self.lane.topology.binding(from, to, key);
        let settled = if wanted { Known::Yes } else { Known::No };
        if binding.fact.known != settled {
            binding.fact = since_now(Known::Unsure);
        }
        self.round.note(format!("bind {wanted} {from} {to:?} '{key}'"));
        self.call(self.lane.binding_method(wanted, from, to, key))?;
        self.round.note("bound or unbound");
        self.lane.topology.binding(from, to, key).fact = since_now(settled);
        Ok(())
    }

    fn publish(&mut self, dice: &mut Dice) -> Result<(), Stop> {
        if self.lane.shelves.iter().any(|shelf| shelf.is_full(MESSAGES_MAX)) {
            return self.get(dice);
        }
        for _ in 0..dice.between(1, 12) {
            let (exchange, key) = (dice.below(KINDS.len() as u64) as usize, KEYS[dice.below(2) as usize]);
            self.lane
                .publish(self.round, &mut self.publisher, exchange, key, self.round.size(dice))?;
        }
        self.publisher.settle(self.round, &mut self.lane.shelves, 0)
    }

    fn get(&mut self, dice: &mut Dice) -> Result<(), Stop> {
        let index = dice.below(QUEUES as u64) as usize;
        if self.lane.topology.known(To::Queue(index)) != Known::Yes {
            return Ok(());
        }
        for _ in 0..dice.between(1, 20) {
            self.consumer.get(self.round, &mut self.lane.shelves, index, dice)?;
        }
        Ok(())
    }

    fn hush(&mut self) -> Result<(), Stop> {
        self.consumer
            .collect(self.round, &mut self.lane.shelves, within(60_000))
    }
}
