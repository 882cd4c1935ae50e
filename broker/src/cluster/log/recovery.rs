//! Reading a log back: segment by segment, frame by frame, until the zeros behind the last one.
//!
//! A last frame that was torn by a power cut was never acknowledged and is cut off. Anything else that does not fit is
//! refused with the file's name, since a log with a hole says things that nobody decided. Never panics on any octets.

use super::{
    error::OpenError,
    frame::{self, Found, Header, NoHeader},
    record::Record,
    segment,
    state::State,
};
use store::disk::{self, Disk};

/// A segment that was read.
#[derive(Clone, Debug)]
pub(super) struct Read {
    pub(super) number: u64,
    pub(super) salt: u64,
    /// Of its format.
    pub(super) version: u8,
    /// Behind its last frame.
    pub(super) end: usize,
    pub(super) bytes: usize,
    /// Something else than zeros is behind the last frame.
    pub(super) torn: bool,
    /// The highest index of an entry in it.
    pub(super) last_index: Option<u64>,
}

/// What a directory holds of a log.
#[derive(Debug, Default)]
pub(super) struct Recovered {
    pub(super) state: State,
    pub(super) segments: Vec<Read>,
    /// The number that the next frame gets.
    pub(super) next_frame: u64,
    /// Files that were made and never used.
    pub(super) unused: Vec<u64>,
    pub(super) last_number: u64,
}

struct File {
    /// Versions up to this one are read.
    known: u8,
    path: String,
    octets: Vec<u8>,
}

impl File {
    fn damaged(&self, at: usize, why: impl Into<String>) -> OpenError {
        OpenError::Damaged {
            path: self.path.clone(),
            at,
            why: why.into(),
        }
    }

    /// The header; `None` if the file was made and the power went before anything was in it.
    fn header(&self) -> Result<Option<Header>, OpenError> {
        let head = &self.octets[..self.octets.len().min(frame::HEADER_BYTES)];
        match Header::read(head, self.known) {
            Ok(header) => Ok(Some(header)),
            Err(NoHeader::Blank) if frame::is_blank(&self.octets) => Ok(None),
            Err(NoHeader::Blank | NoHeader::Damaged) => Err(self.damaged(0, "it does not begin as a log does")),
            Err(NoHeader::Newer(version)) => Err(OpenError::Newer {
                path: self.path.clone(),
                version,
                known: self.known.into(),
            }),
        }
    }
}

/// Reads all segments of a directory, of versions up to `known`.
///
/// # Errors
/// When a file cannot be read, or says what it cannot say.
pub(super) fn recover<D: Disk>(disk: &D, directory: &str, known: u8) -> Result<Recovered, OpenError> {
    let io = |path: &str, source| OpenError::Io {
        path: path.to_owned(),
        source,
    };
    let names = disk.list(directory).map_err(|source| io(directory, source))?;
    let mut found = Recovered {
        next_frame: 1,
        ..Recovered::default()
    };
    for number in names.iter().filter_map(|name| segment::number(name)) {
        let path = format!("{directory}/{}", segment::name(number));
        let octets = disk::read_all(disk, &path).map_err(|source| io(&path, source))?;
        found.take(number, &File { known, path, octets })?;
    }
    if let Some(index) = found.state.gap() {
        return Err(OpenError::Damaged {
            path: directory.to_owned(),
            at: 0,
            why: format!("entry {index} of the log is missing"),
        });
    }
    Ok(found)
}

impl Recovered {
    fn take(&mut self, number: u64, file: &File) -> Result<(), OpenError> {
        self.last_number = number;
        let Some(header) = file.header()? else {
            self.unused.push(number);
            return Ok(());
        };
        match self.segments.last() {
            None => self.next_frame = header.first_frame,
            Some(before) if before.torn || header.first_frame != self.next_frame => {
                return Err(OpenError::Damaged {
                    path: file.path.clone(),
                    at: 0,
                    why: format!(
                        "it begins with frame {}, and {} before it ends with frame {}",
                        header.first_frame,
                        segment::name(before.number),
                        self.next_frame.saturating_sub(1)
                    ),
                });
            }
            Some(_) => {}
        }
        let read = self.read(number, header, file)?;
        self.segments.push(read);
        Ok(())
    }

    fn read(&mut self, number: u64, header: Header, file: &File) -> Result<Read, OpenError> {
        let Header { salt, version, .. } = header;
        let (mut at, mut last_index) = (frame::HEADER_BYTES, None);
        while let Found::Frame {
            number: frame,
            content,
            next,
        } = frame::read(&file.octets, at, salt)
        {
            if frame != self.next_frame {
                return Err(file.damaged(at, format!("frame {frame} where {} should be", self.next_frame)));
            }
            last_index = last_index.max(self.follow(content).map_err(|why| file.damaged(at, why))?);
            self.next_frame += 1;
            at = next;
        }
        if let Some(behind) = frame::find(&file.octets, at, salt) {
            return Err(file.damaged(
                at,
                format!("a frame cannot be read, and a whole one follows at octet {behind}"),
            ));
        }
        Ok(Read {
            number,
            salt,
            version,
            end: at,
            bytes: file.octets.len(),
            torn: !frame::is_blank(&file.octets[at..]),
            last_index,
        })
    }

    /// Follows the records of one frame; the highest index in them.
    fn follow(&mut self, content: &[u8]) -> Result<Option<u64>, String> {
        let records: Vec<Record> = rmp_serde::from_slice(content).map_err(|error| error.to_string())?;
        let mut last_index = None;
        for record in records {
            last_index = last_index.max(highest(&record));
            self.state.follow(record);
        }
        Ok(last_index)
    }
}

/// The highest index of an entry that a record brings.
pub(super) fn highest(record: &Record) -> Option<u64> {
    match record {
        Record::Entries(entries) => entries.iter().map(|entry| entry.position.index).max(),
        Record::Standing { .. } | Record::Vote(_) | Record::Truncate { .. } | Record::Purge(_) => None,
    }
}
