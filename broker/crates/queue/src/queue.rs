//! The queue itself: its parts, its birth and end, and what it shows. The commands are in a file each.
//!
//! Nothing here decides what happens to a message, save purge and delete, which end them all.

use std::fmt;

use model::{ConsumerId, Millis, Seq};
use smallvec::SmallVec;

use crate::backlog::Backlog;
use crate::consumers::Consumers;
use crate::counts::{Counters, Counts, Tally};
use crate::message::Message;
use crate::settings::Settings;
use crate::sink::Sink;
use crate::unacked::UnackedSet;

/// One queue. `M` is the kept message, `C` the host's handle of a consumer.
///
/// After every command nothing is ready, or no consumer is able to take it, or its page is on the way, or it should be
/// dead and waits for room.
pub struct Queue<M, C> {
    pub(crate) settings: Settings,
    pub(crate) auto_delete: bool,
    /// Since when no consumer, get or redeclare was seen; meaningful while there is no consumer.
    pub(crate) unused_since: Millis,
    pub(crate) last_seq: Seq,
    /// Per level, the highest position ever handed out.
    pub(crate) delivered_to: SmallVec<[Seq; 1]>,
    pub(crate) backlog: Backlog<M>,
    pub(crate) unacked: UnackedSet<M>,
    pub(crate) consumers: Consumers<C>,
    pub(crate) counters: Counters,
    /// Messages that should be dead wait in their places, since the host has no room for their letters.
    pub(crate) held_up: bool,
}

/// A consumer as listings show it.
#[derive(Clone, Copy, Debug)]
pub struct ConsumerView<'a, C> {
    /// Its id.
    pub id: ConsumerId,
    /// The host's handle.
    pub handle: &'a C,
    /// Takes without acknowledgement.
    pub no_ack: bool,
    /// The only one allowed on the queue.
    pub exclusive: bool,
    /// Its priority.
    pub priority: i32,
    /// Its limit of unacked messages; 0 = none.
    pub prefetch: u16,
    /// Messages it holds unacked.
    pub unacked: u32,
    /// False for the waiting ones of a single-active-consumer queue.
    pub active: bool,
    /// The sink could take no more and has not called since.
    pub parked: bool,
}

/// The numbers, not the messages: there may be millions.
impl<M: Message, C> fmt::Debug for Queue<M, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut queue = f.debug_struct("Queue");
        queue.field("settings", &self.settings).field("counts", &self.counts());
        queue.field("last_seq", &self.last_seq).finish_non_exhaustive()
    }
}

impl<M: Message, C> Queue<M, C> {
    /// An empty queue.
    pub fn new(settings: Settings, auto_delete: bool, now: Millis) -> Self {
        let backlog = Backlog::new(&settings);
        Self {
            settings,
            auto_delete,
            unused_since: now,
            last_seq: Seq(0),
            delivered_to: SmallVec::from_elem(Seq(0), backlog.levels()),
            backlog,
            unacked: UnackedSet::new(),
            consumers: Consumers::new(settings.single_active_consumer),
            counters: Counters::default(),
            held_up: false,
        }
    }

    /// The rules in force.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What the queue holds now. Expired heads count until the next command or [`tick`](Self::tick).
    pub fn counts(&self) -> Counts {
        Counts {
            ready: *self.backlog.tally(),
            paged: self.backlog.paged(),
            unacked: *self.unacked.tally(),
            consumers: self.consumers.len(),
            letters: Tally::default(),
        }
    }

    /// The highest position ever given to a message.
    pub fn last_seq(&self) -> Seq {
        self.last_seq
    }

    /// Octets of memory of the ready messages, but those in the store.
    pub fn resident_bytes(&self) -> u64 {
        self.backlog.resident_bytes()
    }

    /// Per level, the highest position ever handed out, to a consumer or by `get`; durable and replicated queues only. After a restart
    /// everything up to it is marked redelivered.
    pub fn delivered_to(&self) -> &[Seq] {
        &self.delivered_to
    }

    /// What the queue did since it began.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// True while a consumer holds the queue exclusively.
    pub fn has_exclusive_consumer(&self) -> bool {
        self.consumers.has_exclusive()
    }

    /// The consumers, in an order that depends on nothing but the commands so far.
    pub fn consumers(&self) -> impl Iterator<Item = ConsumerView<'_, C>> {
        self.consumers.iter().map(|(active, consumer)| ConsumerView {
            id: consumer.id,
            handle: &consumer.handle,
            no_ack: consumer.no_ack,
            exclusive: consumer.exclusive,
            priority: consumer.priority,
            prefetch: consumer.prefetch,
            unacked: consumer.unacked,
            active,
            parked: consumer.parked,
        })
    }

    /// The consumer that gets the messages of a single-active-consumer queue.
    pub fn single_active_consumer(&self) -> Option<ConsumerId> {
        self.consumers.active().map(|consumer| consumer.id)
    }

    /// The queue was declared again: it is not unused.
    pub fn touch(&mut self, now: Millis) {
        self.unused_since = now;
    }

    /// Removes the ready messages, and only those; returns how many.
    pub fn purge(&mut self, sink: &mut impl Sink<M, C>) -> u64 {
        if self.settings.tells_delivered() {
            let durable = self.settings.durable;
            let told = self.backlog.told_runs(self.settings.replicated);
            told.for_each(|(first, last)| sink.removed(first, last, durable));
        }
        self.backlog.pages().for_each(|page| sink.discard(page));
        let gone = self.backlog.clear();
        self.counters.purged += gone;
        gone
    }

    /// The queue is deleted: consumers are told, messages are forgotten (never dead-lettered). Returns what it held.
    pub fn delete(&mut self, sink: &mut impl Sink<M, C>) -> Counts {
        let counts = self.counts();
        for consumer in self.consumers.drain() {
            sink.cancelled(&consumer.handle);
        }
        self.backlog.pages().for_each(|page| sink.discard(page));
        self.backlog.clear();
        self.unacked.clear();
        counts
    }
}
