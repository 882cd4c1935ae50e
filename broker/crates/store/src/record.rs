//! The records of the write-ahead log: one change of one queue each, framed with length, checksum and kind.
//!
//! Reading is a total function: octets that are no record are an answer, never a panic and never an allocation by an
//! unchecked length. Checksums are salted by the segment's number, so that what an earlier use of a recycled file left
//! behind is never taken for news. Kinds and fields are only ever added, since logs outlive releases.

use model::{Epoch, Millis, QueueId, Seq};

use crate::{content::Content, lsn::Lsn};

/// Length, checksum and kind before each record's own octets.
pub(crate) const FRAME_BYTES: usize = 9;
/// Opens every [`Mark`](Record::Mark), so that it can be found among damaged octets.
pub(crate) const MARK_MAGIC: [u8; 8] = *b"\xF1Warren\xA7";
/// The longest record: the largest message that a broker may be told to take, and some.
const RECORD_BYTES_MAX: u32 = 0x2100_0000;
/// Octets of an enqueue's fields before its content.
const ENTRY_BYTES: usize = 8 + 8 + 8 + 8 + 1;

/// A message's place in a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The queue.
    pub queue: QueueId,
    /// The reign it was enqueued in.
    pub epoch: Epoch,
    /// Its position.
    pub seq: Seq,
    /// When it expires; the end of time if never.
    pub expires: Millis,
    /// Its priority level.
    pub level: u8,
}

/// A record, borrowed from the octets it was read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Record<'a> {
    /// The beginning of one write; all before `synced` was durable by then.
    Mark {
        /// That position.
        synced: Lsn,
    },
    /// A message, enqueued.
    Enqueue(Entry, Content<'a>),
    /// A message for several queues.
    Body(Content<'a>),
    /// A message whose body stands at `body`, in the same segment, enqueued.
    EnqueueShared(Entry, Lsn),
    /// Messages are gone from their queue, both ends of each run included.
    Remove(QueueId, Vec<(Seq, Seq)>),
    /// Up to these positions, by level, messages of the queue have been handed out.
    Delivered(QueueId, Vec<(u8, Seq)>),
    /// The page file with this number was durable up to this length.
    PagesSynced {
        /// The file.
        file: u64,
        /// Octets.
        length: u64,
    },
    /// The segment ends here and another begins.
    Seal,
}

impl Record<'_> {
    /// What records of this kind are called where they are counted.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Record::Mark { .. } => "mark",
            Record::Enqueue(..) => "enqueue",
            Record::Body(_) => "body",
            Record::EnqueueShared(..) => "enqueue-shared",
            Record::Remove(..) => "remove",
            Record::Delivered(..) => "delivered",
            Record::PagesSynced { .. } => "pages-synced",
            Record::Seal => "seal",
        }
    }
}

/// What stands at a place of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Read<'a> {
    /// A record and the octets it takes with its frame.
    Record(Record<'a>, usize),
    /// The octets end before the record does: so many are needed to know.
    Short(usize),
    /// No record of this segment.
    Broken,
}

mod kind {
    pub(super) const MARK: u8 = 1;
    pub(super) const ENQUEUE: u8 = 2;
    pub(super) const BODY: u8 = 3;
    pub(super) const ENQUEUE_SHARED: u8 = 4;
    pub(super) const REMOVE: u8 = 5;
    pub(super) const DELIVERED: u8 = 6;
    pub(super) const PAGES_SYNCED: u8 = 7;
    pub(super) const SEAL: u8 = 8;
}

/// Where checksums of a segment begin.
pub(crate) fn salt(segment: u64) -> u32 {
    let mixed = segment.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 32) as u32
}

impl Entry {
    pub(crate) fn encode(&self) -> [u8; ENTRY_BYTES] {
        let mut octets = [0; ENTRY_BYTES];
        octets[0..8].copy_from_slice(&self.queue.0.to_le_bytes());
        octets[8..16].copy_from_slice(&self.epoch.0.to_le_bytes());
        octets[16..24].copy_from_slice(&self.seq.0.to_le_bytes());
        octets[24..32].copy_from_slice(&self.expires.0.to_le_bytes());
        octets[32] = self.level;
        octets
    }

    fn decode(from: &mut Fields<'_>) -> Option<Self> {
        Some(Entry {
            queue: QueueId(from.u64()?),
            epoch: Epoch(from.u64()?),
            seq: Seq(from.u64()?),
            expires: Millis(from.u64()?),
            level: from.u8()?,
        })
    }
}

/// A record about to be written: its checksum is made before anything is locked, the octets are copied once.
pub(crate) struct Draft<'a> {
    kind: u8,
    fields: &'a [u8],
    content: Option<&'a Content<'a>>,
}

impl<'a> Draft<'a> {
    pub(crate) fn enqueue(entry: &'a [u8; ENTRY_BYTES], content: &'a Content<'a>) -> Self {
        Draft {
            kind: kind::ENQUEUE,
            fields: entry,
            content: Some(content),
        }
    }

    pub(crate) fn body(content: &'a Content<'a>) -> Self {
        Draft {
            kind: kind::BODY,
            fields: &[],
            content: Some(content),
        }
    }

    fn payload_bytes(&self) -> usize {
        self.fields.len() + self.content.map_or(0, Content::encoded_bytes)
    }

    /// Octets with the frame.
    pub(crate) fn bytes(&self) -> usize {
        FRAME_BYTES + self.payload_bytes()
    }

    pub(crate) fn checksum(&self, salt: u32) -> u32 {
        let mut sum = crc32fast::Hasher::new_with_initial(salt);
        sum.update(&(self.payload_bytes() as u32).to_le_bytes());
        sum.update(&[self.kind]);
        sum.update(self.fields);
        if let Some(content) = self.content {
            sum.update(&content.head());
            content.parts().iter().for_each(|part| sum.update(part));
        }
        sum.finalize()
    }

    pub(crate) fn write(&self, checksum: u32, out: &mut Vec<u8>) {
        out.reserve(self.bytes());
        out.extend_from_slice(&(self.payload_bytes() as u32).to_le_bytes());
        out.extend_from_slice(&checksum.to_le_bytes());
        out.push(self.kind);
        out.extend_from_slice(self.fields);
        if let Some(content) = self.content {
            content.encode(out);
        }
    }
}

/// Records without content are small: they are put together first.
pub(crate) fn small(record: &Record<'_>) -> (u8, Vec<u8>) {
    let mut fields = Vec::new();
    let mut number = |value: u64| fields.extend_from_slice(&value.to_le_bytes());
    let kind = match record {
        Record::Mark { synced } => {
            fields.extend_from_slice(&MARK_MAGIC);
            fields.extend_from_slice(&synced.0.to_le_bytes());
            kind::MARK
        }
        Record::EnqueueShared(entry, body) => {
            fields.extend_from_slice(&entry.encode());
            fields.extend_from_slice(&body.0.to_le_bytes());
            kind::ENQUEUE_SHARED
        }
        Record::Remove(queue, runs) => {
            number(queue.0);
            for (first, last) in runs {
                number(first.0);
                number(last.0);
            }
            kind::REMOVE
        }
        Record::Delivered(queue, levels) => {
            number(queue.0);
            for (level, seq) in levels {
                fields.push(*level);
                fields.extend_from_slice(&seq.0.to_le_bytes());
            }
            kind::DELIVERED
        }
        Record::PagesSynced { file, length } => {
            number(*file);
            number(*length);
            kind::PAGES_SYNCED
        }
        Record::Seal => kind::SEAL,
        Record::Enqueue(entry, content) => {
            fields.extend_from_slice(&entry.encode());
            content.encode(&mut fields);
            kind::ENQUEUE
        }
        Record::Body(content) => {
            content.encode(&mut fields);
            kind::BODY
        }
    };
    (kind, fields)
}

/// Appends a record.
pub(crate) fn append(record: &Record<'_>, salt: u32, out: &mut Vec<u8>) {
    let (kind, fields) = small(record);
    let draft = Draft {
        kind,
        fields: &fields,
        content: None,
    };
    draft.write(draft.checksum(salt), out);
}

/// Reads the record at the beginning of `octets`.
pub(crate) fn read(octets: &[u8], salt: u32) -> Read<'_> {
    let Some((frame, rest)) = octets.split_first_chunk::<FRAME_BYTES>() else {
        return Read::Short(FRAME_BYTES);
    };
    let [a, b, c, d, e, f, g, h, kind] = *frame;
    let length = u32::from_le_bytes([a, b, c, d]);
    if length > RECORD_BYTES_MAX || !(kind::MARK..=kind::SEAL).contains(&kind) {
        return Read::Broken;
    }
    let bytes = FRAME_BYTES + length as usize;
    let Some(payload) = rest.get(..length as usize) else {
        return Read::Short(bytes);
    };
    let mut sum = crc32fast::Hasher::new_with_initial(salt);
    sum.update(&frame[..4]);
    sum.update(&[kind]);
    sum.update(payload);
    if sum.finalize() != u32::from_le_bytes([e, f, g, h]) {
        return Read::Broken;
    }
    match decode(kind, payload) {
        Some(record) => Read::Record(record, bytes),
        None => Read::Broken,
    }
}

fn decode(kind: u8, payload: &[u8]) -> Option<Record<'_>> {
    let mut fields = Fields(payload);
    Some(match kind {
        kind::MARK => {
            let magic = fields.take(MARK_MAGIC.len())?;
            (magic == MARK_MAGIC).then_some(())?;
            Record::Mark {
                synced: Lsn(fields.u64()?),
            }
        }
        kind::ENQUEUE => {
            let entry = Entry::decode(&mut fields)?;
            Record::Enqueue(entry, Content::decode(fields.0)?)
        }
        kind::BODY => Record::Body(Content::decode(fields.0)?),
        kind::ENQUEUE_SHARED => Record::EnqueueShared(Entry::decode(&mut fields)?, Lsn(fields.u64()?)),
        kind::REMOVE => {
            let queue = QueueId(fields.u64()?);
            let mut runs = Vec::with_capacity(fields.0.len() / 16);
            while !fields.0.is_empty() {
                runs.push((Seq(fields.u64()?), Seq(fields.u64()?)));
            }
            Record::Remove(queue, runs)
        }
        kind::DELIVERED => {
            let queue = QueueId(fields.u64()?);
            let mut levels = Vec::with_capacity(fields.0.len() / 9);
            while !fields.0.is_empty() {
                levels.push((fields.u8()?, Seq(fields.u64()?)));
            }
            Record::Delivered(queue, levels)
        }
        kind::PAGES_SYNCED => Record::PagesSynced {
            file: fields.u64()?,
            length: fields.u64()?,
        },
        kind::SEAL => Record::Seal,
        _ => return None,
    })
}

/// Fields from the front of some octets.
pub(crate) struct Fields<'a>(pub(crate) &'a [u8]);

impl<'a> Fields<'a> {
    pub(crate) fn take(&mut self, octets: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(octets)?;
        self.0 = rest;
        Some(taken)
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.take(1).map(|octets| octets[0])
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?))
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(self.take(8)?.try_into().ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SALT: u32 = 77;

    fn entry(seq: u64) -> Entry {
        Entry {
            queue: QueueId(3),
            epoch: Epoch(1),
            seq: Seq(seq),
            expires: Millis(u64::MAX),
            level: 2,
        }
    }

    fn content() -> Content<'static> {
        Content {
            exchange: b"amq.topic",
            routing_key: b"a.b",
            properties: &[0x10, 0, 2],
            body: b"hello",
        }
    }

    fn samples() -> Vec<Record<'static>> {
        vec![
            Record::Mark {
                synced: Lsn::new(4, 64),
            },
            Record::Enqueue(entry(1), content()),
            Record::Body(content()),
            Record::EnqueueShared(entry(2), Lsn::new(4, 200)),
            Record::Remove(QueueId(3), vec![(Seq(1), Seq(4)), (Seq(9), Seq(9))]),
            Record::Delivered(QueueId(3), vec![(0, Seq(7)), (2, Seq(9))]),
            Record::PagesSynced { file: 2, length: 4096 },
            Record::Seal,
        ]
    }

    #[test]
    fn every_record_reads_as_it_was_written() {
        for record in samples() {
            let mut octets = Vec::new();
            append(&record, SALT, &mut octets);
            assert_eq!(read(&octets, SALT), Read::Record(record, octets.len()));
        }
    }

    #[test]
    fn a_draft_writes_the_same_octets_as_the_record() {
        let (mut drafted, mut whole) = (Vec::new(), Vec::new());
        let (fields, content) = (entry(1).encode(), content());
        let draft = Draft::enqueue(&fields, &content);
        draft.write(draft.checksum(SALT), &mut drafted);
        append(&Record::Enqueue(entry(1), content), SALT, &mut whole);
        assert_eq!(drafted, whole);
        assert_eq!(draft.bytes(), whole.len());
    }

    /// The octets of every record as the first release wrote them. They may be added to, never changed.
    #[test]
    fn records_of_the_first_release_are_still_read() {
        let golden = include_str!("golden/records.hex");
        let octets: Vec<u8> = golden
            .split_whitespace()
            .map(|byte| u8::from_str_radix(byte, 16).unwrap())
            .collect();
        let mut rest = &octets[..];
        for expected in samples() {
            let Read::Record(record, bytes) = read(rest, SALT) else {
                panic!("no {expected:?}")
            };
            assert_eq!(record, expected);
            rest = &rest[bytes..];
        }
        assert!(rest.is_empty());
    }

    #[test]
    fn what_another_segment_wrote_is_no_record_here() {
        let mut octets = Vec::new();
        append(&samples()[1], salt(4), &mut octets);
        assert_eq!(read(&octets, salt(5)), Read::Broken);
    }

    proptest! {
        #[test]
        fn a_cut_record_asks_for_more_and_a_flipped_bit_breaks_it(which in 0..8usize, at in any::<usize>(), bit in 0..8u8) {
            let mut octets = Vec::new();
            append(&samples()[which], SALT, &mut octets);
            let at = at % octets.len();
            prop_assert!(matches!(read(&octets[..at], SALT), Read::Short(_)));
            octets[at] ^= 1 << bit;
            prop_assert!(!matches!(read(&octets, SALT), Read::Record(..)));
        }

        #[test]
        fn any_octets_are_read_without_harm(octets in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&octets, SALT);
        }
    }
}
