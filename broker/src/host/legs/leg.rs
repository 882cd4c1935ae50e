//! One leg: what a client of this node has going on with the queues that another node leads.
//!
//! Everything that is asked of the leader goes into one stream of octets, in the order in which it was asked for. The
//! client's own task asks; the leg's task (`reader`) hears. A leg that broke stays broken: what was open on it is its
//! estate, which the client's task takes over once (`resettle`), and a new leg takes its place.

use catalog::NodeName;
use model::{ConsumerId, Generation, NodeUuid, QueueId, Refusal};
use parking_lot::Mutex;
use session::{ConsumeRequest, Publication, Receipt, Settle};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use store::Lsn;
use tokio::sync::{Notify, oneshot};
use wire::{AMQPClass, basic, channel, confirm};

use super::super::{client::Client, mirrors::Reach, node::Snapshot, outbox::Letter, pool};
use super::{
    books::{OutOfTurn, Refused, Unanswered},
    edge::Awaited,
    estate::Estate,
    kept::Kept,
    pipe::{Flushed, Next, Pipe},
};

/// Above this many unwritten octets the client's publishes wait.
const UNWRITTEN_BYTES_MAX: usize = 1024 * 1024;
/// Above this many unanswered publishes the client's further ones wait.
const UNANSWERED_MAX: u64 = 32_768;
/// Above this many octets of unanswered publishes the client's further ones wait.
const KEPT_BYTES_MAX: usize = 16 * 1024 * 1024;

/// What a publish is to its client, and among all that its origin sends.
#[derive(Clone, Copy, Debug)]
pub struct Standing {
    /// What the client is to be told.
    pub receipt: Receipt,
    /// Its number; 0 for one that is never sent again.
    pub sequence: u64,
    /// It was sent before, perhaps to another leader.
    pub again: bool,
}

/// A consumer on a leg.
#[derive(Debug)]
pub struct FarConsumer {
    /// Id on this node.
    pub id: ConsumerId,
    /// Of which queue.
    pub queue: QueueId,
    /// What was asked for.
    pub wish: Arc<ConsumeRequest>,
    /// The client wants to be told when the queue has taken it.
    pub wants_ok: bool,
    /// Cancelled, or gone with its channel.
    pub gone: AtomicBool,
}

impl FarConsumer {
    /// One that the client knows of already.
    pub fn known(id: ConsumerId, queue: QueueId, wish: Arc<ConsumeRequest>) -> Self {
        FarConsumer {
            id,
            queue,
            wish,
            wants_ok: false,
            gone: AtomicBool::new(false),
        }
    }

    /// It is over; true if it was before.
    pub fn end(&self) -> bool {
        self.gone.swap(true, Ordering::AcqRel)
    }

    /// The same, of which the client knows already.
    pub fn renewed(&self) -> Self {
        FarConsumer::known(self.id, self.queue, self.wish.clone())
    }
}

/// A process of another node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process {
    /// The node.
    pub node: NodeUuid,
    /// Which of its starts.
    pub incarnation: u64,
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
        /// From where.
        queue: QueueId,
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
    /// None for a consumer that is renewed: nobody waits.
    answer: Option<oneshot::Sender<Heard>>,
    /// The consumer that is renewed.
    pub renews: Option<String>,
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
    tail: wire::Tail,
    settled: wire::SettledTail,
    channels: BTreeMap<u16, FarChannel>,
    /// In order.
    asked: VecDeque<Asked>,
    /// The state of the catalogue that the leader was told.
    told: Generation,
    kept: Kept,
    /// Queues that it has to do with, to see when they are led elsewhere.
    queues: BTreeSet<QueueId>,
    last_queue: Option<QueueId>,
    /// Publishes that wait for an answer, of all channels.
    unanswered: u64,
    stage: Stage,
    heirs: Heirs,
}

/// How far the end of a leg is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    #[default]
    Open,
    /// What is open stays so for a moment.
    Broken,
    /// Somebody is to take over what is open.
    Ready,
    /// Somebody has, or it was refused.
    Settled,
}

/// What became of the publishes that were open on a broken leg.
#[derive(Debug, Default)]
pub struct Heirs {
    /// They are on other legs.
    pub far: Vec<Awaited>,
    /// They are in queues of this node, safe when its log is durable up to here ...
    pub near: Lsn,
    /// ... and mirrors have come so far.
    pub reaches: Vec<Reach>,
}

impl Heirs {
    fn have_answered(&self, synced: Lsn) -> bool {
        self.near <= synced
            && self.far.iter().all(|awaited| awaited.is_answered(synced))
            && self.reaches.iter().all(Reach::is_there)
    }
}

/// A leg of one client to one leader.
#[derive(Debug)]
pub struct Leg {
    /// The node at the other end.
    pub leader: NodeName,
    /// Its process; another one knows nothing of what was sent.
    pub process: Option<Process>,
    /// The client it works for.
    pub client: Arc<Client>,
    pub(super) pipe: Pipe,
    state: Mutex<State>,
    /// As in the state, for a look without its lock.
    broken: AtomicBool,
    /// What was open is still to be taken over.
    troubled: AtomicBool,
    /// As in the state, for a look without its lock.
    unanswered: AtomicU64,
    /// As in the state, for a look without its lock.
    kept_bytes: AtomicUsize,
    /// The state of the catalogue that the leader's last answer relies on.
    heard_of: AtomicU64,
    /// The leg's task should look up.
    pub(super) attention: Notify,
    closing: AtomicBool,
    /// When it was wanted.
    pub opened_at: Instant,
    /// Since when no way to the leader could be had.
    pub since: Instant,
}

impl Leg {
    /// A leg that is still to be connected.
    pub fn new(leader: NodeName, process: Option<Process>, client: Arc<Client>) -> Self {
        let now = Instant::now();
        Leg {
            leader,
            process,
            client,
            pipe: Pipe::default(),
            state: Mutex::default(),
            broken: AtomicBool::new(false),
            troubled: AtomicBool::new(false),
            unanswered: AtomicU64::new(0),
            kept_bytes: AtomicUsize::new(0),
            heard_of: AtomicU64::new(0),
            attention: Notify::new(),
            closing: AtomicBool::new(false),
            opened_at: now,
            since: now,
        }
    }

    /// One without a way: what is to be sent is not among its octets, and waits until it is known to whom it goes.
    pub(super) fn without_way(leader: NodeName, client: Arc<Client>) -> Self {
        let leg = Leg::new(leader, None, client);
        leg.broken.store(true, Ordering::Release);
        leg.state.lock().stage = Stage::Broken;
        leg
    }

    /// A publish waits that is to be answered.
    pub(super) fn owe(&self, number: u16, receipt: Receipt) {
        let mut state = self.state.lock();
        state.channels.entry(number).or_default().unanswered.send(receipt);
    }

    /// True once nothing goes over it any more.
    pub fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Acquire)
    }

    /// True if the leader has ever been reached over it.
    pub fn has_been_connected(&self) -> bool {
        self.pipe.tcp().is_some()
    }

    /// True if its leader could not be reached, and that is no longer ago than this. One that broke after it was connected
    /// has a successor at once: what is published meanwhile is not refused.
    pub(super) fn waits_to_be_opened_again(&self, after: Duration) -> bool {
        !self.has_been_connected() && self.opened_at.elapsed() < after
    }

    /// True while the client's publishes have to wait.
    pub fn is_full(&self) -> bool {
        self.is_troubled()
            || self.pipe.waiting_bytes() > UNWRITTEN_BYTES_MAX
            || self.unanswered.load(Ordering::Relaxed) >= UNANSWERED_MAX
            || self.kept_bytes.load(Ordering::Relaxed) >= KEPT_BYTES_MAX
    }

    /// True while nobody has taken over what was open on the broken leg.
    pub fn is_troubled(&self) -> bool {
        self.troubled.load(Ordering::Acquire)
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
        if self.is_broken() {
            return;
        }
        let swap = |chunk: &mut Vec<u8>| {
            let mut state = self.state.lock();
            state.turn(chunk);
            self.kept_bytes.store(state.kept.bytes(), Ordering::Relaxed);
            if state.stage != Stage::Open {
                return Next::Never;
            }
            state.cut();
            std::mem::swap(&mut state.out, chunk);
            Next::of(chunk)
        };
        match self.pipe.flush(swap) {
            Flushed::All => {}
            Flushed::Blocked => self.attention.notify_one(),
            // Its task sees the same.
            Flushed::Dead => self.attention.notify_one(),
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
        if state.stage == Stage::Settled {
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

    /// Sends a publish to queues of the leader; false if the leg is broken. With a sequence it is kept, and sent again
    /// if need be.
    pub fn forward(
        &self,
        number: u16,
        as_of: Generation,
        queues: &[QueueId],
        message: &Publication<'_>,
        standing: Standing,
    ) -> bool {
        let Standing {
            receipt,
            sequence,
            again,
        } = standing;
        self.say(number, as_of, |state| {
            state.number_publish(number, receipt, sequence);
            state.note_queues(queues);
            let forwarding = wire::Forwarding {
                channel: number,
                sequence,
                floor: state.kept.floor(sequence),
                again,
                queues,
                exchange: message.exchange,
                routing_key: message.routing_key,
                properties: message.properties,
                body: message.body,
            };
            wire::forward(&mut state.out, &mut state.tail, &forwarding);
            self.unanswered.store(state.unanswered, Ordering::Relaxed);
        })
    }

    /// Settles deliveries of a channel, in order. `all_before`: no earlier one of this channel is to stay open.
    pub fn settle(&self, number: u16, tags: &[u64], how: Settle, all_before: bool) {
        let mut state = self.state.lock();
        if state.stage != Stage::Open || !state.channels.contains_key(&number) {
            return;
        }
        let before = state.out.len();
        let State { out, settled, .. } = &mut *state;
        match (tags.last(), how) {
            (Some(last), Settle::Ack) if all_before => wire::ack(out, number, *last, true),
            (Some(last), _) if all_before => wire::nack(out, number, *last, true, how == Settle::Requeue),
            _ => tags
                .iter()
                .for_each(|tag| wire::settle(out, settled, number, settling(how), *tag)),
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
            state.asked.push_back(Asked {
                channel: number,
                question,
                answer: Some(answer),
                renews: None,
            });
            // On a broken one nobody answers.
            if state.stage != Stage::Open {
                state.asked.clear();
            }
        });
        self.flush();
        asked
    }

    /// Says something that is not answered, or whose answer nobody waits for.
    pub fn tell(&self, number: u16, as_of: Generation, method: AMQPClass) {
        self.say(number, as_of, |state| wire::method(&mut state.out, number, method));
    }

    /// A consumer is about to be asked for; its prefetch is said before.
    pub fn enter_consumer(&self, number: u16, as_of: Generation, tag: &str, consumer: Arc<FarConsumer>) {
        let prefetch = consumer.wish.prefetch;
        self.say(number, as_of, |state| {
            state.note_queues(&[consumer.queue]);
            let State { channels, out, .. } = state;
            let Some(open) = channels.get_mut(&number) else { return };
            if open.prefetch != prefetch {
                open.prefetch = prefetch;
                wire::method(out, number, qos(prefetch, false));
            }
            open.consumers.insert(tag.to_owned(), consumer);
        });
    }

    /// A consumer of a leg that broke is asked for again; its client hears nothing of it.
    pub fn renew_consumer(&self, number: u16, as_of: Generation, tag: &str, method: AMQPClass) {
        self.say(number, as_of, |state| {
            wire::method(&mut state.out, number, method);
            state.asked.push_back(Asked {
                channel: number,
                question: Question::Method(60, 21),
                answer: None,
                renews: Some(tag.to_owned()),
            });
        });
    }

    /// A consumer is gone.
    pub fn forget_consumer(&self, number: u16, tag: &str) -> Option<Arc<FarConsumer>> {
        let gone = self.state.lock().channels.get_mut(&number)?.consumers.remove(tag)?;
        gone.gone.store(true, Ordering::Release);
        Some(gone)
    }

    /// A consumer that is not known to be gone.
    pub fn find_consumer(&self, number: u16, tag: &str) -> Option<Arc<FarConsumer>> {
        self.consumer(number, tag.as_bytes())
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
        self.let_go(&mut state);
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
    /// `synced`: up to where the log of this node is durable.
    pub fn has_answered(&self, number: u16, upto: u64, synced: Lsn) -> bool {
        let state = self.state.lock();
        if state.stage == Stage::Settled {
            return state.heirs.have_answered(synced);
        }
        let open = state.channels.get(&number);
        open.is_none_or(|open| open.unanswered.answered() >= upto)
    }

    /// Has `wake` called when mirrors have come further with what was taken over from it.
    pub(super) fn wake_heirs(&self, wake: &store::Wake) {
        let state = self.state.lock();
        for reach in &state.heirs.reaches {
            reach.wake(wake);
        }
        state.heirs.far.iter().for_each(|awaited| awaited.wake(wake));
    }

    /// True if what was taken over from it will never be answered: the queue is led elsewhere again.
    pub(super) fn is_lost(&self) -> bool {
        let heirs = &self.state.lock().heirs;
        heirs.reaches.iter().any(Reach::is_lost) || heirs.far.iter().any(Awaited::is_lost)
    }

    /// The leader has answered publishes. Those that it refused are told to the client's task first.
    pub(super) fn on_answer(&self, number: u16, upto: u64, alone: bool, refused: bool) -> Result<(), OutOfTurn> {
        let mut state = self.state.lock();
        let open = state.channels.get_mut(&number).ok_or(OutOfTurn)?;
        let (before, mut told) = (open.unanswered.count(), Vec::new());
        open.unanswered.answer(upto, alone, refused, |one| told.push(one))?;
        let answered = before - open.unanswered.count();
        state.unanswered -= answered;
        self.let_go(&mut state);
        // The lock is still held: nobody sees the answer before the refusal is there.
        self.post_refused(number, told);
        Ok(())
    }

    fn let_go(&self, state: &mut State) {
        let State { kept, channels, .. } = state;
        kept.let_go(|number| channels.get(&number).map(|open| open.unanswered.answered()));
        if state.unanswered == 0 {
            kept.let_all_go();
        }
        self.unanswered.store(state.unanswered, Ordering::Relaxed);
        self.kept_bytes.store(state.kept.bytes(), Ordering::Relaxed);
    }

    fn post_refused(&self, channel: u16, refused: Vec<Refused>) {
        for refused in refused {
            self.client.outbox().post(Letter::Refused { channel, refused });
        }
    }

    /// Takes the open question if this answers it.
    pub(super) fn take_asked(&self, answers: impl Fn(&Asked) -> bool) -> Option<Asked> {
        let mut state = self.state.lock();
        let place = state.asked.iter().position(answers)?;
        state.asked.remove(place)
    }

    /// Nothing goes over it any more. What is open stays so until it is said who takes it over.
    pub(super) fn break_off(&self) {
        let mut state = self.state.lock();
        if state.stage != Stage::Open {
            return;
        }
        state.stage = Stage::Broken;
        self.troubled.store(true, Ordering::Release);
        self.broken.store(true, Ordering::Release);
        // Whoever asked is told by that, and looks whether the leg is troubled.
        state.asked.clear();
        drop(state);
        self.attention.notify_one();
        self.client.outbox().attention.notify_one();
    }

    /// The client's task may take over what is open.
    pub(super) fn offer_estate(&self) {
        let mut state = self.state.lock();
        if state.stage == Stage::Broken {
            state.stage = Stage::Ready;
        }
        drop(state);
        self.client.outbox().attention.notify_one();
    }

    /// What was open on a leg that broke, once. For the client's own task.
    pub fn take_estate(&self) -> Option<Estate> {
        if self.state.lock().stage != Stage::Ready {
            return None;
        }
        // Whoever writes holds the chunk while it waits for the state, so never the other way round.
        let chunk = self.pipe.take_chunk();
        let mut state = self.state.lock();
        let mut chunks = state.kept.take();
        chunks.push(chunk);
        chunks.push(std::mem::take(&mut state.out));
        state.cut();
        let (mut open, mut consumers) = (BTreeMap::new(), Vec::new());
        for (number, channel) in std::mem::take(&mut state.channels) {
            open.insert(number, channel.unanswered.open().collect());
            let of_channel = channel.consumers.into_iter();
            consumers.extend(of_channel.map(|(tag, consumer)| (number, tag, consumer)));
        }
        // It may be offered once.
        state.stage = Stage::Broken;
        Some(Estate {
            chunks,
            open,
            consumers,
        })
    }

    /// Somebody has taken over what was open.
    pub fn settle_estate(&self, heirs: Heirs) {
        let mut state = self.state.lock();
        state.heirs = heirs;
        state.stage = Stage::Settled;
        self.troubled.store(false, Ordering::Release);
    }

    /// True if it has to do with a queue that another node leads by now.
    pub fn is_overtaken(&self, snapshot: &Snapshot) -> bool {
        let is_elsewhere = |id: &QueueId| {
            let record = snapshot.catalog.queue_by_id(*id);
            record.is_some_and(|record| record.leader != self.leader)
        };
        self.state.lock().queues.iter().any(is_elsewhere)
    }

    /// The leg is over for good: every open publish is refused, consumers are gone, open questions get no answer. Returns
    /// the consumers.
    pub(super) fn give_up(&self, reason: Option<Refusal>) -> Vec<(u16, String, Arc<FarConsumer>)> {
        let mut state = self.state.lock();
        state.stage = Stage::Settled;
        self.troubled.store(false, Ordering::Release);
        self.broken.store(true, Ordering::Release);
        drop(state.kept.take());
        pool::give_back(std::mem::take(&mut state.out));
        state.cut();
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
        for asked in std::mem::take(&mut state.asked) {
            if let Some(refusal) = &reason {
                asked.answer(Heard::Refused(refusal.clone()));
            }
        }
        drop(state);
        self.client.outbox().attention.notify_one();
        consumers
    }
}

impl Asked {
    /// Whether a message is asked for, and whether it is settled by delivery.
    pub(super) fn gets(&self) -> Option<(QueueId, bool)> {
        match self.question {
            Question::Get { queue, no_ack } => Some((queue, no_ack)),
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
        if let Some(asker) = self.answer {
            // Whoever asked may be gone.
            let _ = asker.send(heard);
        }
    }
}

impl State {
    /// What was to be sent is taken away.
    fn cut(&mut self) {
        self.tail.cut();
        self.settled.cut();
    }

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

    /// A chunk has been written.
    fn turn(&mut self, chunk: &mut Vec<u8>) {
        let State { kept, channels, .. } = self;
        kept.turn(chunk, |number| {
            channels.get(&number).map(|open| open.unanswered.answered())
        });
    }

    fn note_queues(&mut self, queues: &[QueueId]) {
        if let [queue] = queues
            && self.last_queue == Some(*queue)
        {
            return;
        }
        self.last_queue = queues.first().copied();
        self.queues.extend(queues);
    }

    /// Numbers a publish; where an answer is wanted the channel is in confirm mode from now on.
    fn number_publish(&mut self, number: u16, receipt: Receipt, sequence: u64) {
        if let (Some(open), true) = (self.channels.get_mut(&number), receipt != Receipt::None) {
            if !std::mem::replace(&mut open.confirms, true) {
                let select = confirm::AMQPMethod::Select(confirm::Select { nowait: true });
                wire::method(&mut self.out, number, AMQPClass::Confirm(select));
            }
            open.unanswered.send(receipt);
            self.kept.note(number, open.unanswered.sent(), sequence);
            self.unanswered += 1;
        }
    }
}

/// `basic.qos`.
pub fn qos(prefetch_count: u16, global: bool) -> AMQPClass {
    let qos = basic::Qos { prefetch_count, global };
    AMQPClass::Basic(basic::AMQPMethod::Qos(qos))
}

/// The session's word in the leg's language.
fn settling(how: Settle) -> wire::Settling {
    match how {
        Settle::Ack => wire::Settling::Ack,
        Settle::Requeue => wire::Settling::Requeue,
        Settle::Reject => wire::Settling::Reject,
    }
}
