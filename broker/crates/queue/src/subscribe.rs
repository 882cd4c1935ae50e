//! `subscribe`: a consumer joins, or is refused because the queue is held exclusively.
//!
//! Decides only whether the consumer may stay; who gets which message is decided by the round.

use std::fmt;

use model::{ConsumerId, Millis};

use crate::consumers::Newcomer;
use crate::message::Message;
use crate::queue::Queue;
use crate::sink::Sink;

/// What a consumer asks for.
#[derive(Clone, Debug)]
pub struct Subscription<C> {
    /// Its id, never used twice.
    pub id: ConsumerId,
    /// The host's handle, given back with every effect.
    pub handle: C,
    /// Takes without acknowledgement: no credit, nothing to settle.
    pub no_ack: bool,
    /// Most unacked messages at a time; 0 = no limit.
    pub prefetch: u16,
    /// Wants to be the only consumer.
    pub exclusive: bool,
    /// `x-priority`: lower ones get messages only while no higher one is able. Default 0.
    pub priority: i32,
}

/// Why a consumer was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubscribeError {
    /// The queue is held exclusively, or was wanted exclusively while it has consumers or allows one active one.
    ExclusiveUse,
    /// The id is taken: the host's fault, not the client's.
    IdInUse(ConsumerId),
}

impl fmt::Display for SubscribeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SubscribeError::ExclusiveUse => f.write_str("queue in exclusive use"),
            SubscribeError::IdInUse(id) => write!(f, "consumer id {} is in use", id.0),
        }
    }
}

impl std::error::Error for SubscribeError {}

impl<M: Message, C> Queue<M, C> {
    /// Adds a consumer and delivers what it can take.
    pub fn subscribe(
        &mut self,
        now: Millis,
        subscription: Subscription<C>,
        sink: &mut impl Sink<M, C>,
    ) -> Result<(), SubscribeError> {
        self.judge(&subscription)?;
        let Subscription {
            id,
            handle,
            no_ack,
            prefetch,
            exclusive,
            priority,
        } = subscription;
        let key = self.consumers.add(Newcomer {
            id,
            handle,
            no_ack,
            priority,
            prefetch,
            exclusive,
        });
        sink.subscribed(&self.consumers.get(key).handle);
        self.consumers.wake(key);
        self.elect(sink);
        self.pump(now, sink);
        Ok(())
    }

    fn judge(&self, wanted: &Subscription<C>) -> Result<(), SubscribeError> {
        let clash = wanted.exclusive && (!self.consumers.is_empty() || self.consumers.is_single_active());
        if clash || self.consumers.has_exclusive() {
            return Err(SubscribeError::ExclusiveUse);
        }
        match self.consumers.key(wanted.id) {
            Some(_) => Err(SubscribeError::IdInUse(wanted.id)),
            None => Ok(()),
        }
    }

    /// Finds a single active consumer if the queue wants one and has none.
    pub(crate) fn elect(&mut self, sink: &mut impl Sink<M, C>) {
        if let Some(consumer) = self.consumers.elect() {
            sink.activated(&consumer.handle);
        }
    }
}
