//! What runs on a leg comes back as it went, alike messages share frames, and hostile octets are nothing.

use super::*;
use crate::{decode_method, next_frame};
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

fn delivery<'a>(delivery_tag: u64, body: &'a [u8]) -> Deliver<'a> {
    Deliver {
        channel: 3,
        consumer_tag: b"c",
        delivery_tag,
        redelivered: true,
        exchange: b"x",
        routing_key: b"k",
        properties: &[0, 0],
        body,
        frame_max: 0,
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

/// Channel, sequence, first queue, key and body of a publish.
type Read = (u16, u64, u64, Vec<u8>, Vec<u8>);

/// How many frames there are, and all publishes in them.
fn publishes_in(octets: &[u8]) -> (usize, Vec<Read>) {
    let frames = frames(octets);
    let mut all = Vec::new();
    for (channel, payload) in &frames {
        let Some(LegMethod::Forward(run)) = decode_leg_method(payload) else {
            panic!("no forward");
        };
        all.extend(run.each().map(|(one, body)| {
            let queue = one.targets.queues().next().map_or(0, |queue| queue.0);
            (*channel, one.sequence, queue, one.routing_key.to_vec(), body.to_vec())
        }));
    }
    (frames.len(), all)
}

#[test]
fn no_method_of_a_leg_is_one_of_amqp_and_none_of_amqp_is_one_of_a_leg() {
    let (mut out, mut tail) = (Vec::new(), Tail::default());
    forward(&mut out, &mut tail, &forwarding(&[QueueId(1)], (b"x", b"k"), b""));
    hand_on(&mut out, &mut Tail::default(), &delivery(1, b"m"));
    as_of(&mut out, Generation(3));
    let frames = frames(&out);
    assert!(frames.iter().all(|(_, payload)| decode_method(payload).is_err()));
    assert_eq!(frames[2].0, 0);
    assert_eq!(decode_leg_method(&frames[2].1), Some(LegMethod::AsOf(Generation(3))));
    out.clear();
    crate::ack(&mut out, 1, 1, true);
    assert_eq!(decode_leg_method(&super::tests::frames(&out)[0].1), None);
}

#[test]
fn publishes_share_a_frame_until_something_of_them_differs_or_something_else_is_said() {
    let (mut out, mut tail) = (Vec::new(), Tail::default());
    let mut say = |out: &mut Vec<u8>, sequence, change: &dyn Fn(&mut Forwarding<'_>)| {
        let mut one = forwarding(&[QueueId(1)], (b"x", b"k"), b"m");
        one.sequence = sequence;
        change(&mut one);
        forward(out, &mut tail, &one);
    };
    say(&mut out, 5, &|_| {});
    say(&mut out, 6, &|_| {});
    assert_eq!(frames(&out).len(), 1);
    say(&mut out, 8, &|_| {});
    say(&mut out, 9, &|one| one.channel = 8);
    say(&mut out, 10, &|one| one.routing_key = b"other");
    say(&mut out, 11, &|one| one.exchange = b"xk");
    say(&mut out, 12, &|one| one.properties = &[0, 0]);
    say(&mut out, 13, &|one| one.again = false);
    say(&mut out, 14, &|one| one.queues = &[QueueId(2)]);
    assert_eq!(frames(&out).len(), 8);
    as_of(&mut out, Generation(1));
    say(&mut out, 15, &|one| one.queues = &[QueueId(2)]);
    assert_eq!(frames(&out).len(), 10);
}

#[test]
fn what_is_never_sent_again_has_no_number_and_shares_a_frame_too() {
    let (mut out, mut tail) = (Vec::new(), Tail::default());
    for body in [&b"a"[..], b"", b"c"] {
        let mut one = forwarding(&[QueueId(1)], (b"x", b"k"), body);
        one.sequence = 0;
        forward(&mut out, &mut tail, &one);
    }
    let (frames, publishes) = publishes_in(&out);
    assert_eq!(frames, 1);
    let bodies = publishes.iter().map(|publish| (publish.1, publish.4.as_slice()));
    assert_eq!(bodies.collect::<Vec<_>>(), [(0, &b"a"[..]), (0, b""), (0, b"c")]);
}

#[test]
fn a_frame_is_full_at_some_size_and_a_large_message_has_one_for_itself() {
    let (mut out, mut tail) = (Vec::new(), Tail::default());
    for (place, bytes) in [20_000, 20_000, 200_000, 1].into_iter().enumerate() {
        let body = vec![b'm'; bytes];
        let mut one = forwarding(&[QueueId(1)], (b"x", b"k"), &body);
        one.sequence = 1 + place as u64;
        forward(&mut out, &mut tail, &one);
    }
    let (frames, publishes) = publishes_in(&out);
    assert_eq!((frames, publishes.len()), (4, 4));
}

#[test]
fn a_tail_that_was_cut_takes_nothing_whatever_is_in_the_buffer() {
    let (mut out, mut tail) = (Vec::new(), Tail::default());
    hand_on(&mut out, &mut tail, &delivery(1, b"m"));
    let mut other = std::mem::take(&mut out);
    tail.cut();
    hand_on(&mut other, &mut tail, &delivery(2, b"m"));
    assert_eq!(frames(&other).len(), 2);
}

/// What stands in the frames.
fn settled_in(octets: &[u8]) -> Vec<(u16, Settled)> {
    let frames = frames(octets).into_iter();
    let read = frames.filter_map(|(channel, payload)| match decode_leg_method(&payload) {
        Some(LegMethod::Settle(settled)) => Some((channel, settled)),
        _ => None,
    });
    read.collect()
}

#[test]
fn deliveries_settled_in_turn_share_a_frame_until_another_turn_or_kind_or_channel_begins() {
    let (mut out, mut tail) = (Vec::new(), SettledTail::default());
    let said = [
        (1, Settling::Ack, 5),
        (1, Settling::Ack, 6),
        (1, Settling::Ack, 7),
        (1, Settling::Ack, 9),
        (1, Settling::Requeue, 10),
        (2, Settling::Requeue, 11),
    ];
    for (channel, how, tag) in said {
        settle(&mut out, &mut tail, channel, how, tag);
    }
    as_of(&mut out, Generation(1));
    settle(&mut out, &mut tail, 2, Settling::Requeue, 12);
    let run = |how, first, last| Settled { how, first, last };
    let expected = [
        (1, run(Settling::Ack, 5, 7)),
        (1, run(Settling::Ack, 9, 9)),
        (1, run(Settling::Requeue, 10, 10)),
        (2, run(Settling::Requeue, 11, 11)),
        (2, run(Settling::Requeue, 12, 12)),
    ];
    assert_eq!(settled_in(&out), expected);
    let mut next = out.split_off(out.len() - SETTLE_BYTES);
    tail.cut();
    settle(&mut next, &mut tail, 2, Settling::Requeue, 13);
    assert_eq!(settled_in(&next).len(), 2);
}

#[test]
fn deliveries_written_all_at_once_are_those_written_one_by_one() {
    for frame_max in [0, 4096] {
        let bodies = [&b"a"[..], b"", &[b'm'; 5000], b"four"];
        let (mut one_by_one, mut at_once) = (b"before".to_vec(), b"before".to_vec());
        for (place, body) in bodies.iter().enumerate() {
            let one = Deliver {
                frame_max,
                ..delivery(7 + place as u64, body)
            };
            crate::deliver(&mut one_by_one, &one);
        }
        let first = Deliver {
            frame_max,
            ..delivery(7, b"")
        };
        crate::deliver_all(&mut at_once, &first, bodies.into_iter());
        assert_eq!(at_once, one_by_one);
    }
}

proptest! {
    #[test]
    fn forwarded_publishes_come_back_as_they_went(
        queues in vec(any::<u64>(), 0..5), exchange in vec(any::<u8>(), 0..256), key in vec(any::<u8>(), 0..256),
        bodies in vec(vec(any::<u8>(), 0..2000), 1..4),
    ) {
        let queues: Vec<QueueId> = queues.into_iter().map(QueueId).collect();
        let (mut out, mut tail) = (Vec::new(), Tail::default());
        for (place, body) in bodies.iter().enumerate() {
            let mut one = forwarding(&queues, (&exchange, &key), body);
            one.sequence += place as u64;
            forward(&mut out, &mut tail, &one);
        }
        let frames = frames(&out);
        let Some(LegMethod::Forward(read)) = decode_leg_method(&frames[0].1) else {
            panic!("no forward");
        };
        prop_assert_eq!((read.sequence, read.floor, read.again, frames[0].0), (9, 8, true, 7));
        prop_assert_eq!(read.targets.queues().collect::<Vec<_>>(), queues);
        prop_assert_eq!((read.exchange, read.routing_key), (&exchange[..], &key[..]));
        prop_assert_eq!(read.properties, [0x10, 0, 2]);
        prop_assert_eq!(read.bodies.map(<[u8]>::to_vec).collect::<Vec<_>>(), bodies);
    }

    #[test]
    fn publishes_of_any_kind_keep_their_order_and_their_own_envelope(
        kinds in vec((1u16..3, 1u64..3, 0u64..3, 0usize..3), 1..40),
    ) {
        let (mut out, mut tail, mut sequence, mut sent) = (Vec::new(), Tail::default(), 0, Vec::new());
        for (channel, step, queue, key) in kinds {
            sequence += step;
            let (queues, key) = ([QueueId(queue)], &b"key"[..key]);
            let mut one = forwarding(&queues, (b"x", key), b"body");
            (one.channel, one.sequence) = (channel, sequence);
            forward(&mut out, &mut tail, &one);
            sent.push((channel, sequence, queue, key.to_vec(), b"body".to_vec()));
        }
        prop_assert_eq!(publishes_in(&out).1, sent);
    }

    #[test]
    fn hostile_octets_are_no_method_of_a_leg_and_cost_nothing(tail in vec(any::<u8>(), 0..400), method in 0u16..40) {
        let payload = [&CLASS.to_be_bytes()[..], &method.to_be_bytes(), &tail].concat();
        if let Some(LegMethod::Forward(read)) = decode_leg_method(&payload) {
            prop_assert!(read.targets.octets().len() <= tail.len());
            prop_assert!(read.bodies.count() <= tail.len());
        }
    }

    #[test]
    fn a_forwarded_publish_cut_anywhere_is_none(cut in 0usize..60) {
        let mut out = Vec::new();
        forward(&mut out, &mut Tail::default(), &forwarding(&[QueueId(1)], (b"x", b"key"), b"m"));
        let payload = frames(&out)[0].1.clone();
        prop_assume!(cut < payload.len());
        prop_assert_eq!(decode_leg_method(&payload[..cut]), None);
    }
}
