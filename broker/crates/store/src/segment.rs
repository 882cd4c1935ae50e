//! Segments of the write-ahead log: their names, their heads, and how one is read from end to end.
//!
//! A segment ends with a seal or is the last one. Where the last one breaks off, a later mark tells a torn tail, which is
//! cut, from damage in what had been durable, which is refused by name. Nothing is written here.

use std::io;

use crate::{
    Damage,
    disk::DiskFile,
    lsn::Lsn,
    record::{self, FRAME_BYTES, MARK_MAGIC, Read, Record},
};

/// The log's directory.
pub(crate) const DIRECTORY: &str = "wal";
/// Octets before the first record.
pub(crate) const HEAD_BYTES: u64 = 64;
const MAGIC: [u8; 8] = *b"WarrenWL";
/// Read at a time.
const WINDOW_BYTES: usize = 1 << 20;

/// Path of a segment's file.
pub(crate) fn path(segment: u64) -> String {
    format!("{DIRECTORY}/{segment:016x}.log")
}

/// The number in a file's name, if it is a segment's.
pub(crate) fn number(name: &str) -> Option<u64> {
    u64::from_str_radix(name.strip_suffix(".log")?, 16).ok()
}

/// The head of a segment's file of that version.
pub(crate) fn head(segment: u64, version: u8) -> [u8; HEAD_BYTES as usize] {
    let mut octets = [0; HEAD_BYTES as usize];
    octets[..8].copy_from_slice(&MAGIC);
    octets[8..12].copy_from_slice(&u32::from(version).to_le_bytes());
    octets[16..24].copy_from_slice(&segment.to_le_bytes());
    let checksum = crc32fast::hash(&octets[..24]);
    octets[24..28].copy_from_slice(&checksum.to_le_bytes());
    octets
}

/// What a segment's head says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Head {
    /// It is this segment's, of that version.
    Begun(u32),
    /// The file has the name and another content: it was made ready and never begun.
    NotBegun,
    /// A later release wrote it.
    Newer(u32),
}

/// Judges a head; versions up to `known` are read.
pub(crate) fn judge_head(octets: &[u8], segment: u64, known: u8) -> Head {
    let number = |range: std::ops::Range<usize>| octets.get(range).and_then(|found| found.try_into().ok());
    let version = number(8..12).map_or(0, |found: [u8; 4]| u32::from_le_bytes(found));
    let whole = octets.get(..8) == Some(&MAGIC)
        && octets.get(..24).map(crc32fast::hash) == number(24..28).map(u32::from_le_bytes);
    match whole {
        true if version > u32::from(known) => Head::Newer(version),
        true if octets.get(16..24) == Some(&segment.to_le_bytes()[..]) => Head::Begun(version),
        _ => Head::NotBegun,
    }
}

/// How the reading of a segment ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct End {
    /// Where the records end.
    pub(crate) at: u64,
    /// It ended with a seal.
    pub(crate) sealed: bool,
}

/// Reads all records of a segment in order; `each` is told where a record begins and what it is.
pub(crate) fn scan<F: DiskFile>(
    file: &F,
    segment: u64,
    each: impl FnMut(Lsn, Record<'_>) -> io::Result<()>,
) -> io::Result<End> {
    scan_from(file, segment, HEAD_BYTES, each)
}

/// As `scan`, from a place where a record begins.
pub(crate) fn scan_from<F: DiskFile>(
    file: &F,
    segment: u64,
    from: u64,
    mut each: impl FnMut(Lsn, Record<'_>) -> io::Result<()>,
) -> io::Result<End> {
    let salt = record::salt(segment);
    let mut window = Window::new(file, from);
    let mut wanted = FRAME_BYTES;
    loop {
        let at = window.at();
        let whole = window.fill(wanted)?;
        match record::read(window.octets(), salt) {
            Read::Record(Record::Seal, bytes) => {
                return Ok(End {
                    at: at + bytes as u64,
                    sealed: true,
                });
            }
            Read::Record(found, bytes) => {
                each(Lsn::new(segment, at), found)?;
                window.skip(bytes);
                wanted = FRAME_BYTES;
            }
            Read::Short(bytes) if whole => wanted = bytes,
            Read::Short(_) | Read::Broken => return Ok(End { at, sealed: false }),
        }
    }
}

/// Says whether what breaks off at `end` had been durable: a later mark of this segment would tell.
pub(crate) fn judge_tail<F: DiskFile>(file: &F, segment: u64, end: u64) -> io::Result<Result<(), Damage>> {
    let later = find_mark(file, segment, end, |synced| synced > Lsn::new(segment, end))?;
    Ok(later.map_or(Ok(()), |_| {
        Err(Damage {
            file: path(segment),
            offset: end,
            what: "no record where the log had been durable".to_owned(),
        })
    }))
}

/// The place of the first mark at or behind `from` that is as wanted.
pub(crate) fn find_mark<F: DiskFile>(
    file: &F,
    segment: u64,
    from: u64,
    wanted: impl Fn(Lsn) -> bool,
) -> io::Result<Option<u64>> {
    let salt = record::salt(segment);
    let mut window = Window::new(file, from);
    let finder = memchr::memmem::Finder::new(&MARK_MAGIC);
    // A mark is found together with the frame before it.
    let mark_bytes = FRAME_BYTES + MARK_MAGIC.len() + 8;
    loop {
        window.fill(WINDOW_BYTES)?;
        let octets = window.octets();
        for hit in finder.find_iter(octets) {
            let Some(begin) = hit.checked_sub(FRAME_BYTES) else {
                continue;
            };
            if let Read::Record(Record::Mark { synced }, _) = record::read(&octets[begin..], salt)
                && wanted(synced)
            {
                return Ok(Some(window.at() + begin as u64));
            }
        }
        if octets.len() < WINDOW_BYTES {
            return Ok(None);
        }
        let keep = mark_bytes - 1;
        window.skip(WINDOW_BYTES - keep);
    }
}

/// Part of a file that moves forward over it.
struct Window<'a, F> {
    file: &'a F,
    buffer: Vec<u8>,
    /// Where the buffer's first octet stands in the file.
    begin: u64,
    used: usize,
}

impl<'a, F: DiskFile> Window<'a, F> {
    fn new(file: &'a F, begin: u64) -> Self {
        Window {
            file,
            buffer: Vec::new(),
            begin,
            used: 0,
        }
    }

    fn at(&self) -> u64 {
        self.begin + self.used as u64
    }

    fn octets(&self) -> &[u8] {
        &self.buffer[self.used..]
    }

    fn skip(&mut self, octets: usize) {
        self.used += octets;
    }

    /// Makes sure of so many octets; false if the file has fewer.
    fn fill(&mut self, wanted: usize) -> io::Result<bool> {
        if self.octets().len() >= wanted {
            return Ok(true);
        }
        self.buffer.drain(..self.used);
        self.begin += self.used as u64;
        self.used = 0;
        let had = self.buffer.len();
        let left = self.file.length()?.saturating_sub(self.begin + had as u64);
        // Never more than the file has, whatever a broken length says.
        let more = (wanted.max(WINDOW_BYTES) - had).min(usize::try_from(left).unwrap_or(usize::MAX));
        self.buffer.resize(had + more, 0);
        let read = self.file.read_at(self.begin + had as u64, &mut self.buffer[had..])?;
        self.buffer.truncate(had + read);
        Ok(self.buffer.len() >= wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::{Disk, MemDisk, Open};
    use model::{QueueId, Seq};

    fn remove(seq: u64) -> Record<'static> {
        Record::Remove(QueueId(1), vec![(Seq(seq), Seq(seq))])
    }

    fn segment_of(records: &[Record<'_>]) -> (MemDisk, crate::disk::MemFile, Vec<u64>) {
        let disk = MemDisk::new();
        let file = disk.open("wal/s", Open::New).unwrap();
        let mut octets = head(7, 1).to_vec();
        let mut begins = Vec::new();
        for found in records {
            begins.push(octets.len() as u64);
            record::append(found, record::salt(7), &mut octets);
        }
        begins.push(octets.len() as u64);
        file.write_at(0, &octets).unwrap();
        (disk, file, begins)
    }

    fn read(file: &crate::disk::MemFile) -> (usize, End) {
        let mut count = 0;
        let end = scan(file, 7, |_, _| {
            count += 1;
            Ok(())
        });
        (count, end.unwrap())
    }

    #[test]
    fn a_segment_is_read_up_to_its_seal() {
        let (_, file, begins) = segment_of(&[remove(1), remove(2), Record::Seal, remove(3)]);
        let sealed = End {
            at: begins[3],
            sealed: true,
        };
        assert_eq!(read(&file), (2, sealed));
    }

    #[test]
    fn a_torn_tail_is_cut_wherever_it_is_torn() {
        let (_, file, begins) = segment_of(&[
            remove(1),
            Record::Mark {
                synced: Lsn::new(7, 64),
            },
            remove(2),
        ]);
        for length in begins[2]..begins[3] {
            file.set_length(length).unwrap();
            let (count, end) = read(&file);
            assert_eq!((count, end.at), (2, begins[2]));
            assert_eq!(judge_tail(&file, 7, end.at).unwrap(), Ok(()));
        }
    }

    #[test]
    fn damage_before_a_later_sync_is_refused_with_its_place() {
        let synced = |offset| Record::Mark {
            synced: Lsn::new(7, offset),
        };
        let (disk, file, begins) = segment_of(&[remove(1), remove(2), synced(64)]);
        disk.flip("wal/s", begins[1] as usize + 12, 0);
        let (_, end) = read(&file);
        assert_eq!(end.at, begins[1]);
        assert_eq!(
            judge_tail(&file, 7, end.at).unwrap(),
            Ok(()),
            "not durable by then: torn"
        );
        let (disk, file, begins) = segment_of(&[remove(1), remove(2), synced(begins[2])]);
        disk.flip("wal/s", begins[1] as usize + 12, 0);
        let damage = judge_tail(&file, 7, read(&file).1.at).unwrap().unwrap_err();
        assert_eq!(
            (damage.file.as_str(), damage.offset),
            ("wal/0000000000000007.log", begins[1])
        );
    }

    #[test]
    fn a_head_of_another_segment_or_release_is_told_apart() {
        assert_eq!(judge_head(&head(7, 1), 7, 1), Head::Begun(1));
        assert_eq!(judge_head(&head(6, 1), 7, 1), Head::NotBegun);
        assert_eq!(judge_head(&[], 7, 1), Head::NotBegun);
        assert_eq!(judge_head(&head(7, 2), 7, 2), Head::Begun(2));
        assert_eq!(judge_head(&head(7, 2), 7, 1), Head::Newer(2));
        let mut newer = head(7, 1);
        newer[8..12].copy_from_slice(&9u32.to_le_bytes());
        let checksum = crc32fast::hash(&newer[..24]);
        newer[24..28].copy_from_slice(&checksum.to_le_bytes());
        assert_eq!(judge_head(&newer, 7, 1), Head::Newer(9));
    }
}
