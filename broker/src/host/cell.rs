//! A queue's place on this node: the lock around its machine, and the sink that performs its effects.
//!
//! The task that holds the lock does the work. Deliveries are encoded straight into the consumer's outbox; what
//! needs other queues or the catalogue is collected as an errand and run once the lock is gone.

use model::{ConsumerId, Generation, Millis, PageId, QueueId, QueueName, Seq, VhostName};
use parking_lot::{ArcMutexGuard, Mutex, RawMutex};
use queue::{Death, Dedup, Delivery, DirectSink, Judged, Paged, Published, Queue, Retire, Sink, Stamp, Stored, Taken};
use session::ConsumeRequest;
use std::{
    ops::{Deref, DerefMut},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering},
    },
};
use tokio::sync::Notify;

use super::{
    client::Client,
    errands::Errand,
    journal::{Journal, Safe},
    letters::{Dead, Letters},
    message::{Arriving, Message},
    outbox::Letter,
    trace::{Party, Sighting},
};

/// A consumer as its queue knows it.
#[derive(Debug)]
pub struct Consumer {
    /// Id on this node.
    pub id: ConsumerId,
    /// Tag on its channel.
    pub tag: Box<str>,
    /// Channel number.
    pub channel: u16,
    /// The connection.
    pub client: Arc<Client>,
    /// Settled by delivery.
    pub no_ack: bool,
    /// Write consume-ok when the queue has taken the consumer.
    pub confirm_subscription: bool,
    /// What was asked for, for display, and to ask again elsewhere.
    pub wish: Arc<ConsumeRequest>,
}

/// The queue's machine with what must change together with it.
#[derive(Debug)]
pub struct State {
    /// The machine.
    pub queue: Queue<Message, Arc<Consumer>>,
    /// Deleted, or led by another node: nothing goes in any more.
    pub dead: bool,
    /// Where dead letters go.
    pub dead_letter: Option<model::DeadLetter>,
    /// What the store is told.
    pub journal: Journal,
    /// What other nodes have sent that may come again.
    pub dedup: Dedup,
}

/// The lock held across a run of commands. When it is let go the store is told what happened meanwhile.
pub struct Held(ArcMutexGuard<RawMutex, State>);

/// A locked queue at work.
pub struct Work<'a> {
    /// The machine.
    pub queue: &'a mut Queue<Message, Arc<Consumer>>,
    /// Deleted, or led by another node: nothing goes in any more.
    pub dead: bool,
    /// The time.
    pub now: Millis,
    /// Where its effects go.
    pub sink: CellSink<'a>,
    dedup: &'a mut Dedup,
}

/// What became of a publish in one queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taking {
    /// The queue is deleted.
    Gone,
    /// Another node leads the queue, or may in a moment: it is to be published again to whoever does.
    Strayed,
    /// It is in the queue.
    Taken,
    /// It was before, and is answered when all is safe that was in the queue then.
    TakenBefore,
    /// It was refused.
    Refused,
}

impl Work<'_> {
    /// Publishes. With a stamp, what has been taken before is not taken again.
    pub fn publish(&mut self, arriving: &mut Arriving<'_>, stamp: Option<&Stamp>) -> Taking {
        match (self.sink.cell.leads(), self.dead) {
            (Leads::Here, false) => {}
            (Leads::Here | Leads::Leaving, true) => return Taking::Gone,
            // What came in now would be behind what the next leader has.
            (Leads::Leaving, false) | (Leads::Elsewhere, _) => return Taking::Strayed,
        }
        match stamp.map_or(Judged::New, |stamp| self.dedup.judge(stamp)) {
            Judged::New => {}
            Judged::Again => {
                let safe = self.sink.journal.all_safe(arriving.persistent);
                self.sink.safe = self.sink.safe.and(safe);
                return Taking::TakenBefore;
            }
            Judged::Late | Judged::Stale => return Taking::Refused,
        }
        self.sink.stamp = stamp.copied();
        match self.queue.publish(self.now, arriving, &mut self.sink) {
            Published::Accepted(_) => {
                stamp.into_iter().for_each(|stamp| self.dedup.note(stamp));
                Taking::Taken
            }
            Published::Rejected => Taking::Refused,
        }
    }
}

impl Held {
    /// The queue with a sink for its effects.
    pub fn work<'a>(
        &'a mut self,
        cell: &'a Arc<QueueCell>,
        touched: &'a mut Vec<Arc<Client>>,
        errands: &'a mut Vec<Errand>,
        now: Millis,
    ) -> Work<'a> {
        let state = &mut *self.0;
        let sink = CellSink {
            cell,
            touched,
            errands,
            now,
            journal: &mut state.journal,
            safe: Safe::default(),
            stamp: None,
            deaths: 0,
        };
        Work {
            queue: &mut state.queue,
            dead: state.dead,
            now,
            sink,
            dedup: &mut state.dedup,
        }
    }
}

impl Deref for Held {
    type Target = State;

    fn deref(&self) -> &State {
        &self.0
    }
}

impl DerefMut for Held {
    fn deref_mut(&mut self) -> &mut State {
        &mut self.0
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let state = &mut *self.0;
        state.journal.settle(&state.queue);
    }
}

/// Whether a place is that of the queue's leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leads {
    /// It is.
    Here,
    /// It hands over: nobody publishes, and nothing is delivered, until it is known what becomes of that.
    Leaving,
    /// Another node is, for good.
    Elsewhere,
}

/// One queue on this node.
#[derive(Debug)]
pub struct QueueCell {
    /// Identity.
    pub id: QueueId,
    /// Virtual host.
    pub vhost: VhostName,
    /// Name.
    pub name: QueueName,
    /// Everything in it is persistent, and deliveries say how often the message came back.
    pub is_quorum: bool,
    state: Arc<Mutex<State>>,
    /// When the timer looks at this queue next; `u64::MAX` = not at all.
    pub wakes_at: AtomicU64,
    /// Deliveries are copied to the firehose.
    traced: AtomicBool,
    /// A `Leads`, by number.
    leads: AtomicU8,
    /// A page has come back: whoever found the head of the queue on it may look again.
    pub page_came: Notify,
    /// Dead letters on their way.
    pub letters: Letters,
    /// It has been said that dead letters come round to this queue.
    cycle_told: AtomicBool,
}

impl QueueCell {
    /// A queue just declared.
    pub fn new(
        id: QueueId,
        vhost: VhostName,
        name: QueueName,
        queue: Queue<Message, Arc<Consumer>>,
        journal: Journal,
        letters: Letters,
    ) -> Self {
        let is_quorum = queue.settings().returns_in_turn;
        let state = State {
            queue,
            dead: false,
            dead_letter: None,
            journal,
            dedup: Dedup::default(),
        };
        QueueCell {
            id,
            vhost,
            name,
            is_quorum,
            state: Arc::new(Mutex::new(state)),
            wakes_at: AtomicU64::new(u64::MAX),
            traced: AtomicBool::new(false),
            leads: AtomicU8::new(Leads::Here as u8),
            page_came: Notify::new(),
            letters,
            cycle_told: AtomicBool::new(false),
        }
    }

    /// True while deliveries are to be copied.
    pub fn is_traced(&self) -> bool {
        self.traced.load(Ordering::Relaxed)
    }

    /// Deliveries are copied from now on, or no more.
    pub fn set_traced(&self, traced: bool) {
        self.traced.store(traced, Ordering::Relaxed);
    }

    /// Whether this is the place of the queue's leader.
    pub fn leads(&self) -> Leads {
        match self.leads.load(Ordering::Acquire) {
            0 => Leads::Here,
            1 => Leads::Leaving,
            _ => Leads::Elsewhere,
        }
    }

    /// Notes that; the queue is locked, so nobody is in the middle of something.
    pub fn set_leads(&self, leads: Leads, _held: &mut Held) {
        self.leads.store(leads as u8, Ordering::Release);
    }

    /// The queue is led elsewhere from this state of the catalogue on: its consumers are told to go there.
    pub fn send_away(consumers: Vec<Arc<Consumer>>, as_of: Generation) {
        for consumer in consumers {
            consumer.client.outbox().post(Letter::ConsumerMoved {
                channel: consumer.channel,
                tag: consumer.tag.to_string(),
                id: consumer.id,
                wish: consumer.wish.clone(),
                as_of,
            });
        }
    }

    /// A dead letter came round to this queue and is dropped. Said once: a circle has no end of them.
    pub fn tell_of_cycle(&self) {
        if !self.cycle_told.swap(true, Ordering::Relaxed) {
            tracing::warn!(queue = %self.name, vhost = %self.vhost, "messages are dropped: dead-letter cycle");
        }
    }

    /// The properties with which a message is delivered, where they are not those that it was published with: deliveries of a
    /// quorum queue say how often the message came back before.
    pub fn counted(&self, properties: &[u8], delivery: &Delivery) -> Option<Vec<u8>> {
        let count = i64::from(delivery.delivery_count);
        self.is_quorum
            .then(|| wire::with_header_number(properties, "x-delivery-count", count))
    }

    /// Locks the queue for a run of commands. Only one queue may be locked at a time.
    pub fn hold(&self) -> Held {
        Held(self.state.lock_arc())
    }

    /// What the queue holds, dead letters among it.
    pub fn counts(&self, held: &Held) -> queue::Counts {
        queue::Counts {
            letters: self.letters.tally(),
            ..held.queue.counts()
        }
    }

    /// Whether whoever holds the queue lets go of it in time.
    pub fn answers_within(&self, patience: std::time::Duration) -> bool {
        self.state.try_lock_for(patience).is_some()
    }

    /// Dead letters have arrived: the store and the mirrors hear that they are gone. Nobody does of a queue that is deleted,
    /// or that another node leads by now and sees to itself. So many of them are in other queues; no queue took the rest.
    pub fn forget_letters(&self, arrived: impl IntoIterator<Item = Seq>, taken: u64) {
        let mut held = self.hold();
        if !held.dead {
            self.letters.have_arrived(taken);
        }
        self.letters.let_go(arrived.into_iter().inspect(|seq| {
            if !held.dead {
                held.journal.removed(*seq, *seq, true);
            }
        }));
    }

    /// Notes when the timer must look; true if that is earlier than it knew.
    pub fn wants_waking(&self, state: &State) -> Option<Millis> {
        let at = state.queue.next_deadline()?;
        (at.0 < self.wakes_at.fetch_min(at.0, Ordering::AcqRel)).then_some(at)
    }
}

/// Performs a queue's effects.
pub struct CellSink<'a> {
    /// The queue at work.
    pub cell: &'a Arc<QueueCell>,
    /// Clients to flush afterwards.
    pub touched: &'a mut Vec<Arc<Client>>,
    /// Errands for afterwards.
    pub errands: &'a mut Vec<Errand>,
    /// Now.
    pub now: Millis,
    /// What the store is told.
    pub journal: &'a mut Journal,
    /// When what was published is safe.
    pub safe: Safe,
    /// Of the publish that is under way.
    stamp: Option<Stamp>,
    /// How many have died of this command.
    deaths: usize,
}

/// Messages that one command lets die before others have their turn at the queue.
const DEATHS_AT_ONCE_MAX: usize = 512;

impl CellSink<'_> {
    fn write(&mut self, to: &Arc<Consumer>, message: &Parts<'_>, delivery: Delivery) -> Taken {
        if self.cell.leads() != Leads::Here || self.cell.letters.are_full() {
            // All are offered what there is when it turns out that the queue stays, or more letters can be kept.
            return Taken::Blocked;
        }
        let counted = self.cell.counted(message.properties, &delivery);
        let outbox = to.client.outbox();
        let mut state = outbox.lock();
        let parked = || (self.cell.clone(), to.id);
        let Some(tag) = state.admit(to.channel, parked, delivery, self.now) else {
            return Taken::Blocked;
        };
        let deliver = wire::Deliver {
            channel: to.channel,
            consumer_tag: to.tag.as_bytes(),
            delivery_tag: tag.0,
            redelivered: delivery.redelivered,
            exchange: message.exchange,
            routing_key: message.routing_key,
            properties: counted.as_deref().unwrap_or(message.properties),
            body: message.body,
            frame_max: to.client.frame_max(),
        };
        match to.client.home() {
            None => wire::deliver(state.buffer(), &deliver),
            Some(_) => {
                let (buffer, tail) = state.buffer_of_leg();
                wire::hand_on(buffer, tail, &deliver);
            }
        }
        if state.promise_flush() {
            drop(state);
            self.touched.push(to.client.clone());
        }
        Taken::Yes
    }

    /// Remembers a delivery for the firehose; `message` is asked for only then.
    fn trace(&mut self, taken: Taken, to: &Consumer, delivery: Delivery, message: impl FnOnce() -> Message) -> Taken {
        if taken == Taken::Yes && self.cell.is_traced() {
            let party = Party::of(&to.client, to.channel);
            let seen = Sighting::of_delivery(self.cell, party, message(), delivery.redelivered);
            self.errands.extend(seen.map(|seen| Errand::Trace(Box::new(seen))));
        }
        taken
    }

    fn ask_for_letters(&mut self) {
        let asked = matches!(self.errands.last(), Some(Errand::DeadLetters(from)) if Arc::ptr_eq(from, self.cell));
        if !asked {
            self.errands.push(Errand::DeadLetters(self.cell.clone()));
        }
    }

    fn send(&mut self, to: &Arc<Consumer>, write: impl FnOnce(&mut Vec<u8>)) {
        let mut state = to.client.outbox().lock();
        write(state.buffer());
        if state.promise_flush() {
            drop(state);
            self.touched.push(to.client.clone());
        }
    }
}

/// A message's octets, wherever they lie.
struct Parts<'a> {
    exchange: &'a [u8],
    routing_key: &'a [u8],
    properties: &'a [u8],
    body: &'a [u8],
}

impl Sink<Message, Arc<Consumer>> for CellSink<'_> {
    fn subscribed(&mut self, consumer: &Arc<Consumer>) {
        if consumer.confirm_subscription {
            let ok = wire::basic::ConsumeOk {
                consumer_tag: (*consumer.tag).into(),
            };
            let class = wire::AMQPClass::Basic(wire::basic::AMQPMethod::ConsumeOk(ok));
            self.send(consumer, |buffer| wire::method(buffer, consumer.channel, class));
        }
    }

    fn offer(&mut self, to: &Arc<Consumer>, message: &Message, delivery: Delivery) -> Taken {
        let parts = Parts {
            exchange: message.exchange(),
            routing_key: message.routing_key(),
            properties: message.properties(),
            body: message.body(),
        };
        let taken = self.write(to, &parts, delivery);
        self.trace(taken, to, delivery, || message.clone())
    }

    fn has_room_for_letter(&mut self) -> bool {
        let has_room = self.cell.letters.has_room(self.deaths >= DEATHS_AT_ONCE_MAX);
        if !has_room {
            self.ask_for_letters();
        }
        has_room
    }

    fn dead_letter(&mut self, message: Message, stored: Option<Seq>, why: Death) {
        self.deaths += 1;
        self.cell.letters.push(Dead { message, stored, why });
        self.ask_for_letters();
    }

    fn removed(&mut self, first: Seq, last: Seq, persistent: bool) {
        self.journal.removed(first, last, persistent);
    }

    fn returned(&mut self, seq: Seq, delivery_count: u32) {
        self.journal.returned(seq, delivery_count);
    }

    fn page_out(&mut self, level: u8, messages: Vec<Paged<Message>>) -> PageId {
        self.journal.page_out(level, messages)
    }

    fn load(&mut self, page: PageId) {
        self.journal.load(self.cell, page);
    }

    fn discard(&mut self, page: PageId) {
        self.journal.discard(page);
    }

    fn activated(&mut self, _consumer: &Arc<Consumer>) {}

    fn cancelled(&mut self, consumer: &Arc<Consumer>) {
        let letter = Letter::ConsumerGone {
            channel: consumer.channel,
            tag: consumer.tag.to_string(),
            id: consumer.id,
        };
        // Its client's task tells it: whoever deletes the queue hears first that it is deleted.
        consumer.client.outbox().post(letter);
    }

    fn retire(&mut self, why: Retire) {
        self.errands.push(Errand::Retire {
            cell: self.cell.clone(),
            why,
        });
    }
}

impl DirectSink<Arriving<'_>, Arc<Consumer>> for CellSink<'_> {
    fn offer_direct(&mut self, to: &Arc<Consumer>, incoming: &Arriving<'_>, delivery: Delivery) -> Taken {
        let publication = incoming.publication;
        let parts = Parts {
            exchange: publication.exchange,
            routing_key: publication.routing_key,
            properties: publication.properties,
            body: publication.body,
        };
        let taken = self.write(to, &parts, delivery);
        self.trace(taken, to, delivery, || Message::keep(publication, &mut Vec::new()))
    }

    fn store(&mut self, stored: Stored, incoming: &mut Arriving<'_>) {
        self.safe = self.safe.and(self.journal.store(stored, incoming, self.stamp.as_ref()));
    }
}
