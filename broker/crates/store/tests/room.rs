//! A disk that is full: what nobody wants is freed at once, however few segments there are, and publishers may go on
//! without anybody's help. Seen from outside, on the disk in memory.

use model::{Epoch, Millis, QueueId, Seq};
use std::sync::Arc;
use store::{Content, Entry, Opened, Sizes, StoredMessage, Wake, disk::MemDisk};

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
    let mut opened: Store = Opened::open(disk.clone(), sizes, &|_| true).expect("an empty disk");
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
