//! A store on a disk in memory for the tests of this crate: small files, messages that are texts, stepped by hand.
//!
//! Every step is taken by the test; no thread, no clock.

use model::{Epoch, Millis, QueueId, Seq};

use crate::{
    Content, Entry, Formats, Lsn, Opened, Paged, Sizes, Store, StoredMessage,
    disk::{Disk, MemDisk, Open},
};

/// Files so small that a few messages fill several.
pub(crate) const SIZES: Sizes = Sizes {
    segment_bytes: 2000,
    segments_max: 2,
    page_file_bytes: 2000,
};

/// A message that is its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Text(pub(crate) Vec<u8>);

impl StoredMessage for Text {
    fn content(&self) -> Content<'_> {
        content(&self.0)
    }

    fn is_persistent(&self) -> bool {
        true
    }

    fn of(content: &Content<'_>, _: bool) -> Self {
        Text(content.body.to_vec())
    }
}

/// A message's parts, with this body.
pub(crate) fn content(body: &[u8]) -> Content<'_> {
    Content {
        exchange: b"x",
        routing_key: b"key",
        properties: &[0, 0],
        body,
    }
}

/// A store and its disk.
pub(crate) struct Kept {
    pub(crate) disk: MemDisk,
    pub(crate) opened: Opened<MemDisk, Text>,
    pub(crate) store: Store<Text>,
}

impl Kept {
    pub(crate) fn open(disk: MemDisk) -> Self {
        let opened = Opened::open(disk.clone(), SIZES, Formats::default(), &|_| true).unwrap();
        let store = opened.store();
        Kept { disk, opened, store }
    }

    pub(crate) fn new() -> Self {
        Self::open(MemDisk::new())
    }

    /// Appends messages of 100 octets.
    pub(crate) fn enqueue(&self, queue: u64, seqs: std::ops::RangeInclusive<u64>) -> Lsn {
        let mut end = self.store.end();
        for seq in seqs {
            let body = body(seq);
            end = self.store.enqueue(&entry(queue, seq), &content(&body));
        }
        end
    }

    pub(crate) fn page_out(&self, queue: u64, seqs: std::ops::RangeInclusive<u64>) {
        let paged = |seq| Paged {
            seq: Seq(seq),
            expires: Millis(u64::MAX),
            message: Text(body(seq)),
        };
        self.store
            .page_out(QueueId(queue), Epoch(1), 0, seqs.map(paged).collect(), 100);
    }

    pub(crate) fn step(&mut self) {
        self.opened.step_writer().unwrap();
        self.opened.step_keeper().unwrap();
    }

    /// Stops in order.
    pub(crate) fn stop(mut self) -> MemDisk {
        self.store.stop();
        while !self.opened.step_writer().unwrap() {}
        self.opened.step_keeper().unwrap();
        self.disk
    }
}

/// The body of the message at a position.
pub(crate) fn body(seq: u64) -> Vec<u8> {
    format!("{seq:0100}").into_bytes()
}

pub(crate) fn entry(queue: u64, seq: u64) -> Entry {
    Entry {
        queue: QueueId(queue),
        epoch: Epoch(1),
        seq: Seq(seq),
        expires: Millis(u64::MAX),
        level: 0,
    }
}

/// Overwrites octets of a file, behind everybody's back.
pub(crate) fn overwrite(disk: &MemDisk, path: &str, offset: u64, octets: &[u8]) {
    use crate::disk::DiskFile;
    disk.open(path, Open::Existing)
        .unwrap()
        .write_at(offset, octets)
        .unwrap();
}
