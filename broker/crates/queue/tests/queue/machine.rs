//! Runs a script on the real queue, writes its effects down, and checks after every command what must always hold.
//!
//! One segment per command, `-` where nothing happened:
//! `keep a` copied out of the read buffer; `c1#2 a` delivery 2 to consumer 1; `c1 a` one without acknowledgement;
//! `a*1` redelivered, back once; `got #2 a left=3`; `dead a expired`; `retire unused`. Where the store is shown:
//! `store a 1` at position 1; `removed 1`; `stored 1` after a death: the host takes it out; `out p1 a b`; `load p1`;
//! `discard p1`.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use model::{ConsumerId, Millis, PageId, Seq};
use queue::{
    Copied, Copy, Death, Delivery, DirectSink, Facts, Fetched, Got, Incoming, Message, Paged, Published, Queue,
    Restored, Retire, Settings, Settle, Sink, Slot, Stored, SubscribeError, Subscription, Taken,
};

use crate::script::{Command, Letter, Reader, Setup, parse};
use crate::store::Store;

/// Runs `script` and compares what happened.
#[track_caller]
pub(crate) fn check(script: &str, expected: &str) {
    compare(script, expected, false);
}

/// As [`check`], with what the store is told.
#[track_caller]
pub(crate) fn check_store(script: &str, expected: &str) {
    compare(script, expected, true);
}

#[track_caller]
fn compare(script: &str, expected: &str, shows_store: bool) {
    let (setup, commands) = parse(script);
    let mut machine = Machine::new(&setup);
    machine.sink.shows_store = shows_store;
    let happened: Vec<String> = commands
        .iter()
        .map(|command| segment(&machine.apply(command)))
        .collect();
    assert_eq!(happened.join(" | "), expected, "\n script: {script}");
}

/// Runs `script` and hands the queue over for a look.
pub(crate) fn after(script: &str) -> Machine {
    let (setup, commands) = parse(script);
    let mut machine = Machine::new(&setup);
    for command in &commands {
        machine.apply(command);
    }
    machine
}

fn segment(effects: &[String]) -> String {
    if effects.is_empty() {
        "-".to_owned()
    } else {
        effects.join(", ")
    }
}

pub(crate) type Kept = Rc<Letter>;

/// Memory that the queue counts for each letter; a page of a small queue is two of them.
pub(crate) const LETTER_BYTES: u64 = 2_048;

/// A letter in the "read buffer".
struct Arriving {
    letter: Letter,
    kept: Option<Kept>,
    journal: Rc<RefCell<Vec<String>>>,
}

impl Message for KeptLetter {
    fn body_bytes(&self) -> u64 {
        self.0.bytes
    }

    fn is_persistent(&self) -> bool {
        self.0.persistent
    }

    fn resident_bytes(&self) -> u64 {
        LETTER_BYTES - 16
    }
}

#[derive(Clone, Debug)]
pub(crate) struct KeptLetter(pub(crate) Kept);

impl Incoming for Arriving {
    type Message = KeptLetter;

    fn facts(&self) -> Facts {
        let Letter {
            bytes,
            priority,
            ttl,
            persistent,
            ..
        } = self.letter;
        Facts {
            body_bytes: bytes,
            priority,
            ttl: ttl.map(Millis),
            persistent,
        }
    }

    fn keep(&mut self) -> KeptLetter {
        assert!(self.kept.is_none(), "kept twice");
        self.journal.borrow_mut().push(format!("keep {}", self.letter.name));
        let kept = Rc::new(self.letter.clone());
        self.kept = Some(kept.clone());
        KeptLetter(kept)
    }
}

/// Writes effects down; takes deliveries except for blocked consumers.
#[derive(Default)]
pub(crate) struct Recorder {
    journal: Rc<RefCell<Vec<String>>>,
    blocked: BTreeSet<u64>,
    /// Slots of the numbered deliveries, number 1 first; none is left after a restart.
    slots: Vec<Option<Slot>>,
    /// Where each message stands, by its name; it never changes.
    seqs: BTreeMap<String, Seq>,
    /// Room for so many letters; `None` = no end.
    room: Option<usize>,
    /// Room was asked for in vain: the queue may wait until it is told to go on.
    is_full: bool,
    /// The store's effects are written down too.
    shows_store: bool,
    pub(crate) store: Store,
    /// What copies are told, since somebody last asked.
    operations: Vec<Operation>,
}

/// What a leader tells its mirrors.
#[derive(Clone, Debug)]
pub(crate) enum Operation {
    Enqueue(Copied<KeptLetter>),
    Remove(Seq, Seq),
    Returned(Seq, u32),
    Delivered(u8, Seq),
}

impl Recorder {
    fn note(&self, text: String) {
        self.journal.borrow_mut().push(text);
    }

    fn note_store(&self, text: String) {
        if self.shows_store {
            self.note(text);
        }
    }

    fn take(&mut self, to: u64, letter: &Letter, delivery: Delivery) -> Taken {
        if self.blocked.contains(&to) {
            self.note(format!("c{to} blocked"));
            return Taken::Blocked;
        }
        let number = self.number(delivery.slot);
        self.stands_at(&letter.name, delivery.seq);
        self.note(format!("c{to}{number} {}{}", letter.name, again(&delivery)));
        Taken::Yes
    }

    fn stands_at(&mut self, name: &str, seq: Seq) {
        let first = *self.seqs.entry(name.to_owned()).or_insert(seq);
        assert_eq!(first, seq, "{name} changed its position");
    }

    fn number(&mut self, slot: Option<Slot>) -> String {
        let Some(slot) = slot else { return String::new() };
        self.slots.push(Some(slot));
        format!("#{}", self.slots.len())
    }
}

fn again(delivery: &Delivery) -> String {
    match delivery.redelivered {
        true => format!("*{}", delivery.delivery_count),
        false => {
            assert_eq!(delivery.delivery_count, 0);
            String::new()
        }
    }
}

impl Sink<KeptLetter, u64> for Recorder {
    fn subscribed(&mut self, consumer: &u64) {
        self.note(format!("ok c{consumer}"));
    }

    fn offer(&mut self, to: &u64, message: &KeptLetter, delivery: Delivery) -> Taken {
        self.take(*to, &message.0, delivery)
    }

    fn has_room_for_letter(&mut self) -> bool {
        self.is_full |= self.room == Some(0);
        self.room != Some(0)
    }

    fn dead_letter(&mut self, message: KeptLetter, stored: Option<Seq>, why: Death) {
        self.room = self.room.map(|room| room.saturating_sub(1));
        self.note(format!("dead {} {}", message.0.name, why.as_str()));
        if let Some(seq) = stored {
            self.store.died(seq, message.0.persistent);
            self.operations.push(Operation::Remove(seq, seq));
            self.note_store(format!("stored {}", seq.0));
        }
    }

    fn removed(&mut self, first: Seq, last: Seq, persistent: bool) {
        self.store.removed(first, last, persistent);
        self.operations.push(Operation::Remove(first, last));
        self.note_store(match first == last {
            true => format!("removed {}", first.0),
            false => format!("removed {}-{}", first.0, last.0),
        });
    }

    fn returned(&mut self, seq: Seq, delivery_count: u32) {
        self.operations.push(Operation::Returned(seq, delivery_count));
        self.note_store(format!("returned {}*{delivery_count}", seq.0));
    }

    fn page_out(&mut self, level: u8, messages: Vec<Paged<KeptLetter>>) -> PageId {
        let names: Vec<&str> = messages.iter().map(|paged| paged.message.0.name.as_str()).collect();
        let text = names.join(" ");
        let page = self.store.page_out(level, messages);
        self.note_store(format!("out p{} {text}", page.0));
        page
    }

    fn load(&mut self, page: PageId) {
        self.store.load(page);
        self.note_store(format!("load p{}", page.0));
    }

    fn discard(&mut self, page: PageId) {
        self.store.discard(page);
        self.note_store(format!("discard p{}", page.0));
    }

    fn activated(&mut self, consumer: &u64) {
        self.note(format!("active c{consumer}"));
    }

    fn cancelled(&mut self, consumer: &u64) {
        self.note(format!("cancelled c{consumer}"));
    }

    fn retire(&mut self, why: Retire) {
        let why = match why {
            Retire::LastConsumerGone => "last consumer gone",
            Retire::Unused => "unused",
        };
        self.note(format!("retire: {why}"));
    }
}

impl DirectSink<Arriving, u64> for Recorder {
    fn offer_direct(&mut self, to: &u64, incoming: &Arriving, delivery: Delivery) -> Taken {
        self.take(*to, &incoming.letter, delivery)
    }

    fn store(&mut self, stored: Stored, incoming: &mut Arriving) {
        assert!(incoming.letter.persistent || !stored.persistent);
        self.store.store(stored, &incoming.letter);
        self.operations.push(Operation::Enqueue(Copied {
            seq: stored.seq,
            level: stored.level,
            expires: stored.expires,
            delivery_count: 0,
            delivered: false,
            message: KeptLetter(Rc::new(incoming.letter.clone())),
        }));
        let name = &incoming.letter.name;
        self.stands_at(name, stored.seq);
        self.note_store(format!("store {name} {}", stored.seq.0));
    }
}

pub(crate) struct Machine {
    pub(crate) queue: Queue<KeptLetter, u64>,
    pub(crate) now: Millis,
    sink: Recorder,
    auto_delete: bool,
    deleted: bool,
    /// Messages that were restored and not lost.
    base: i128,
}

impl Machine {
    pub(crate) fn new(setup: &Setup) -> Self {
        let now = Millis(1_000);
        Self {
            queue: Queue::new(setup.settings, setup.auto_delete, now),
            now,
            sink: Recorder::default(),
            auto_delete: setup.auto_delete,
            deleted: false,
            base: 0,
        }
    }

    /// Names of the messages that would survive a restart, in order of arrival.
    pub(crate) fn lasting(&self) -> Vec<&str> {
        self.sink.store.lasting().map(|letter| letter.name.as_str()).collect()
    }

    pub(crate) fn store(&mut self) -> &mut Store {
        &mut self.sink.store
    }

    /// The queue that a copy becomes.
    pub(crate) fn promote(copy: Copy<KeptLetter>, store: Store, settings: Settings, now: Millis) -> Self {
        let mut machine = Self::new(&Setup {
            settings,
            auto_delete: false,
        });
        machine.base = i128::from(copy.tally().messages);
        machine.now = now;
        machine.sink.store = store;
        machine.queue = copy.promote(settings, false, now);
        machine
    }

    /// The copy that the queue becomes, and its store.
    pub(crate) fn demote(self) -> (Copy<KeptLetter>, Store) {
        (self.queue.demote().0, self.sink.store)
    }

    /// What mirrors are to be told since the last time.
    pub(crate) fn take_operations(&mut self) -> Vec<Operation> {
        let mut operations = std::mem::take(&mut self.sink.operations);
        let delivered = (0..=u8::MAX).zip(self.queue.delivered_to());
        operations.extend(delivered.map(|(level, upto)| Operation::Delivered(level, *upto)));
        operations
    }

    /// A page comes with these messages; returns how many of it are lost.
    pub(crate) fn bring(&mut self, page: PageId, messages: Vec<Paged<KeptLetter>>) -> u64 {
        self.queue.loaded(self.now, page, messages, &mut self.sink)
    }

    /// The queue becomes a copy and a queue again; if `answers`, all pages on their way come to the copy.
    fn hand_over(&mut self, answers: bool) {
        let settings = *self.queue.settings();
        let empty = Queue::new(settings, false, self.now);
        let (mut copy, consumers) = std::mem::replace(&mut self.queue, empty).demote();
        assert!(consumers.is_sorted());
        let wanted = self.sink.store.wanted();
        for (page, _) in wanted.into_iter().filter(|_| answers) {
            let messages = self.sink.store.answer(page, &[]);
            assert_eq!(copy.loaded(page, messages, &mut self.sink.store), 0);
        }
        self.base = i128::from(copy.tally().messages);
        self.sink.blocked.clear();
        self.queue = copy.promote(settings, self.auto_delete, self.now);
    }

    /// How many deliveries have been numbered so far.
    pub(crate) fn deliveries(&self) -> usize {
        self.sink.slots.len()
    }

    /// Runs one command, checks what must hold after every one, and returns the effects.
    pub(crate) fn apply(&mut self, command: &Command) -> Vec<String> {
        let outcome = self.perform(command);
        self.assert_invariants();
        let mut effects = std::mem::take(&mut *self.sink.journal.borrow_mut());
        effects.extend(outcome);
        effects
    }

    fn perform(&mut self, command: &Command) -> Option<String> {
        let Self { queue, now, sink, .. } = self;
        match command {
            Command::Publish(letter) => self.publish(letter),
            Command::Subscribe(reader) => self.subscribe(reader),
            Command::Cancel(id) => match queue.cancel(*now, ConsumerId(*id), sink) {
                Some(_) => None,
                None => Some("unknown consumer".to_owned()),
            },
            Command::Block(id) => {
                sink.blocked.insert(*id);
                None
            }
            Command::Ready(id) => {
                sink.blocked.remove(id);
                queue.consumer_ready(*now, ConsumerId(*id), sink);
                None
            }
            Command::Get { no_ack } => self.get(*no_ack),
            Command::Settle(how, deliveries) => self.settle(*how, deliveries),
            Command::Depart(consumers, deliveries) => self.depart(consumers, deliveries),
            Command::Purge => self.purge(),
            Command::Wait(span) => {
                *now = now.after(Millis(*span));
                None
            }
            Command::Tick => {
                queue.tick(*now, sink);
                None
            }
            Command::Room(room) => {
                sink.room = Some(*room);
                None
            }
            Command::GoOn => self.go_on(),
            Command::Redeclare => {
                queue.touch(*now);
                None
            }
            Command::Set(settings) => {
                queue.set_settings(*now, *settings, sink);
                None
            }
            Command::Load { which, lost } => self.load(*which, lost),
            Command::Shrink(bytes) => {
                queue.shrink(*bytes, sink);
                None
            }
            Command::Restart(groups) => {
                self.restart(groups);
                None
            }
            Command::HandOver { answers } => {
                self.hand_over(*answers);
                None
            }
            Command::Delete => self.delete(),
        }
    }

    fn delete(&mut self) -> Option<String> {
        self.deleted = true;
        let counts = self.queue.delete(&mut self.sink);
        Some(format!(
            "deleted ready={} unacked={}",
            counts.ready.messages, counts.unacked.messages
        ))
    }

    fn depart(&mut self, consumers: &[u64], deliveries: &[usize]) -> Option<String> {
        let consumers: Vec<_> = consumers.iter().copied().map(ConsumerId).collect();
        let slots = deliveries.iter().filter_map(|number| self.sink.slots[number - 1]);
        let slots: Vec<_> = slots.collect();
        self.queue.depart(self.now, &consumers, slots, &mut self.sink);
        None
    }

    fn go_on(&mut self) -> Option<String> {
        self.sink.is_full = false;
        self.queue.go_on(self.now, &mut self.sink);
        None
    }

    fn purge(&mut self) -> Option<String> {
        self.sink.store.is_purging = true;
        let purged = self.queue.purge(&mut self.sink);
        self.sink.store.is_purging = false;
        Some(format!("purged {purged}"))
    }

    fn publish(&mut self, letter: &Letter) -> Option<String> {
        let journal = Rc::clone(&self.sink.journal);
        let mut arriving = Arriving {
            letter: letter.clone(),
            kept: None,
            journal,
        };
        match self.queue.publish(self.now, &mut arriving, &mut self.sink) {
            Published::Accepted(seq) => {
                self.sink.stands_at(&letter.name, seq);
                None
            }
            Published::Rejected => Some("rejected".to_owned()),
        }
    }

    fn subscribe(&mut self, reader: &Reader) -> Option<String> {
        let Reader {
            id,
            no_ack,
            prefetch,
            exclusive,
            priority,
        } = *reader;
        let subscription = Subscription {
            id: ConsumerId(id),
            handle: id,
            no_ack,
            prefetch,
            exclusive,
            priority,
        };
        match self.queue.subscribe(self.now, subscription, &mut self.sink) {
            Ok(()) => None,
            Err(SubscribeError::ExclusiveUse) => Some("in exclusive use".to_owned()),
            Err(SubscribeError::IdInUse(_)) => Some("id in use".to_owned()),
        }
    }

    fn get(&mut self, no_ack: bool) -> Option<String> {
        let Got {
            message,
            delivery,
            ready_left,
        } = match self.queue.get(self.now, no_ack, &mut self.sink) {
            Fetched::Got(got) => got,
            Fetched::Empty => return Some("empty".to_owned()),
            Fetched::Loading => return Some("loading".to_owned()),
        };
        let number = self.sink.number(delivery.slot);
        self.sink.stands_at(&message.0.name, delivery.seq);
        Some(format!(
            "got{number} {}{} left={ready_left}",
            message.0.name,
            again(&delivery)
        ))
    }

    fn settle(&mut self, how: Settle, deliveries: &[usize]) -> Option<String> {
        let slots: Vec<_> = deliveries
            .iter()
            .filter_map(|number| self.sink.slots[number - 1])
            .collect();
        let is_old = slots.len() < deliveries.len();
        match self.queue.settle_all(self.now, slots, how, &mut self.sink) {
            Ok(()) if !is_old => None,
            Ok(()) | Err(_) => Some("unknown slot".to_owned()),
        }
    }

    fn load(&mut self, which: usize, lost: &[String]) -> Option<String> {
        let store = &mut self.sink.store;
        let (page, names) = store.wanted().get(which).expect("a page is wanted").clone();
        let lost: Vec<String> = names.into_iter().filter(|name| lost.contains(name)).collect();
        let messages = store.answer(page, &lost);
        let missing = self.queue.loaded(self.now, page, messages, &mut self.sink);
        self.base -= i128::from(missing);
        if missing == 0 {
            return None;
        }
        // Else the page had been purged: nothing was lost.
        assert_eq!(missing, lost.len() as u64);
        self.sink.store.forget(&lost);
        Some(format!("lost {missing}"))
    }

    fn restart(&mut self, groups: &[usize]) {
        let Self { queue, sink, .. } = self;
        let restored = Restored {
            last_seq: sink.seqs.values().copied().max().unwrap_or_default(),
            delivered_to: queue.delivered_to().to_vec(),
            pages: sink.store.restart(groups, |letter| KeptLetter(Rc::new(letter.clone()))),
        };
        sink.blocked.clear();
        sink.slots.iter_mut().for_each(|slot| *slot = None);
        self.base = restored.pages.iter().map(|page| i128::from(page.tally.messages)).sum();
        self.queue = Queue::restore(*self.queue.settings(), self.auto_delete, self.now, restored);
    }

    fn assert_invariants(&self) {
        let counts = self.queue.counts();
        let mut held = 0;
        for consumer in self.queue.consumers() {
            let limit = if consumer.prefetch == 0 {
                u32::MAX
            } else {
                consumer.prefetch.into()
            };
            assert!(consumer.unacked <= limit, "credit exceeded by {consumer:?}");
            assert!(
                !consumer.no_ack || consumer.unacked == 0,
                "nothing to acknowledge for {consumer:?}"
            );
            let able = consumer.active && !consumer.parked && (consumer.no_ack || consumer.unacked < limit);
            assert!(
                counts.ready.messages == 0 || !able || self.sink.is_full || !self.sink.store.loading().is_empty(),
                "a message waits although {consumer:?} is able"
            );
            held += u64::from(consumer.unacked);
        }
        assert!(
            held <= counts.unacked.messages,
            "credit used for deliveries that are not outstanding"
        );
        let c = self.queue.counters();
        let gone = c.acked + c.delivered_no_ack + c.got_no_ack + c.rejected + c.expired + c.dropped;
        let gone = gone + c.delivery_limited + c.purged;
        if !self.deleted {
            assert_eq!(
                i128::from(c.published - c.refused) + self.base,
                i128::from(gone + counts.ready.messages + counts.unacked.messages)
            );
        }
        let lengths = self.queue.lengths();
        assert!(lengths.is_empty() || lengths.iter().sum::<u64>() == counts.ready.messages);
        assert!(self.queue.consumers().filter(|c| c.exclusive).count() == 0 || counts.consumers == 1);
    }
}
