//! What is on its way to one client: the out-buffer, the deliveries of each channel, and the role of flusher.
//!
//! Queues write deliveries here while they hold their own lock (lock order: queue, then outbox, then nothing).
//! Flushing is combined: whoever wants to flush tries to become the flusher; who fails leaves, because the flusher
//! looks again. Above the high-water mark deliveries are refused and their consumers parked (I7).

use model::{ConsumerId, DeliveryTag, Generation, Millis, QueueId};
use parking_lot::Mutex;
use session::{ConsumeRequest, Ledger};
use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};
use tokio::sync::Notify;

use super::{
    cell::QueueCell,
    counters::ChannelCounts,
    flows::ChannelFlows,
    legs::{Leg, Refused},
    pool,
    socket::Socket,
};

/// Above this many unwritten octets no delivery is taken: the consumer is parked.
const HIGH_WATER_BYTES: usize = 512 * 1024;
/// Below this many, parked consumers are told to go on.
const LOW_WATER_BYTES: usize = 128 * 1024;

/// Where an unsettled delivery came from.
#[derive(Clone, Debug)]
pub enum Place {
    /// A queue of this node.
    Here {
        /// The queue.
        cell: Arc<QueueCell>,
        /// The place in it.
        slot: queue::Slot,
    },
    /// A queue that another node leads.
    There {
        /// The queue.
        queue: QueueId,
        /// The way there.
        leg: Arc<Leg>,
        /// The delivery's number on it.
        tag: u64,
    },
}

impl Place {
    /// The queue that the delivery came from.
    pub fn queue(&self) -> QueueId {
        match self {
            Place::Here { cell, .. } => cell.id,
            Place::There { queue, .. } => *queue,
        }
    }

    /// True if both are settled by the same.
    pub fn is_beside(&self, other: &Place) -> bool {
        match (self, other) {
            (Place::Here { cell: a, .. }, Place::Here { cell: b, .. }) => Arc::ptr_eq(a, b),
            (Place::There { leg: a, .. }, Place::There { leg: b, .. }) => Arc::ptr_eq(a, b),
            _ => false,
        }
    }
}

/// A consumer that waits for room.
pub type Parked = (Arc<QueueCell>, ConsumerId);

/// One channel's side of the outbox.
#[derive(Debug, Default)]
pub struct ChannelOut {
    /// Its deliveries.
    pub ledger: Ledger<Place>,
    /// Consumers that wait for the channel-wide prefetch limit.
    pub parked: Vec<Parked>,
    /// What happened on it.
    pub counts: ChannelCounts,
    /// The same by queue and exchange, in detailed mode.
    pub flows: Option<Box<ChannelFlows>>,
}

/// What other tasks tell the connection's own task.
#[derive(Clone, Debug)]
pub enum Letter {
    /// A consumer went with its queue.
    ConsumerGone {
        /// Channel number.
        channel: u16,
        /// Consumer tag.
        tag: String,
        /// Which consumer: the tag may be another's by now.
        id: ConsumerId,
    },
    /// A consumer's queue is led by another node from a state of the catalogue on.
    ConsumerMoved {
        /// Channel number.
        channel: u16,
        /// Consumer tag.
        tag: String,
        /// Which consumer: the tag may be another's by now.
        id: ConsumerId,
        /// What was asked for.
        wish: Arc<ConsumeRequest>,
        /// That state.
        as_of: Generation,
    },
    /// Another node has refused publishes.
    Refused {
        /// Channel number.
        channel: u16,
        /// Which.
        refused: Refused,
    },
    /// A memory or disk alarm was set or cleared.
    AlarmsChanged,
    /// Close the connection with `CONNECTION_FORCED` and this reason.
    Close {
        /// Reason, shown to the client.
        reason: String,
    },
}

/// The part under the lock.
#[derive(Debug, Default)]
pub struct State {
    buffer: Vec<u8>,
    /// On a leg: the deliveries at the buffer's end that more may join.
    tail: wire::Tail,
    /// Sorted by channel number.
    channels: Vec<(u16, ChannelOut)>,
    parked: Vec<Parked>,
    letters: Vec<Letter>,
    /// Somebody is going to flush what is in the buffer.
    promised: bool,
    /// The connection's task reads no further until there is room.
    starved: bool,
    closed: bool,
}

/// What the flusher has taken out of the buffer.
#[derive(Debug, Default)]
struct Writing {
    chunk: Vec<u8>,
    written: usize,
}

/// A client's outbox.
#[derive(Debug)]
pub struct Outbox {
    /// The socket, shared by the reader and whoever flushes.
    pub socket: Socket,
    state: Mutex<State>,
    writing: Mutex<Writing>,
    /// Octets written so far, for heartbeats and statistics.
    pub sent: AtomicU64,
    /// Writes that took them.
    pub writes: AtomicU64,
    /// The socket took no more: the connection's task waits for it to be writable.
    pub blocked: AtomicBool,
    /// The connection's task should look up.
    pub attention: Arc<Notify>,
}

/// How a flush ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flushed {
    All,
    Blocked,
    Dead,
}

impl ChannelOut {
    /// Books what `basic.get` took, and gives its tag.
    pub fn book_got(&mut self, cell: &Arc<QueueCell>, delivery: queue::Delivery, now: Millis) -> DeliveryTag {
        self.counts.redelivered += u64::from(delivery.redelivered);
        self.count_got(cell.id, delivery.slot.is_none(), delivery.redelivered);
        let Some(slot) = delivery.slot else {
            self.counts.got_no_ack += 1;
            return self.ledger.number();
        };
        self.counts.got += 1;
        let cell = cell.clone();
        self.ledger.book(Place::Here { cell, slot }, false, now)
    }

    /// Books deliveries to a consumer of a queue that another node leads, and gives the tag of the first. `settled_at`: the
    /// way on which they are settled, if they must be, and the number of the first there.
    pub fn book_far(
        &mut self,
        queue: QueueId,
        count: usize,
        settled_at: Option<(&Arc<Leg>, u64)>,
        redelivered: bool,
        now: Millis,
    ) -> DeliveryTag {
        let first = self.ledger.upcoming();
        self.count_from(queue, |counts| {
            counts.deliver(count as u64, settled_at.is_none(), redelivered)
        });
        match settled_at {
            None => {
                self.counts.delivered_no_ack += count as u64;
                self.ledger.number_many(count);
            }
            Some((leg, number)) => {
                self.counts.delivered += count as u64;
                for tag in (number..).take(count) {
                    let leg = leg.clone();
                    let place = Place::There { queue, leg, tag };
                    self.ledger.book(place, true, now);
                }
            }
        }
        self.counts.redelivered += if redelivered { count as u64 } else { 0 };
        first
    }

    /// Books what `basic.get` took from a queue that another node leads.
    pub fn book_got_far(
        &mut self,
        queue: QueueId,
        place: Option<Place>,
        redelivered: bool,
        now: Millis,
    ) -> DeliveryTag {
        self.counts.redelivered += u64::from(redelivered);
        self.count_got(queue, place.is_none(), redelivered);
        let Some(place) = place else {
            self.counts.got_no_ack += 1;
            return self.ledger.number();
        };
        self.counts.got += 1;
        self.ledger.book(place, false, now)
    }
}

impl State {
    /// The buffer to append frames to.
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        if self.buffer.capacity() == 0 {
            self.buffer = pool::take();
        }
        &mut self.buffer
    }

    /// On a leg: the buffer, and the deliveries at its end that more may join.
    pub fn buffer_of_leg(&mut self) -> (&mut Vec<u8>, &mut wire::Tail) {
        self.buffer();
        (&mut self.buffer, &mut self.tail)
    }

    /// The channel's deliveries, if it is open.
    pub fn channel(&mut self, number: u16) -> Option<&mut ChannelOut> {
        let at = self.channels.binary_search_by_key(&number, |(n, _)| *n).ok()?;
        Some(&mut self.channels[at].1)
    }

    /// All channels, by number.
    pub fn channels(&mut self) -> impl Iterator<Item = (u16, &mut ChannelOut)> {
        self.channels.iter_mut().map(|(number, channel)| (*number, channel))
    }

    /// Opens a channel.
    pub fn open_channel(&mut self, number: u16, counts_flows: bool) {
        if let Err(at) = self.channels.binary_search_by_key(&number, |(n, _)| *n) {
            let out = ChannelOut {
                flows: counts_flows.then(Box::default),
                ..ChannelOut::default()
            };
            self.channels.insert(at, (number, out));
        }
    }

    /// Forgets a channel and hands out what it held.
    pub fn close_channel(&mut self, number: u16) -> Option<ChannelOut> {
        let at = self.channels.binary_search_by_key(&number, |(n, _)| *n).ok()?;
        Some(self.channels.remove(at).1)
    }

    /// True if no further delivery may be written now; the consumer is then noted for later.
    fn is_full_for(&mut self, consumer: &Parked) -> bool {
        let full = self.closed || self.buffer.len() > HIGH_WATER_BYTES;
        if full && !self.closed {
            self.parked.push(consumer.clone());
        }
        full
    }

    /// Books a delivery and gives its tag; `None` = the consumer has to wait.
    pub fn admit(
        &mut self,
        channel: u16,
        consumer: impl Fn() -> Parked,
        delivery: queue::Delivery,
        now: Millis,
    ) -> Option<DeliveryTag> {
        if self.closed || self.buffer.len() > HIGH_WATER_BYTES {
            self.is_full_for(&consumer());
            return None;
        }
        let out = self.channel(channel)?;
        let tag = match delivery.slot {
            None => {
                out.counts.delivered_no_ack += 1;
                out.ledger.number()
            }
            Some(_) if !out.ledger.has_room() => {
                out.parked.push(consumer());
                return None;
            }
            Some(slot) => {
                out.counts.delivered += 1;
                let cell = consumer().0;
                out.ledger.book(Place::Here { cell, slot }, true, now)
            }
        };
        out.counts.redelivered += u64::from(delivery.redelivered);
        if out.flows.is_some() {
            let no_ack = delivery.slot.is_none();
            out.count_from(consumer().0.id, |counts| {
                counts.deliver(1, no_ack, delivery.redelivered)
            });
        }
        Some(tag)
    }

    /// A consumer that was cancelled waits for nothing any more.
    pub fn forget_parked(&mut self, channel: u16, consumer: ConsumerId) {
        self.parked.retain(|(_, id)| *id != consumer);
        if let Some(out) = self.channel(channel) {
            out.parked.retain(|(_, id)| *id != consumer);
        }
    }

    /// Leaves a letter for the connection's task.
    pub fn post(&mut self, letter: Letter) {
        self.letters.push(letter);
    }

    /// True for the first to write since the last flush: that one has to flush.
    pub fn promise_flush(&mut self) -> bool {
        !std::mem::replace(&mut self.promised, true)
    }
}

impl Outbox {
    /// An outbox for a connected socket.
    pub fn new(socket: Socket) -> Self {
        Outbox {
            socket,
            state: Mutex::default(),
            writing: Mutex::default(),
            sent: AtomicU64::new(0),
            writes: AtomicU64::new(0),
            blocked: AtomicBool::new(false),
            attention: Arc::default(),
        }
    }

    /// The locked part. Never lock a queue while holding it.
    pub fn lock(&self) -> parking_lot::MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Leaves a letter and wakes the connection's task.
    pub fn post(&self, letter: Letter) {
        self.state.lock().post(letter);
        self.attention.notify_one();
    }

    /// True while fewer octets wait than `bytes_max`; else the connection's task is told when all are written.
    pub fn has_room(&self, bytes_max: usize) -> bool {
        let mut state = self.state.lock();
        state.starved = state.buffer.len() >= bytes_max;
        !state.starved
    }

    /// True once the socket has failed.
    pub fn is_dead(&self) -> bool {
        self.state.lock().closed
    }

    /// The letters about consumers that are gone; the others stay.
    pub fn consumers_gone(&self) -> Vec<Letter> {
        let mut state = self.state.lock();
        let gone = |letter: &mut Letter| matches!(letter, Letter::ConsumerGone { .. });
        state.letters.extract_if(.., gone).collect()
    }

    /// The letters about publishes that other nodes refused; the others stay.
    pub fn refused(&self) -> Vec<(u16, Refused)> {
        let mut state = self.state.lock();
        let is_meant = |letter: &mut Letter| matches!(letter, Letter::Refused { .. });
        let meant = state.letters.extract_if(.., is_meant);
        meant
            .filter_map(|letter| match letter {
                Letter::Refused { channel, refused } => Some((channel, refused)),
                _ => None,
            })
            .collect()
    }

    /// The letters that have come.
    pub fn letters(&self) -> Vec<Letter> {
        std::mem::take(&mut self.state.lock().letters)
    }

    /// Octets that wait to be written.
    pub fn waiting_bytes(&self) -> usize {
        self.state.lock().buffer.len()
    }

    /// Nothing is written from now on; what waits is dropped.
    pub fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        state.parked.clear();
        state.tail.cut();
        pool::give_back(std::mem::take(&mut state.buffer));
    }

    /// Writes what can be written. Never waits: what the socket does not take is left to the connection's task.
    /// Returns consumers that may go on; the caller, who holds no lock, tells their queues.
    #[must_use]
    pub fn flush(&self) -> Vec<Parked> {
        loop {
            let Some(mut writing) = self.writing.try_lock() else {
                return Vec::new();
            };
            let flushed = self.write(&mut writing);
            drop(writing);
            match flushed {
                Flushed::Blocked => {
                    self.blocked.store(true, Ordering::Release);
                    self.attention.notify_one();
                    return self.unpark_below_low_water();
                }
                Flushed::Dead => {
                    self.close();
                    self.attention.notify_one();
                    return Vec::new();
                }
                // Whoever wrote while we held the role has left it to us.
                Flushed::All if self.waiting_bytes() == 0 => return self.unpark_below_low_water(),
                Flushed::All => {}
            }
        }
    }

    /// Writes what can be written, after whoever holds the flusher's role; true when nothing is left to write.
    pub fn is_drained(&self) -> bool {
        // Who holds the role never waits for the socket.
        let mut writing = self.writing.lock();
        match self.write(&mut writing) {
            Flushed::All | Flushed::Dead => true,
            Flushed::Blocked => false,
        }
    }

    fn unpark_below_low_water(&self) -> Vec<Parked> {
        let mut state = self.state.lock();
        if state.parked.is_empty() || state.buffer.len() > LOW_WATER_BYTES {
            return Vec::new();
        }
        std::mem::take(&mut state.parked)
    }

    fn write(&self, writing: &mut Writing) -> Flushed {
        loop {
            if writing.written == writing.chunk.len() && !self.next_chunk(writing) {
                return if self.socket.has_unsent_records() {
                    self.write_records()
                } else {
                    Flushed::All
                };
            }
            match self.socket.try_write(&writing.chunk[writing.written..]) {
                Ok(0) => return Flushed::Dead,
                Ok(octets) => {
                    writing.written += octets;
                    self.sent.fetch_add(octets as u64, Ordering::Relaxed);
                    self.writes.fetch_add(1, Ordering::Relaxed);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Flushed::Blocked,
                Err(_) => return Flushed::Dead,
            }
        }
    }

    fn write_records(&self) -> Flushed {
        match self.socket.try_write(&[]) {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Flushed::Dead,
            _ if self.socket.has_unsent_records() => Flushed::Blocked,
            _ => Flushed::All,
        }
    }

    /// Swaps the full buffer for the written chunk; gives both back to the pool when there is nothing to write.
    fn next_chunk(&self, writing: &mut Writing) -> bool {
        writing.chunk.clear();
        writing.written = 0;
        let mut state = self.state.lock();
        state.promised = false;
        state.tail.cut();
        if state.buffer.is_empty() {
            pool::give_back(std::mem::take(&mut state.buffer));
            if std::mem::take(&mut state.starved) {
                self.attention.notify_one();
            }
            drop(state);
            pool::give_back(std::mem::take(&mut writing.chunk));
            return false;
        }
        std::mem::swap(&mut state.buffer, &mut writing.chunk);
        true
    }
}
