//! A backup as a tar file: a title, the files of a data directory, and an end that says whether all is there.
//!
//! `tar xf` unpacks one as well as `warren restore` does, which also verifies it. Files are written as they come, never
//! held; names are taken from a short list, so that no archive can write anywhere else.

use serde::{Deserialize, Serialize};
use std::{
    io::{self, Read, Write},
    time::{SystemTime, UNIX_EPOCH},
};

/// The layout written here, and the newest that is understood.
const FORMAT: u32 = 1;
/// First in the archive.
const TITLE: &str = "warren-backup.json";
/// Last in the archive.
const END: &str = "warren-backup-end.json";
const BLOCK_BYTES: u64 = 512;
/// A title or an end is not longer.
const NOTE_BYTES_MAX: u64 = 64 << 10;
/// Read at a time.
const PIECE_BYTES: usize = 1 << 20;

/// What the archive is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Title {
    format: u32,
    /// The release that wrote it.
    written_by: String,
}

/// What must have been read by now.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Totals {
    /// Files between title and end.
    pub(super) files: u64,
    /// Their octets.
    pub(super) octets: u64,
    /// CRC-32 of all of them one after the other.
    crc32: u32,
}

/// Why an archive cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum ArchiveError {
    /// The system refuses.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// It is something else.
    #[error("it is no backup of this broker: {0}")]
    Foreign(String),
    /// A later release wrote it.
    #[error("it has format {0}, and this release knows formats up to {FORMAT}: use the release that wrote it")]
    Newer(u32),
    /// Something is missing or changed.
    #[error("it is damaged: {0}. Use another backup")]
    Damaged(String),
}

/// Writes an archive.
pub(super) struct Writer<W: Write> {
    out: W,
    totals: Totals,
    sum: crc32fast::Hasher,
    /// Octets of the current file that are still to come, and of the padding behind.
    left: u64,
    padding: u64,
}

impl<W: Write> Writer<W> {
    /// Begins with the title.
    pub(super) fn begin(out: W) -> io::Result<Self> {
        let mut writer = Writer {
            out,
            totals: Totals::default(),
            sum: crc32fast::Hasher::new(),
            left: 0,
            padding: 0,
        };
        let title = Title {
            format: FORMAT,
            written_by: format!("Warren {}", env!("CARGO_PKG_VERSION")),
        };
        writer.note(TITLE, &title)?;
        Ok(writer)
    }

    /// A file of the data directory begins.
    pub(super) fn file(&mut self, path: &str, octets: u64) -> io::Result<()> {
        self.end_file()?;
        self.totals.files += 1;
        self.header(path, octets)
    }

    /// Its next octets.
    pub(super) fn octets(&mut self, octets: &[u8]) -> io::Result<()> {
        let count = octets.len() as u64;
        let left = self.left.checked_sub(count);
        self.left = left.ok_or_else(|| io::Error::other("a file has more octets than it was said to have"))?;
        self.out.write_all(octets)?;
        self.sum.update(octets);
        self.totals.octets += count;
        Ok(())
    }

    /// Writes the end.
    pub(super) fn finish(mut self) -> io::Result<(W, Totals)> {
        self.end_file()?;
        self.totals.crc32 = self.sum.clone().finalize();
        let totals = self.totals;
        self.note(END, &totals)?;
        self.out.write_all(&[0; 2 * BLOCK_BYTES as usize])?;
        self.out.flush()?;
        Ok((self.out, totals))
    }

    fn note(&mut self, path: &str, note: &impl Serialize) -> io::Result<()> {
        let octets = serde_json::to_vec_pretty(note)?;
        self.header(path, octets.len() as u64)?;
        self.out.write_all(&octets)?;
        self.left = 0;
        self.end_file()
    }

    fn header(&mut self, path: &str, octets: u64) -> io::Result<()> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut header = tar::Header::new_ustar();
        header.set_path(path)?;
        header.set_size(octets);
        header.set_mode(0o640);
        header.set_mtime(now.as_secs());
        header.set_entry_type(tar::EntryType::Regular);
        header.set_cksum();
        self.out.write_all(header.as_bytes())?;
        self.left = octets;
        self.padding = octets.next_multiple_of(BLOCK_BYTES) - octets;
        Ok(())
    }

    fn end_file(&mut self) -> io::Result<()> {
        if self.left > 0 {
            return Err(io::Error::other(format!(
                "the last {} octets of a file did not come",
                self.left
            )));
        }
        let padding = std::mem::take(&mut self.padding) as usize;
        self.out.write_all(&[0; BLOCK_BYTES as usize][..padding])
    }
}

/// Who gets what an archive holds.
pub(super) trait Unpack {
    /// A file begins.
    fn file(&mut self, path: &str, octets: u64) -> io::Result<()>;
    /// Its next octets.
    fn octets(&mut self, octets: &[u8]) -> io::Result<()>;
}

/// Reads an archive from its title to its end.
pub(super) fn read(from: impl Read, into: &mut impl Unpack) -> Result<Totals, ArchiveError> {
    let mut archive = tar::Archive::new(from);
    let (mut totals, mut sum) = (Totals::default(), crc32fast::Hasher::new());
    let mut is_titled = false;
    for entry in archive.entries()? {
        let mut entry = entry.map_err(|error| cut_off(is_titled, &error))?;
        let path = entry.path()?.to_string_lossy().into_owned();
        if !is_titled {
            check_title(&path, entry)?;
            is_titled = true;
            continue;
        }
        if path == END {
            totals.crc32 = sum.finalize();
            return check_end(entry, totals);
        }
        if !is_ours(&path) || entry.header().entry_type() != tar::EntryType::Regular {
            return Err(ArchiveError::Damaged(format!(
                "it holds {path}, which no data directory has"
            )));
        }
        totals.files += 1;
        into.file(&path, entry.size())?;
        totals.octets += unpack(&mut entry, &mut sum, into)?;
    }
    Err(match is_titled {
        true => ArchiveError::Damaged("it ends too early".to_owned()),
        false => ArchiveError::Foreign("it is empty".to_owned()),
    })
}

fn cut_off(is_titled: bool, error: &io::Error) -> ArchiveError {
    match is_titled {
        true => ArchiveError::Damaged(error.to_string()),
        false => ArchiveError::Foreign(error.to_string()),
    }
}

fn unpack(entry: &mut impl Read, sum: &mut crc32fast::Hasher, into: &mut impl Unpack) -> Result<u64, ArchiveError> {
    let (mut octets, mut piece) = (0, vec![0; PIECE_BYTES]);
    loop {
        let read = entry
            .read(&mut piece)
            .map_err(|error| ArchiveError::Damaged(error.to_string()))?;
        if read == 0 {
            return Ok(octets);
        }
        sum.update(&piece[..read]);
        octets += read as u64;
        into.octets(&piece[..read])?;
    }
}

fn check_title(path: &str, from: impl Read) -> Result<(), ArchiveError> {
    if path != TITLE {
        return Err(ArchiveError::Foreign(format!("it begins with {path}")));
    }
    let title = serde_json::from_reader::<_, Title>(from.take(NOTE_BYTES_MAX));
    match title.map_err(|error| ArchiveError::Foreign(error.to_string()))?.format {
        0..=FORMAT => Ok(()),
        newer => Err(ArchiveError::Newer(newer)),
    }
}

fn check_end(from: impl Read, totals: Totals) -> Result<Totals, ArchiveError> {
    let end: Totals =
        serde_json::from_reader(from.take(NOTE_BYTES_MAX)).map_err(|error| ArchiveError::Damaged(error.to_string()))?;
    match end == totals {
        true => Ok(totals),
        false => Err(ArchiveError::Damaged(
            "its files are not those that were written".to_owned(),
        )),
    }
}

/// True for the files that a data directory has.
fn is_ours(path: &str) -> bool {
    let plain = |name: &str| {
        !name.is_empty()
            && !name.starts_with('.')
            && name
                .bytes()
                .all(|c| c.is_ascii_alphanumeric() || c == b'.' || c == b'-')
    };
    match path.split_once('/') {
        None => path == "warren.json",
        Some((directory, name)) => ["meta", "wal", "pages"].contains(&directory) && plain(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Kept(Vec<(String, Vec<u8>)>);

    impl Unpack for Kept {
        fn file(&mut self, path: &str, _: u64) -> io::Result<()> {
            self.0.push((path.to_owned(), Vec::new()));
            Ok(())
        }

        fn octets(&mut self, octets: &[u8]) -> io::Result<()> {
            self.0.last_mut().unwrap().1.extend_from_slice(octets);
            Ok(())
        }
    }

    fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut writer = Writer::begin(Vec::new()).unwrap();
        for (path, octets) in files {
            writer.file(path, octets.len() as u64).unwrap();
            octets.chunks(7).for_each(|piece| writer.octets(piece).unwrap());
        }
        writer.finish().unwrap().0
    }

    const FILES: [(&str, &[u8]); 3] = [
        ("warren.json", b"{}"),
        ("wal/0000000000000001.log", &[7; 1500]),
        ("pages/1.gone", b""),
    ];

    #[test]
    fn what_was_written_is_read_back() {
        let mut kept = Kept::default();
        let totals = read(archive(&FILES).as_slice(), &mut kept).unwrap();
        assert_eq!((totals.files, totals.octets), (3, 1502));
        let read: Vec<_> = kept
            .0
            .iter()
            .map(|(path, octets)| (path.as_str(), octets.as_slice()))
            .collect();
        assert_eq!(read, FILES);
    }

    #[test]
    fn an_archive_that_was_cut_or_changed_is_refused() {
        let whole = archive(&FILES);
        // What comes after the last octet that says something is padding.
        let last = whole.iter().rposition(|octet| *octet != 0).unwrap();
        for cut in (0..last).step_by(97).chain([last]) {
            assert!(read(&whole[..cut], &mut Kept::default()).is_err(), "cut at {cut}");
        }
        let body = whole.windows(9).position(|window| window == [7; 9]).unwrap();
        let mut changed = whole.clone();
        changed[body + 3] ^= 1;
        let refusal = read(changed.as_slice(), &mut Kept::default()).unwrap_err();
        assert!(matches!(refusal, ArchiveError::Damaged(_)), "{refusal}");
    }

    #[test]
    fn an_archive_cannot_write_outside_the_data_directory() {
        for path in ["wal/../../x", "other/file", "lock", "wal/a/b", "wal/.hidden"] {
            assert!(!is_ours(path), "{path}");
        }
        let mut foreign = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_ustar();
        header.set_size(0);
        header.set_cksum();
        foreign.append_data(&mut header, "etc/passwd", io::empty()).unwrap();
        let octets = foreign.into_inner().unwrap();
        let refusal = read(octets.as_slice(), &mut Kept::default()).unwrap_err();
        assert!(matches!(refusal, ArchiveError::Foreign(_)), "{refusal}");
    }
}
