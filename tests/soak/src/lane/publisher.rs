//! One publishing connection with confirms: numbers its messages, remembers what is outstanding, and enters every
//! confirm that the server sent, also those read after its death. It decides nothing about what a confirm promises.

use super::{Round, Signals, Stop, confirm_of, now, properties, within};
use crate::client::{Connection, Failure};
use crate::finding::{Fault, Finding};
use crate::message::Id;
use crate::method;
use crate::shelf::{Copy, Shelf};
use std::collections::BTreeMap;
use std::time::Instant;

/// A publisher and what it waits for.
pub(crate) struct Publisher {
    connection: Connection,
    index: u8,
    next_number: u32,
    next_tag: u64,
    outstanding: BTreeMap<u64, (Id, Vec<usize>)>,
}

/// A lane has fewer publishers than this at a time.
const PUBLISHERS_MAX: u8 = 16;

/// A message to publish.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Draft {
    /// Octets of its body, about.
    pub(crate) size: usize,
    /// Delivery mode 2.
    pub(crate) persistent: bool,
    /// Its priority property.
    pub(crate) priority: Option<u8>,
    /// Its expiration property.
    pub(crate) expiration_ms: Option<u64>,
}

impl Publisher {
    /// Connects as the publisher `index`, whose next message has this number.
    pub(crate) fn open(port: u16, index: u8, next_number: u32) -> Result<Self, Stop> {
        let mut connection = Connection::open(port)?;
        connection.open_channel(1)?;
        connection.call(1, method::confirms())?;
        Ok(Self {
            connection,
            index,
            next_number,
            next_tag: 1,
            outstanding: BTreeMap::new(),
        })
    }

    /// Drops the connection without a word and opens another, as another publisher: what the server still reads from the
    /// old one may come after what it reads from the new one. What was outstanding stays unknown.
    pub(crate) fn reopen(&mut self, port: u16) -> Result<(), Stop> {
        let index = self.index.wrapping_add(PUBLISHERS_MAX);
        *self = Self::open(port, index, self.next_number)?;
        Ok(())
    }

    /// How many publishes wait for their confirm.
    pub(crate) fn outstanding_count(&self) -> usize {
        self.outstanding.len()
    }

    /// The next message's id.
    pub(crate) fn draw(&mut self, round: &Round<'_>) -> Id {
        let id = Id {
            round: round.number,
            publisher: self.index,
            number: self.next_number,
        };
        self.next_number += 1;
        id
    }

    /// Publishes to an exchange; `to` are the shelves it must reach.
    pub(crate) fn publish(
        &mut self,
        round: &Round<'_>,
        shelves: &mut [Shelf],
        (exchange, key, to): (&str, &str, &[usize]),
        draft: Draft,
    ) -> Result<Id, Stop> {
        let id = self.draw(round);
        for shelf in to {
            let shelf = &mut shelves[*shelf];
            let priority = draft.priority.unwrap_or(0).min(shelf.spec.priorities.unwrap_or(0));
            shelf.send(id, Copy::sent(draft.persistent, priority, now()));
        }
        round.note(format!("publish {id} to '{exchange}' '{key}' {draft:?}"));
        self.send(round, id, (exchange, key), draft)?;
        self.outstanding.insert(self.next_tag, (id, to.to_vec()));
        self.next_tag += 1;
        Ok(id)
    }

    fn send(&mut self, round: &Round<'_>, id: Id, target: (&str, &str), draft: Draft) -> Result<(), Failure> {
        let mut properties = properties(draft.persistent, draft.priority);
        if let Some(expiration) = draft.expiration_ms {
            properties = properties.with_expiration(expiration.to_string().into());
        }
        Signals::count(&round.signals.published, 1);
        let body = round.origin.body(id, draft.size);
        self.connection.publish(1, target, properties, &body)
    }

    /// Sends what is encoded.
    pub(crate) fn flush(&mut self) -> Result<(), Stop> {
        Ok(self.connection.flush()?)
    }

    /// Reads confirms until at most `outstanding_max` are missing.
    pub(crate) fn settle(
        &mut self,
        round: &Round<'_>,
        shelves: &mut [Shelf],
        outstanding_max: usize,
    ) -> Result<(), Stop> {
        self.flush()?;
        let deadline = within(60_000);
        while self.outstanding.len() > outstanding_max {
            if !self.read(round, shelves, deadline)? {
                let text = format!("{} publishes are not confirmed after 60 s", self.outstanding.len());
                return Err(Finding::at(Fault::Server, "confirms", text).into());
            }
        }
        Ok(())
    }

    /// Reads the confirms that have come.
    pub(crate) fn poll(&mut self, round: &Round<'_>, shelves: &mut [Shelf]) -> Result<(), Stop> {
        self.flush()?;
        while self.read(round, shelves, Instant::now())? {}
        Ok(())
    }

    /// After the server's death: enters what it had still sent.
    pub(crate) fn drain(&mut self, round: &Round<'_>, shelves: &mut [Shelf]) {
        let deadline = within(5_000);
        while let Ok(true) = self.read(round, shelves, deadline) {}
    }

    /// One event; false if none comes by `deadline`.
    fn read(&mut self, round: &Round<'_>, shelves: &mut [Shelf], deadline: Instant) -> Result<bool, Stop> {
        let Some(event) = self.connection.next(deadline)? else {
            return Ok(false);
        };
        let Some((tag, multiple, accepted)) = confirm_of(&event) else {
            let text = format!("unexpected on a publishing channel: {event:?}");
            return Err(Finding::at(Fault::Server, "confirms", text).into());
        };
        if !multiple && !self.outstanding.contains_key(&tag) {
            return Err(Finding::at(Fault::Server, "confirms", format!("tag {tag} is not outstanding")).into());
        }
        let first = if multiple { 0 } else { tag };
        let tags: Vec<u64> = self.outstanding.range(first..=tag).map(|(tag, _)| *tag).collect();
        for tag in tags {
            self.confirmed(round, shelves, tag, accepted);
        }
        Ok(true)
    }

    fn confirmed(&mut self, round: &Round<'_>, shelves: &mut [Shelf], tag: u64, accepted: bool) {
        let Some((id, to)) = self.outstanding.remove(&tag) else {
            return;
        };
        round.note(format!("{} {id}", if accepted { "confirmed" } else { "nacked" }));
        if accepted {
            Signals::count(&round.signals.confirmed, 1);
            to.iter().for_each(|shelf| shelves[*shelf].confirm(id, now()));
        }
    }
}
