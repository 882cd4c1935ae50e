//! Settling what was handed out: acknowledge, return to the old place, or reject for good.
//!
//! Decides where a settled message goes; never trusts a slot, since a channel may name one that is long gone.

use model::Millis;

use crate::again::Turn;
use crate::lane::Held;
use crate::message::Message;
use crate::queue::Queue;
use crate::sink::{Death, Sink};
use crate::unacked::Slot;

/// How a delivery ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settle {
    /// Done.
    Ack,
    /// Back to the queue, marked redelivered: to its old place, or in turn.
    Requeue,
    /// Dead (`rejected`).
    Reject,
}

/// No delivery lies in this slot (any more).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownSlot(pub Slot);

impl<M: Message, C> Queue<M, C> {
    /// Settles one delivery.
    pub fn settle(
        &mut self,
        now: Millis,
        slot: Slot,
        how: Settle,
        sink: &mut impl Sink<M, C>,
    ) -> Result<(), UnknownSlot> {
        self.settle_all(now, [slot], how, sink)
    }

    /// Settles several deliveries in the same way, then delivers once. Those known are settled even if one is not;
    /// the error names the first unknown one.
    pub fn settle_all(
        &mut self,
        now: Millis,
        slots: impl IntoIterator<Item = Slot>,
        how: Settle,
        sink: &mut impl Sink<M, C>,
    ) -> Result<(), UnknownSlot> {
        let mut outcome = Ok(());
        for slot in slots {
            if !self.settle_one(slot, how, sink) && outcome.is_ok() {
                outcome = Err(UnknownSlot(slot));
            }
        }
        self.settled(now, how, sink);
        outcome
    }

    /// Ends one delivery without delivering anything else; false if the slot is unknown.
    pub(crate) fn settle_one(&mut self, slot: Slot, how: Settle, sink: &mut impl Sink<M, C>) -> bool {
        let Some(unacked) = self.unacked.remove(slot) else {
            return false;
        };
        self.consumers.release(unacked.owner);
        match how {
            Settle::Ack => {
                self.counters.acked += 1;
                self.forget(&unacked.held, sink);
            }
            Settle::Requeue => self.requeue(unacked.held, self.turn(true), sink),
            Settle::Reject => self.bury(unacked.held, Death::Rejected, sink),
        }
        true
    }

    /// Takes back what a channel held that is gone; false if the slot is unknown.
    pub(crate) fn take_back(&mut self, slot: Slot, sink: &mut impl Sink<M, C>) -> bool {
        let Some(unacked) = self.unacked.remove(slot) else {
            return false;
        };
        self.consumers.release(unacked.owner);
        self.requeue(unacked.held, self.turn(false), sink);
        true
    }

    /// Where a message goes that comes back.
    fn turn(&self, by_consumer: bool) -> Turn {
        match (
            self.settings.returns_in_turn,
            by_consumer && self.settings.delivery_limit.is_none(),
        ) {
            (false, _) => Turn::Old,
            (true, true) => Turn::Last,
            (true, false) => Turn::First,
        }
    }

    /// What follows a batch: limits (a requeue may exceed them), then deliveries.
    pub(crate) fn settled(&mut self, now: Millis, how: Settle, sink: &mut impl Sink<M, C>) {
        if how == Settle::Requeue {
            self.drop_excess(sink);
        }
        self.pump(now, sink);
    }

    fn requeue(&mut self, held: Held<M>, turn: Turn, sink: &mut impl Sink<M, C>) {
        let delivery_count = held.delivery_count.saturating_add(1);
        let held = Held {
            delivery_count,
            redelivered: true,
            ..held
        };
        if self.settings.delivery_limit.is_some_and(|limit| delivery_count > limit) {
            return self.bury(held, Death::DeliveryLimit, sink);
        }
        self.counters.requeued += 1;
        if self.settings.replicated {
            sink.returned(held.seq, held.delivery_count);
        }
        self.backlog.give_back(held, turn, self.last_seq);
    }

    /// A message dies: dead-lettered if anybody wants that, else forgotten.
    pub(crate) fn bury(&mut self, held: Held<M>, why: Death, sink: &mut impl Sink<M, C>) {
        match why {
            Death::Rejected => self.counters.rejected += 1,
            Death::Expired => self.counters.expired += 1,
            Death::MaxLen => self.counters.dropped += 1,
            Death::DeliveryLimit => self.counters.delivery_limited += 1,
        }
        if self.settings.dead_letters {
            match why {
                Death::Rejected => self.counters.lettered_rejected += 1,
                Death::Expired => self.counters.lettered_expired += 1,
                Death::MaxLen => self.counters.lettered_dropped += 1,
                Death::DeliveryLimit => self.counters.lettered_limited += 1,
            }
            let stored = self.tells_of(&held).then_some(held.seq);
            sink.dead_letter(held.message, stored, why);
        } else {
            self.forget(&held, sink);
        }
    }

    /// A message is gone for good: whoever keeps it beside the queue hears of it.
    pub(crate) fn forget(&self, held: &Held<M>, sink: &mut impl Sink<M, C>) {
        if self.tells_of(held) {
            let lasts = self.settings.durable && held.message.is_persistent();
            sink.removed(held.seq, held.seq, lasts);
        }
    }

    fn tells_of(&self, held: &Held<M>) -> bool {
        self.settings.tells_of(held.message.is_persistent())
    }
}
