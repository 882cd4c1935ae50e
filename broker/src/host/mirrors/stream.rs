//! A mirrored queue's leader on this node, for one reign: its operations go to the mirrors, and their answers come back.
//!
//! Operations are told under the queue's lock, so every mirror hears them in the queue's order; acknowledgements need
//! this lock alone. Whom a confirm waits for is decided by [`mirror::Leader`].

use mirror::{Act, Leader, Progress, Record, Timing, Word};
use model::{Epoch, Generation, Millis, NodeUuid, QueueId, Seq};
use parking_lot::Mutex;
use queue::Dedup;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use super::link::Link;

/// Runs of positions in one record of a base.
const RUNS_MAX: usize = 4096;

/// A mirror that is attached.
#[derive(Debug)]
struct Attached {
    link: Arc<Link>,
    /// What its answers name.
    attachment: u64,
    /// Messages of the base that it has not.
    lacks: u64,
    /// It fetches them.
    pulls: bool,
}

struct State {
    leader: Leader,
    attached: Vec<Attached>,
    /// Connections that wait for more to be reached.
    waiting: Vec<store::Wake>,
    /// Mirrors that were told by hand to fetch what they lack, until they count.
    told: BTreeSet<NodeUuid>,
    pulse: Pulse,
}

/// How long it takes until mirrors have an operation on disk: one at a time is watched.
#[derive(Debug, Default)]
struct Pulse {
    /// Which, and when it was told.
    watched: Option<(u64, Instant)>,
    last: Duration,
}

impl Pulse {
    fn told(&mut self, pos: u64) {
        self.watched.get_or_insert_with(|| (pos, Instant::now()));
    }

    /// Mirrors have so many operations on disk, what was inherited being the first.
    fn reached(&mut self, durable: u64) {
        if let Some((_, since)) = self.watched.take_if(|(pos, _)| *pos < durable) {
            self.last = since.elapsed();
        }
    }

    /// What the last one took, or longer if the next waits already.
    fn latency(&self) -> Duration {
        let waits = self.watched.map_or(Duration::ZERO, |(_, since)| since.elapsed());
        self.last.max(waits)
    }
}

/// The stream of one queue in one reign.
pub struct Stream {
    queue: QueueId,
    epoch: Epoch,
    state: Mutex<State>,
    /// As in the state, for a look without its lock; one more than the position, so that 0 is none.
    held: AtomicU64,
    durable: AtomicU64,
    /// Something may have to be proposed or attached.
    busy: AtomicBool,
    /// This node leads the queue no more.
    ended: AtomicBool,
    /// New mirrors fetch what they lack without being told.
    automatic: AtomicBool,
    batch: AtomicU64,
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stream")
            .field("queue", &self.queue)
            .finish_non_exhaustive()
    }
}

/// How far the operations of a reign have come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reign {
    /// Which reign.
    pub term: u64,
    /// Operations so far.
    pub applied: u64,
    /// Those of them that are on the disks of all copies that count.
    pub reached: u64,
    /// How long it takes until mirrors have one on disk.
    pub latency: Duration,
}

/// How a queue's mirrors are synchronised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Syncing {
    /// Without being told.
    pub automatic: bool,
    /// Messages at once.
    pub batch: u64,
}

impl Stream {
    /// The stream of a reign that begins.
    pub fn new(queue: QueueId, record: Record, syncing: Syncing, now: Millis) -> Self {
        let stream = Stream {
            queue,
            epoch: record.epoch,
            state: Mutex::new(State {
                leader: Leader::new(record, Timing::default(), now),
                attached: Vec::new(),
                waiting: Vec::new(),
                told: BTreeSet::new(),
                pulse: Pulse::default(),
            }),
            held: AtomicU64::new(0),
            durable: AtomicU64::new(0),
            busy: AtomicBool::new(true),
            ended: AtomicBool::new(false),
            automatic: AtomicBool::new(syncing.automatic),
            batch: AtomicU64::new(syncing.batch),
        };
        stream.note(&mut stream.state.lock());
        stream
    }

    /// The reign is over: what is not reached never will be.
    pub fn end(&self) {
        self.ended.store(true, Ordering::Release);
        let waiting = std::mem::take(&mut self.state.lock().waiting);
        waiting.iter().for_each(|wake| wake());
    }

    /// True once the reign is over.
    pub fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// True while something may have to be proposed or attached.
    pub fn is_busy(&self) -> bool {
        self.busy.load(Ordering::Acquire)
    }

    /// The reign.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// How far the operations of this reign have come: here, and at each mirror.
    pub fn progress(&self) -> (Progress, BTreeMap<NodeUuid, Progress>) {
        let state = self.state.lock();
        let own = Progress {
            held: Some(state.leader.pos()),
            durable: state
                .leader
                .reached()
                .durable
                .map(|durable| durable.min(state.leader.pos())),
        };
        (own, state.leader.acknowledged().collect())
    }

    /// How far the reign has come.
    pub fn reign(&self) -> Reign {
        let (own, _) = self.progress();
        Reign {
            term: self.epoch.0,
            applied: own.held.unwrap_or_default(),
            reached: own.durable.unwrap_or_default(),
            latency: self.state.lock().pulse.latency(),
        }
    }

    /// True if the queue has a mirror there.
    pub fn has_mirror(&self, node: NodeUuid) -> bool {
        let state = self.state.lock();
        state.leader.mirrors().any(|(mirror, _)| mirror == node)
    }

    /// Somebody waits for all operations so far; returns the last.
    pub fn want_all(&self) -> u64 {
        let mut state = self.state.lock();
        self.busy.store(true, Ordering::Release);
        state.leader.want_all()
    }

    /// True once every copy that counts has so many operations, what was inherited being the first.
    pub fn is_reached(&self, held: u64, durable: u64) -> bool {
        self.held.load(Ordering::Acquire) >= held && self.durable.load(Ordering::Acquire) >= durable
    }

    /// Has `wake` called when more is reached; false if these operations are reached already.
    pub fn wake_when_reached(&self, held: u64, durable: u64, wake: &store::Wake) -> bool {
        let mut state = self.state.lock();
        self.note(&mut state);
        if self.is_reached(held, durable) || self.has_ended() {
            return false;
        }
        if !state.waiting.iter().any(|known| Arc::ptr_eq(known, wake)) {
            state.waiting.push(wake.clone());
        }
        true
    }

    /// Writes down what is reached, and wakes those who wait if it is more.
    fn note(&self, state: &mut State) {
        let Progress { held, durable } = state.leader.reached();
        let number = |pos: Option<u64>| pos.map_or(0, |pos| pos + 1);
        state.pulse.reached(number(durable));
        let before =
            self.held.swap(number(held), Ordering::AcqRel) + self.durable.swap(number(durable), Ordering::AcqRel);
        if number(held) + number(durable) > before {
            state.waiting.drain(..).for_each(|wake| wake());
        }
    }

    /// Tells the mirrors an operation.
    fn tell(&self, awaited: bool, write: impl Fn(u64, &mut Vec<u8>)) -> u64 {
        let mut state = self.state.lock();
        let pos = state.leader.step(awaited);
        if awaited {
            state.pulse.told(pos);
        }
        for attached in &state.attached {
            // A link that takes no more is cut, and says so itself.
            attached.link.say(|out| write(pos, out));
        }
        if !self.busy.load(Ordering::Relaxed) {
            self.busy.store(true, Ordering::Release);
        }
        if state.leader.look() {
            // Nobody's answer is waited for: none counts, be it that one is being synchronised.
            self.note(&mut state);
        }
        pos
    }

    /// A message has entered the queue.
    pub fn enqueue(&self, entry: &mirror::Entry<'_>) -> u64 {
        self.tell(true, |pos, out| mirror::enqueue(out, self.queue, pos, entry))
    }

    /// Messages are gone, in whatever order they went.
    pub fn remove(&self, runs: &mut [(Seq, Seq)]) {
        runs.sort_unstable();
        self.tell(false, |pos, out| {
            let runs = runs.to_vec();
            Word::Remove { pos, runs }.encode(self.queue, out);
        });
    }

    /// Messages came back.
    pub fn returned(&self, counts: &[(Seq, u32)]) {
        self.tell(false, |pos, out| {
            let counts = counts.to_vec();
            Word::Returned { pos, counts }.encode(self.queue, out);
        });
    }

    /// Messages have been handed out.
    pub fn delivered(&self, levels: &[(u8, Seq)]) {
        self.tell(false, |pos, out| {
            let levels = levels.to_vec();
            Word::Delivered { pos, levels }.encode(self.queue, out);
        });
    }

    /// Attaches a mirror over a link: it is told what lives, and all operations from now on. The queue is locked, and holds
    /// this.
    pub fn attach(&self, link: &Arc<Link>, attachment: u64, as_of: Generation, holds: &Inventory, now: Millis) {
        let mut state = self.state.lock();
        let Some(incarnation) = link.incarnation() else { return };
        let copy = state.leader.record().copy_on(link.to).copied();
        let Some(copy) = copy.filter(|_| !self.has_ended()) else {
            return;
        };
        state.attached.retain(|attached| attached.link.to != link.to);
        let is_told = self.automatic.load(Ordering::Relaxed) || state.told.contains(&link.to);
        let pulls = copy.state.is_counted() || is_told;
        let word = Word::Attach {
            attachment,
            epoch: self.epoch,
            as_of,
            pos: state.leader.pos(),
            pulls,
            batch: u32::try_from(self.batch.load(Ordering::Relaxed)).unwrap_or(u32::MAX),
        };
        let is_said = link.say(|out| {
            word.encode(self.queue, out);
            holds.tell(self.queue, out);
        });
        if is_said {
            state.leader.attach(link.to, incarnation, now);
            state.attached.push(Attached {
                link: link.clone(),
                attachment,
                lacks: 0,
                pulls,
            });
        }
    }

    /// Nothing goes to this mirror any more.
    pub fn detach(&self, node: NodeUuid, now: Millis) {
        let mut state = self.state.lock();
        state.attached.retain(|attached| attached.link.to != node);
        state.leader.detach(node, now);
        self.note(&mut state);
        self.busy.store(true, Ordering::Release);
    }

    /// A mirror's node is known to be gone.
    pub fn lose(&self, node: NodeUuid, now: Millis) {
        let mut state = self.state.lock();
        state.attached.retain(|attached| attached.link.to != node);
        state.leader.lose(node, now);
        self.note(&mut state);
        self.busy.store(true, Ordering::Release);
    }

    /// Mirrors that are to be attached.
    pub fn unattached(&self) -> Vec<NodeUuid> {
        let state = self.state.lock();
        let away = state.leader.mirrors().filter(|(_, attached)| !attached);
        away.map(|(node, _)| node).collect()
    }

    /// The definitions say something else of the copies; the reign goes on.
    pub fn learn(&self, record: Record, now: Millis) {
        let mut state = self.state.lock();
        let counts = |node: &NodeUuid| record.copy_on(*node).is_none_or(|copy| copy.state.is_counted());
        state.told.retain(|node| !counts(node));
        let ended = state.leader.learn(record, now);
        state.attached.retain(|attached| !ended.contains(&attached.link.to));
        self.busy.store(true, Ordering::Release);
        self.note(&mut state);
        // What counts fetches what it lacks in any case, be it attached before it did.
        self.pull(&mut state, |is_counted| is_counted.then_some(true));
    }

    /// Mirrors are synchronised in another way from now on.
    pub fn set_syncing(&self, syncing: Syncing) {
        self.batch.store(syncing.batch, Ordering::Relaxed);
        let was_automatic = self.automatic.swap(syncing.automatic, Ordering::Relaxed);
        if syncing.automatic && !was_automatic {
            self.sync(true);
        }
    }

    /// Tells attached mirrors to fetch what they lack, or to stop, by whether they count.
    fn pull(&self, state: &mut State, wanted: impl Fn(bool) -> Option<bool>) {
        let State { leader, attached, .. } = state;
        for attached in attached {
            let copy = leader.record().copy_on(attached.link.to);
            let wanted = wanted(copy.is_some_and(|copy| copy.state.is_counted()));
            if let Some(pulls) = wanted.filter(|pulls| *pulls != attached.pulls) {
                attached.pulls = pulls;
                attached.link.say(|out| Word::Pull(pulls).encode(self.queue, out));
            }
        }
    }

    /// Mirrors fetch what they lack from now on, be they attached already or not, or those that do not count stop.
    pub fn sync(&self, wanted: bool) {
        let mut state = self.state.lock();
        let State { leader, told, .. } = &mut *state;
        told.clear();
        let lacking = leader
            .record()
            .mirrors()
            .filter(|copy| wanted && !copy.state.is_counted());
        told.extend(lacking.map(|copy| copy.node));
        self.pull(&mut state, |is_counted| Some(wanted || is_counted));
    }

    /// Messages that the mirror lacks most of them that is synchronised now; `None` if none is.
    pub fn lacking(&self) -> Option<u64> {
        let state = self.state.lock();
        let pulling = state.attached.iter().filter(|attached| attached.pulls);
        let lacking = pulling.map(|attached| attached.lacks).max();
        lacking.filter(|lacking| *lacking > 0)
    }

    /// True if these words are of the mirror as it is attached now.
    pub fn hears(&self, link: &Link, attachment: u64) -> bool {
        let state = self.state.lock();
        state.attached.iter().any(|attached| attached.is(link, attachment))
    }

    /// A mirror still lacks so many messages of the base.
    pub fn lacks(&self, link: &Link, attachment: u64, messages: u64) {
        let mut state = self.state.lock();
        if let Some(attached) = state.attached.iter_mut().find(|attached| attached.is(link, attachment)) {
            attached.lacks = messages;
        }
    }

    /// A mirror lacks nothing of the base: it is told what the queue has heard of whom, and that the base ends.
    pub fn whole(&self, link: &Link, attachment: u64, heard: &Dedup, now: Millis) {
        let mut state = self.state.lock();
        let State { leader, attached, .. } = &mut *state;
        if let Some(attached) = attached.iter_mut().find(|attached| attached.is(link, attachment))
            && leader.base_is_whole(link.to, now)
        {
            attached.lacks = 0;
            attached.link.say(|out| {
                for known in heard.known() {
                    let heard = mirror::Heard {
                        node: known.origin.node,
                        stream: known.origin.stream,
                        incarnation: known.incarnation,
                        floor: known.floor,
                        seen: known.seen,
                    };
                    Word::Heard(heard).encode(self.queue, out);
                }
                let is_partial = heard.is_partial();
                Word::BaseEnds { is_partial }.encode(self.queue, out);
            });
        }
        self.busy.store(true, Ordering::Release);
    }

    /// A mirror has come so far.
    pub fn acked(&self, link: &Link, attachment: u64, progress: Progress) {
        let mut state = self.state.lock();
        if !state.attached.iter().any(|attached| attached.is(link, attachment))
            || progress.held > Some(state.leader.pos())
        {
            return;
        }
        if state.leader.acked(link.to, progress) {
            self.note(&mut state);
        }
    }

    /// What is to be proposed now.
    pub fn due(&self, now: Millis) -> Option<(u64, Act)> {
        let mut state = self.state.lock();
        if self.has_ended() {
            self.busy.store(false, Ordering::Release);
            return None;
        }
        let due = state.leader.due(now);
        if state.leader.is_settled() {
            self.busy.store(false, Ordering::Release);
        }
        self.note(&mut state);
        due
    }

    /// A mirror that could lead soon; which start of its node.
    pub fn successor(&self, node: NodeUuid) -> Option<u64> {
        self.state.lock().leader.successor(node)
    }

    /// Proposes that a mirror leads, once every copy that counts has the operations up to this one.
    pub fn hand_over(&self, to: NodeUuid, upto: u64) -> Option<(u64, Act)> {
        self.state
            .lock()
            .leader
            .hand_over(to, upto)
            .filter(|_| !self.has_ended())
    }

    /// The hand-over proposed at this version was refused.
    pub fn refused(&self, version: u64) {
        self.state.lock().leader.refused(version);
    }

    /// The proposal of this version has been answered, or nobody knows.
    pub fn answered(&self, version: u64, now: Millis) {
        self.state.lock().leader.answered(version, now);
    }
}

impl Attached {
    fn is(&self, link: &Link, attachment: u64) -> bool {
        self.attachment == attachment && std::ptr::eq(Arc::as_ptr(&self.link), link)
    }
}

/// What a queue holds when a mirror is attached.
#[derive(Clone, Debug, Default)]
pub struct Inventory {
    /// Positions, as ascending runs.
    pub runs: Vec<(Seq, Seq)>,
    /// How often messages came back, of those that did.
    pub returned: Vec<(Seq, u32)>,
    /// How far messages have been handed out, by level.
    pub delivered: Vec<(u8, Seq)>,
}

impl Inventory {
    /// Tells a mirror what lives, then what is known of that.
    fn tell(&self, queue: QueueId, out: &mut Vec<u8>) {
        list(queue, &self.runs, out);
        let pos = 0;
        for counts in self.returned.chunks(RUNS_MAX) {
            let counts = counts.to_vec();
            Word::Returned { pos, counts }.encode(queue, out);
        }
        let levels = self.delivered.clone();
        Word::Delivered { pos, levels }.encode(queue, out);
        Word::AllListed.encode(queue, out);
    }
}

/// Ranges that follow each other, from the first position to the last there can be.
fn list(queue: QueueId, holds: &[(Seq, Seq)], out: &mut Vec<u8>) {
    let mut first = Seq(0);
    let mut rest = holds;
    while rest.len() > RUNS_MAX {
        let (some, more) = rest.split_at(RUNS_MAX);
        let last = some[RUNS_MAX - 1].1;
        base(first, last, some).encode(queue, out);
        (first, rest) = (last.next(), more);
    }
    base(first, Seq(u64::MAX), rest).encode(queue, out);
}

fn base(first: Seq, last: Seq, runs: &[(Seq, Seq)]) -> Word<'static> {
    Word::Base {
        first,
        last,
        runs: runs.to_vec(),
    }
}

#[cfg(test)]
#[path = "stream_tests.rs"]
mod tests;
