//! The lanes of dead letters: a source queue whose rejected, expired or pushed-out messages go to a target queue. A
//! confirmed message is in one of the two, never in neither; in both only when the server died while it moved.

use super::publisher::{Draft, Publisher};
use super::{Round, Stop, conclude, look, must_exist, now, ready_count, within};
use crate::audit::{ACK_GRACE_MS, Look};
use crate::client::{Connection, Content, Event};
use crate::dice::Dice;
use crate::finding::{Fault, Finding};
use crate::letter::{Cause, Letter, Letters, judge};
use crate::message::Id;
use crate::method;
use crate::shelf::{Shelf, Spec};
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};

const CHANNEL: u16 = 1;
const PREFETCH: u16 = 100;
const MESSAGES_MAX: usize = 1_200;

/// A source, its target, and what is known of their messages.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct DeadLetters {
    /// The lane's name.
    pub(crate) name: String,
    declared: bool,
    /// How the source is declared.
    source: Spec,
    /// How the target is declared.
    target: Spec,
    /// What is known.
    pub(crate) letters: Letters,
}

impl DeadLetters {
    /// One lane for each cause of death.
    pub(crate) fn all() -> Vec<Self> {
        let spec = |name: &str| Spec {
            dead_letters_to: Some(format!("{name}.dead")),
            ..Spec::plain(name)
        };
        let expired = Spec {
            ttl_ms: Some(300),
            ..spec("expired")
        };
        let pushed_out = Spec {
            length_max: Some(40),
            ..spec("pushed-out")
        };
        vec![
            Self::new(spec("rejected"), Cause::Rejected),
            Self::new(expired, Cause::Expired { ttl_ms: 300 }),
            Self::new(pushed_out, Cause::PushedOut { length_max: 40 }),
        ]
    }

    fn new(source: Spec, cause: Cause) -> Self {
        Self {
            name: source.name.clone(),
            declared: false,
            target: Spec::plain(source.dead_letters_to.clone().unwrap_or_default()),
            source,
            letters: Letters::new(cause),
        }
    }

    /// Compares source and target with what is known.
    pub(crate) fn audit(&mut self, round: &Round<'_>) -> Result<Vec<Finding>, Stop> {
        let mut connection = Connection::open(round.port)?;
        connection.open_channel(1)?;
        if !self.declared {
            super::shelves::declare(&mut connection, &self.target)?;
            super::shelves::declare(&mut connection, &self.source)?;
            self.declared = true;
            return Ok(Vec::new());
        }
        must_exist(&mut connection, 1, &self.source.name, self.source.arguments())?;
        must_exist(&mut connection, 1, &self.target.name, self.target.arguments())?;
        let (source, _) = look(&mut connection, 2, &self.source.name, &round.origin)?;
        // Nothing is ready in the source any more, so nothing moves but what was on its way.
        let (target, last, findings) = self.look_at_target(round, &mut connection, &source)?;
        self.note(round, &source, &target);
        self.letters.settle(&source, &target);
        if round.dice(0).percent(25) && last > 0 {
            round.note("ack all of the target");
            self.letters.drain_target(None);
            connection.queue(3, method::ack(last, true));
            ready_count(&mut connection, 3, &self.target.name)?;
            self.letters.drain_target(Some(now() + ACK_GRACE_MS));
        }
        connection.close_channel(3)?;
        connection.close_channel(2)?;
        Ok(findings)
    }

    /// Looks until what was moving has arrived: at most ten seconds for what seems to be lost.
    fn look_at_target(
        &self,
        round: &Round<'_>,
        connection: &mut Connection,
        source: &Look,
    ) -> Result<(Look, u64, Vec<Finding>), Stop> {
        let deadline = within(10_000);
        loop {
            let (target, last) = look(connection, 3, &self.target.name, &round.origin)?;
            let findings = self.judge(source, &target, round);
            let lost = findings.iter().any(|finding| finding.fault == Fault::Lost);
            if !lost || Instant::now() > deadline {
                return Ok((target, last, findings));
            }
            connection.close_channel(3)?;
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn judge(&self, source: &Look, target: &Look, round: &Round<'_>) -> Vec<Finding> {
        let (source, target) = ((self.source.name.as_str(), source), (self.target.name.as_str(), target));
        judge(&self.letters, source, target, round.crash, round.rules)
    }

    fn note(&self, round: &Round<'_>, source: &Look, target: &Look) {
        for (name, look) in [(&self.source.name, source), (&self.target.name, target)] {
            round.note(format!("'{name}' holds {} messages", look.messages.len()));
            for id in look.messages.iter().filter_map(|message| message.id.as_ref().ok()) {
                round.note(format!("found {id} in '{name}'"));
            }
        }
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
        match work.drain() {
            Err(Stop::Found(finding)) => Stop::Found(finding),
            _ => conclude(stop, round.signals),
        }
    }
}

/// The lane at work in one round.
struct Work<'a> {
    lane: &'a mut DeadLetters,
    round: &'a Round<'a>,
    publisher: Publisher,
    /// What the publisher knows of its confirms; the letters take it over after every step.
    sent: [Shelf; 1],
    consumer: Connection,
    held: Vec<(u64, Id)>,
    unproven: Vec<(Id, bool)>,
    dice: Dice,
}

impl<'a> Work<'a> {
    fn open(lane: &'a mut DeadLetters, round: &'a Round<'a>) -> Result<Self, Stop> {
        let publisher = Publisher::open(round.port, 0, 0)?;
        let mut consumer = Connection::open(round.port)?;
        consumer.open_channel(CHANNEL)?;
        consumer.call(CHANNEL, method::prefetch(PREFETCH))?;
        if lane.letters.cause == Cause::Rejected {
            consumer.call(CHANNEL, method::consume(&lane.source.name, "source"))?;
        }
        Ok(Self {
            publisher,
            consumer,
            sent: [Shelf::new(lane.source.clone())],
            held: Vec::new(),
            unproven: Vec::new(),
            dice: round.dice(1),
            lane,
            round,
        })
    }

    fn step(&mut self) -> Result<(), Stop> {
        match self.dice.weighted(&[40, 15, 35, 10]) {
            0 => self.publish(),
            1 => self.settle(self.dice.clone().below(2) as usize * 30),
            2 => self.answer(),
            _ => {
                let millis = self.dice.between(1, 80);
                self.collect(within(millis))
            }
        }
    }

    fn publish(&mut self) -> Result<(), Stop> {
        let (count, mut dice) = (self.dice.between(1, 60), Dice::new(&[self.dice.next()]));
        if self.lane.letters.len() >= MESSAGES_MAX {
            return self.collect(within(5));
        }
        for _ in 0..count {
            let draft = Draft {
                size: self.round.size(&mut dice),
                persistent: true,
                priority: None,
                expiration_ms: None,
            };
            let name = self.lane.source.name.clone();
            let id = self
                .publisher
                .publish(self.round, &mut self.sent, ("", &name, &[0]), draft)?;
            self.lane.letters.send(id, Letter::sent(now()));
        }
        self.settle(400)
    }

    fn settle(&mut self, outstanding_max: usize) -> Result<(), Stop> {
        let settled = self.publisher.settle(self.round, &mut self.sent, outstanding_max);
        self.take_confirms();
        settled
    }

    fn take_confirms(&mut self) {
        let confirmed = self.sent[0]
            .copies
            .iter()
            .filter_map(|(id, copy)| Some((*id, copy.confirmed_at?)));
        for (id, at) in confirmed {
            self.lane.letters.confirm(id, at);
        }
        self.sent[0].copies.retain(|_, copy| copy.confirmed_at.is_none());
    }

    fn collect(&mut self, deadline: Instant) -> Result<(), Stop> {
        while let Some(event) = self.consumer.next(deadline)? {
            match event {
                Event::Content(_, content) => self.take(&content)?,
                Event::Method(_, other) => {
                    let text = format!("unexpected on a consuming channel: {other:?}");
                    return Err(Finding::at(Fault::Server, "deliveries", text).into());
                }
            }
        }
        Ok(())
    }

    fn take(&mut self, content: &Content) -> Result<(), Stop> {
        let name = &self.lane.source.name;
        let damaged = |damage| Finding::at(Fault::Damaged, name, damage);
        let id = self.round.origin.read(&content.body).map_err(damaged)?;
        self.round.note(format!("delivered {id} from '{name}'"));
        self.lane.letters.deliver(id, name)?;
        self.held.push((super::delivery(&content.method).0, id));
        Ok(())
    }

    /// Rejects, acks or gives back what it holds, and perhaps proves it.
    fn answer(&mut self) -> Result<(), Stop> {
        self.collect(Instant::now())?;
        let (count, prove) = (self.dice.between(1, 40) as usize, self.dice.percent(60));
        let mut dice = Dice::new(&[self.dice.next()]);
        for (tag, id) in self.held.drain(..count.min(self.held.len())) {
            let way = dice.weighted(&[60, 25, 15]);
            self.round.note(format!("{} {id}", ["reject", "ack", "requeue"][way]));
            let method = match way {
                0 => method::reject(tag, false),
                1 => method::ack(tag, false),
                _ => method::nack(tag, false, true),
            };
            self.consumer.queue(CHANNEL, method);
            if way < 2 {
                self.lane.letters.settle_one(id, way == 0);
                self.unproven.push((id, way == 0));
            }
        }
        self.consumer.flush()?;
        if prove { self.prove() } else { Ok(()) }
    }

    fn prove(&mut self) -> Result<(), Stop> {
        ready_count(&mut self.consumer, CHANNEL, &self.lane.source.name)?;
        let from = now() + ACK_GRACE_MS;
        for (id, rejected) in self.unproven.drain(..) {
            self.lane.letters.prove_one(id, rejected, from);
        }
        Ok(())
    }

    fn hush(&mut self) -> Result<(), Stop> {
        self.round.note("quiet");
        self.settle(0)?;
        self.prove()?;
        self.collect(within(60_000))
    }

    fn drain(&mut self) -> Result<(), Stop> {
        self.publisher.drain(self.round, &mut self.sent);
        self.take_confirms();
        self.collect(within(5_000))
    }
}
