//! One file of the log: made whole, filled with zeros beforehand, so that a write changes nothing but content.
//!
//! A file that grows costs a second write with every sync. Knows frames, not what they say.

use super::{
    error::WriteError,
    frame::{self, Header},
};
use store::disk::{Disk, DiskFile, Open};

/// Octets of a segment, unless one frame needs more.
pub(super) const SEGMENT_BYTES: usize = 1024 * 1024;

const PREFIX: &str = "log.";

/// The name of a segment's file.
pub(super) fn name(number: u64) -> String {
    format!("{PREFIX}{number:016}")
}

/// The number in the name of a segment's file.
pub(super) fn number(name: &str) -> Option<u64> {
    let digits = name.strip_prefix(PREFIX)?;
    digits.parse().ok().filter(|number| self::name(*number) == name)
}

/// A segment that is written to.
#[derive(Debug)]
pub(super) struct Segment<F> {
    pub(super) number: u64,
    pub(super) salt: u64,
    /// Of its format.
    pub(super) version: u8,
    /// Where the next frame begins.
    pub(super) end: usize,
    pub(super) bytes: usize,
    pub(super) file: F,
}

impl<F: DiskFile> Segment<F> {
    /// Makes a segment that begins with a frame; it is safe when this is back.
    pub(super) fn create<D: Disk<File = F>>(
        disk: &D,
        directory: &str,
        number: u64,
        header: Header,
        content: &[u8],
        room: usize,
    ) -> Result<Self, WriteError> {
        let full = |source| WriteError::of("making a segment of the log", source);
        let mut first = header.octets().to_vec();
        frame::write(&mut first, header.salt, header.first_frame, content).map_err(full)?;
        let bytes = SEGMENT_BYTES.max(first.len() + room);
        // There may be one that could not be made whole.
        let path = format!("{directory}/{}", name(number));
        let file = disk.open(&path, Open::OrCreate).map_err(full)?;
        file.reserve(bytes as u64).map_err(full)?;
        let zeros = vec![0; bytes - first.len()];
        file.write_at(first.len() as u64, &zeros).map_err(full)?;
        file.write_at(0, &first).map_err(full)?;
        file.sync()
            .and_then(|()| disk.sync_directory(directory))
            .map_err(|source| WriteError::fatal("syncing a new segment of the log", source))?;
        Ok(Segment {
            number,
            salt: header.salt,
            version: header.version,
            end: first.len(),
            bytes,
            file,
        })
    }

    /// True if that many octets of frame still go in.
    pub(super) fn has_room(&self, octets: usize) -> bool {
        self.end + octets <= self.bytes
    }

    /// Writes a frame; it is safe when this is back.
    pub(super) fn append(&mut self, frame: &[u8]) -> Result<(), WriteError> {
        let written = self.file.write_at(self.end as u64, frame);
        written.map_err(|source| WriteError::of("writing the log", source))?;
        let synced = self.file.sync();
        synced.map_err(|source| WriteError::fatal("syncing the log", source))?;
        self.end += frame.len();
        Ok(())
    }
}
