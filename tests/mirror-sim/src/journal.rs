//! A led queue's line to the log and to its mirrors, as the broker has it: enqueues are told at once, the rest when a command
//! is over, all in the queue's order.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use mirror::{Leader, Progress, Record, Word};
use model::{Epoch, Generation, Millis, NodeUuid, PageId, QueueId, Runs, Seq};
use queue::{Death, Delivery, DirectSink, Paged, Queue, Retire, Sink, Slot, Stamp, Stored, Taken};

use crate::judge::Judge;
use crate::links::Links;
use crate::log::{Kept, Log, Note};
use crate::message::{Arriving, Letter};
use crate::rules::Rule;

/// When something is safe; positions count from one, 0 is nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Safe {
    /// The log is synced so far.
    pub lsn: u64,
    /// Mirrors have it in memory ...
    pub held: u64,
    /// ... and on disk.
    pub durable: u64,
}

/// A mirror that is attached.
#[derive(Clone, Copy, Debug)]
pub struct Attached {
    /// To which node.
    pub to: usize,
    /// Over which link.
    pub link: u64,
    /// What its answers name.
    pub attachment: u64,
    /// It fetches what it lacks.
    pub pulls: bool,
}

/// The stream of a reign.
#[derive(Clone, Debug)]
pub struct Stream {
    /// Who decides.
    pub leader: Leader,
    /// The mirrors.
    pub attached: Vec<Attached>,
    /// New mirrors fetch what they lack.
    pub automatic: bool,
    /// So do these, by an administrator's word, until they count.
    pub told: BTreeSet<NodeUuid>,
}

/// What a led queue tells.
pub struct Journal {
    /// Of which queue.
    pub queue: QueueId,
    /// The stream, if the queue has ever been mirrored.
    pub stream: Option<Stream>,
    gone: Vec<(Seq, Seq)>,
    returned: Vec<(Seq, u32)>,
    delivered: Vec<Seq>,
    /// What the queue holds.
    pub holds: BTreeMap<Seq, Letter>,
    /// What consumers have and have not settled.
    pub out: Vec<Slot>,
    /// Messages that died and are to go to another queue, in order.
    pub letters: VecDeque<Died>,
    /// Those that went, and are not known to be safe there.
    pub leaving: Vec<Leaving>,
}

/// A message that died.
#[derive(Clone, Copy, Debug)]
pub struct Died {
    /// It.
    pub letter: Letter,
    /// Its place, of which the log or mirrors know.
    pub stored: Option<Seq>,
    /// Its time was over.
    pub expired: bool,
}

impl Died {
    /// It dies again when another leads before its letter is safe.
    pub fn expires(&self) -> Millis {
        if self.expired { Millis(0) } else { queue::NEVER }
    }
}

/// A letter on its way.
#[derive(Clone, Copy, Debug)]
pub struct Leaving {
    /// The message.
    pub died: Died,
    /// Where it went.
    pub to: Landed,
}

/// A letter in the queue that it went to.
#[derive(Clone, Copy, Debug)]
pub struct Landed {
    /// At which place that is led.
    pub at: usize,
    /// By which start of the node.
    pub incarnation: u64,
    /// The queue.
    pub queue: QueueId,
    /// In which reign.
    pub epoch: Epoch,
    /// When it is safe there.
    pub safe: Safe,
}

/// Everything that a command on a led queue may touch.
pub struct Shore<'a> {
    /// The node's log.
    pub log: &'a mut Log,
    /// Its links.
    pub links: &'a mut Links,
    /// The judge.
    pub judge: &'a mut Judge,
    /// The rule that is left out.
    pub without: Option<Rule>,
    /// The time.
    pub now: Millis,
}

impl Stream {
    /// Tells the mirrors an operation.
    fn tell(&mut self, links: &mut Links, queue: QueueId, awaited: bool, word: impl Fn(u64) -> Word<'static>) -> u64 {
        let pos = self.leader.step(awaited);
        for attached in &self.attached {
            links.say(attached.to, queue, &word(pos));
        }
        self.leader.look();
        pos
    }

    /// Attaches a mirror over an open link: all that lives is listed, and every operation told from now on.
    pub fn attach(
        &mut self,
        links: &mut Links,
        queue: QueueId,
        (to, attachment): (usize, u64),
        as_of: Generation,
        holds: &Inventory,
        now: Millis,
    ) {
        let (Some((link, incarnation)), node) = (links.open_to(to), links.uuid(to)) else {
            return;
        };
        let Some(copy) = self.leader.record().copy_on(node).copied() else {
            return;
        };
        self.attached.retain(|attached| attached.to != to);
        let pulls = copy.state.is_counted() || self.automatic || self.told.contains(&node);
        let word = Word::Attach {
            attachment,
            epoch: self.leader.record().epoch,
            as_of,
            pos: self.leader.pos(),
            pulls,
            batch: 3,
        };
        links.say(to, queue, &word);
        holds.tell(links, queue, to);
        self.leader.attach(node, incarnation, now);
        self.attached.push(Attached {
            to,
            link,
            attachment,
            pulls,
        });
    }

    /// The definitions say something else of the copies; the reign goes on.
    pub fn learn(&mut self, record: Record, links: &mut Links, queue: QueueId, now: Millis) {
        let counts = |node: &NodeUuid| record.copy_on(*node).is_none_or(|copy| copy.state.is_counted());
        self.told.retain(|node| !counts(node));
        let ended = self.leader.learn(record, now);
        self.attached
            .retain(|attached| !ended.contains(&links.uuid(attached.to)));
        self.pull(links, queue, |is_counted| is_counted.then_some(true));
    }

    /// Mirrors fetch by themselves, or no more.
    pub fn set_automatic(&mut self, automatic: bool, links: &mut Links, queue: QueueId) {
        let was_automatic = std::mem::replace(&mut self.automatic, automatic);
        if automatic && !was_automatic {
            self.sync(true, links, queue);
        }
    }

    /// Mirrors fetch what they lack from now on, or those that do not count stop.
    pub fn sync(&mut self, wanted: bool, links: &mut Links, queue: QueueId) {
        self.told.clear();
        let lacking = self
            .leader
            .record()
            .mirrors()
            .filter(|copy| wanted && !copy.state.is_counted());
        self.told.extend(lacking.map(|copy| copy.node));
        self.pull(links, queue, |is_counted| Some(wanted || is_counted));
    }

    fn pull(&mut self, links: &mut Links, queue: QueueId, wanted: impl Fn(bool) -> Option<bool>) {
        for attached in &mut self.attached {
            let copy = self.leader.record().copy_on(links.uuid(attached.to));
            let wanted = wanted(copy.is_some_and(|copy| copy.state.is_counted()));
            if let Some(pulls) = wanted.filter(|pulls| *pulls != attached.pulls) {
                attached.pulls = pulls;
                links.say(attached.to, queue, &Word::Pull(pulls));
            }
        }
    }

    /// True if this is the mirror as it is attached now.
    pub fn hears(&self, to: usize, link: u64, attachment: u64) -> bool {
        let is = |attached: &Attached| (attached.to, attached.link, attached.attachment) == (to, link, attachment);
        self.attached.iter().any(is)
    }

    /// True once every copy that counts has so much.
    pub fn is_reached(&self, safe: &Safe) -> bool {
        let Progress { held, durable } = self.leader.reached();
        let number = |pos: Option<u64>| pos.map_or(0, |pos| pos + 1);
        number(held) >= safe.held && number(durable) >= safe.durable
    }
}

/// What a queue holds when a mirror is attached.
pub struct Inventory {
    runs: Vec<(Seq, Seq)>,
    returned: Vec<(Seq, u32)>,
    delivered: Vec<(u8, Seq)>,
}

impl Inventory {
    /// Of a queue, with what died and has not gone.
    pub fn of(queue: &Queue<Letter, u32>, journal: &Journal) -> Self {
        Inventory {
            runs: places(queue, journal),
            returned: queue.returns(Seq(0), Seq(u64::MAX)),
            delivered: (0..).zip(queue.delivered_to().iter().copied()).collect(),
        }
    }

    fn tell(&self, links: &mut Links, queue: QueueId, to: usize) {
        list(links, queue, to, &self.runs);
        let pos = 0;
        if !self.returned.is_empty() {
            let counts = self.returned.clone();
            links.say(to, queue, &Word::Returned { pos, counts });
        }
        let levels = self.delivered.clone();
        links.say(to, queue, &Word::Delivered { pos, levels });
        links.say(to, queue, &Word::AllListed);
    }
}

/// What is in its place, dead or alive.
pub fn places(queue: &Queue<Letter, u32>, journal: &Journal) -> Vec<(Seq, Seq)> {
    let mut runs = Runs::default();
    for (first, last) in queue.runs(Seq(0), usize::MAX) {
        runs.insert(first, last);
    }
    journal.died().for_each(|(seq, _)| runs.insert(seq, seq));
    runs.iter().collect()
}

/// Tells what lives: ranges that follow each other.
fn list(links: &mut Links, queue: QueueId, to: usize, holds: &[(Seq, Seq)]) {
    const RUNS_MAX: usize = 2;
    let (mut first, mut rest) = (Seq(0), holds);
    while rest.len() > RUNS_MAX {
        let (some, more) = rest.split_at(RUNS_MAX);
        let last = some[RUNS_MAX - 1].1;
        let runs = some.to_vec();
        links.say(to, queue, &Word::Base { first, last, runs });
        (first, rest) = (last.next(), more);
    }
    let (last, runs) = (Seq(u64::MAX), rest.to_vec());
    links.say(to, queue, &Word::Base { first, last, runs });
}

impl Journal {
    /// Of a queue that holds this already.
    pub fn new(queue: QueueId, delivered: Vec<Seq>, holds: BTreeMap<Seq, Letter>) -> Self {
        Journal {
            queue,
            stream: None,
            gone: Vec::new(),
            returned: Vec::new(),
            delivered,
            holds,
            out: Vec::new(),
            letters: VecDeque::new(),
            leaving: Vec::new(),
        }
    }

    /// Messages that died and are in their places still.
    pub fn died(&self) -> impl Iterator<Item = (Seq, Died)> + '_ {
        let leaving = self.leaving.iter().map(|leaving| leaving.died);
        let all = self.letters.iter().copied().chain(leaving);
        all.filter_map(|died| Some((died.stored?, died)))
    }

    /// A letter is safe where it went, or goes nowhere.
    pub fn forget_letter(&mut self, died: Died) {
        if let Some(seq) = died.stored {
            self.holds.remove(&seq);
            self.gone.push((seq, seq));
        }
    }

    /// The reign, or that of a queue that was never mirrored.
    pub fn epoch(&self) -> Epoch {
        self.stream
            .as_ref()
            .map_or(Epoch(0), |stream| stream.leader.record().epoch)
    }

    /// When everything is safe that has ever been told. It is waited for.
    pub fn all_safe(&mut self, persistent: bool, end: u64) -> Safe {
        let held = self.stream.as_mut().map_or(0, |stream| stream.leader.want_all() + 1);
        Safe {
            lsn: if persistent { end } else { 0 },
            held,
            durable: if persistent { held } else { 0 },
        }
    }

    fn keep(&mut self, shore: &mut Shore<'_>, stored: Stored, arriving: &Arriving, stamp: Option<&Stamp>) -> Safe {
        let letter = arriving.letter;
        shore.judge.is_at(self.queue, stored.seq, letter);
        self.holds.insert(stored.seq, letter);
        let kept = Kept {
            level: stored.level,
            expires: stored.expires,
            letter,
        };
        let lsn = match stored.persistent {
            true => shore.log.append(Note::Enqueue(self.queue, stored.seq, kept)),
            false => 0,
        };
        let Some(stream) = &mut self.stream else {
            return Safe { lsn, ..Safe::default() };
        };
        let stamp = stamp.filter(|_| shore.without != Some(Rule::DedupTravels));
        let pos = stream.leader.step(true);
        for attached in &stream.attached {
            let body = letter.body();
            let entry = entry(stored.seq, &kept, 0, stamp, &body);
            shore.links.say(attached.to, self.queue, &Word::Enqueue { pos, entry });
        }
        stream.leader.look();
        let held = pos + 1;
        let durable = if stored.persistent { held } else { 0 };
        Safe { lsn, held, durable }
    }

    /// A command is over: the log and the mirrors hear what it has done.
    pub fn settle(&mut self, queue: &Queue<Letter, u32>, log: &mut Log, links: &mut Links) {
        let counts = std::mem::take(&mut self.returned);
        if let Some(stream) = self.stream.as_mut().filter(|_| !counts.is_empty()) {
            let word = |pos| Word::Returned {
                pos,
                counts: counts.clone(),
            };
            stream.tell(links, self.queue, false, word);
        }
        let mut gone = std::mem::take(&mut self.gone);
        if !gone.is_empty() {
            gone.sort_unstable();
            log.append(Note::Remove(self.queue, gone.clone()));
            if let Some(stream) = &mut self.stream {
                let word = |pos| Word::Remove {
                    pos,
                    runs: gone.clone(),
                };
                stream.tell(links, self.queue, false, word);
            }
        }
        if queue.counts().unacked.messages > 0 && self.delivered != queue.delivered_to() {
            self.delivered = queue.delivered_to().to_vec();
            let levels: Vec<(u8, Seq)> = (0..).zip(self.delivered.iter().copied()).collect();
            log.append(Note::Delivered(self.queue, levels.clone()));
            if let Some(stream) = &mut self.stream {
                let word = |pos| Word::Delivered {
                    pos,
                    levels: levels.clone(),
                };
                stream.tell(links, self.queue, false, word);
            }
        }
    }
}

/// A message in the mirrors' words.
pub fn entry<'a>(seq: Seq, kept: &Kept, returns: u32, stamp: Option<&Stamp>, body: &'a [u8]) -> mirror::Entry<'a> {
    mirror::Entry {
        seq,
        level: kept.level,
        expires: kept.expires,
        returns,
        persistent: kept.letter.persistent,
        origin: stamp.map(|stamp| mirror::Origin {
            node: stamp.origin.node,
            stream: stamp.origin.stream,
            incarnation: stamp.incarnation,
            number: stamp.sequence,
            floor: stamp.floor,
        }),
        exchange: b"",
        routing_key: b"",
        properties: b"",
        body,
    }
}

/// Where the effects of a led queue go.
pub struct LedSink<'a> {
    /// Its journal.
    pub journal: &'a mut Journal,
    /// What it may touch.
    pub shore: Shore<'a>,
    /// Of the publish that is under way.
    pub stamp: Option<Stamp>,
    /// When it is safe.
    pub safe: Safe,
}

impl LedSink<'_> {
    fn hand_out(&mut self, delivery: Delivery, letter: Letter) -> Taken {
        match delivery.slot {
            Some(slot) => self.journal.out.push(slot),
            None => self.shore.judge.gone(letter.id),
        }
        Taken::Yes
    }
}

impl Sink<Letter, u32> for LedSink<'_> {
    fn subscribed(&mut self, _consumer: &u32) {}

    fn offer(&mut self, _to: &u32, message: &Letter, delivery: Delivery) -> Taken {
        self.hand_out(delivery, *message)
    }

    fn has_room_for_letter(&mut self) -> bool {
        true
    }

    fn dead_letter(&mut self, letter: Letter, stored: Option<Seq>, why: Death) {
        self.shore.judge.died(letter.id);
        let expired = why == Death::Expired;
        self.journal.letters.push_back(Died {
            letter,
            stored,
            expired,
        });
    }

    fn removed(&mut self, first: Seq, last: Seq, _persistent: bool) {
        let gone: Vec<Seq> = self.journal.holds.range(first..=last).map(|(seq, _)| *seq).collect();
        for seq in gone {
            if let Some(letter) = self.journal.holds.remove(&seq) {
                self.shore.judge.gone(letter.id);
            }
        }
        match self.journal.gone.last_mut() {
            Some((_, end)) if end.next() == first => *end = last,
            _ => self.journal.gone.push((first, last)),
        }
    }

    fn returned(&mut self, seq: Seq, delivery_count: u32) {
        self.journal.returned.push((seq, delivery_count));
    }

    fn page_out(&mut self, _level: u8, messages: Vec<Paged<Letter>>) -> PageId {
        self.shore.log.page_out(messages)
    }

    fn load(&mut self, page: PageId) {
        self.shore.log.loads.push_back((self.journal.queue, page));
    }

    fn discard(&mut self, page: PageId) {
        self.shore.log.discard(page);
    }

    fn activated(&mut self, _consumer: &u32) {}

    fn cancelled(&mut self, _consumer: &u32) {}

    fn retire(&mut self, _why: Retire) {}
}

impl DirectSink<Arriving, u32> for LedSink<'_> {
    fn offer_direct(&mut self, _to: &u32, incoming: &Arriving, delivery: Delivery) -> Taken {
        self.hand_out(delivery, incoming.letter)
    }

    fn store(&mut self, stored: Stored, incoming: &mut Arriving) {
        let safe = self
            .journal
            .keep(&mut self.shore, stored, incoming, self.stamp.as_ref());
        self.safe = safe;
    }
}
