//! The catalogue's log on disk: votes and entries in segments, each write safe when it is back.
//!
//! Only appended to: what is void or no longer needed is said by a further record, and segments that say nothing needed
//! are removed, oldest first. One owner writes; agreement, snapshots and what entries mean are not known here.

mod error;
mod frame;
mod record;
mod recovery;
mod segment;
mod state;
#[cfg(test)]
mod tests;
mod writer;

pub use error::{OpenError, WriteError};
pub use record::{Entry, Member, Membership, Payload, Position, Proposal, Record, Vote};
pub use state::State;
pub use writer::{Fatal, Health, Writer};

use self::{frame::Header, recovery::highest, segment::Segment};
use std::collections::VecDeque;
use store::{
    Formats,
    disk::{Disk, DiskFile, Open},
};

/// What a directory's log says; nothing is changed.
///
/// # Errors
/// When it cannot be read or says what it cannot say.
pub fn read<D: Disk>(disk: &D, directory: &str, formats: &Formats) -> Result<State, OpenError> {
    recovery::recover(disk, directory, formats.known()).map(|found| found.state)
}

/// A segment that is not written to any more.
#[derive(Debug)]
struct Older {
    number: u64,
    last_index: Option<u64>,
}

/// The log of one directory, open for writing.
#[derive(Debug)]
pub struct Log<D: Disk> {
    disk: D,
    directory: String,
    formats: Formats,
    older: VecDeque<Older>,
    current: Segment<D::File>,
    last_index: Option<u64>,
    next_frame: u64,
    vote: Option<Vote>,
    purged: Option<Position>,
}

impl<D: Disk> Log<D> {
    /// Opens a directory's log, or begins one; also what it says.
    ///
    /// # Errors
    /// When it cannot be read or says what it cannot say.
    pub fn open(disk: D, directory: &str, formats: Formats) -> Result<(Self, State), OpenError> {
        let io = |source| OpenError::Io {
            path: directory.to_owned(),
            source,
        };
        disk.create_directory(directory).map_err(io)?;
        let found = recovery::recover(&disk, directory, formats.known())?;
        for number in &found.unused {
            let gone = disk.remove(&format!("{directory}/{}", segment::name(*number)));
            gone.map_err(io)?;
        }
        let (vote, purged) = (found.state.vote, found.state.purged);
        let mut older: VecDeque<Older> = VecDeque::new();
        for read in &found.segments {
            let (number, last_index) = (read.number, read.last_index);
            older.push_back(Older { number, last_index });
        }
        let (current, last_index, next_frame) = match found.segments.last() {
            Some(last) => {
                older.pop_back();
                let current = resume(&disk, directory, last).map_err(io)?;
                (current, last.last_index, found.next_frame)
            }
            None => {
                let number = found.last_number + 1;
                let first = begin(&disk, directory, number, (1, formats.written()), (vote, purged), 0);
                let current = first.map_err(|error| io(std::io::Error::other(error)))?;
                (current, None, 2)
            }
        };
        let log = Log {
            disk,
            directory: directory.to_owned(),
            formats,
            older,
            current,
            last_index,
            next_frame,
            vote,
            purged,
        };
        Ok((log, found.state))
    }

    /// Writes records in one piece; they are safe when this is back. Answers how many octets that took.
    ///
    /// # Errors
    /// `Full` if nothing has changed, `Fatal` if nothing is known any more.
    pub fn write(&mut self, records: &[Record]) -> Result<usize, WriteError> {
        let content = encode(records)?;
        let bytes = frame::FRAME_BYTES + content.len();
        // What a newer format may hold begins with a segment of it.
        if !self.current.has_room(bytes) || self.current.version < self.formats.written() {
            self.roll(bytes)?;
        }
        let mut octets = Vec::with_capacity(bytes);
        let framed = frame::write(&mut octets, self.current.salt, self.next_frame, &content);
        framed.map_err(|source| WriteError::fatal("framing a record", source))?;
        self.current.append(&octets)?;
        self.next_frame += 1;
        records.iter().for_each(|record| self.follow(record));
        Ok(bytes)
    }

    /// Octets that its segments take.
    pub fn bytes(&self) -> u64 {
        (self.older.len() * segment::SEGMENT_BYTES + self.current.end) as u64
    }

    fn follow(&mut self, record: &Record) {
        self.last_index = self.last_index.max(highest(record));
        match record {
            Record::Vote(vote) => self.vote = Some(*vote),
            Record::Purge(upto) => {
                self.purged = self.purged.max(Some(*upto));
                self.drop_older();
            }
            Record::Standing { .. } | Record::Entries(_) | Record::Truncate { .. } => {}
        }
    }

    fn roll(&mut self, room: usize) -> Result<(), WriteError> {
        let number = self.current.number + 1;
        let next = begin(
            &self.disk,
            &self.directory,
            number,
            (self.next_frame, self.formats.written()),
            (self.vote, self.purged),
            room,
        )?;
        let full = std::mem::replace(&mut self.current, next);
        self.older.push_back(Older {
            number: full.number,
            last_index: self.last_index.take(),
        });
        self.next_frame += 1;
        Ok(())
    }

    /// Removes the oldest segments as long as nothing in them is needed. One that cannot be removed is tried again with
    /// the next purge.
    fn drop_older(&mut self) {
        let upto = self.purged.map(|purged| purged.index);
        while let Some(oldest) = self.older.front().filter(|oldest| oldest.last_index <= upto) {
            let path = format!("{}/{}", self.directory, segment::name(oldest.number));
            let gone = self.disk.remove(&path);
            if let Err(error) = gone.and_then(|()| self.disk.sync_directory(&self.directory)) {
                tracing::warn!("{path} in the data directory is not needed any more and stays: {error}");
                return;
            }
            self.older.pop_front();
        }
    }
}

fn encode(records: &[Record]) -> Result<Vec<u8>, WriteError> {
    let encoded = rmp_serde::to_vec_named(records);
    encoded.map_err(|error| WriteError::fatal("encoding a record", std::io::Error::other(error)))
}

fn begin<D: Disk>(
    disk: &D,
    directory: &str,
    number: u64,
    (first_frame, version): (u64, u8),
    (vote, purged): (Option<Vote>, Option<Position>),
    room: usize,
) -> Result<Segment<D::File>, WriteError> {
    let header = Header {
        version,
        salt: rand::random(),
        first_frame,
    };
    let content = encode(&[Record::Standing { vote, purged }])?;
    Segment::create(disk, directory, number, header, &content, room)
}

/// Goes on in the last segment. What a power cut left behind its last frame is wiped. What a killed process has written
/// and not synced is synced now, since it will be counted on.
fn resume<D: Disk>(disk: &D, directory: &str, last: &recovery::Read) -> std::io::Result<Segment<D::File>> {
    let path = format!("{directory}/{}", segment::name(last.number));
    let file = disk.open(&path, Open::Existing)?;
    if last.torn {
        tracing::warn!("{path}: the last write was cut off by a crash; it was never acknowledged and is removed");
        file.write_at(last.end as u64, &vec![0; last.bytes - last.end])?;
    }
    file.sync()?;
    disk.sync_directory(directory)?;
    Ok(Segment {
        number: last.number,
        salt: last.salt,
        version: last.version,
        end: last.end,
        bytes: last.bytes,
        file,
    })
}
