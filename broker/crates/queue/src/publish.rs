//! `publish`: straight to a consumer if one is able, else into the backlog, within the queue's limits.
//!
//! Decides what becomes of one incoming message; never asks for a copy of it before somebody needs one.

use model::{Millis, Overflow, Seq};

use crate::lane::Held;
use crate::message::{Facts, Incoming, Message, NEVER};
use crate::queue::Queue;
use crate::sink::{Death, Delivery, DirectSink, Sink, Stored, Taken};
use crate::unacked::Owner;

/// What became of a publish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Published {
    /// The queue took it, at this position. It may be delivered, expired or dropped already.
    Accepted(Seq),
    /// The queue is full and refuses; a publisher that waits for confirms gets a nack.
    Rejected,
}

impl<M: Message, C> Queue<M, C> {
    /// Publishes one message.
    pub fn publish<I, S>(&mut self, now: Millis, incoming: &mut I, sink: &mut S) -> Published
    where
        I: Incoming<Message = M>,
        S: DirectSink<I, C>,
    {
        let facts = incoming.facts();
        self.counters.published += 1;
        self.expire(now, sink);
        if self.settings.refuses(self.backlog.tally(), facts.body_bytes) && self.may_refuse(sink) {
            return self.refuse(incoming, sink);
        }
        self.last_seq = self.last_seq.next();
        let expires = self.settings.ttl(facts.ttl).map_or(NEVER, |ttl| now.after(ttl));
        let taken = self.backlog.is_empty() && self.hand_over(&facts, expires, incoming, sink);
        if !taken {
            self.keep(now, &facts, expires, incoming, sink);
        }
        Published::Accepted(self.last_seq)
    }

    /// The newest message joins the backlog; within the limits, and out of memory if there is too much.
    fn keep<I, S>(&mut self, now: Millis, facts: &Facts, expires: Millis, incoming: &mut I, sink: &mut S)
    where
        I: Incoming<Message = M>,
        S: DirectSink<I, C>,
    {
        let level = self.store(facts, expires, incoming, sink);
        let is_over = self.backlog.push(self.last_seq, level, incoming.keep(), expires);
        self.drop_excess(sink);
        self.expire(now, sink);
        if self.backlog.is_paged() {
            // What waits for its page waits beside able consumers, and this one may be of a higher priority.
            self.pump(now, sink);
        }
        if is_over {
            self.page_out(level, sink);
        }
    }

    #[cold]
    fn page_out(&mut self, level: u8, sink: &mut impl Sink<M, C>) {
        self.backlog
            .page_out(level, &mut |messages| sink.page_out(level, messages));
    }

    /// Offers the newest message to the able consumers in turn, without keeping it before one takes it.
    fn hand_over<I, S>(&mut self, facts: &Facts, expires: Millis, incoming: &mut I, sink: &mut S) -> bool
    where
        I: Incoming<Message = M>,
        S: DirectSink<I, C>,
    {
        let seq = self.last_seq;
        while let Some(key) = self.consumers.next() {
            let consumer = self.consumers.get(key);
            let (id, no_ack) = (consumer.id, consumer.no_ack);
            let slot = (!no_ack).then(|| self.unacked.next_slot());
            let delivery = Delivery {
                slot,
                seq,
                redelivered: false,
                delivery_count: 0,
            };
            if sink.offer_direct(&consumer.handle, incoming, delivery) == Taken::Blocked {
                self.consumers.park(key);
                continue;
            }
            self.delivered(key, no_ack, false);
            if self.settings.tells_delivered() {
                self.handed_out(self.backlog.level(facts.priority), seq);
            }
            if !no_ack {
                let level = self.store(facts, expires, incoming, sink);
                let message = incoming.keep();
                let held = Held {
                    message,
                    seq,
                    expires,
                    delivery_count: 0,
                    level,
                    redelivered: false,
                };
                self.unacked.insert(held, Owner::Consumer { key, id });
            }
            return true;
        }
        false
    }

    /// The queue must hold on to the newest message: the sink hears of it if it is to survive. Returns its level.
    fn store<I, S>(&mut self, facts: &Facts, expires: Millis, incoming: &mut I, sink: &mut S) -> u8
    where
        I: Incoming<Message = M>,
        S: DirectSink<I, C>,
    {
        let level = self.backlog.level(facts.priority);
        if self.settings.tells_of(facts.persistent) {
            let persistent = self.settings.durable && facts.persistent;
            self.counters.written += u64::from(persistent);
            let stored = Stored {
                seq: self.last_seq,
                level,
                expires,
                persistent,
            };
            sink.store(stored, incoming);
        }
        level
    }

    /// False if the refused message would leave a letter for which there is no room: rather than be lost, it is taken.
    #[cold]
    fn may_refuse(&mut self, sink: &mut impl Sink<M, C>) -> bool {
        self.settings.overflow != Overflow::RejectPublishDlx || self.may_bury(sink)
    }

    #[cold]
    fn refuse<I>(&mut self, incoming: &mut I, sink: &mut impl Sink<M, C>) -> Published
    where
        I: Incoming<Message = M>,
    {
        self.counters.refused += 1;
        if self.settings.overflow == Overflow::RejectPublishDlx && self.settings.dead_letters {
            self.counters.lettered_refused += 1;
            sink.dead_letter(incoming.keep(), None, Death::MaxLen);
        }
        Published::Rejected
    }

    /// Drops from the head until the limits hold again.
    pub(crate) fn drop_excess(&mut self, sink: &mut impl Sink<M, C>) {
        if self.settings.overflow == Overflow::DropHead && self.settings.is_exceeded_by(self.backlog.tally()) {
            self.drop_heads(sink);
        }
    }

    #[inline(never)]
    fn drop_heads(&mut self, sink: &mut impl Sink<M, C>) {
        while self.settings.is_exceeded_by(self.backlog.tally()) && self.may_bury(sink) {
            let Some(held) = self.take_head(sink) else {
                return self.fetch_head(sink);
            };
            self.bury(held, Death::MaxLen, sink);
        }
    }
}
