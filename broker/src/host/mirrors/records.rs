//! Records out of the frames of a mirror link: checked, in order, and never more in memory than the longest one.
//!
//! Knows no queue; a frame that is damaged or a record that is none ends the link.

use link::{FRAME_HEADER_BYTES, FrameHeader};
use mirror::Word;
use model::QueueId;
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt};

/// Most octets in a frame. Longer records are cut.
pub const FRAME_BYTES_MAX: usize = 256 * 1024;
/// Longest record: the largest message there can be, and its names and properties.
const RECORD_BYTES_MAX: usize = 520 * 1024 * 1024;

/// What comes over a mirror link.
pub struct Records<R> {
    from: R,
    octets: Vec<u8>,
    /// Octets that have been read as records.
    used: usize,
}

impl<R: AsyncRead + Unpin> Records<R> {
    /// Nothing has come.
    pub fn new(from: R) -> Self {
        Records {
            from,
            octets: Vec::new(),
            used: 0,
        }
    }

    /// Waits for a frame; false when the other end has closed.
    ///
    /// # Errors
    /// As the system says, or the frame is none.
    pub async fn more(&mut self) -> io::Result<bool> {
        self.octets.drain(..self.used);
        self.used = 0;
        if self.octets.is_empty() && self.octets.capacity() > 4 * FRAME_BYTES_MAX {
            self.octets = Vec::new();
        }
        let mut header = [0; FRAME_HEADER_BYTES];
        if self.from.read(&mut header[..1]).await? == 0 {
            return Ok(false);
        }
        self.from.read_exact(&mut header[1..]).await?;
        let header = FrameHeader::read(header, FRAME_BYTES_MAX).map_err(invalid)?;
        let before = self.octets.len();
        let read = (&mut self.from)
            .take(header.bytes as u64)
            .read_to_end(&mut self.octets)
            .await?;
        if read < header.bytes {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        header.check(&self.octets[before..]).map_err(invalid)?;
        Ok(true)
    }

    /// The next record that is complete.
    ///
    /// # Errors
    /// It is none.
    pub fn next(&mut self) -> io::Result<Option<(QueueId, Word<'_>)>> {
        let rest = &self.octets[self.used..];
        let Some(length) = mirror::record_bytes(rest) else {
            return Ok(None);
        };
        if length > RECORD_BYTES_MAX {
            let text = format!("a record of {length} octets, {RECORD_BYTES_MAX} are allowed");
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        if rest.len() < length {
            return Ok(None);
        }
        self.used += length;
        Word::decode(&rest[..length]).map(Some).map_err(invalid)
    }
}

fn invalid(error: impl std::error::Error + Send + Sync + 'static) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}
