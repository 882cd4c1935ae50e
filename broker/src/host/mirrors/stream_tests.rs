//! Who is told to fetch what it lacks, and when: read out of what goes over a link. What mirrors do then is theirs.

use super::*;
use mirror::{Copy, State as CopyState, record_bytes};

const LEADER: NodeUuid = NodeUuid(1);
const MIRROR: NodeUuid = NodeUuid(2);
const QUEUE: QueueId = QueueId(7);
const BY_HAND: Syncing = Syncing {
    automatic: false,
    batch: 4096,
};

fn record(version: u64, state: CopyState) -> Record {
    let leads = CopyState::InSync { incarnation: 1 };
    let copies = [(LEADER, leads), (MIRROR, state)];
    Record {
        epoch: Epoch(3),
        version,
        leader: LEADER,
        incarnation: 1,
        copies: copies.map(|(node, state)| Copy { node, state }).to_vec(),
        min_counted: 1,
    }
}

fn message() -> mirror::Entry<'static> {
    mirror::Entry {
        seq: Seq(1),
        level: 0,
        expires: queue::NEVER,
        returns: 0,
        persistent: true,
        origin: None,
        exchange: b"",
        routing_key: b"",
        properties: b"",
        body: b"",
    }
}

/// A queue with one mirror, attached over a link that stands.
fn attached(state: CopyState) -> (Stream, Arc<Link>) {
    let stream = Stream::new(QUEUE, record(1, state), BY_HAND, Millis(0));
    let link = Arc::new(Link::new(MIRROR));
    link.open(1);
    attach(&stream, &link, 1);
    (stream, link)
}

fn attach(stream: &Stream, link: &Arc<Link>, attachment: u64) {
    stream.attach(link, attachment, Generation(5), &Inventory::default(), Millis(0));
}

/// What a mirror has been told of fetching since the last look: with its attachment, and afterwards.
async fn told(link: &Link) -> Vec<bool> {
    let octets = link.next().await.unwrap();
    let (mut rest, mut told) = (octets.as_slice(), Vec::new());
    while let Some(length) = record_bytes(rest) {
        let (record, behind) = rest.split_at(length);
        match Word::decode(record).unwrap().1 {
            Word::Attach { pulls, .. } | Word::Pull(pulls) => told.push(pulls),
            _ => {}
        }
        rest = behind;
    }
    told
}

#[tokio::test]
async fn a_mirror_that_comes_to_count_after_it_was_attached_fetches_what_it_lacks() {
    let (stream, link) = attached(CopyState::Syncing);
    stream.learn(record(2, CopyState::Disk), Millis(1));
    assert_eq!(told(&link).await, [false, true]);
}

#[tokio::test]
async fn a_mirror_that_counts_goes_on_fetching_when_synchronising_is_cancelled() {
    let (stream, link) = attached(CopyState::Disk);
    stream.sync(false);
    assert_eq!(told(&link).await, [true]);
}

#[tokio::test]
async fn who_is_synchronised_by_hand_is_so_until_it_counts_and_not_again() {
    let (stream, link) = attached(CopyState::Syncing);
    stream.sync(true);
    assert_eq!(told(&link).await, [false, true]);
    stream.lacks(&link, 1, 40);
    assert_eq!(stream.lacking(), Some(40));
    stream.sync(false);
    assert_eq!((told(&link).await, stream.lacking()), (vec![false], None));
    stream.sync(true);
    stream.detach(MIRROR, Millis(1));
    attach(&stream, &link, 2);
    assert_eq!(told(&link).await, [true, true], "the order is not carried out yet");
    stream.learn(record(2, CopyState::InSync { incarnation: 1 }), Millis(2));
    stream.learn(record(3, CopyState::Syncing), Millis(3));
    attach(&stream, &link, 3);
    assert_eq!(told(&link).await, [false]);
}

#[tokio::test]
async fn messages_that_are_settled_in_any_order_are_told_as_a_record_that_can_be_read() {
    let (stream, link) = attached(CopyState::InSync { incarnation: 1 });
    let seqs = |runs: &[(u64, u64)]| {
        runs.iter()
            .map(|(first, last)| (Seq(*first), Seq(*last)))
            .collect::<Vec<_>>()
    };
    stream.remove(&mut seqs(&[(9, 9), (2, 4), (7, 7)]));
    let octets = link.next().await.unwrap();
    let (mut rest, mut gone) = (octets.as_slice(), Vec::new());
    while let Some(length) = record_bytes(rest) {
        let (record, behind) = rest.split_at(length);
        if let Word::Remove { runs, .. } = Word::decode(record).unwrap().1 {
            gone.extend(runs);
        }
        rest = behind;
    }
    assert_eq!(gone, seqs(&[(2, 4), (7, 7), (9, 9)]));
}

#[test]
fn what_is_told_is_reached_at_once_while_the_only_mirror_is_synchronised() {
    let (stream, link) = attached(CopyState::Syncing);
    let is_reached_at_once = || {
        let safe = stream.enqueue(&message()) + 1;
        stream.is_reached(safe, safe)
    };
    assert!(is_reached_at_once());
    stream.whole(&link, 1, &Dedup::default(), Millis(1));
    assert!(is_reached_at_once(), "it has the base and does not count yet");
    let all = Some(2);
    stream.acked(
        &link,
        1,
        Progress {
            held: all,
            durable: all,
        },
    );
    stream.due(Millis(2));
    assert!(!is_reached_at_once(), "it is about to count");
}
