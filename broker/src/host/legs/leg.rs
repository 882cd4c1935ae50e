//! One leg: what a client of this node has going on with the queues that another node leads.
//!
//! Everything that is asked of the leader goes into one stream of octets, in the order in which it was asked for. The
//! client's own task asks; the leg's task (`reader`) hears. A leg that broke stays broken: all that was open on it is
//! given up once, and a new one takes its place when it is needed.

use catalog::{NodeName, QueueRecord};
use model::{ConsumerId, Generation, QueueId, Refusal};
use parking_lot::Mutex;
use session::{Publication, Receipt, Settle};
use smallvec::SmallVec;
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Instant,
};
use tokio::sync::{Notify, oneshot};
use wire::{AMQPClass, basic, channel, confirm};

use super::super::{client::Client, outbox::Letter, pool};
use super::{
    books::{OutOfTurn, Refused, Unanswered},
    pipe::{Flushed, Pipe},
};

/// Above this many unwritten octets the client's publishes wait.
const UNWRITTEN_BYTES_MAX: usize = 1024 * 1024;
/// Above this many unanswered publishes the client's further ones wait.
const UNANSWERED_MAX: u64 = 65_536;

/// Queues of one other node on a message's way.
#[derive(Clone, Debug)]
pub struct Remote {
    /// The node that leads them.
    pub leader: NodeName,
    /// Their numbers.
    pub queues: SmallVec<[QueueId; 1]>,
    /// Their names, for the firehose.
    pub names: Vec<model::QueueName>,
}

impl Remote {
    /// No queue, but somebody who waits for a direct reply there.
    pub fn node(leader: NodeName) -> Self {
        Remote {
            leader,
            queues: SmallVec::new(),
            names: Vec::new(),
        }
    }

    /// The queue alone.
    pub fn of(record: &QueueRecord) -> Self {
        Remote {
            leader: record.leader.clone(),
            queues: SmallVec::from_slice(&[record.id]),
            names: vec![record.name.clone()],
        }
    }

    /// Those of its queues whose name is not such a one; `None` if none is left.
    pub fn without(&self, is_unwanted: impl Fn(&str) -> bool) -> Option<Self> {
        let wanted = |(_, name): &(&QueueId, &model::QueueName)| !is_unwanted(name.as_str());
        let left = self.queues.iter().zip(&self.names).filter(wanted);
        let (queues, names): (SmallVec<[QueueId; 1]>, Vec<_>) = left.map(|(id, name)| (*id, name.clone())).unzip();
        let leader = self.leader.clone();
        (!queues.is_empty()).then_some(Remote { leader, queues, names })
    }

    /// This queue too.
    pub fn add(&mut self, record: &QueueRecord) {
        self.queues.push(record.id);
        self.names.push(record.name.clone());
    }
}

/// A consumer on a leg.
#[derive(Debug)]
pub struct FarConsumer {
    /// Id on this node.
    pub id: ConsumerId,
    /// Settled by delivery.
    pub no_ack: bool,
    /// The client wants to be told when the queue has taken it.
    pub wants_ok: bool,
    /// Cancelled, or gone with its channel.
    pub gone: AtomicBool,
}

/// What a question is answered with.
#[derive(Debug)]
pub enum Heard {
    /// This method.
    Method(AMQPClass),
    /// The client has been written to already.
    Written,
    /// A refusal.
    Refused(Refusal),
}

/// How a question is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// By this method.
    Method(u16, u16),
    /// By a message, or by there being none.
    Get {
        /// Settled by delivery.
        no_ack: bool,
    },
}

/// A question that is open.
#[derive(Debug)]
pub struct Asked {
    /// Channel number.
    pub channel: u16,
    question: Question,
    answer: oneshot::Sender<Heard>,
}

/// A channel that is open on the leg.
#[derive(Debug, Default)]
struct FarChannel {
    confirms: bool,
    prefetch: u16,
    unanswered: Unanswered,
    consumers: BTreeMap<String, Arc<FarConsumer>>,
}

#[derive(Debug, Default)]
struct State {
    out: Vec<u8>,
    channels: BTreeMap<u16, FarChannel>,
    asked: Option<Asked>,
    /// The state of the catalogue that the leader was told.
    told: Generation,
    /// Publishes sent.
    sequence: u64,
    /// Publishes that wait for an answer, of all channels.
    unanswered: u64,
    broken: bool,
}

/// A leg of one client to one leader.
#[derive(Debug)]
pub struct Leg {
    /// The node at the other end.
    pub leader: NodeName,
    /// The client it works for.
    pub client: Arc<Client>,
    pub(super) pipe: Pipe,
    state: Mutex<State>,
    /// As in the state, for a look without its lock.
    broken: AtomicBool,
    /// As in the state, for a look without its lock.
    unanswered: AtomicU64,
    /// The state of the catalogue that the leader's last answer relies on.
    heard_of: AtomicU64,
    /// The leg's task should look up.
    pub(super) attention: Notify,
    /// Publishes were answered.
    pub(super) progress: Notify,
    closing: AtomicBool,
    /// When it was wanted.
    pub opened_at: Instant,
}

impl Leg {
    /// A leg that is still to be connected.
    pub fn new(leader: NodeName, client: Arc<Client>) -> Self {
        Leg {
            leader,
            client,
            pipe: Pipe::default(),
            state: Mutex::default(),
            broken: AtomicBool::new(false),
            unanswered: AtomicU64::new(0),
            heard_of: AtomicU64::new(0),
            attention: Notify::new(),
            progress: Notify::new(),
            closing: AtomicBool::new(false),
            opened_at: Instant::now(),
        }
    }

    /// True once nothing goes over it any more.
    pub fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Acquire)
    }

    /// True while the client's publishes have to wait.
    pub fn is_full(&self) -> bool {
        self.pipe.waiting_bytes() > UNWRITTEN_BYTES_MAX || self.unanswered.load(Ordering::Relaxed) >= UNANSWERED_MAX
    }

    /// True once the client needs it no more.
    pub fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    /// The client needs it no more.
    pub fn close(&self) {
        self.closing.store(true, Ordering::Release);
        self.attention.notify_one();
    }

    /// The state of the catalogue that the leader's answers rely on.
    pub fn heard_of(&self) -> Generation {
        Generation(self.heard_of.load(Ordering::Acquire))
    }

    pub(super) fn hear_of(&self, generation: Generation) {
        self.heard_of.fetch_max(generation.0, Ordering::AcqRel);
    }

    /// Writes what can be written.
    pub fn flush(&self) {
        let swap = |chunk: &mut Vec<u8>| {
            let mut state = self.state.lock();
            std::mem::swap(&mut state.out, chunk);
            !chunk.is_empty()
        };
        match self.pipe.flush(swap) {
            Flushed::All => {}
            Flushed::Blocked => self.attention.notify_one(),
            Flushed::Dead => self.close(),
        }
    }

    /// Appends octets, behind what the leader has to know before; false if the leg is broken.
    fn say(&self, number: u16, as_of: Generation, write: impl FnOnce(&mut State)) -> bool {
        let mut state = self.state.lock();
        let is_open = number == 0 || state.channels.contains_key(&number);
        let mut limit = 0;
        if !is_open {
            // One lock at a time where that is easy.
            drop(state);
            let mut outbox = self.client.outbox().lock();
            limit = outbox.channel(number).map_or(0, |out| out.ledger.prefetch());
            drop(outbox);
            state = self.state.lock();
        }
        if state.broken {
            return false;
        }
        if state.out.capacity() == 0 {
            state.out = pool::take();
        }
        let before = state.out.len();
        state.rely_on(as_of);
        if !is_open {
            state.open_channel(number, limit);
        }
        write(&mut state);
        self.pipe.added(state.out.len() - before);
        true
    }

    /// Sends a publish to queues of the leader; false if the leg is broken.
    pub fn forward(
        &self,
        number: u16,
        as_of: Generation,
        queues: &[QueueId],
        message: &Publication<'_>,
        receipt: Receipt,
    ) -> bool {
        self.say(number, as_of, |state| {
            let sequence = state.number_publish(number, receipt);
            let forwarding = wire::Forwarding {
                channel: number,
                sequence,
                floor: sequence.saturating_sub(state.unanswered),
                queues,
                exchange: message.exchange,
                routing_key: message.routing_key,
                properties: message.properties,
                body: message.body,
            };
            wire::forward(&mut state.out, &forwarding);
            self.unanswered.store(state.unanswered, Ordering::Relaxed);
        })
    }

    /// Settles deliveries of a channel, in order. `all_before`: no earlier one of this channel is to stay open.
    pub fn settle(&self, number: u16, tags: &[u64], how: Settle, all_before: bool) {
        let last = tags[tags.len() - 1];
        let (tags, multiple) = match all_before {
            true => (std::slice::from_ref(&last), true),
            false => (tags, false),
        };
        let mut state = self.state.lock();
        if state.broken || !state.channels.contains_key(&number) {
            return;
        }
        let before = state.out.len();
        for tag in tags {
            match how {
                Settle::Ack => wire::ack(&mut state.out, number, *tag, multiple),
                Settle::Requeue => wire::nack(&mut state.out, number, *tag, multiple, true),
                Settle::Reject => wire::nack(&mut state.out, number, *tag, multiple, false),
            }
        }
        self.pipe.added(state.out.len() - before);
    }

    /// Asks a question on a channel; the answer is an error when the leg breaks.
    pub fn ask(
        &self,
        number: u16,
        as_of: Generation,
        method: AMQPClass,
        question: Question,
    ) -> oneshot::Receiver<Heard> {
        let (answer, asked) = oneshot::channel();
        self.say(number, as_of, |state| {
            wire::method(&mut state.out, number, method);
            state.asked = Some(Asked {
                channel: number,
                question,
                answer,
            });
        });
        self.flush();
        asked
    }

    /// Says something that is not answered, or whose answer nobody waits for.
    pub fn tell(&self, number: u16, as_of: Generation, method: AMQPClass) {
        self.say(number, as_of, |state| wire::method(&mut state.out, number, method));
    }

    /// A consumer is about to be asked for; its prefetch is said before.
    pub fn enter_consumer(&self, number: u16, as_of: Generation, tag: &str, prefetch: u16, consumer: Arc<FarConsumer>) {
        self.say(number, as_of, |state| {
            let State { channels, out, .. } = state;
            let Some(open) = channels.get_mut(&number) else { return };
            if open.prefetch != prefetch {
                open.prefetch = prefetch;
                wire::method(out, number, qos(prefetch, false));
            }
            open.consumers.insert(tag.to_owned(), consumer);
        });
    }

    /// A consumer is gone.
    pub fn forget_consumer(&self, number: u16, tag: &str) -> Option<Arc<FarConsumer>> {
        let gone = self.state.lock().channels.get_mut(&number)?.consumers.remove(tag)?;
        gone.gone.store(true, Ordering::Release);
        Some(gone)
    }

    pub(super) fn consumer(&self, number: u16, tag: &[u8]) -> Option<Arc<FarConsumer>> {
        let tag = std::str::from_utf8(tag).ok()?;
        self.state.lock().channels.get(&number)?.consumers.get(tag).cloned()
    }

    /// True while the channel is open on the leg.
    pub fn has_channel(&self, number: u16) -> bool {
        self.state.lock().channels.contains_key(&number)
    }

    /// Channels that are open on the leg.
    pub fn channels(&self) -> Vec<u16> {
        self.state.lock().channels.keys().copied().collect()
    }

    /// A channel is closed at both ends: its consumers are gone, and nothing on it will be answered.
    pub fn forget_channel(&self, number: u16) {
        let mut state = self.state.lock();
        let Some(closed) = state.channels.remove(&number) else {
            return;
        };
        state.unanswered -= closed.unanswered.count();
        self.unanswered.store(state.unanswered, Ordering::Relaxed);
        for consumer in closed.consumers.values() {
            consumer.gone.store(true, Ordering::Release);
        }
    }

    /// Publishes of a channel that want an answer, so far.
    pub fn sent(&self, number: u16) -> u64 {
        let state = self.state.lock();
        state.channels.get(&number).map_or(0, |open| open.unanswered.sent())
    }

    /// True once the publishes of a channel up to this one are answered, or never will be.
    pub fn has_answered(&self, number: u16, upto: u64) -> bool {
        let state = self.state.lock();
        let open = state.channels.get(&number);
        state.broken || open.is_none_or(|open| open.unanswered.answered() >= upto)
    }

    /// The leader has answered publishes. Those that it refused are told to the client's task first.
    pub(super) fn on_answer(&self, number: u16, upto: u64, alone: bool, refused: bool) -> Result<(), OutOfTurn> {
        let mut state = self.state.lock();
        let open = state.channels.get_mut(&number).ok_or(OutOfTurn)?;
        let (before, mut told) = (open.unanswered.count(), Vec::new());
        open.unanswered.answer(upto, alone, refused, |one| told.push(one))?;
        let answered = before - open.unanswered.count();
        state.unanswered -= answered;
        self.unanswered.store(state.unanswered, Ordering::Relaxed);
        // The lock is still held: nobody sees the answer before the refusal is there.
        self.post_refused(number, told);
        Ok(())
    }

    fn post_refused(&self, channel: u16, refused: Vec<Refused>) {
        for refused in refused {
            self.client.outbox().post(Letter::Refused { channel, refused });
        }
    }

    /// Takes the open question if this answers it.
    pub(super) fn take_asked(&self, answers: impl Fn(&Asked) -> bool) -> Option<Asked> {
        self.state.lock().asked.take_if(|asked| answers(asked))
    }

    /// The leg broke: every open publish is refused, consumers are gone, the open question gets no answer. Returns the
    /// consumers.
    pub(super) fn give_up(&self, reason: Option<Refusal>) -> Vec<(u16, String, Arc<FarConsumer>)> {
        let mut state = self.state.lock();
        state.broken = true;
        self.broken.store(true, Ordering::Release);
        pool::give_back(std::mem::take(&mut state.out));
        let mut consumers = Vec::new();
        for (number, mut open) in std::mem::take(&mut state.channels) {
            let mut told = Vec::new();
            open.unanswered.give_up(|one| told.push(one));
            self.post_refused(number, told);
            for (tag, consumer) in open.consumers {
                consumer.gone.store(true, Ordering::Release);
                consumers.push((number, tag, consumer));
            }
        }
        if let (Some(asked), Some(refusal)) = (state.asked.take(), reason) {
            asked.answer(Heard::Refused(refusal));
        }
        drop(state);
        self.progress.notify_waiters();
        self.client.outbox().attention.notify_one();
        consumers
    }
}

impl Asked {
    /// Whether a message is asked for, and whether it is settled by delivery.
    pub(super) fn gets(&self) -> Option<bool> {
        match self.question {
            Question::Get { no_ack } => Some(no_ack),
            Question::Method(..) => None,
        }
    }

    /// True if this method is the answer.
    pub(super) fn is_answered_by(&self, ids: (u16, u16)) -> bool {
        match self.question {
            Question::Get { .. } => ids == (60, 72),
            Question::Method(class, method) => ids == (class, method),
        }
    }

    /// Answers it.
    pub fn answer(self, heard: Heard) {
        // Whoever asked may be gone.
        let _ = self.answer.send(heard);
    }
}

impl State {
    /// The leader has to know at least this state before it goes on.
    fn rely_on(&mut self, as_of: Generation) {
        if self.told < as_of {
            self.told = as_of;
            wire::as_of(&mut self.out, as_of);
        }
    }

    fn open_channel(&mut self, number: u16, limit: u16) {
        let open = channel::AMQPMethod::Open(channel::Open {});
        wire::method(&mut self.out, number, AMQPClass::Channel(open));
        if limit > 0 {
            wire::method(&mut self.out, number, qos(limit, true));
        }
        self.channels.insert(number, FarChannel::default());
    }

    /// Numbers a publish; where an answer is wanted the channel is in confirm mode from now on.
    fn number_publish(&mut self, number: u16, receipt: Receipt) -> u64 {
        self.sequence += 1;
        if let (Some(open), true) = (self.channels.get_mut(&number), receipt != Receipt::None) {
            if !std::mem::replace(&mut open.confirms, true) {
                let select = confirm::AMQPMethod::Select(confirm::Select { nowait: true });
                wire::method(&mut self.out, number, AMQPClass::Confirm(select));
            }
            open.unanswered.send(receipt);
            self.unanswered += 1;
        }
        self.sequence
    }
}

/// `basic.qos`.
pub fn qos(prefetch_count: u16, global: bool) -> AMQPClass {
    let qos = basic::Qos { prefetch_count, global };
    AMQPClass::Basic(basic::AMQPMethod::Qos(qos))
}
