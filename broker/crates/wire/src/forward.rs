//! What runs on a leg beside AMQP 0-9-1: publishes that another node has routed already, deliveries for consumers of another
//! node and what became of them, and the state of the catalogue that what follows relies on.
//!
//! A class of its own, so that no client's method is mistaken for one: only a session that serves a leg, and the leg's other
//! end, read these. Publishes name their queues by number and carry what a resend needs (origin's sequence and floor).
//! Messages that follow each other share a frame as far as they are alike.

use crate::cursor::Cursor;
use crate::encode::Deliver;
use crate::frame::FRAME_END;
use crate::run::{Bodies, CLASS, Lead, Member, QUEUE_BYTES, Run, Tail, decode_run, head};
use model::{Generation, QueueId};

const FORWARD: u16 = 11;
const AS_OF: u16 = 20;
const HAND_ON: u16 = 30;
const SETTLE: u16 = 40;
/// Octets of a settlement's frame: around it, ids, how, first and last.
const SETTLE_BYTES: usize = 8 + 4 + 1 + 8 + 8;

/// Queues of a forwarded publish, as they stand in its octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Targets<'a>(&'a [u8]);

impl<'a> Targets<'a> {
    /// The octets: equal for equal queues in equal order.
    pub fn octets(self) -> &'a [u8] {
        self.0
    }

    /// The queues, in order.
    pub fn queues(self) -> impl Iterator<Item = QueueId> + 'a {
        let (numbers, _) = self.0.as_chunks::<QUEUE_BYTES>();
        numbers.iter().map(|number| QueueId(u64::from_be_bytes(*number)))
    }
}

/// Forwarded publishes of one envelope, borrowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forward<'a> {
    /// The number of the first among all that its origin has sent, one more for each after; 0 for those that are never sent
    /// again.
    pub sequence: u64,
    /// Everything below this has been answered: it will not be sent again.
    pub floor: u64,
    /// They were sent before, perhaps to another leader.
    pub again: bool,
    /// Where they go.
    pub targets: Targets<'a>,
    /// Exchange they were published to.
    pub exchange: &'a [u8],
    /// Routing key they were published with.
    pub routing_key: &'a [u8],
    /// Flag word and property list.
    pub properties: &'a [u8],
    /// Their bodies.
    pub bodies: Bodies<'a>,
}

impl<'a> Forward<'a> {
    /// Each of the publishes: this with its own number, and its body.
    pub fn each(self) -> impl Iterator<Item = (Forward<'a>, &'a [u8])> {
        let step = u64::from(self.sequence != 0);
        let mut next = self;
        self.bodies.map(move |body| {
            let one = next;
            next.sequence = next.sequence.wrapping_add(step);
            (one, body)
        })
    }
}

/// What `forward` writes.
#[derive(Clone, Copy, Debug)]
pub struct Forwarding<'a> {
    /// Channel number.
    pub channel: u16,
    /// Its number among all that its origin has sent; 0 for one that is never sent again.
    pub sequence: u64,
    /// Everything below this has been answered.
    pub floor: u64,
    /// It was sent before, perhaps to another leader.
    pub again: bool,
    /// Where it goes.
    pub queues: &'a [QueueId],
    /// Exchange it was published to.
    pub exchange: &'a [u8],
    /// Routing key it was published with.
    pub routing_key: &'a [u8],
    /// Flag word and property list.
    pub properties: &'a [u8],
    /// Whole body.
    pub body: &'a [u8],
}

/// Deliveries of one envelope to a consumer of another node, borrowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HandedOn<'a> {
    /// Which consumer they are for.
    pub consumer_tag: &'a [u8],
    /// Number of the first on the channel, one more for each after.
    pub delivery_tag: u64,
    /// Delivered before to somebody.
    pub redelivered: bool,
    /// Exchange they were published to.
    pub exchange: &'a [u8],
    /// Routing key they were published with.
    pub routing_key: &'a [u8],
    /// Flag word and property list.
    pub properties: &'a [u8],
    /// Their bodies.
    pub bodies: Bodies<'a>,
}

/// How deliveries are settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settling {
    /// Done.
    Ack = 1,
    /// Back to their places.
    Requeue = 2,
    /// Dead-lettered or dropped.
    Reject = 3,
}

impl Settling {
    fn of(octet: u8) -> Option<Self> {
        [Settling::Ack, Settling::Requeue, Settling::Reject]
            .into_iter()
            .find(|how| *how as u8 == octet)
    }
}

/// Deliveries of a channel that are settled alike, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settled {
    /// How.
    pub how: Settling,
    /// Number of the first.
    pub first: u64,
    /// Number of the last.
    pub last: u64,
}

/// The settlement at the end of a buffer, which may take the next delivery in.
#[derive(Clone, Copy, Debug, Default)]
pub struct SettledTail {
    /// The buffer's length while nothing else was appended; 0 = there is none.
    end: usize,
}

impl SettledTail {
    /// The buffer has been taken away, or emptied.
    pub fn cut(&mut self) {
        self.end = 0;
    }

    /// The settlement at the end of the buffer.
    fn frame<'a>(&self, out: &'a mut [u8]) -> Option<&'a mut [u8; SETTLE_BYTES]> {
        let is_last = self.end != 0 && self.end == out.len();
        is_last.then(|| out.last_chunk_mut()).flatten()
    }
}

/// A method of a leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LegMethod<'a> {
    /// Publishes that have been routed.
    Forward(Forward<'a>),
    /// Deliveries.
    HandOn(HandedOn<'a>),
    /// What became of deliveries.
    Settle(Settled),
    /// What follows was decided on the definitions of this state, or of a later one.
    AsOf(Generation),
}

/// The leg's method in the payload of a method frame; `None` when it holds another method or a broken one.
#[inline]
pub fn decode_leg_method(payload: &[u8]) -> Option<LegMethod<'_>> {
    let mut rest = Cursor(payload);
    let (class, method) = (rest.u16()?, rest.u16()?);
    match (class, method) {
        (CLASS, FORWARD) => publishes(decode_run(rest)?).map(LegMethod::Forward),
        (CLASS, HAND_ON) => Some(LegMethod::HandOn(deliveries(decode_run(rest)?))),
        (CLASS, SETTLE) => {
            let (how, first, last) = (Settling::of(rest.u8()?)?, rest.u64()?, rest.u64()?);
            let is_sound = rest.is_empty() && first <= last;
            is_sound.then_some(LegMethod::Settle(Settled { how, first, last }))
        }
        (CLASS, AS_OF) => {
            let generation = Generation(rest.u64()?);
            rest.is_empty().then_some(LegMethod::AsOf(generation))
        }
        _ => None,
    }
}

fn publishes(run: Run<'_>) -> Option<Forward<'_>> {
    let are_queues = run.lead.len().is_multiple_of(QUEUE_BYTES);
    are_queues.then_some(Forward {
        sequence: run.number,
        floor: run.floor,
        again: run.flag,
        targets: Targets(run.lead),
        exchange: run.exchange,
        routing_key: run.routing_key,
        properties: run.properties,
        bodies: run.bodies,
    })
}

fn deliveries(run: Run<'_>) -> HandedOn<'_> {
    HandedOn {
        consumer_tag: run.lead,
        delivery_tag: run.number,
        redelivered: run.flag,
        exchange: run.exchange,
        routing_key: run.routing_key,
        properties: run.properties,
        bodies: run.bodies,
    }
}

/// Appends a forwarded publish with its content, which is never split: a leg has no limit of its own.
#[inline]
pub fn forward(out: &mut Vec<u8>, tail: &mut Tail, f: &Forwarding<'_>) {
    let member = Member {
        channel: f.channel,
        method: FORWARD,
        number: f.sequence,
        floor: f.floor,
        flag: f.again,
        lead: Lead::Queues(f.queues),
        exchange: f.exchange,
        routing_key: f.routing_key,
        properties: f.properties,
        body: f.body,
    };
    tail.append(out, &member);
}

/// Appends a delivery to a consumer of another node, whose client's frames are none of this node's business.
#[inline]
pub fn hand_on(out: &mut Vec<u8>, tail: &mut Tail, d: &Deliver<'_>) {
    let member = Member {
        channel: d.channel,
        method: HAND_ON,
        number: d.delivery_tag,
        floor: 0,
        flag: d.redelivered,
        lead: Lead::Consumer(d.consumer_tag),
        exchange: d.exchange,
        routing_key: d.routing_key,
        properties: d.properties,
        body: d.body,
    };
    tail.append(out, &member);
}

/// Appends that a delivery is settled, or has the settlement at the end of the buffer say so.
pub fn settle(out: &mut Vec<u8>, tail: &mut SettledTail, channel: u16, how: Settling, delivery_tag: u64) {
    if let Some(frame) = tail.frame(out)
        && let [
            _,
            c0,
            c1,
            _,
            _,
            _,
            _,
            _,
            _,
            _,
            _,
            said,
            ..,
            l0,
            l1,
            l2,
            l3,
            l4,
            l5,
            l6,
            l7,
            _,
        ] = frame
        && ([*c0, *c1], *said) == (channel.to_be_bytes(), how as u8)
        && u64::from_be_bytes([*l0, *l1, *l2, *l3, *l4, *l5, *l6, *l7]).checked_add(1) == Some(delivery_tag)
    {
        [*l0, *l1, *l2, *l3, *l4, *l5, *l6, *l7] = delivery_tag.to_be_bytes();
        return;
    }
    head(out, channel, SETTLE, SETTLE_BYTES - 8 - 4);
    out.push(how as u8);
    out.extend_from_slice(&delivery_tag.to_be_bytes());
    out.extend_from_slice(&delivery_tag.to_be_bytes());
    out.push(FRAME_END);
    tail.end = out.len();
}

/// Appends the state of the catalogue that what follows relies on.
pub fn as_of(out: &mut Vec<u8>, generation: Generation) {
    head(out, 0, AS_OF, 8);
    out.extend_from_slice(&generation.0.to_be_bytes());
    out.push(FRAME_END);
}

#[cfg(test)]
#[path = "forward_tests.rs"]
mod tests;
