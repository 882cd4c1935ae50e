//! The lane of transactions: publishes to three queues and acks of deliveries, committed, rolled back or left open. Before a
//! commit is sent nothing of a transaction may ever be seen; after commit-ok all of it holds. Between the two each
//! message for itself may be there or not: RabbitMQ promises no atomicity, so none is asserted.

use super::consumer::{Consumer, Unacked};
use super::shelves::{audit_shelf, declare};
use super::{Round, Signals, Stop, conclude, now, properties, within};
use crate::audit::ACK_GRACE_MS;
use crate::client::Connection;
use crate::dice::Dice;
use crate::finding::Finding;
use crate::message::Id;
use crate::method;
use crate::shelf::{Copy, Shelf, Spec};
use serde::{Deserialize, Serialize};

const CHANNEL: u16 = 1;
const PREFETCH: u16 = 60;
const MESSAGES_MAX: usize = 800;

/// The lane's queues and what is known of them.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Transactions {
    /// The lane's name.
    pub(crate) name: String,
    declared: bool,
    /// Its queues.
    pub(crate) shelves: Vec<Shelf>,
}

impl Transactions {
    /// The lane before its first round.
    pub(crate) fn new() -> Self {
        let names = ["transactions.0", "transactions.1", "transactions.2"];
        Self {
            name: "transactions".to_owned(),
            declared: false,
            shelves: names.into_iter().map(|name| Shelf::new(Spec::plain(name))).collect(),
        }
    }

    /// Compares every queue with what is known.
    pub(crate) fn audit(&mut self, round: &Round<'_>) -> Result<Vec<Finding>, Stop> {
        let mut connection = Connection::open(round.port)?;
        connection.open_channel(1)?;
        if !self.declared {
            for shelf in &self.shelves {
                declare(&mut connection, &shelf.spec)?;
            }
            self.declared = true;
            return Ok(Vec::new());
        }
        let mut dice = round.dice(0);
        let mut findings = Vec::new();
        for shelf in &mut self.shelves {
            findings.extend(audit_shelf(round, &mut connection, shelf, &mut dice)?);
        }
        Ok(findings)
    }

    /// Works until the server goes away.
    pub(crate) fn load(&mut self, round: &Round<'_>) -> Stop {
        let mut work = match Work::open(self, round) {
            Ok(work) => work,
            Err(stop) => return conclude(stop, round.signals),
        };
        let stop = loop {
            if round.signals.quiet() {
                let patience = within(60_000);
                match work.consumer.collect(round, &mut work.lane.shelves, patience) {
                    Ok(()) => break Stop::Gone,
                    Err(stop) => break stop,
                }
            }
            if let Err(stop) = work.transaction() {
                break stop;
            }
        };
        match work.consumer.drain(round, &mut work.lane.shelves) {
            Err(Stop::Found(finding)) => Stop::Found(finding),
            _ => conclude(stop, round.signals),
        }
    }
}

/// The lane at work in one round.
struct Work<'a> {
    lane: &'a mut Transactions,
    round: &'a Round<'a>,
    consumer: Consumer,
    dice: Dice,
    next_number: u32,
}

impl<'a> Work<'a> {
    fn open(lane: &'a mut Transactions, round: &'a Round<'a>) -> Result<Self, Stop> {
        let mut work = Self {
            consumer: Consumer::open(round.port, PREFETCH)?,
            dice: round.dice(1),
            next_number: 0,
            lane,
            round,
        };
        work.begin()?;
        Ok(work)
    }

    fn begin(&mut self) -> Result<(), Stop> {
        self.consumer.connection.call(CHANNEL, method::transactions())?;
        for shelf in 0..self.lane.shelves.len() {
            self.consumer.begin(self.round, &self.lane.shelves, shelf)?;
        }
        Ok(())
    }

    /// One transaction from its first publish to its end.
    fn transaction(&mut self) -> Result<(), Stop> {
        let (published, acked) = (self.dice.between(0, 40) as usize, self.dice.below(40) as usize);
        let (ending, pause) = (self.dice.weighted(&[75, 15, 10]), self.dice.below(8));
        let mut dice = Dice::new(&[self.dice.next()]);
        self.consumer
            .collect(self.round, &mut self.lane.shelves, within(pause))?;
        let drafts = self.publish(published, &mut dice)?;
        let acks = self.ack(acked, &mut dice);
        match ending {
            0 => self.commit(&drafts, &acks),
            1 => self.roll_back(&drafts, acks),
            _ => self.abandon(&drafts),
        }
    }

    fn publish(&mut self, count: usize, dice: &mut Dice) -> Result<Vec<(Id, usize, bool)>, Stop> {
        let full = self.lane.shelves.iter().any(|shelf| shelf.is_full(MESSAGES_MAX));
        let mut drafts = Vec::new();
        for _ in 0..if full { 0 } else { count } {
            let id = Id {
                round: self.round.number,
                publisher: 0,
                number: self.next_number,
            };
            self.next_number += 1;
            let (shelf, persistent) = (dice.below(3) as usize, dice.percent(90));
            let body = self.round.origin.body(id, self.round.size(dice));
            let target = ("", self.lane.shelves[shelf].name());
            self.consumer
                .connection
                .publish(CHANNEL, target, properties(persistent, None), &body)?;
            drafts.push((id, shelf, persistent));
        }
        Signals::count(&self.round.signals.published, drafts.len());
        Ok(drafts)
    }

    /// Acks in the transaction; what they take away is still held until the commit.
    fn ack(&mut self, count: usize, dice: &mut Dice) -> Vec<Unacked> {
        let mut acks = Vec::new();
        for _ in 0..count.min(self.consumer.unacked.len()) {
            let at = dice.below(self.consumer.unacked.len() as u64) as usize;
            let held = self.consumer.unacked.remove(at);
            self.consumer.connection.queue(CHANNEL, method::ack(held.tag, false));
            acks.push(held);
        }
        acks
    }

    fn commit(&mut self, drafts: &[(Id, usize, bool)], acks: &[Unacked]) -> Result<(), Stop> {
        for (id, shelf, persistent) in drafts {
            self.round
                .note(format!("commit publish {id} to '{}'", self.lane.shelves[*shelf].name()));
            self.lane.shelves[*shelf].send(*id, Copy::sent(*persistent, 0, now()));
        }
        for held in acks {
            self.round.note(format!(
                "commit ack {} of '{}'",
                held.id,
                self.lane.shelves[held.shelf].name()
            ));
            self.lane.shelves[held.shelf].leave(held.id);
        }
        self.consumer.connection.call(CHANNEL, method::commit())?;
        self.round.note("committed");
        for (id, shelf, _) in drafts {
            self.lane.shelves[*shelf].confirm(*id, now());
        }
        for held in acks {
            self.lane.shelves[held.shelf].left(held.id, now() + ACK_GRACE_MS);
        }
        Signals::count(&self.round.signals.confirmed, drafts.len());
        Ok(())
    }

    fn roll_back(&mut self, drafts: &[(Id, usize, bool)], acks: Vec<Unacked>) -> Result<(), Stop> {
        let ids: Vec<Id> = drafts.iter().map(|draft| draft.0).collect();
        self.round.note(format!("roll back {}", super::names(&ids)));
        self.consumer.connection.call(CHANNEL, method::rollback())?;
        self.consumer.unacked.extend(acks);
        self.consumer.unacked.sort_by_key(|held| held.tag);
        Ok(())
    }

    /// Drops the connection with the transaction open.
    fn abandon(&mut self, drafts: &[(Id, usize, bool)]) -> Result<(), Stop> {
        let ids: Vec<Id> = drafts.iter().map(|draft| draft.0).collect();
        self.round.note(format!("abandon {}", super::names(&ids)));
        self.consumer.connection.flush()?;
        self.consumer.reopen(self.round.port, PREFETCH)?;
        self.begin()
    }
}
