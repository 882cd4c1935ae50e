//! What runs on a leg beside AMQP 0-9-1: publishes that another node has routed already, and the state of the catalogue
//! that what follows relies on.
//!
//! A class of its own, so that no client's method is mistaken for one: only a session that serves a leg reads these. A
//! forwarded publish names its queues by number and carries what a resend needs (origin's sequence and floor).

use crate::cursor::Cursor;
use crate::encode::{content, content_bytes, push_short, short};
use crate::frame::FRAME_END;
use model::{Generation, QueueId};

/// Class id of the methods of a leg; AMQP 0-9-1 ends at 90.
const CLASS: u16 = 0xFF00;
const FORWARD: u16 = 10;
const AS_OF: u16 = 20;
/// Ids, both sequences, whether it comes again, and the number of queues.
const FORWARD_HEAD_BYTES: usize = 4 + 8 + 8 + 1 + 2;
/// Octets of a queue's number.
const QUEUE_BYTES: usize = 8;

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

/// A forwarded publish, borrowed; a content header follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forward<'a> {
    /// Its number among all that its origin has sent, in ascending order; 0 for one that is never sent again.
    pub sequence: u64,
    /// Everything below this has been answered: it will not be sent again.
    pub floor: u64,
    /// It was sent before, perhaps to another leader.
    pub again: bool,
    /// Where it goes.
    pub targets: Targets<'a>,
    /// Exchange it was published to.
    pub exchange: &'a [u8],
    /// Routing key it was published with.
    pub routing_key: &'a [u8],
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
    /// Where it goes; at most 65535.
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

/// A method of a leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LegMethod<'a> {
    /// A publish that has been routed.
    Forward(Forward<'a>),
    /// What follows was decided on the definitions of this state, or of a later one.
    AsOf(Generation),
}

/// The leg's method in the payload of a method frame; `None` when it holds another method or a broken one.
#[inline]
pub fn decode_leg_method(payload: &[u8]) -> Option<LegMethod<'_>> {
    let mut rest = Cursor(payload);
    let (class, method) = (rest.u16()?, rest.u16()?);
    match (class, method) {
        (CLASS, FORWARD) => decode_forward(rest).map(LegMethod::Forward),
        (CLASS, AS_OF) => {
            let generation = Generation(rest.u64()?);
            rest.is_empty().then_some(LegMethod::AsOf(generation))
        }
        _ => None,
    }
}

#[inline]
fn decode_forward(mut rest: Cursor<'_>) -> Option<Forward<'_>> {
    let (sequence, floor, again) = (rest.u64()?, rest.u64()?, rest.u8()? != 0);
    let count = usize::from(rest.u16()?);
    let forward = Forward {
        sequence,
        floor,
        again,
        targets: Targets(rest.take(count * QUEUE_BYTES)?),
        exchange: rest.short()?,
        routing_key: rest.short()?,
    };
    rest.is_empty().then_some(forward)
}

/// Frame head of a leg's method and its ids.
#[inline]
fn head(out: &mut Vec<u8>, channel: u16, method: u16, payload_bytes: usize) {
    let [c0, c1] = channel.to_be_bytes();
    // At most 65535 queues and two short strings: far below what a length field can say.
    let [s0, s1, s2, s3] = (payload_bytes as u32).to_be_bytes();
    let ([k0, k1], [m0, m1]) = (CLASS.to_be_bytes(), method.to_be_bytes());
    out.extend_from_slice(&[1, c0, c1, s0, s1, s2, s3, k0, k1, m0, m1]);
}

/// Appends a forwarded publish with its content, which is never split: a leg has no limit of its own.
#[inline]
pub fn forward(out: &mut Vec<u8>, f: &Forwarding<'_>) {
    let (exchange, key) = (short(f.exchange), short(f.routing_key));
    let queues = &f.queues[..f.queues.len().min(u16::MAX.into())];
    let payload = FORWARD_HEAD_BYTES + queues.len() * QUEUE_BYTES + 2 + exchange.0.len() + key.0.len();
    out.reserve(8 + payload + content_bytes(f.properties, f.body, 0));
    head(out, f.channel, FORWARD, payload);
    out.extend_from_slice(&f.sequence.to_be_bytes());
    out.extend_from_slice(&f.floor.to_be_bytes());
    out.push(u8::from(f.again));
    out.extend_from_slice(&(queues.len() as u16).to_be_bytes());
    for queue in queues {
        out.extend_from_slice(&queue.0.to_be_bytes());
    }
    push_short(out, exchange);
    push_short(out, key);
    out.push(FRAME_END);
    content(out, f.channel, f.properties, f.body, 0);
}

/// Appends the state of the catalogue that what follows relies on.
pub fn as_of(out: &mut Vec<u8>, generation: Generation) {
    head(out, 0, AS_OF, 4 + 8);
    out.extend_from_slice(&generation.0.to_be_bytes());
    out.push(FRAME_END);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{decode_header, decode_method, next_frame};
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn forwarding<'a>(queues: &'a [QueueId], names: (&'a [u8], &'a [u8]), body: &'a [u8]) -> Forwarding<'a> {
        Forwarding {
            channel: 7,
            sequence: 9,
            floor: 8,
            again: true,
            queues,
            exchange: names.0,
            routing_key: names.1,
            properties: &[0x10, 0, 2],
            body,
        }
    }

    fn frames(mut octets: &[u8]) -> Vec<(u16, Vec<u8>)> {
        let mut frames = Vec::new();
        while let Ok(Some((frame, length))) = next_frame(octets, 0) {
            frames.push((frame.channel, frame.payload.to_vec()));
            octets = &octets[length..];
        }
        assert!(octets.is_empty());
        frames
    }

    #[test]
    fn no_method_of_a_leg_is_one_of_amqp_and_none_of_amqp_is_one_of_a_leg() {
        let mut out = Vec::new();
        forward(&mut out, &forwarding(&[QueueId(1)], (b"x", b"k"), b""));
        as_of(&mut out, Generation(3));
        let frames = frames(&out);
        assert!(decode_method(&frames[0].1).is_err() && decode_method(&frames[2].1).is_err());
        assert_eq!(frames[2].0, 0);
        assert_eq!(decode_leg_method(&frames[2].1), Some(LegMethod::AsOf(Generation(3))));
        out.clear();
        crate::ack(&mut out, 1, 1, true);
        assert_eq!(decode_leg_method(&super::tests::frames(&out)[0].1), None);
    }

    proptest! {
        #[test]
        fn a_forwarded_publish_comes_back_as_it_went(
            queues in vec(any::<u64>(), 0..5), exchange in vec(any::<u8>(), 0..256), key in vec(any::<u8>(), 0..256),
            body in vec(any::<u8>(), 0..2000),
        ) {
            let queues: Vec<QueueId> = queues.into_iter().map(QueueId).collect();
            let mut out = Vec::new();
            forward(&mut out, &forwarding(&queues, (&exchange, &key), &body));
            let frames = frames(&out);
            let Some(LegMethod::Forward(read)) = decode_leg_method(&frames[0].1) else {
                panic!("no forward");
            };
            prop_assert_eq!((read.sequence, read.floor, read.again, frames[0].0), (9, 8, true, 7));
            prop_assert_eq!(read.targets.queues().collect::<Vec<_>>(), queues);
            prop_assert_eq!((read.exchange, read.routing_key), (&exchange[..], &key[..]));
            prop_assert_eq!(decode_header(&frames[1].1).unwrap().body_size, body.len() as u64);
            prop_assert_eq!(frames.get(2).map(|frame| frame.1.clone()).unwrap_or_default(), body);
        }

        #[test]
        fn hostile_octets_are_no_method_of_a_leg_and_cost_nothing(tail in vec(any::<u8>(), 0..400), method in 0u16..40) {
            let payload = [&CLASS.to_be_bytes()[..], &method.to_be_bytes(), &tail].concat();
            if let Some(LegMethod::Forward(read)) = decode_leg_method(&payload) {
                prop_assert!(read.targets.octets().len() <= tail.len());
            }
        }

        #[test]
        fn a_forwarded_publish_cut_anywhere_is_none(cut in 0usize..40) {
            let mut out = Vec::new();
            forward(&mut out, &forwarding(&[QueueId(1)], (b"x", b"key"), b""));
            let payload = frames(&out)[0].1.clone();
            prop_assume!(cut < payload.len());
            prop_assert_eq!(decode_leg_method(&payload[..cut]), None);
        }
    }
}
