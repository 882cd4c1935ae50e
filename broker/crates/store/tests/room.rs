//! A disk that is full: what nobody wants is freed at once, however few segments there are, and publishers may go on
//! without anybody's help. Seen from outside, on the disk in memory.

use model::{Epoch, Millis, PageId, QueueId, Seq};
use std::sync::Arc;
use store::{
    Content, Entry, Opened, Paged, Sizes, StoredMessage, Wake,
    disk::{Disk, MemDisk},
};

const SEGMENT_BYTES: u64 = 4096;

struct Body(Vec<u8>);

fn content(body: &[u8]) -> Content<'_> {
    Content {
        exchange: b"",
        routing_key: b"q",
        properties: b"",
        body,
    }
}

impl StoredMessage for Body {
    fn content(&self) -> Content<'_> {
        content(&self.0)
    }

    fn is_persistent(&self) -> bool {
        true
    }

    fn of(content: &Content<'_>, _persistent: bool) -> Self {
        Body(content.body.to_vec())
    }
}

type Store = Opened<MemDisk, Body>;

/// Everything appended becomes durable, and the keeper follows.
fn step(opened: &mut Store) {
    let wake: Wake = Arc::new(|| {});
    opened.store().wake_when_synced(opened.store().end(), &wake);
    opened.step_writer().expect("a full disk is no failure");
    opened.step_keeper().expect("a full disk is no failure");
}

/// Publishes one message and consumes it.
fn pass_through(opened: &Store, seq: u64) {
    let (queue, seq) = (QueueId(1), Seq(seq));
    let entry = Entry {
        queue,
        epoch: Epoch(1),
        seq,
        expires: Millis(u64::MAX),
        level: 0,
    };
    opened.store().enqueue(&entry, &content(&[b'.'; 200]));
    opened.store().remove(queue, &[(seq, seq)]);
}

#[test]
fn a_full_disk_gives_back_what_was_consumed_before_there_are_many_segments() {
    let disk = MemDisk::new();
    let sizes = Sizes {
        segment_bytes: SEGMENT_BYTES,
        segments_max: 1000,
        page_file_bytes: SEGMENT_BYTES,
    };
    let mut opened: Store =
        Opened::open(disk.clone(), sizes, store::Formats::default(), &|_| true).expect("an empty disk");
    disk.set_capacity(Some(6 * SEGMENT_BYTES as usize));
    let mut times_full = 0;
    for seq in 1..=2000 {
        pass_through(&opened, seq);
        step(&mut opened);
        if opened.store().is_full() {
            times_full += 1;
            assert!(!opened.store().has_room(), "publishers wait while it is full");
            (0..10).for_each(|_| step(&mut opened));
            assert!(!opened.store().is_full(), "message {seq}: nothing was freed");
        }
    }
    assert!(times_full > 10, "the disk was full {times_full} times only");
}

fn opened(disk: &MemDisk) -> Store {
    let sizes = Sizes {
        segment_bytes: 4 * SEGMENT_BYTES,
        segments_max: 2,
        page_file_bytes: 1 << 20,
    };
    let mut opened = Opened::open(disk.clone(), sizes, store::Formats::default(), &|_| true).expect("an empty disk");
    step(&mut opened);
    opened
}

/// Has messages leave memory: a page of about 2300 octets.
fn page_out(opened: &Store, seqs: std::ops::RangeInclusive<u64>) -> PageId {
    let paged = |seq| Paged {
        seq: Seq(seq),
        expires: Millis(u64::MAX),
        message: Body(vec![b'.'; 200]),
    };
    let messages: Vec<_> = seqs.map(paged).collect();
    let store = opened.store();
    for paged in &messages {
        let entry = Entry {
            queue: QueueId(1),
            epoch: Epoch(1),
            seq: paged.seq,
            expires: Millis(u64::MAX),
            level: 0,
        };
        store.enqueue(&entry, &content(&paged.message.0));
    }
    store.page_out(QueueId(1), Epoch(1), 0, messages, 2000)
}

fn octets(disk: &MemDisk) -> usize {
    let files = ["wal", "pages"].map(|directory| {
        let names = disk.list(directory).expect("it is there");
        let length = |name: &String| {
            let path = format!("{directory}/{name}");
            store::disk::read_all(disk, &path).expect("it is there").len()
        };
        names.iter().map(length).sum::<usize>()
    });
    files.iter().sum()
}

#[test]
fn what_found_no_room_and_was_consumed_from_memory_leaves_nobody_waiting() {
    let disk = MemDisk::new();
    let mut opened = opened(&disk);
    disk.set_capacity(Some(octets(&disk) + 1000));
    let page = page_out(&opened, 1..=8);
    step(&mut opened);
    assert!(opened.store().is_full());
    opened
        .store()
        .load(page, Box::new(|messages| assert_eq!(messages.len(), 8)));
    opened.store().remove(QueueId(1), &[(Seq(1), Seq(8))]);
    step(&mut opened);
    assert!(!opened.store().is_full(), "nobody wants room any more");
}

#[test]
fn on_a_full_disk_a_page_file_that_nobody_wants_goes_although_it_is_short() {
    let disk = MemDisk::new();
    let mut opened = opened(&disk);
    page_out(&opened, 1..=8);
    step(&mut opened);
    disk.set_capacity(Some(octets(&disk) + 1000));
    page_out(&opened, 9..=16);
    step(&mut opened);
    assert!(opened.store().is_full());
    opened.store().remove(QueueId(1), &[(Seq(1), Seq(8))]);
    (0..5).for_each(|_| step(&mut opened));
    assert!(!opened.store().is_full(), "the first page made room for the second");
}
