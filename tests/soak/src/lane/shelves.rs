//! The lanes of publishers and consumers with confirms: classic, lazy and priority queues, a fan-out, expiring messages,
//! a queue that drops its head. What a lane does follows from the dice; what it may conclude is the auditor's.

use super::consumer::Consumer;
use super::publisher::{Draft, Publisher};
use super::{Round, Stop, conclude, look, must_exist, now, ready_count, within};
use crate::audit::{self, ACK_GRACE_MS};
use crate::client::Connection;
use crate::dice::Dice;
use crate::finding::{Fault, Finding};
use crate::method;
use crate::shelf::{Shelf, Spec};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What a queue may hold before its lane stops to publish to it.
const MESSAGES_MAX: usize = 1_500;

/// Publishes without a confirm, at most.
const OUTSTANDING_MAX: usize = 600;

/// Deliveries to one consumer without an ack.
const PREFETCH: u16 = 200;

/// What kind of lane it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Kind {
    /// Two publishers and a consumer on each queue, through the default exchange.
    Direct,
    /// One exchange, all queues bound, bindings that come and go.
    Fanout,
    /// Messages expire, by the queue's rule or by their own.
    Expiring,
    /// Nobody consumes; the queue drops its head.
    Dropping,
}

/// Whether a queue is bound to the lane's exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Bound {
    /// The server said so.
    Yes,
    /// The server said so.
    No,
    /// It was asked and did not answer.
    Unsure,
}

/// A lane's queues and what is known of them.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Shelves {
    /// The lane's name.
    pub(crate) name: String,
    kind: Kind,
    declared: bool,
    /// Its queues.
    pub(crate) shelves: Vec<Shelf>,
    bound: Vec<Bound>,
}

impl Shelves {
    /// The lanes of this kind that a campaign has.
    pub(crate) fn all() -> Vec<Self> {
        let spec = |name: &str| Spec::plain(name);
        let lazy = Spec {
            lazy: true,
            ..spec("lazy")
        };
        let priority = Spec {
            priorities: Some(5),
            ..spec("priority")
        };
        let expiring = ["expiring.0", "expiring.1"].map(|name| Spec {
            ttl_ms: Some(700),
            ..spec(name)
        });
        let dropping = Spec {
            length_max: Some(40),
            ..spec("dropping")
        };
        let fanout = ["fanout.0", "fanout.1", "fanout.2", "fanout.3"].map(spec);
        vec![
            Self::new("classic", Kind::Direct, vec![spec("classic.0"), spec("classic.1")]),
            Self::new("lazy", Kind::Direct, vec![lazy]),
            Self::new("priority", Kind::Direct, vec![priority]),
            Self::new("fanout", Kind::Fanout, fanout.to_vec()),
            Self::new("expiring", Kind::Expiring, expiring.to_vec()),
            Self::new("dropping", Kind::Dropping, vec![dropping]),
        ]
    }

    fn new(name: &str, kind: Kind, specs: Vec<Spec>) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            declared: false,
            bound: vec![Bound::Yes; specs.len()],
            shelves: specs.into_iter().map(Shelf::new).collect(),
        }
    }

    fn exchange(&self) -> String {
        format!("{}.exchange", self.name)
    }

    fn declare(&mut self, connection: &mut Connection) -> Result<(), Stop> {
        for shelf in &self.shelves {
            declare(connection, &shelf.spec)?;
        }
        if self.kind == Kind::Fanout {
            let exchange = self.exchange();
            connection.call(1, method::exchange(&exchange, "fanout", false, method::DURABLE))?;
            for shelf in &self.shelves {
                connection.call(1, method::bind(true, shelf.name(), &exchange, ""))?;
            }
        }
        self.declared = true;
        Ok(())
    }

    /// Compares every queue with what is known.
    pub(crate) fn audit(&mut self, round: &Round<'_>) -> Result<Vec<Finding>, Stop> {
        let mut connection = Connection::open(round.port)?;
        connection.open_channel(1)?;
        if !self.declared {
            self.declare(&mut connection)?;
            return Ok(Vec::new());
        }
        let mut dice = round.dice(0);
        let mut findings = Vec::new();
        for shelf in &mut self.shelves {
            findings.extend(audit_shelf(round, &mut connection, shelf, &mut dice)?);
        }
        if self.kind == Kind::Fanout {
            self.audit_bindings(&mut connection, round.crash.doubts(round.rules).is_some())?;
        }
        Ok(findings)
    }

    /// The exchange must be there; a binding that was in flight, or whose answer may be forgotten, is made sure again. The others
    /// are proven by what is published.
    fn audit_bindings(&mut self, connection: &mut Connection, forgetful: bool) -> Result<(), Stop> {
        let exchange = self.exchange();
        connection.call(1, method::exchange(&exchange, "fanout", true, method::DURABLE))?;
        for (shelf, bound) in self.shelves.iter().zip(&mut self.bound) {
            if *bound == Bound::Unsure || forgetful {
                connection.call(1, method::bind(true, shelf.name(), &exchange, ""))?;
                *bound = Bound::Yes;
            }
        }
        Ok(())
    }

    /// Works until the server goes away.
    pub(crate) fn load(&mut self, round: &Round<'_>) -> Stop {
        let mut work = match Work::open(self, round) {
            Ok(work) => work,
            Err(stop) => return conclude(stop, round.signals),
        };
        let stop = loop {
            if round.signals.quiet() {
                break work.hush();
            }
            if let Err(stop) = work.step() {
                break stop;
            }
        };
        match work.drain() {
            Err(Stop::Found(finding)) => Stop::Found(finding),
            _ => conclude(stop, round.signals),
        }
    }
}

/// Declares a durable queue.
pub(crate) fn declare(connection: &mut Connection, spec: &Spec) -> Result<(), Stop> {
    connection.call(1, method::declare(&spec.name, false, method::DURABLE, spec.arguments()))?;
    Ok(())
}

/// Compares one queue with what is known, then gives everything back or takes it all.
pub(crate) fn audit_shelf(
    round: &Round<'_>,
    connection: &mut Connection,
    shelf: &mut Shelf,
    dice: &mut Dice,
) -> Result<Vec<Finding>, Stop> {
    const LOOKING: u16 = 2;
    let take_all = dice.percent(25);
    must_exist(connection, 1, shelf.name(), shelf.spec.arguments())?;
    let (seen, last) = look(connection, LOOKING, shelf.name(), &round.origin)?;
    round.note(format!("'{}' holds {} messages", shelf.name(), seen.messages.len()));
    for message in &seen.messages {
        if let Ok(id) = &message.id {
            round.note(format!(
                "found {id} in '{}' redelivered {}",
                shelf.name(),
                message.redelivered
            ));
        }
    }
    let findings = audit::judge(shelf, &seen, round.crash, round.rules);
    audit::settle(shelf, &seen);
    if take_all && last > 0 {
        take(round, connection, LOOKING, shelf, last)?;
        connection.close_channel(LOOKING)?;
        return Ok(findings);
    }
    connection.close_channel(LOOKING)?;
    if shelf.spec.ttl_ms.is_none() {
        all_ready_again(connection, shelf.name(), seen.messages.len())?;
    }
    Ok(findings)
}

/// Acks everything that was looked at.
fn take(
    round: &Round<'_>,
    connection: &mut Connection,
    channel: u16,
    shelf: &mut Shelf,
    last: u64,
) -> Result<(), Stop> {
    let all: Vec<_> = shelf.copies.keys().copied().collect();
    round.note(format!("ack all of '{}'", shelf.name()));
    all.iter().for_each(|id| shelf.leave(*id));
    connection.queue(channel, method::ack(last, true));
    ready_count(connection, channel, shelf.name())?;
    all.iter().for_each(|id| shelf.left(*id, now() + ACK_GRACE_MS));
    Ok(())
}

/// Waits until what was given back is ready.
fn all_ready_again(connection: &mut Connection, queue: &str, wanted: usize) -> Result<(), Stop> {
    let deadline = within(10_000);
    loop {
        let ready = ready_count(connection, 1, queue)?;
        if ready == wanted {
            return Ok(());
        }
        if std::time::Instant::now() > deadline {
            let text = format!("{ready} messages ready after {wanted} were given back");
            return Err(Finding::at(Fault::Count, queue, text).into());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// One lane at work in one round.
struct Work<'a> {
    lane: &'a mut Shelves,
    round: &'a Round<'a>,
    publishers: Vec<Publisher>,
    consumer: Consumer,
    dice: Dice,
}

impl<'a> Work<'a> {
    fn open(lane: &'a mut Shelves, round: &'a Round<'a>) -> Result<Self, Stop> {
        // Only numbers tell what pushed a message out at the head: one publisher keeps them in the queue's order.
        let publishers = if lane.kind == Kind::Dropping { 1 } else { 2 };
        let publishers = (0..publishers)
            .map(|index| Publisher::open(round.port, index, 0))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            publishers,
            consumer: Consumer::open(round.port, PREFETCH)?,
            dice: round.dice(1),
            lane,
            round,
        })
    }

    fn step(&mut self) -> Result<(), Stop> {
        let weights = match self.lane.kind {
            Kind::Direct => [40, 10, 16, 16, 4, 2, 3, 2, 3, 0],
            Kind::Fanout => [40, 10, 16, 16, 4, 2, 3, 0, 3, 6],
            Kind::Expiring => [40, 10, 6, 6, 2, 1, 2, 2, 10, 0],
            Kind::Dropping => [60, 20, 0, 0, 0, 0, 0, 0, 3, 0],
        };
        match self.dice.weighted(&weights) {
            0 => self.publish(),
            1 => self.settle(),
            2 => self.consume(),
            3 => self.acknowledge(),
            4 => self.get(),
            5 => self.purge(),
            6 => self.drop_consumer(),
            7 => self.drop_publisher(),
            8 => self.pause(),
            _ => self.rebind(),
        }
    }

    fn pick(&mut self) -> usize {
        self.dice.below(self.lane.shelves.len() as u64) as usize
    }

    fn publish(&mut self) -> Result<(), Stop> {
        let (publisher, shelf) = (self.dice.below(self.publishers.len() as u64) as usize, self.pick());
        let (count, mut dice) = (self.dice.between(1, 120), Dice::new(&[self.dice.next()]));
        let target = self.target(shelf);
        let full = target
            .2
            .iter()
            .any(|shelf| self.lane.shelves[*shelf].is_full(MESSAGES_MAX));
        if full && self.lane.kind != Kind::Dropping {
            return self.acknowledge();
        }
        for _ in 0..count {
            let draft = self.draft(&mut dice);
            let target = (target.0.as_str(), target.1.as_str(), target.2.as_slice());
            self.publishers[publisher].publish(self.round, &mut self.lane.shelves, target, draft)?;
        }
        let publisher = &mut self.publishers[publisher];
        publisher.flush()?;
        if publisher.outstanding_count() > OUTSTANDING_MAX {
            publisher.settle(self.round, &mut self.lane.shelves, OUTSTANDING_MAX / 2)?;
        }
        publisher.poll(self.round, &mut self.lane.shelves)
    }

    /// Exchange, routing key, and the shelves that it reaches.
    fn target(&self, shelf: usize) -> (String, String, Vec<usize>) {
        if self.lane.kind != Kind::Fanout {
            return (String::new(), self.lane.shelves[shelf].name().to_owned(), vec![shelf]);
        }
        let bound = self
            .lane
            .bound
            .iter()
            .enumerate()
            .filter(|(_, bound)| **bound == Bound::Yes);
        (
            self.lane.exchange(),
            "any".to_owned(),
            bound.map(|(shelf, _)| shelf).collect(),
        )
    }

    fn draft(&self, dice: &mut Dice) -> Draft {
        let own_time = self.lane.kind == Kind::Expiring && dice.percent(50);
        let priority = dice.below(8) as u8;
        Draft {
            size: self.round.size(dice),
            // What pushed out the head must be known to be there.
            persistent: dice.percent(85) || self.lane.kind == Kind::Dropping,
            priority: self.lane.shelves[0].spec.priorities.map(|_| priority),
            expiration_ms: own_time.then_some(self.lane.shelves[0].spec.ttl_ms).flatten(),
        }
    }

    fn settle(&mut self) -> Result<(), Stop> {
        let left = self.dice.below(3) as usize * 20;
        for publisher in &mut self.publishers {
            publisher.settle(self.round, &mut self.lane.shelves, left)?;
        }
        Ok(())
    }

    fn consume(&mut self) -> Result<(), Stop> {
        let (shelf, millis, stop) = (self.pick(), self.dice.between(1, 15), self.dice.percent(10));
        if stop {
            self.consumer.cancel(self.round, &mut self.lane.shelves, shelf)?;
        } else if !self.consumer.consumes(shelf) {
            self.consumer.begin(self.round, &self.lane.shelves, shelf)?;
        }
        self.consumer
            .collect(self.round, &mut self.lane.shelves, within(millis))
    }

    fn acknowledge(&mut self) -> Result<(), Stop> {
        let prove = self.dice.percent(60);
        self.consumer
            .collect(self.round, &mut self.lane.shelves, std::time::Instant::now())?;
        self.consumer
            .settle_some(self.round, &mut self.lane.shelves, &mut self.dice)?;
        if prove {
            self.consumer.prove(self.round, &mut self.lane.shelves)?;
        }
        Ok(())
    }

    fn get(&mut self) -> Result<(), Stop> {
        let shelf = self.pick();
        let mut dice = Dice::new(&[self.dice.next()]);
        self.consumer.get(self.round, &mut self.lane.shelves, shelf, &mut dice)
    }

    fn purge(&mut self) -> Result<(), Stop> {
        let shelf = self.pick();
        for publisher in &mut self.publishers {
            publisher.settle(self.round, &mut self.lane.shelves, 0)?;
        }
        self.consumer.purge(self.round, &mut self.lane.shelves, shelf)
    }

    fn drop_consumer(&mut self) -> Result<(), Stop> {
        self.round.note("drop the consumer's connection");
        self.consumer.reopen(self.round.port, PREFETCH)
    }

    fn drop_publisher(&mut self) -> Result<(), Stop> {
        self.round.note("drop a publisher's connection");
        let index = self.dice.below(self.publishers.len() as u64) as usize;
        self.publishers[index].reopen(self.round.port)
    }

    fn pause(&mut self) -> Result<(), Stop> {
        let millis = self.dice.between(1, 60);
        for publisher in &mut self.publishers {
            publisher.flush()?;
        }
        self.consumer
            .collect(self.round, &mut self.lane.shelves, within(millis))
    }

    /// Binds or unbinds a queue while nothing is in flight to the exchange.
    fn rebind(&mut self) -> Result<(), Stop> {
        let shelf = self.pick();
        for publisher in &mut self.publishers {
            publisher.settle(self.round, &mut self.lane.shelves, 0)?;
        }
        let wanted = self.lane.bound[shelf] != Bound::Yes;
        self.lane.bound[shelf] = Bound::Unsure;
        let exchange = self.lane.exchange();
        let name = self.lane.shelves[shelf].name();
        self.round
            .note(format!("{} '{name}'", if wanted { "bind" } else { "unbind" }));
        self.consumer
            .connection
            .call(1, method::bind(wanted, name, &exchange, ""))?;
        self.round.note(format!("done with '{name}'"));
        self.lane.bound[shelf] = if wanted { Bound::Yes } else { Bound::No };
        Ok(())
    }

    /// The quiet end of a round: everything is settled, some is acked and proven, and then nothing more is sent.
    fn hush(&mut self) -> Stop {
        self.round.note("quiet");
        match self.last_words() {
            Ok(()) => Stop::Gone,
            Err(stop) => stop,
        }
    }

    fn last_words(&mut self) -> Result<(), Stop> {
        for publisher in &mut self.publishers {
            publisher.settle(self.round, &mut self.lane.shelves, 0)?;
        }
        self.consumer.collect(self.round, &mut self.lane.shelves, within(20))?;
        let half = self.consumer.unacked.len() / 2;
        self.consumer.ack_up_to(self.round, &mut self.lane.shelves, half);
        self.consumer.prove(self.round, &mut self.lane.shelves)?;
        let patience = within(60_000);
        self.consumer.collect(self.round, &mut self.lane.shelves, patience)
    }

    fn drain(&mut self) -> Result<(), Stop> {
        for publisher in &mut self.publishers {
            publisher.drain(self.round, &mut self.lane.shelves);
        }
        self.consumer.drain(self.round, &mut self.lane.shelves)
    }
}
