//! Runs a script on the real queue, writes its effects down, and checks after every command what must always hold.
//!
//! One segment per command, `-` where nothing happened:
//! `keep a` copied out of the read buffer; `c1#2 a` delivery 2 to consumer 1; `c1 a` one without acknowledgement;
//! `a*1` redelivered, back once; `got #2 a left=3`; `dead a expired`; `retire unused`.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use model::{ConsumerId, Millis, PageId, Seq};
use queue::{
    Death, Delivery, DirectSink, Facts, Fetched, Got, Incoming, Message, Paged, Published, Queue, Retire, Settle, Sink,
    Slot, Stored, SubscribeError, Subscription, Taken,
};

use crate::script::{Command, Letter, Reader, Setup, parse};

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
        1_024 - 16
    }
}

#[derive(Clone, Debug)]
pub(crate) struct KeptLetter(Kept);

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
    /// Slots of the numbered deliveries, number 1 first.
    slots: Vec<Slot>,
    /// Where each message stands, by its name; it never changes.
    seqs: BTreeMap<String, Seq>,
    /// The store's effects are written down too.
    shows_store: bool,
    /// A purge reports runs; anything else reports one stored message at a time.
    purging: bool,
    /// Positions that the store has.
    stored: BTreeSet<Seq>,
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
        self.slots.push(slot);
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

    fn dead_letter(&mut self, message: KeptLetter, stored: Option<Seq>, why: Death) {
        self.note(format!("dead {} {}", message.0.name, why.as_str()));
        if let Some(seq) = stored {
            assert!(self.stored.remove(&seq), "{seq:?} died unknown to the store");
            self.note_store(format!("stored {}", seq.0));
        }
    }

    fn removed(&mut self, first: Seq, last: Seq) {
        let gone: Vec<Seq> = self.stored.range(first..=last).copied().collect();
        let known = self.purging || gone.len() == 1;
        assert!(known, "{first:?} to {last:?} removed unknown to the store");
        self.stored.retain(|seq| !gone.contains(seq));
        self.note_store(match first == last {
            true => format!("removed {}", first.0),
            false => format!("removed {}-{}", first.0, last.0),
        });
    }

    fn page_out(&mut self, _: u8, _: Vec<Paged<KeptLetter>>) -> PageId {
        unreachable!()
    }

    fn load(&mut self, _: PageId) {}

    fn discard(&mut self, _: PageId) {}

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
        assert!(incoming.letter.persistent);
        assert!(self.stored.insert(stored.seq), "{:?} stored twice", stored.seq);
        let name = &incoming.letter.name;
        self.stands_at(name, stored.seq);
        self.note_store(format!("store {name} {}", stored.seq.0));
    }
}

pub(crate) struct Machine {
    pub(crate) queue: Queue<KeptLetter, u64>,
    pub(crate) now: Millis,
    sink: Recorder,
    deleted: bool,
}

impl Machine {
    pub(crate) fn new(setup: &Setup) -> Self {
        let now = Millis(1_000);
        Self {
            queue: Queue::new(setup.settings, setup.auto_delete, now),
            now,
            sink: Recorder::default(),
            deleted: false,
        }
    }

    /// Names of the messages that the store has, in order of arrival.
    pub(crate) fn stored(&self) -> Vec<&str> {
        let has = |(_, seq): &(&String, &Seq)| self.sink.stored.contains(seq);
        let mut names: Vec<_> = self.sink.seqs.iter().filter(has).collect();
        names.sort_by_key(|(_, seq)| **seq);
        names.into_iter().map(|(name, _)| name.as_str()).collect()
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
        let Self {
            queue,
            now,
            sink,
            deleted,
        } = self;
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
            Command::Depart(consumers, deliveries) => {
                let consumers: Vec<_> = consumers.iter().copied().map(ConsumerId).collect();
                let slots: Vec<_> = deliveries.iter().map(|number| sink.slots[number - 1]).collect();
                queue.depart(*now, &consumers, slots, sink);
                None
            }
            Command::Purge => {
                sink.purging = true;
                let purged = queue.purge(sink);
                sink.purging = false;
                Some(format!("purged {purged}"))
            }
            Command::Wait(span) => {
                *now = now.after(Millis(*span));
                None
            }
            Command::Tick => {
                queue.tick(*now, sink);
                None
            }
            Command::Redeclare => {
                queue.touch(*now);
                None
            }
            Command::Set(settings) => {
                queue.set_settings(*now, *settings, sink);
                None
            }
            Command::Delete => {
                *deleted = true;
                let counts = queue.delete(sink);
                Some(format!(
                    "deleted ready={} unacked={}",
                    counts.ready.messages, counts.unacked.messages
                ))
            }
        }
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
        let slots: Vec<_> = deliveries.iter().map(|number| self.sink.slots[number - 1]).collect();
        match self.queue.settle_all(self.now, slots, how, &mut self.sink) {
            Ok(()) => None,
            Err(_) => Some("unknown slot".to_owned()),
        }
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
                counts.ready.messages == 0 || !able,
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
                c.published - c.refused,
                gone + counts.ready.messages + counts.unacked.messages
            );
        }
        assert!(self.queue.consumers().filter(|c| c.exclusive).count() == 0 || counts.consumers == 1);
    }
}
