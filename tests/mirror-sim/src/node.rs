//! One node: its disk, and while it runs its process with the definitions it has learned, what it leads and what it mirrors.
//! What entries mean for these is done as the broker does it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use catalog::{Catalog, Command, Event, QueueRecord};
use mirror::{Leader, Timing};
use model::{Epoch, Millis, NodeUuid, QueueId, Seq};
use queue::{Copied, Copy, Dedup, Queue, Restored, Settings, Slot, Subscription};

use crate::copies::{CopyCell, CopyEffects};
use crate::journal::{Journal, LedSink, Safe, Shore, Stream};
use crate::judge::Judge;
use crate::links::Links;
use crate::log::{Log, Note};
use crate::message::Letter;
use crate::origin::Origin;
use crate::record::record_of;
use crate::rules::Rule;

/// How far a node's process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// There is none.
    Down,
    /// It has not learned of its own start.
    Starting,
    /// It leads, mirrors and serves.
    Up,
}

/// A publish that a leader has taken and not answered.
#[derive(Clone, Copy, Debug)]
pub struct Waiting {
    /// At which place its client's node is, and the turn of its line.
    pub from: (usize, u64),
    /// Its number.
    pub number: u64,
    /// Which.
    pub id: u32,
    /// Taken; else refused.
    pub ack: bool,
    /// When it may be answered.
    pub safe: Safe,
}

/// A queue that is led here.
pub struct Led {
    /// The queue.
    pub queue: Queue<Letter, u32>,
    /// Who published what.
    pub dedup: Dedup,
    /// What it tells.
    pub journal: Journal,
    /// Publishes to be answered, in order.
    pub waiting: Vec<Waiting>,
    /// What mirrors have asked for.
    pub wants: Vec<Want>,
    /// Another is to lead: publishes wait.
    pub leaving: Option<Leave>,
}

/// A queue that waits for another leader.
#[derive(Clone, Copy, Debug)]
pub struct Leave {
    /// Who is to lead.
    pub to: NodeUuid,
    /// The last operation before it began to wait.
    pub upto: u64,
}

/// A mirror's request.
#[derive(Clone, Debug)]
pub struct Want {
    /// Which mirror's.
    pub to: usize,
    /// Over which link.
    pub link: u64,
    /// As it was attached.
    pub attachment: u64,
    /// What of it has not been sent.
    pub runs: Vec<(Seq, Seq)>,
}

/// A node.
pub struct Node {
    /// Who.
    pub uuid: NodeUuid,
    /// What it is called.
    pub name: Arc<str>,
    /// How often it has been started.
    pub incarnation: u64,
    /// How far its process is.
    pub stage: Stage,
    /// The definitions that it has applied, and how many entries that were.
    pub catalog: Catalog,
    /// That many.
    pub applied: usize,
    /// Its disk.
    pub log: Log,
    /// Its links.
    pub links: Links,
    /// What it leads.
    pub led: BTreeMap<QueueId, Led>,
    /// What it mirrors.
    pub copies: BTreeMap<QueueId, CopyCell>,
    /// Its clients.
    pub origin: Origin,
    /// Messages of a queue kept in memory.
    pub resident_max: u64,
}

/// Beside the node.
pub struct World<'a> {
    /// The judge.
    pub judge: &'a mut Judge,
    /// The rule that is left out.
    pub without: Option<Rule>,
    /// The time.
    pub now: Millis,
}

/// What is known of who published what a queue holds, or held before this process: all of one just declared, else nothing.
fn known_of(is_new: bool, without: Option<Rule>) -> Dedup {
    match is_new || without == Some(Rule::UnknownIsRefused) {
        true => Dedup::default(),
        false => Dedup::partial(),
    }
}

/// What died and is not safe elsewhere lives again in a copy, which may lead again.
fn revive(journal: &Journal, copy: &mut Copy<Letter>, effects: &mut CopyEffects<'_>) {
    for (seq, died) in journal.died() {
        let copied = Copied {
            seq,
            level: 0,
            expires: died.expires(),
            delivery_count: 0,
            delivered: true,
            message: died.letter,
        };
        copy.enqueue(copied, effects);
    }
}

fn positions(queue: &Queue<Letter, u32>) -> BTreeSet<Seq> {
    let runs = queue.runs(Seq(0), usize::MAX);
    let seqs = runs.into_iter().flat_map(|(first, last)| first.0..=last.0);
    seqs.map(Seq).collect()
}

/// What a queue holds, as the judge knows it.
fn holds(queue: &Queue<Letter, u32>, id: QueueId, judge: &Judge) -> BTreeMap<Seq, Letter> {
    let seqs = positions(queue).into_iter();
    seqs.filter_map(|seq| Some((seq, judge.at(id, seq)?))).collect()
}

fn is_automatic(record: &QueueRecord) -> bool {
    record.is_quorum() || record.ha().and_then(|ha| ha.sync_automatic).unwrap_or(false)
}

/// True if a node is to hold a copy.
pub(crate) fn has_copy(record: &QueueRecord, node: NodeUuid) -> bool {
    let replicas = record.replicas.as_ref();
    replicas.is_some_and(|replicas| replicas.copy(node).is_some())
}

fn epoch_of(record: &QueueRecord) -> Option<Epoch> {
    record.replicas.as_ref().map(|replicas| replicas.epoch)
}

impl Led {
    /// Does something to the queue; then the log and the mirrors hear of it.
    pub fn work<R>(
        &mut self,
        shore: Shore<'_>,
        stamp: Option<queue::Stamp>,
        work: impl FnOnce(&mut Queue<Letter, u32>, &mut LedSink<'_>) -> R,
    ) -> (R, Safe) {
        let Led { queue, journal, .. } = self;
        let mut sink = LedSink {
            journal,
            shore,
            stamp,
            safe: Safe::default(),
        };
        let done = work(queue, &mut sink);
        let LedSink {
            journal, shore, safe, ..
        } = sink;
        let Shore { log, links, .. } = shore;
        journal.settle(queue, log, links);
        (done, safe)
    }

    /// What consumers have.
    pub fn out(&self) -> &[Slot] {
        &self.journal.out
    }
}

impl Node {
    /// What a command on one of its queues may touch.
    pub fn split<'a>(&'a mut self, queue: QueueId, world: &'a mut World<'_>) -> Option<(&'a mut Led, Shore<'a>)> {
        let led = self.led.get_mut(&queue)?;
        let shore = Shore {
            log: &mut self.log,
            links: &mut self.links,
            judge: world.judge,
            without: world.without,
            now: world.now,
        };
        Some((led, shore))
    }

    /// True if this very process leads a queue, as far as it knows.
    fn leads(&self, record: &QueueRecord) -> bool {
        match &record.replicas {
            None => record.leader == self.name,
            Some(replicas) => replicas.is_led_by(self.uuid, self.incarnation),
        }
    }

    fn settings(&self, record: &QueueRecord) -> Settings {
        Settings {
            durable: record.durable,
            replicated: record.replicas.is_some(),
            returns_in_turn: record.is_quorum(),
            resident_bytes_max: self.resident_max,
            ..Settings::from(&*record.settings)
        }
    }

    /// The process is gone: what was in memory is lost, and of what was not synced all but the first few notes.
    pub fn crash(&mut self, survive: usize) {
        self.stage = Stage::Down;
        self.led.clear();
        self.copies.clear();
        self.origin = Origin::default();
        self.log.crash(survive);
    }

    /// Learns the next entry.
    pub fn learn(&mut self, entry: &Command, world: &mut World<'_>) {
        let mut events = Vec::new();
        // What is refused changes nothing, on any node.
        let _answer = self.catalog.apply(entry.clone(), &mut events);
        self.applied += 1;
        match self.stage {
            Stage::Down => {}
            Stage::Starting => self.try_to_serve(world),
            Stage::Up => events.into_iter().for_each(|event| self.follow(event, world)),
        }
    }

    fn try_to_serve(&mut self, world: &mut World<'_>) {
        let known = self.catalog.node(self.uuid);
        if !known.is_some_and(|known| known.up && known.incarnation == self.incarnation) {
            return;
        }
        self.stage = Stage::Up;
        let records: Vec<Arc<QueueRecord>> = self.catalog.queues().cloned().collect();
        let mut found = self.log.queues();
        for record in records {
            if self.leads(&record) || has_copy(&record, self.uuid) {
                found.retain(|queue| *queue != record.id);
                let left = self.log.recover(record.id);
                self.settle_in(&record, left, false, world);
            }
        }
        for gone in found {
            self.log.append(Note::Forget(gone));
        }
    }

    fn follow(&mut self, event: Event, world: &mut World<'_>) {
        match event {
            Event::QueueDeclared(record) => self.settle_in(&record, Restored::default(), true, world),
            Event::QueueDeleted(record) => {
                self.copies.remove(&record.id);
                self.led.remove(&record.id);
                self.origin.lines.remove(&record.id);
                self.log.append(Note::Forget(record.id));
            }
            Event::QueueReplicasChanged { before, now } => self.follow_replicas(&before, &now, world),
            Event::QueueSettingsChanged(record) => self.adjust(&record, world),
            _ => {}
        }
    }

    fn adjust(&mut self, record: &QueueRecord, world: &mut World<'_>) {
        let settings = self.settings(record);
        let now = world.now;
        if let Some((led, shore)) = self.split(record.id, world) {
            led.work(shore, None, |queue, sink| queue.set_settings(now, settings, sink));
        } else if let Some(cell) = self.copies.get_mut(&record.id) {
            cell.copy.set_settings(&settings);
        }
        self.set_syncing(record);
    }

    /// Mirrors are synchronised in another way from now on.
    fn set_syncing(&mut self, record: &QueueRecord) {
        let Node { led, links, .. } = self;
        if let Some(stream) = led.get_mut(&record.id).and_then(|led| led.journal.stream.as_mut()) {
            stream.set_automatic(is_automatic(record), links, record.id);
        }
    }

    fn settle_in(&mut self, record: &QueueRecord, left: Restored, is_new: bool, world: &mut World<'_>) {
        if self.leads(record) {
            let delivered = left.delivered_to.clone();
            let queue = Queue::restore(self.settings(record), false, world.now, left);
            if record.replicas.is_none() {
                world.judge.begins_anew(record.id, &positions(&queue));
            }
            self.put_led(record, queue, known_of(is_new, world.without), delivered, world);
            self.begin_reign(record, world);
        } else if has_copy(record, self.uuid) {
            let copy = Copy::restore(&self.settings(record), left);
            let cell = CopyCell::new(copy, known_of(is_new, world.without), 0);
            self.copies.insert(record.id, cell);
        }
    }

    fn put_led(
        &mut self,
        record: &QueueRecord,
        queue: Queue<Letter, u32>,
        dedup: Dedup,
        delivered: Vec<Seq>,
        world: &World<'_>,
    ) {
        let holds = holds(&queue, record.id, world.judge);
        let led = Led {
            queue,
            dedup,
            journal: Journal::new(record.id, delivered, holds),
            waiting: Vec::new(),
            wants: Vec::new(),
            leaving: None,
        };
        self.led.insert(record.id, led);
    }

    /// A queue that this process leads begins its reign.
    fn begin_reign(&mut self, record: &QueueRecord, world: &World<'_>) {
        let (Some(replicas), Some(led)) = (&record.replicas, self.led.get_mut(&record.id)) else {
            return;
        };
        if world.without != Some(Rule::ReignNumbers) {
            led.queue.reign(Seq(replicas.epoch.0 << 44));
        }
        led.waiting.clear();
        led.wants.clear();
        led.leaving = None;
        // Before it was mirrored, nobody was told of transient messages.
        led.journal.holds = holds(&led.queue, record.id, world.judge);
        let died: Vec<(Seq, Letter)> = led.journal.died().map(|(seq, died)| (seq, died.letter)).collect();
        led.journal.holds.extend(died);
        led.journal.stream = Some(Stream {
            leader: Leader::new(record_of(replicas), Timing::default(), world.now),
            attached: Vec::new(),
            automatic: is_automatic(record),
            told: BTreeSet::new(),
        });
    }

    fn follow_replicas(&mut self, before: &QueueRecord, now: &Arc<QueueRecord>, world: &mut World<'_>) {
        match (self.led.contains_key(&now.id), self.leads(now)) {
            (true, true) => self.reign_on(before, now, world),
            (false, true) => self.promote(now, world),
            (true, false) => self.demote(now, world),
            (false, false) => self.keep_copy(before, now),
        }
    }

    fn reign_on(&mut self, before: &QueueRecord, now: &QueueRecord, world: &mut World<'_>) {
        if epoch_of(before) != epoch_of(now) {
            self.adjust(now, world);
            return self.begin_reign(now, world);
        }
        let Node { led, links, .. } = self;
        let stream = led.get_mut(&now.id).and_then(|led| led.journal.stream.as_mut());
        let (Some(stream), Some(replicas)) = (stream, &now.replicas) else {
            return;
        };
        stream.learn(record_of(replicas), links, now.id, world.now);
    }

    fn promote(&mut self, record: &Arc<QueueRecord>, world: &mut World<'_>) {
        let settings = self.settings(record);
        let none = || CopyCell::new(Copy::new(&settings), known_of(false, world.without), 0);
        let cell = self.copies.remove(&record.id).unwrap_or_else(none);
        let delivered = cell.copy.delivered_to().to_vec();
        let queue = cell.copy.promote(settings, false, world.now);
        self.put_led(record, queue, cell.dedup, delivered, world);
        let holds = self.led.get(&record.id).map(|led| &led.journal.holds);
        let back = holds.and_then(|holds| cell.removed.iter().find(|seq| holds.contains_key(seq)));
        if let Some(seq) = back {
            world
                .judge
                .breaks(|| format!("P5: {seq:?} of {:?} was removed here and is back", record.id));
        }
        self.begin_reign(record, world);
    }

    fn demote(&mut self, record: &Arc<QueueRecord>, world: &World<'_>) {
        let Some(led) = self.led.remove(&record.id) else { return };
        let (mut copy, _consumers) = led.queue.demote();
        if world.without != Some(Rule::DeadLiveAgain) {
            let (queue, log) = (record.id, &mut self.log);
            revive(&led.journal, &mut copy, &mut CopyEffects { queue, log });
        }
        if !has_copy(record, self.uuid) {
            let (queue, log) = (record.id, &mut self.log);
            copy.delete(&mut CopyEffects { queue, log });
            self.log.append(Note::Forget(record.id));
            return;
        }
        let safe_at = match world.without {
            Some(Rule::InheritedSync) => 0,
            _ => self.log.end(),
        };
        let cell = CopyCell::new(copy, led.dedup, safe_at);
        self.copies.insert(record.id, cell);
    }

    fn keep_copy(&mut self, before: &QueueRecord, now: &Arc<QueueRecord>) {
        let (queue, log) = (now.id, &mut self.log);
        match (self.copies.get_mut(&queue), has_copy(now, self.uuid)) {
            (Some(cell), true) if epoch_of(before) != epoch_of(now) => cell.follower.leave(),
            (Some(_), true) | (None, false) => {}
            (None, true) => {
                let copy = Copy::new(&self.settings(now));
                let cell = CopyCell::new(copy, Dedup::partial(), 0);
                self.copies.insert(queue, cell);
            }
            (Some(cell), false) => {
                cell.copy.delete(&mut CopyEffects { queue, log });
                self.copies.remove(&queue);
                self.log.append(Note::Forget(queue));
            }
        }
    }

    /// A consumer comes to a queue that is led here, if none is there.
    pub fn consume(&mut self, queue: QueueId, consumer: u64, no_ack: bool, world: &mut World<'_>) {
        let now = world.now;
        let Some((led, shore)) = self.split(queue, world) else {
            return;
        };
        let subscription = Subscription {
            id: model::ConsumerId(consumer),
            handle: 0,
            no_ack,
            prefetch: 2,
            exclusive: false,
            priority: 0,
        };
        if led.queue.counts().consumers == 0 {
            // Nobody is there who could hold it exclusively.
            led.work(shore, None, |queue, sink| queue.subscribe(now, subscription, sink))
                .0
                .ok();
        }
    }
}
