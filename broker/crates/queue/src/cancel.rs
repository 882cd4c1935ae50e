//! Consumers going: one by `cancel`, or all of a channel's with what they hold by `depart`.
//!
//! Decides who follows and whether the queue wants to go; never settles what a cancelled consumer still holds.

use model::{ConsumerId, Millis};

use crate::message::Message;
use crate::queue::Queue;
use crate::settle::Settle;
use crate::sink::{Retire, Sink};
use crate::unacked::Slot;

impl<M: Message, C> Queue<M, C> {
    /// Removes a consumer; what it holds stays unacked with its channel. Returns its handle, `None` if unknown.
    pub fn cancel(&mut self, now: Millis, id: ConsumerId, sink: &mut impl Sink<M, C>) -> Option<C> {
        let gone = self.consumers.remove(id)?;
        self.elect(sink);
        self.pump(now, sink);
        self.retire_if_deserted(now, sink);
        Some(gone.handle)
    }

    /// A channel is gone: its consumers leave and its deliveries return to their places before anything is delivered
    /// again, so that nothing goes to a consumer that is leaving. Unknown ids and slots are passed over.
    pub fn depart(
        &mut self,
        now: Millis,
        consumers: &[ConsumerId],
        slots: impl IntoIterator<Item = Slot>,
        sink: &mut impl Sink<M, C>,
    ) {
        let before = self.consumers.len();
        for id in consumers {
            self.consumers.remove(*id);
        }
        for slot in slots {
            self.take_back(slot, sink);
        }
        self.elect(sink);
        self.settled(now, Settle::Requeue, sink);
        if self.consumers.len() < before {
            self.retire_if_deserted(now, sink);
        }
    }

    /// A consumer has just gone: if it was the last, the queue is unused from now, and an auto-delete queue goes.
    fn retire_if_deserted(&mut self, now: Millis, sink: &mut impl Sink<M, C>) {
        if !self.consumers.is_empty() {
            return;
        }
        self.touch(now);
        if self.auto_delete {
            sink.retire(Retire::LastConsumerGone);
        }
    }
}
