//! Retiring a segment of the log: reading it once more and copying into pages what still lives in it alone.
//!
//! Which messages these are is known as runs; the segment is read in order, so each queue's messages come in order too.
//! The same is done at recovery for all segments that were left.

use std::{collections::BTreeMap, io};

use model::{QueueId, Runs};

use crate::{
    content::Content,
    disk::{Disk, DiskFile},
    keeper::Keeper,
    lsn::Lsn,
    message::StoredMessage,
    page::Draft,
    record::{self, Entry, FRAME_BYTES, Read, Record},
    recover::RecoveredPage,
    segment,
};

/// Memory that half-filled pages may take together; above it all of them are written as they are.
const DRAFTS_BYTES_MAX: usize = 64 << 20;

/// Copies what lives in the segment alone into pages, and tells of these.
pub(crate) fn copy_live<D: Disk, M: StoredMessage>(
    keeper: &mut Keeper<D, M>,
    segment: u64,
) -> io::Result<Vec<(QueueId, RecoveredPage)>> {
    let Some(live) = keeper.index.live_in(segment).filter(|live| !live.is_empty()).cloned() else {
        return Ok(Vec::new());
    };
    let file = keeper.open_segment(segment)?;
    let mut copy = Copy {
        live,
        drafts: BTreeMap::new(),
        bytes: 0,
        made: Vec::new(),
    };
    segment::scan(&file, segment, |_, found| match found {
        Record::Enqueue(entry, content) => copy.take(keeper, &entry, &content),
        Record::EnqueueShared(entry, body) if copy.wants(&entry) => {
            let octets = read_frame(&file, body)?;
            match record::read(&octets, record::salt(segment)) {
                Read::Record(Record::Body(content), _) => copy.take(keeper, &entry, &content),
                _ => Err(io::Error::other(format!(
                    "{}: no message body at offset {}",
                    segment::path(segment),
                    body.offset()
                ))),
            }
        }
        _ => Ok(()),
    })?;
    copy.write_all(keeper)?;
    Ok(copy.made)
}

/// The octets of one record.
fn read_frame<F: DiskFile>(file: &F, at: Lsn) -> io::Result<Vec<u8>> {
    let mut octets = vec![0; FRAME_BYTES];
    file.read_at(at.offset(), &mut octets)?;
    if let Read::Short(bytes) = record::read(&octets, 0) {
        let left = file.length()?.saturating_sub(at.offset());
        octets.resize(bytes.min(usize::try_from(left).unwrap_or(usize::MAX)), 0);
        file.read_at(at.offset(), &mut octets)?;
    }
    Ok(octets)
}

/// Pages in the making, by queue and level.
struct Copy {
    live: BTreeMap<QueueId, Runs>,
    drafts: BTreeMap<(QueueId, u8), Draft>,
    bytes: usize,
    made: Vec<(QueueId, RecoveredPage)>,
}

impl Copy {
    fn wants(&self, entry: &Entry) -> bool {
        self.live.get(&entry.queue).is_some_and(|runs| runs.contains(entry.seq))
    }

    fn take<D: Disk, M: StoredMessage>(
        &mut self,
        keeper: &mut Keeper<D, M>,
        entry: &Entry,
        content: &Content<'_>,
    ) -> io::Result<()> {
        if !self.wants(entry) {
            return Ok(());
        }
        let draft = self.drafts.entry((entry.queue, entry.level)).or_default();
        draft.push(entry.seq, entry.epoch, entry.expires, true, content);
        self.bytes += content.encoded_bytes();
        if draft.is_full() {
            let full = std::mem::take(draft);
            self.write(keeper, entry.queue, entry.level, &full)?;
        }
        if self.bytes > DRAFTS_BYTES_MAX {
            self.write_all(keeper)?;
        }
        Ok(())
    }

    fn write_all<D: Disk, M: StoredMessage>(&mut self, keeper: &mut Keeper<D, M>) -> io::Result<()> {
        self.bytes = 0;
        for ((queue, level), draft) in std::mem::take(&mut self.drafts) {
            if !draft.is_empty() {
                self.write(keeper, queue, level, &draft)?;
            }
        }
        Ok(())
    }

    fn write<D: Disk, M: StoredMessage>(
        &mut self,
        keeper: &mut Keeper<D, M>,
        queue: QueueId,
        level: u8,
        draft: &Draft,
    ) -> io::Result<()> {
        let id = keeper.shared.next_page();
        keeper.write_page(id, queue, level, draft)?;
        let page = RecoveredPage::of(id, level, draft.entries().iter());
        self.made.push((queue, page));
        Ok(())
    }
}
