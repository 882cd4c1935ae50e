//! What is said is what is heard, and hostile octets are refused without harm; nothing here looks at what words mean.

use super::*;
use proptest::prelude::*;

fn runs() -> impl Strategy<Value = Vec<(Seq, Seq)>> {
    prop::collection::vec((1u64..9, 0u64..9), 0..6).prop_map(|steps| {
        let mut next = 0;
        let run = |(gap, more): (u64, u64)| {
            let first = next + gap;
            next = first + more;
            (Seq(first), Seq(first + more))
        };
        steps.into_iter().map(run).collect()
    })
}

fn origin() -> impl Strategy<Value = Option<Origin>> {
    let origin = (any::<u128>(), any::<u64>(), any::<u64>(), any::<u64>());
    prop::option::of(origin.prop_map(|(node, incarnation, number, floor)| Origin {
        node: NodeUuid(node),
        stream: number / 3,
        incarnation,
        number,
        floor,
    }))
}

/// A message's parts, owned.
type Parts = (Vec<u8>, Vec<u8>, Vec<u8>, Vec<u8>);

fn parts() -> impl Strategy<Value = Parts> {
    let octets = |max| prop::collection::vec(any::<u8>(), 0..max);
    (octets(255), octets(255), octets(400), octets(400))
}

fn entry(parts: &Parts, origin: Option<Origin>, seq: u64, persistent: bool) -> Entry<'_> {
    Entry {
        seq: Seq(seq),
        level: 3,
        expires: Millis(seq / 2),
        returns: 7,
        persistent,
        origin,
        exchange: &parts.0,
        routing_key: &parts.1,
        properties: &parts.2,
        body: &parts.3,
    }
}

proptest! {
    #[test]
    fn what_is_said_is_what_is_heard(
        (runs, parts, origin) in (runs(), parts(), origin()),
        (a, b, flag) in (any::<u64>(), any::<u64>(), any::<bool>()),
        queue in any::<u64>(),
    ) {
        let epoch = Epoch(a);
        let entry = entry(&parts, origin, b, flag);
        let words = [
            Word::Attach { attachment: b, epoch, as_of: Generation(b), pos: a, pulls: flag, batch: 4096 },
            Word::Base { first: Seq(a), last: Seq(b), runs: runs.clone() },
            Word::AllListed,
            Word::Old(entry),
            Word::Sent,
            Word::BaseEnds { is_partial: flag },
            Word::Enqueue { pos: a, entry },
            Word::Remove { pos: b, runs: runs.clone() },
            Word::Delivered { pos: a, levels: vec![(0, Seq(b)), (9, Seq(a))] },
            Word::Pull(flag),
            Word::Returned { pos: b, counts: vec![(Seq(a), 3), (Seq(b), u32::MAX)] },
            Word::Heard(Heard {
                node: NodeUuid(a.into()),
                stream: b,
                incarnation: a,
                floor: b,
                seen: runs.iter().map(|(first, last)| (first.0, last.0)).collect(),
            }),
            Word::Refused { attachment: a },
            Word::Want { attachment: a, runs },
            Word::Whole { attachment: a },
            Word::Lacks { attachment: a, count: b },
            Word::Ack { attachment: a, held: a, durable: Some(b).filter(|b| *b < u64::MAX && flag) },
        ];
        let mut octets = Vec::new();
        words.iter().for_each(|word| word.encode(QueueId(queue), &mut octets));
        let mut rest = octets.as_slice();
        for word in words {
            let (record, behind) = rest.split_at(record_bytes(rest).unwrap());
            prop_assert_eq!(Word::decode(record), Ok((QueueId(queue), word)));
            rest = behind;
        }
        prop_assert!(rest.is_empty());
        let mut hot = Vec::new();
        enqueue(&mut hot, QueueId(queue), a, &entry);
        prop_assert_eq!(Word::decode(&hot), Ok((QueueId(queue), Word::Enqueue { pos: a, entry })));
    }

    #[test]
    fn hostile_octets_are_refused_and_never_panic(octets in prop::collection::vec(any::<u8>(), 0..200), kind in 0u8..30) {
        let _ = Word::decode(&octets);
        let mut record = vec![0; RECORD_HEADER_BYTES];
        record[4] = kind;
        record.extend_from_slice(&octets);
        let _ = Word::decode(&record);
    }
}
