//! Pages: runs of messages of one queue and level, written together, read together, each message gone for itself.
//!
//! A page file is pages one after the other. A page's head and directory say what it holds without its messages being
//! read, and have a checksum of their own. Which messages are gone stands elsewhere; a page never changes.

use model::{Epoch, Millis, PageId, QueueId, Seq};

use crate::{content::Content, record::Fields};

/// The pages' directory.
pub(crate) const DIRECTORY: &str = "pages";
/// Octets of a page's head, before its directory.
pub(crate) const HEAD_BYTES: usize = 56;
/// Octets of one message in the directory.
const ENTRY_BYTES: usize = 36;
/// Most messages of a page.
const MESSAGES_MAX: u32 = 1 << 16;
pub(crate) const MAGIC: [u8; 7] = *b"WarrenP";
const PERSISTENT: u32 = 1;

/// Path of a page file.
pub(crate) fn path(file: u64) -> String {
    format!("{DIRECTORY}/{file:016x}.pages")
}

/// Path of the file that says which of its messages are gone.
pub(crate) fn gone_path(file: u64) -> String {
    format!("{DIRECTORY}/{file:016x}.gone")
}

/// The number in a file's name, if it is a page file's.
pub(crate) fn number(name: &str) -> Option<u64> {
    u64::from_str_radix(name.strip_suffix(".pages")?, 16).ok()
}

/// One message in a page's directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PageEntry {
    /// Its position.
    pub(crate) seq: Seq,
    /// The reign it was enqueued in.
    pub(crate) epoch: Epoch,
    /// When it expires; the end of time if never.
    pub(crate) expires: Millis,
    /// Octets of its body.
    pub(crate) body_bytes: u32,
    /// Delivery mode 2.
    pub(crate) persistent: bool,
    /// Octets it takes in the page.
    bytes: u32,
}

/// A page's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PageHead {
    pub(crate) version: u8,
    pub(crate) id: PageId,
    pub(crate) queue: QueueId,
    pub(crate) level: u8,
    pub(crate) count: u32,
    checksum: u32,
    body_checksum: u32,
    pub(crate) body_bytes: u64,
}

/// What stands where a page should begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReadHead {
    Page(PageHead),
    Newer(u8),
    Broken,
}

impl PageHead {
    /// Octets of head and directory.
    pub(crate) fn directory_end(&self) -> usize {
        HEAD_BYTES + self.count as usize * ENTRY_BYTES
    }

    /// Octets of the whole page.
    pub(crate) fn bytes(&self) -> u64 {
        (self.directory_end() as u64).saturating_add(self.body_bytes)
    }

    /// Judges the checksum of the octets behind the directory.
    pub(crate) fn has_body(&self, checksum: u32) -> bool {
        self.body_checksum == checksum
    }

    /// Reads a head of a version up to `known`; its checksum covers the directory and is judged with it.
    pub(crate) fn read(octets: &[u8], known: u8) -> ReadHead {
        Self::decode(octets, known).unwrap_or(ReadHead::Broken)
    }

    fn decode(octets: &[u8], known: u8) -> Option<ReadHead> {
        let mut fields = Fields(octets);
        (fields.take(MAGIC.len())? == MAGIC).then_some(())?;
        let version = fields.u8()?;
        if version > known {
            return Some(ReadHead::Newer(version));
        }
        (version > 0).then_some(())?;
        let (checksum, body_checksum) = (fields.u32()?, fields.u32()?);
        let (id, queue) = (PageId(fields.u64()?), QueueId(fields.u64()?));
        let (count, level) = (fields.u32()?, fields.u32()?);
        let head = PageHead {
            version,
            id,
            queue,
            level: u8::try_from(level).ok()?,
            count,
            checksum,
            body_checksum,
            body_bytes: fields.u64()?,
        };
        (count <= MESSAGES_MAX).then_some(ReadHead::Page(head))
    }

    /// Reads the directory from the octets of head and directory; `None` if they are not whole.
    pub(crate) fn directory(&self, octets: &[u8]) -> Option<Vec<PageEntry>> {
        let octets = octets.get(..self.directory_end())?;
        (crc32fast::hash(&octets[16..]) == self.checksum).then_some(())?;
        let entries = octets[HEAD_BYTES..].chunks_exact(ENTRY_BYTES);
        let entries: Vec<PageEntry> = entries.map(PageEntry::decode).collect::<Option<_>>()?;
        let bytes: u64 = entries.iter().map(|entry| u64::from(entry.bytes)).sum();
        (bytes == self.body_bytes).then_some(entries)
    }

    /// The messages of a whole page, in the order of its directory; `None` if it is damaged.
    pub(crate) fn messages<'a>(&self, page: &'a [u8]) -> Option<Vec<(PageEntry, Content<'a>)>> {
        let directory = self.directory(page)?;
        let mut body = page.get(self.directory_end()..)?;
        (body.len() as u64 == self.body_bytes && crc32fast::hash(body) == self.body_checksum).then_some(())?;
        let mut messages = Vec::with_capacity(directory.len());
        for entry in directory {
            let (message, rest) = body.split_at_checked(entry.bytes as usize)?;
            messages.push((entry, Content::decode(message)?));
            body = rest;
        }
        Some(messages)
    }
}

impl PageEntry {
    fn decode(octets: &[u8]) -> Option<Self> {
        let mut fields = Fields(octets);
        Some(PageEntry {
            seq: Seq(fields.u64()?),
            epoch: Epoch(fields.u64()?),
            expires: Millis(fields.u64()?),
            body_bytes: fields.u32()?,
            bytes: fields.u32()?,
            persistent: fields.u32()? & PERSISTENT != 0,
        })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        for number in [self.seq.0, self.epoch.0, self.expires.0] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        let flags = if self.persistent { PERSISTENT } else { 0 };
        for number in [self.body_bytes, self.bytes, flags] {
            out.extend_from_slice(&number.to_le_bytes());
        }
    }
}

/// A page that is being put together.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    entries: Vec<PageEntry>,
    body: Vec<u8>,
}

impl Draft {
    /// Adds a message; positions come in any order.
    pub(crate) fn push(&mut self, seq: Seq, epoch: Epoch, expires: Millis, persistent: bool, content: &Content<'_>) {
        self.entries.push(PageEntry {
            seq,
            epoch,
            expires,
            body_bytes: content.body.len() as u32,
            persistent,
            bytes: content.encoded_bytes() as u32,
        });
        content.encode(&mut self.body);
    }

    /// True once it is long enough for a page.
    pub(crate) fn is_full(&self) -> bool {
        self.body.len() >= 256 << 10 || self.entries.len() >= 4096
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(crate) fn entries(&self) -> &[PageEntry] {
        &self.entries
    }

    /// The page's octets, of that version of the format.
    pub(crate) fn finish(&self, version: u8, id: PageId, queue: QueueId, level: u8) -> Vec<u8> {
        let mut page = Vec::with_capacity(HEAD_BYTES + self.entries.len() * ENTRY_BYTES + self.body.len());
        page.extend_from_slice(&MAGIC);
        page.push(version);
        page.extend_from_slice(&[0; 4]);
        page.extend_from_slice(&crc32fast::hash(&self.body).to_le_bytes());
        page.extend_from_slice(&id.0.to_le_bytes());
        page.extend_from_slice(&queue.0.to_le_bytes());
        page.extend_from_slice(&(self.entries.len() as u32).to_le_bytes());
        page.extend_from_slice(&u32::from(level).to_le_bytes());
        page.extend_from_slice(&(self.body.len() as u64).to_le_bytes());
        page.resize(HEAD_BYTES, 0);
        self.entries.iter().for_each(|entry| entry.encode(&mut page));
        let checksum = crc32fast::hash(&page[16..]);
        page[8..12].copy_from_slice(&checksum.to_le_bytes());
        page.extend_from_slice(&self.body);
        page
    }
}

/// One line of the file of what is gone: messages of a page, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gone {
    pub(crate) page: PageId,
    pub(crate) first: Seq,
    pub(crate) last: Seq,
}

pub(crate) const GONE_BYTES: usize = 28;

impl Gone {
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        let begin = out.len();
        for number in [self.page.0, self.first.0, self.last.0] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        let checksum = crc32fast::hash(&out[begin..]);
        out.extend_from_slice(&checksum.to_le_bytes());
    }

    /// All lines that are whole. One that is torn was not relied upon: the log still says it.
    pub(crate) fn decode_all(octets: &[u8]) -> impl Iterator<Item = Gone> + '_ {
        octets.chunks_exact(GONE_BYTES).filter_map(|line| {
            let (told, checksum) = line.split_at(GONE_BYTES - 4);
            (crc32fast::hash(told).to_le_bytes() == checksum).then_some(())?;
            let mut fields = Fields(told);
            Some(Gone {
                page: PageId(fields.u64()?),
                first: Seq(fields.u64()?),
                last: Seq(fields.u64()?),
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::content;
    use proptest::prelude::*;

    fn page() -> Vec<u8> {
        let mut draft = Draft::default();
        draft.push(Seq(5), Epoch(1), Millis(9), true, &content(b"first"));
        draft.push(Seq(7), Epoch(1), Millis(u64::MAX), false, &content(b"second"));
        draft.finish(1, PageId(3), QueueId(4), 2)
    }

    fn head(page: &[u8]) -> Option<PageHead> {
        match PageHead::read(page, 1) {
            ReadHead::Page(head) => Some(head),
            ReadHead::Newer(_) | ReadHead::Broken => None,
        }
    }

    #[test]
    fn a_page_reads_as_it_was_written() {
        let page = page();
        let head = head(&page).unwrap();
        assert_eq!((head.id, head.queue, head.level), (PageId(3), QueueId(4), 2));
        assert_eq!(head.bytes(), page.len() as u64);
        let messages = head.messages(&page).unwrap();
        let told: Vec<_> = messages
            .iter()
            .map(|(entry, content)| (entry.seq.0, entry.persistent, content.body))
            .collect();
        assert_eq!(told, [(5, true, &b"first"[..]), (7, false, &b"second"[..])]);
        assert_eq!(messages[0].0.body_bytes, 5);
    }

    #[test]
    fn pages_of_the_first_release_are_still_read() {
        let golden = include_str!("golden/page.hex");
        let octets: Vec<u8> = golden
            .split_whitespace()
            .map(|byte| u8::from_str_radix(byte, 16).unwrap())
            .collect();
        assert_eq!(octets, page());
    }

    #[test]
    fn a_page_of_a_later_release_is_told_apart() {
        let mut page = page();
        page[7] = 9;
        assert_eq!(PageHead::read(&page, 1), ReadHead::Newer(9));
        assert!(matches!(PageHead::read(&page, 9), ReadHead::Page(head) if head.version == 9));
    }

    proptest! {
        #[test]
        fn no_flipped_bit_goes_unseen(at in any::<usize>(), bit in 0..8u8) {
            let mut page = page();
            let at = at % page.len();
            page[at] ^= 1 << bit;
            prop_assert!(head(&page).and_then(|head| head.messages(&page).map(drop)).is_none());
        }

        #[test]
        fn any_octets_are_read_without_harm(octets in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Some(head) = head(&octets) {
                let _ = head.messages(&octets);
            }
        }

        #[test]
        fn a_cut_page_is_no_page(at in any::<usize>()) {
            let page = page();
            let cut = &page[..at % page.len()];
            prop_assert!(head(cut).and_then(|head| head.messages(cut).map(drop)).is_none());
        }
    }
}
