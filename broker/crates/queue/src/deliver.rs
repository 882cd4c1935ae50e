//! Handing out what is ready: to consumers in turn (`pump`), or to one `basic.get`.
//!
//! Decides what goes to whom now; never what becomes of a message that nobody takes.

use model::{Millis, Seq};

use crate::lane::{Head, Held};
use crate::message::Message;
use crate::queue::Queue;
use crate::sink::{Delivery, Sink, Taken};
use crate::unacked::Owner;

/// The answer to `get`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Got<M> {
    /// The message.
    pub message: M,
    /// How it was delivered; `slot` is `None` for a get without acknowledgement.
    pub delivery: Delivery,
    /// Ready messages left behind it.
    pub ready_left: u64,
}

/// What `get` found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fetched<M> {
    /// A message.
    Got(Got<M>),
    /// Nothing is ready.
    Empty,
    /// The next message is being loaded, or the head has to die first: ask again after [`Queue::loaded`] or
    /// [`Queue::go_on`]. Nothing was counted.
    Loading,
}

impl<M: Message, C> Queue<M, C> {
    /// Takes the next ready message, whatever the consumers' credit is.
    pub fn get(&mut self, now: Millis, no_ack: bool, sink: &mut impl Sink<M, C>) -> Fetched<M> {
        self.touch(now);
        self.expire(now, sink);
        if self.held_up && self.backlog.is_head_expired(now) {
            return Fetched::Loading;
        }
        let Some(held) = self.take_head(sink) else {
            return self.nothing_to_get(sink);
        };
        self.counters.redelivered += u64::from(held.redelivered);
        self.handed_out(held.level, held.seq);
        let slot = (!no_ack).then(|| self.unacked.next_slot());
        let Held {
            seq,
            redelivered,
            delivery_count,
            ..
        } = held;
        let delivery = Delivery {
            slot,
            seq,
            redelivered,
            delivery_count,
        };
        let ready_left = self.backlog.tally().messages;
        let message = if no_ack {
            self.counters.got_no_ack += 1;
            self.forget(&held, sink);
            held.message
        } else {
            self.counters.got += 1;
            let message = held.message.clone();
            self.unacked.insert(held, Owner::Nobody);
            message
        };
        Fetched::Got(Got {
            message,
            delivery,
            ready_left,
        })
    }

    fn nothing_to_get(&mut self, sink: &mut impl Sink<M, C>) -> Fetched<M> {
        if self.backlog.is_head_away() {
            self.fetch_head(sink);
            return Fetched::Loading;
        }
        self.counters.get_empty += 1;
        Fetched::Empty
    }

    /// Takes the head, if it is in memory, and asks for what follows if that is not.
    #[inline]
    pub(crate) fn take_head(&mut self, sink: &mut impl Sink<M, C>) -> Option<Held<M>> {
        let held = self.backlog.pop();
        if self.backlog.is_paged()
            && let Some(page) = self.backlog.read_ahead()
        {
            sink.load(page);
        }
        held
    }

    /// The head is not in memory and somebody needs it: it is asked for, unless that has been done.
    #[cold]
    pub(crate) fn fetch_head(&mut self, sink: &mut impl Sink<M, C>) {
        if let Some(page) = self.backlog.load_head() {
            sink.load(page);
        }
    }

    /// The sink can take more for this consumer. An unknown one is none of our business any more.
    pub fn consumer_ready(&mut self, now: Millis, id: model::ConsumerId, sink: &mut impl Sink<M, C>) {
        if let Some(key) = self.consumers.key(id) {
            self.consumers.unpark(key);
            self.pump(now, sink);
        }
    }

    /// Delivers until nothing is ready or nobody is able; or until the head is not in memory, and asks for it.
    pub(crate) fn pump(&mut self, now: Millis, sink: &mut impl Sink<M, C>) {
        self.expire(now, sink);
        while let Some(head) = self.backlog.head()
            && head.expires > now
            && let Some(key) = self.consumers.next()
        {
            let consumer = self.consumers.get(key);
            let (id, no_ack) = (consumer.id, consumer.no_ack);
            let slot = (!no_ack).then(|| self.unacked.next_slot());
            let Head {
                message,
                seq,
                redelivered,
                delivery_count,
                expires: _,
            } = head;
            let delivery = Delivery {
                slot,
                seq,
                redelivered,
                delivery_count,
            };
            if sink.offer(&consumer.handle, message, delivery) == Taken::Blocked {
                self.consumers.park(key);
                continue;
            }
            self.delivered(key, no_ack, redelivered);
            let held = self.take_head(sink);
            if let Some(held) = &held {
                self.handed_out(held.level, held.seq);
                if no_ack {
                    self.forget(held, sink);
                }
            }
            if !no_ack && let Some(held) = held {
                self.unacked.insert(held, Owner::Consumer { key, id });
            }
            self.expire(now, sink);
        }
        if self.backlog.is_head_away() {
            self.fetch_head_if_wanted(sink);
        }
    }

    #[cold]
    fn fetch_head_if_wanted(&mut self, sink: &mut impl Sink<M, C>) {
        if self.consumers.next().is_some() {
            self.fetch_head(sink);
        }
    }

    /// Notes how far the messages of a level have been handed out, for a queue that will be asked.
    pub(crate) fn handed_out(&mut self, level: u8, seq: Seq) {
        if self.settings.tells_delivered() {
            let to = &mut self.delivered_to[usize::from(level)];
            *to = seq.max(*to);
        }
    }

    /// Books a delivery that the consumer whose turn it was has taken.
    pub(crate) fn delivered(&mut self, key: u32, no_ack: bool, redelivered: bool) {
        self.consumers.delivered(key);
        if no_ack {
            self.counters.delivered_no_ack += 1;
        } else {
            self.counters.delivered += 1;
        }
        self.counters.redelivered += u64::from(redelivered);
    }
}
