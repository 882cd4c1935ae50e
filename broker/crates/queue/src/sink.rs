//! What a queue wants done: the effects, as calls on a sink that the caller brings.
//!
//! A sink must not call back into the same queue. Dead letters are collected by the host and published after it has
//! let go of this queue's lock.

use model::{Millis, PageId, Seq};

use crate::message::Incoming;
use crate::page::Paged;
use crate::unacked::Slot;

/// One delivery to one consumer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// How to settle it later; `None` if the consumer takes without acknowledgement.
    pub slot: Option<Slot>,
    /// The message's position in the queue.
    pub seq: Seq,
    /// True if it was handed out before and came back.
    pub redelivered: bool,
    /// How often it came back.
    pub delivery_count: u32,
}

/// A consumer's answer to an offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// The delivery is on its way.
    Yes,
    /// Its channel or connection cannot take more now; the queue leaves the consumer alone until
    /// [`Queue::consumer_ready`](crate::Queue::consumer_ready), and nothing of this offer holds.
    Blocked,
}

/// Why a message died.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Death {
    /// Rejected or nacked without requeue.
    Rejected,
    /// Its time to live passed.
    Expired,
    /// A length limit of the queue.
    MaxLen,
    /// Returned more often than the delivery limit allows.
    DeliveryLimit,
}

impl Death {
    /// The reason as `x-death` spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Death::Rejected => "rejected",
            Death::Expired => "expired",
            Death::MaxLen => "maxlen",
            Death::DeliveryLimit => "delivery_limit",
        }
    }
}

/// Why the queue asks to be deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retire {
    /// Auto-delete, and the last consumer went.
    LastConsumerGone,
    /// Unused for as long as `x-expires` allows; asked again each such span until the queue is gone or used.
    Unused,
}

/// Where the effects of a command go. `M` is the kept message, `C` the host's handle of a consumer.
pub trait Sink<M, C> {
    /// The subscription stands; its first delivery comes after this call (`basic.consume-ok` goes out here).
    fn subscribed(&mut self, consumer: &C);

    /// Offers a kept message.
    fn offer(&mut self, to: &C, message: &M, delivery: Delivery) -> Taken;

    /// Whether a message may die by its time or a limit, and leave a letter. If not, it stays where it is, is given to
    /// nobody, and the host calls [`Queue::go_on`](crate::Queue::go_on) when there is room. Not asked of messages that a
    /// client rejects.
    fn has_room_for_letter(&mut self) -> bool;

    /// The message left the queue; publish it to the dead-letter exchange. Called only if
    /// [`Settings::dead_letters`](crate::Settings::dead_letters) is set. `stored` is its position if the sink was
    /// told to [`store`](DirectSink::store) it: the host takes it out once the letter is safe, and hears no [`removed`](Self::removed) of it.
    fn dead_letter(&mut self, message: M, stored: Option<Seq>, why: Death);

    /// The messages from `first` to `last` are gone for good; positions among them that were not told to
    /// [`store`](DirectSink::store) mean nothing. `persistent` is false if none of them was to survive a restart. Durable
    /// and replicated queues only; runs come from a purge, all else one by one.
    fn removed(&mut self, first: Seq, last: Seq, persistent: bool);

    /// A message came back to its place for the `delivery_count`th time. Replicated queues only.
    fn returned(&mut self, seq: Seq, delivery_count: u32);

    /// Takes a run of ready messages of one level out of memory, oldest first, persistent and transient alike.
    fn page_out(&mut self, level: u8, messages: Vec<Paged<M>>) -> PageId;

    /// Asks for a page; [`Queue::loaded`](crate::Queue::loaded) brings it, after this command.
    fn load(&mut self, page: PageId);

    /// A page is not wanted any more; it was not loaded, or its load is under way and the answer will be ignored.
    fn discard(&mut self, page: PageId);

    /// This consumer is now the one that gets messages (single active consumer only).
    fn activated(&mut self, consumer: &C);

    /// The queue is deleted under this consumer.
    fn cancelled(&mut self, consumer: &C);

    /// The queue asks to be deleted; the host proposes it.
    fn retire(&mut self, why: Retire);
}

/// What the store must remember of a message beside the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its position.
    pub seq: Seq,
    /// Its priority level in this queue.
    pub level: u8,
    /// When it expires; [`NEVER`](crate::NEVER) if it does not.
    pub expires: Millis,
    /// It must survive a restart: published with delivery mode 2, to a durable queue. Others are told to the sink of a
    /// replicated queue only.
    pub persistent: bool,
}

/// A sink that can also encode straight from the publisher's read buffer.
pub trait DirectSink<I: Incoming, C>: Sink<I::Message, C> {
    /// Offers a message that was never kept.
    fn offer_direct(&mut self, to: &C, incoming: &I, delivery: Delivery) -> Taken;

    /// A message that the queue holds on to, in its backlog, or handed out and to be acknowledged: persistent ones of a
    /// durable queue, all of a [replicated](crate::Settings::replicated) one.
    /// Called once per accepted message, before anything says that it is gone, and never for one that a consumer
    /// without acknowledgements took at once.
    fn store(&mut self, stored: Stored, incoming: &mut I);
}
