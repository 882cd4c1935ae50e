//! What a connection needs of its node on the data plane, called in line with static dispatch.
//!
//! The host performs and reports; it never decides about the protocol. Calls must not block.

use model::{DeliveryTag, Millis, Refusal};
use wire::Forward;

use crate::ledger::UnknownTag;

/// The node, as one connection sees it.
pub trait Host {
    /// Octets to the client, in order with all else this connection is sent.
    fn out(&mut self) -> &mut Vec<u8>;

    /// Routes and enqueues one message, or says why not. `message.fault` wins over routing but not over
    /// permission and existence of the exchange (the order of RabbitMQ's checks).
    fn publish(&mut self, channel: u16, message: &Publication<'_>, receipt: Receipt) -> Result<Fate, Refusal>;

    /// Enqueues a message that its origin has routed to these queues of this node: the first of `_forward`. Only on legs.
    fn forwarded(
        &mut self,
        _channel: u16,
        _forward: &Forward<'_>,
        _message: &Publication<'_>,
        _receipt: Receipt,
    ) -> Fate {
        Fate::Unroutable
    }

    /// True while no publish is taken: the octets from this one on are handed in again later.
    fn holds_publishes(&mut self) -> bool {
        false
    }

    /// Permission and existence only: a transaction checks at publish and routes at commit.
    fn check_publish(&mut self, message: &Publication<'_>) -> Result<(), Refusal>;

    /// Settles deliveries of a channel. `held` keeps them aside until `commit_held` or `return_held`.
    fn settle(
        &mut self,
        channel: u16,
        tag: DeliveryTag,
        multiple: bool,
        how: Settle,
        held: bool,
    ) -> Result<(), UnknownTag>;

    /// Settles deliveries of a channel from one to another, both included, each by itself. Only on legs.
    fn settle_run(
        &mut self,
        channel: u16,
        (first, last): (DeliveryTag, DeliveryTag),
        how: Settle,
    ) -> Result<(), UnknownTag> {
        let mut all = (first.0..=last.0).map(DeliveryTag);
        all.try_for_each(|tag| self.settle(channel, tag, false, how, false))
    }

    /// Performs the settlements held by a transaction.
    fn commit_held(&mut self, channel: u16);

    /// Makes the held deliveries unacknowledged again.
    fn return_held(&mut self, channel: u16);

    /// A publish was taken on a channel whose publishes are confirmed.
    fn will_confirm(&mut self) {}

    /// So many publishes of a channel were confirmed.
    fn confirmed(&mut self, _channel: u16, _count: u64) {}

    /// Something worth a log line.
    fn note(&mut self, note: Note<'_>);
}

/// How a delivery is settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settle {
    /// Done.
    Ack,
    /// Back to its old place.
    Requeue,
    /// Dead-lettered or dropped.
    Reject,
}

/// One message on its way in, borrowed from the read buffer.
#[derive(Debug)]
pub struct Publication<'a> {
    /// Exchange name as sent.
    pub exchange: &'a [u8],
    /// Routing key as sent.
    pub routing_key: &'a [u8],
    /// Return the message if no queue takes it.
    pub mandatory: bool,
    /// Property flags and list, raw.
    pub properties: &'a [u8],
    /// Headers table, raw, without its length.
    pub headers: Option<&'a [u8]>,
    /// Further routing keys, from CC and BCC.
    pub extra_keys: &'a [Vec<u8>],
    /// The body.
    pub body: &'a [u8],
    /// Delivery mode 2.
    pub persistent: bool,
    /// Priority property, 0 when absent.
    pub priority: u8,
    /// Expiration property.
    pub ttl: Option<Millis>,
    /// What is wrong with the content, if anything.
    pub fault: Option<&'a Refusal>,
}

/// What a publisher is to be told about a publish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Receipt {
    /// Nothing.
    None,
    /// A confirm with this number.
    Confirm(u64),
    /// That its transaction is committed.
    Commit,
}

/// What became of a publish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Every queue it was routed to has it as safe as it will get.
    Taken,
    /// It is safe once the point that [`seal`](crate::Connection::seal) names next is
    /// [`reached`](crate::Connection::reached): the log of this node is not durable yet, or another node has to take it
    /// and may still refuse, which [`refuse_publishes`](crate::Connection::refuse_publishes) tells.
    Logged,
    /// A queue refused it (`reject-publish`).
    Rejected,
    /// No queue was found.
    Unroutable,
}

/// Events for the log.
#[derive(Debug)]
pub enum Note<'a> {
    /// Octets that are no AMQP header.
    BadHeader {
        /// The first octets seen.
        seen: &'a [u8],
    },
    /// The handshake failed; the client gets no reason.
    HandshakeFailed {
        /// Why.
        reason: String,
    },
    /// A log-in was refused.
    LoginRefused {
        /// SASL mechanism.
        mechanism: &'a str,
        /// Why.
        reason: &'a str,
    },
    /// A client that has logged in may not go on: its connection was closed before it was open.
    NotOpened {
        /// The refusal.
        refusal: &'a Refusal,
    },
    /// A channel was closed for an error.
    ChannelError {
        /// Number of the channel.
        channel: u16,
        /// Class and method at fault.
        method: (u16, u16),
        /// The refusal.
        refusal: &'a Refusal,
    },
    /// The connection was closed for an error.
    ConnectionError {
        /// Number of the channel at fault; 0 if none is.
        channel: u16,
        /// Class and method at fault.
        method: (u16, u16),
        /// The refusal.
        refusal: &'a Refusal,
    },
}
