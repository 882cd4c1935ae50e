//! One consuming connection: takes deliveries, settles some of them in every way AMQP has, and proves by a round trip
//! that the server has taken what was sent. Each delivery is compared with the facts at once.

use super::{Round, Signals, Stop, delivery, now, ready_count, within};
use crate::audit::ACK_GRACE_MS;
use crate::client::{Connection, Content, Event};
use crate::dice::Dice;
use crate::finding::{Fault, Finding};
use crate::message::Id;
use crate::method;
use crate::shelf::Shelf;
use amq_protocol::protocol::basic;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// Deliveries are taken on this channel.
const CONSUMING: u16 = 1;
/// basic.get is done on this one.
const GETTING: u16 = 2;

/// A delivery that waits to be settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unacked {
    /// Its delivery tag.
    pub(crate) tag: u64,
    /// Index of the queue.
    pub(crate) shelf: usize,
    /// The message.
    pub(crate) id: Id,
}

/// A consumer and what it holds.
pub(crate) struct Consumer {
    /// The connection; transactions send on it directly.
    pub(crate) connection: Connection,
    consuming: BTreeSet<usize>,
    /// What it holds, in the order of tags.
    pub(crate) unacked: Vec<Unacked>,
    /// Acks on their way, until a round trip proves them.
    unproven: Vec<(usize, Id)>,
    /// Whether a connection was dropped in this round.
    dropped: bool,
    /// What a dropped connection held, which the server may not have taken back yet.
    limbo: BTreeSet<(usize, Id)>,
    /// The last message of each publisher that came to each consumer for the first time.
    last_first: BTreeMap<(usize, u8, u32, u8), Id>,
}

impl Consumer {
    /// Connects, with a prefetch for each consumer.
    pub(crate) fn open(port: u16, prefetch: u16) -> Result<Self, Stop> {
        let mut connection = Connection::open(port)?;
        connection.open_channel(CONSUMING)?;
        connection.open_channel(GETTING)?;
        connection.call(CONSUMING, method::prefetch(prefetch))?;
        Ok(Self {
            connection,
            consuming: BTreeSet::new(),
            unacked: Vec::new(),
            unproven: Vec::new(),
            dropped: false,
            limbo: BTreeSet::new(),
            last_first: BTreeMap::new(),
        })
    }

    /// Drops the connection without a word and opens another.
    pub(crate) fn reopen(&mut self, port: u16, prefetch: u16) -> Result<(), Stop> {
        let mut limbo = std::mem::take(&mut self.limbo);
        limbo.extend(self.unacked.iter().map(|held| (held.shelf, held.id)));
        *self = Self {
            limbo,
            dropped: true,
            ..Self::open(port, prefetch)?
        };
        Ok(())
    }

    /// Whether it consumes from this queue.
    pub(crate) fn consumes(&self, shelf: usize) -> bool {
        self.consuming.contains(&shelf)
    }

    /// Starts to consume.
    pub(crate) fn begin(&mut self, round: &Round<'_>, shelves: &[Shelf], shelf: usize) -> Result<(), Stop> {
        round.note(format!("consume '{}'", shelves[shelf].name()));
        self.consuming.insert(shelf);
        self.last_first.retain(|key, _| key.0 != shelf);
        let consume = method::consume(shelves[shelf].name(), &format!("c{shelf}"));
        self.connection.call(CONSUMING, consume)?;
        Ok(())
    }

    /// Stops to consume; afterwards everything that was delivered is known.
    pub(crate) fn cancel(&mut self, round: &Round<'_>, shelves: &mut [Shelf], shelf: usize) -> Result<(), Stop> {
        if self.consuming.remove(&shelf) {
            round.note(format!("cancel '{}'", shelves[shelf].name()));
            self.connection.call(CONSUMING, method::cancel(&format!("c{shelf}")))?;
            self.collect(round, shelves, Instant::now())?;
        }
        Ok(())
    }

    /// Takes deliveries until `deadline`.
    pub(crate) fn collect(&mut self, round: &Round<'_>, shelves: &mut [Shelf], deadline: Instant) -> Result<(), Stop> {
        while let Some(event) = self.connection.next(deadline)? {
            match event {
                Event::Content(_, content) => self.take(round, shelves, &content)?,
                Event::Method(_, other) => {
                    let text = format!("unexpected on a consuming channel: {other:?}");
                    return Err(Finding::at(Fault::Server, "deliveries", text).into());
                }
            }
        }
        Ok(())
    }

    fn take(&mut self, round: &Round<'_>, shelves: &mut [Shelf], content: &Content) -> Result<(), Stop> {
        let basic::AMQPMethod::Deliver(deliver) = &content.method else {
            return Err(Finding::at(Fault::Server, "deliveries", format!("unexpected {:?}", content.method)).into());
        };
        let shelf = deliver
            .consumer_tag
            .as_str()
            .trim_start_matches('c')
            .parse()
            .unwrap_or(usize::MAX);
        let Some(queue) = shelves.get_mut(shelf) else {
            let text = format!("consumer tag '{}' is none of ours", deliver.consumer_tag);
            return Err(Finding::at(Fault::Server, "deliveries", text).into());
        };
        let (id, again) = arrive(round, queue, content)?;
        // A server that forgets the mark may have delivered it to a connection that was dropped before it was read.
        let first = !again && !deliver.redelivered && (round.rules.marks_kept || !self.dropped);
        if first {
            self.in_order(shelf, queue, id)?;
        }
        self.limbo.remove(&(shelf, id));
        let unacked = Unacked {
            tag: deliver.delivery_tag,
            shelf,
            id,
        };
        let held = self.unacked.iter().any(|other| (other.shelf, other.id) == (shelf, id));
        if held || self.unproven.contains(&(shelf, id)) {
            let text = "delivered a second time on the connection that holds it or has just acked it";
            return Err(Finding::of(Fault::Twice, queue.name(), id, text).into());
        }
        self.unacked.push(unacked);
        Ok(())
    }

    /// What comes for the first time comes in the order of publishing.
    fn in_order(&mut self, shelf: usize, queue: &Shelf, id: Id) -> Result<(), Finding> {
        let priority = queue.copies.get(&id).map_or(0, |copy| copy.priority);
        let publisher = (shelf, priority, id.round, id.publisher);
        match self.last_first.insert(publisher, id) {
            Some(before) if before > id => {
                let text = format!("delivered for the first time after {before}, which was published later");
                Err(Finding::of(Fault::Disorder, queue.name(), id, text))
            }
            _ => Ok(()),
        }
    }

    /// Settles some of what it holds, in a way that the dice choose.
    pub(crate) fn settle_some(
        &mut self,
        round: &Round<'_>,
        shelves: &mut [Shelf],
        dice: &mut Dice,
    ) -> Result<(), Stop> {
        let count = dice.between(1, 60) as usize;
        match dice.weighted(&[40, 30, 15, 5, 10]) {
            0 => self.ack_each(round, shelves, dice, count),
            1 => self.ack_up_to(round, shelves, count),
            way => self.requeue(round, dice, count.min(10), way == 3),
        }
        Ok(self.connection.flush()?)
    }

    /// Acks single deliveries here and there.
    fn ack_each(&mut self, round: &Round<'_>, shelves: &mut [Shelf], dice: &mut Dice, count: usize) {
        for _ in 0..count.min(self.unacked.len()) {
            let at = dice.below(self.unacked.len() as u64) as usize;
            let held = self.unacked.remove(at);
            self.leaving(round, shelves, held);
            self.connection.queue(CONSUMING, method::ack(held.tag, false));
        }
    }

    /// Acks the oldest deliveries at once.
    pub(crate) fn ack_up_to(&mut self, round: &Round<'_>, shelves: &mut [Shelf], count: usize) {
        let held: Vec<Unacked> = self.unacked.drain(..count.min(self.unacked.len())).collect();
        if let Some(last) = held.last() {
            self.connection.queue(CONSUMING, method::ack(last.tag, true));
        }
        held.into_iter().for_each(|held| self.leaving(round, shelves, held));
    }

    fn leaving(&mut self, round: &Round<'_>, shelves: &mut [Shelf], held: Unacked) {
        round.note(format!("ack {} of '{}'", held.id, shelves[held.shelf].name()));
        shelves[held.shelf].leave(held.id);
        self.unproven.push((held.shelf, held.id));
    }

    /// Gives deliveries back, the oldest at once or single ones.
    fn requeue(&mut self, round: &Round<'_>, dice: &mut Dice, count: usize, multiple: bool) {
        let count = count.min(self.unacked.len());
        if multiple {
            let held: Vec<Unacked> = self.unacked.drain(..count).collect();
            if let Some(last) = held.last() {
                self.connection.queue(CONSUMING, method::nack(last.tag, true, true));
                round.note(format!("requeue all up to {}", last.id));
            }
            return;
        }
        for _ in 0..count {
            let at = dice.below(self.unacked.len() as u64) as usize;
            let held = self.unacked.remove(at);
            round.note(format!("requeue {}", held.id));
            let method = if dice.percent(50) {
                method::nack(held.tag, false, true)
            } else {
                method::reject(held.tag, true)
            };
            self.connection.queue(CONSUMING, method);
        }
    }

    /// A round trip, after which the server has taken every ack that was sent before.
    pub(crate) fn prove(&mut self, round: &Round<'_>, shelves: &mut [Shelf]) -> Result<(), Stop> {
        let name = shelves[0].name().to_owned();
        ready_count(&mut self.connection, CONSUMING, &name)?;
        let from = now() + ACK_GRACE_MS;
        round.note(format!("{} acks proven", self.unproven.len()));
        for (shelf, id) in self.unproven.drain(..) {
            shelves[shelf].left(id, from);
        }
        Ok(())
    }

    /// basic.get, settled at once in one of the ways there are.
    pub(crate) fn get(
        &mut self,
        round: &Round<'_>,
        shelves: &mut [Shelf],
        shelf: usize,
        dice: &mut Dice,
    ) -> Result<(), Stop> {
        let no_ack = dice.percent(40);
        let requeue = dice.percent(40);
        let queue = &mut shelves[shelf];
        let name = queue.name().to_owned();
        queue.loose = usize::from(no_ack);
        let content = self.connection.get(GETTING, &name, no_ack)?;
        queue.loose = 0;
        let Some(content) = content else { return Ok(()) };
        let (id, _) = arrive(round, queue, &content)?;
        let (tag, _) = delivery(&content.method);
        if no_ack {
            round.note(format!("got {id} without ack"));
            queue.leave(id);
            queue.left(id, now() + ACK_GRACE_MS);
        } else if requeue {
            self.connection.queue(GETTING, method::reject(tag, true));
            ready_count(&mut self.connection, GETTING, &name)?;
        } else {
            round.note(format!("ack {id} of '{name}' after get"));
            queue.leave(id);
            self.connection.queue(GETTING, method::ack(tag, false));
            ready_count(&mut self.connection, GETTING, &name)?;
            queue.left(id, now() + ACK_GRACE_MS);
        }
        Ok(())
    }

    /// Empties a queue of what is ready. Nothing may be in flight to it, and nobody else may consume.
    pub(crate) fn purge(&mut self, round: &Round<'_>, shelves: &mut [Shelf], shelf: usize) -> Result<(), Stop> {
        self.cancel(round, shelves, shelf)?;
        self.wait_alone(shelves[shelf].name())?;
        let queue = &mut shelves[shelf];
        let held: BTreeSet<Id> = self
            .unacked
            .iter()
            .filter(|held| held.shelf == shelf)
            .map(|held| held.id)
            .collect();
        let ready: Vec<Id> = queue
            .live()
            .map(|(id, _)| *id)
            .filter(|id| !held.contains(id))
            .collect();
        // What a dropped connection had published may still be on its way, and what it held may be its own yet.
        let sure = |id: &&Id| queue.copies[*id].confirmed_at.is_some() && !self.limbo.contains(&(shelf, **id));
        let certain: Vec<Id> = ready.iter().filter(sure).copied().collect();
        round.note(format!("purge '{}' of {} or fewer", queue.name(), ready.len()));
        ready.iter().for_each(|id| queue.leave(*id));
        let answer = self.connection.call(CONSUMING, method::purge(queue.name()))?;
        let purged = method::purged_count(&answer).unwrap_or_default();
        let from = now();
        round.note(format!("purged {purged}"));
        certain.iter().for_each(|id| queue.left(*id, from));
        if purged > ready.len() {
            let text = format!("{purged} messages purged where at most {} were", ready.len());
            return Err(Finding::at(Fault::Count, queue.name(), text).into());
        }
        Ok(())
    }

    /// Waits until the server has noticed that a dropped connection is gone, and has taken back what that held.
    fn wait_alone(&mut self, queue: &str) -> Result<(), Stop> {
        let deadline = within(20_000);
        loop {
            let answer = self.connection.call(CONSUMING, method::ask(queue))?;
            if method::consumer_count(&answer) == Some(0) {
                return Ok(());
            }
            if Instant::now() > deadline {
                let text = "a consumer is still there 20 s after its connection was dropped";
                return Err(Finding::at(Fault::Server, queue, text).into());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// After the server's death: reads what it had still sent.
    pub(crate) fn drain(&mut self, round: &Round<'_>, shelves: &mut [Shelf]) -> Result<(), Stop> {
        self.collect(round, shelves, within(5_000))
    }
}

/// A message that came from this queue: one of ours, whole, and not one that had left; and whether it came before.
fn arrive(round: &Round<'_>, queue: &mut Shelf, content: &Content) -> Result<(Id, bool), Finding> {
    let id = round
        .origin
        .read(&content.body)
        .map_err(|damage| Finding::at(Fault::Damaged, queue.name(), damage))?;
    let (tag, redelivered) = delivery(&content.method);
    Signals::count(&round.signals.delivered, 1);
    round.note(format!(
        "delivered {id} from '{}', tag {tag}, redelivered {redelivered}",
        queue.name()
    ));
    let again = queue.deliver(id, now())?;
    if again && !redelivered && round.rules.marks_kept {
        let text = "delivered before, yet not marked redelivered";
        return Err(Finding::of(Fault::Unmarked, queue.name(), id, text));
    }
    Ok((id, again))
}
