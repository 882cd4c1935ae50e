//! Frames of the peer port: length, checksum, octets. The bound is checked before anything is allocated (I14).
//!
//! What the octets mean is not known here.

/// Octets before each frame's content.
pub const FRAME_HEADER_BYTES: usize = 8;

/// A frame that cannot be taken; the connection is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Longer than allowed at this point.
    #[error("frame of {bytes} octets where at most {max} are taken")]
    TooLong {
        /// Announced octets.
        bytes: usize,
        /// Most that are taken.
        max: usize,
    },
    /// Damaged on its way.
    #[error("frame with a wrong checksum")]
    Checksum,
}

/// A frame's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    /// Octets of content that follow.
    pub bytes: usize,
    checksum: u32,
}

impl FrameHeader {
    /// Reads a header.
    ///
    /// # Errors
    /// When the content would have more than `max` octets.
    pub fn read(octets: [u8; FRAME_HEADER_BYTES], max: usize) -> Result<Self, FrameError> {
        let [a, b, c, d, e, f, g, h] = octets;
        let bytes = u32::from_be_bytes([a, b, c, d]) as usize;
        let checksum = u32::from_be_bytes([e, f, g, h]);
        match bytes <= max {
            true => Ok(FrameHeader { bytes, checksum }),
            false => Err(FrameError::TooLong { bytes, max }),
        }
    }

    /// Compares the content with the header's checksum.
    ///
    /// # Errors
    /// When they differ.
    pub fn check(self, content: &[u8]) -> Result<(), FrameError> {
        match crc32fast::hash(content) == self.checksum {
            true => Ok(()),
            false => Err(FrameError::Checksum),
        }
    }
}

/// One frame, ready to be written.
///
/// # Errors
/// When the content has more than `max` octets, so that the other end would refuse it.
pub fn frame(content: &[u8], max: usize) -> Result<Vec<u8>, FrameError> {
    let bytes = content.len();
    let length = u32::try_from(bytes).ok().filter(|_| bytes <= max);
    let length = length.ok_or(FrameError::TooLong { bytes, max })?;
    let mut octets = Vec::with_capacity(FRAME_HEADER_BYTES + bytes);
    octets.extend(length.to_be_bytes());
    octets.extend(crc32fast::hash(content).to_be_bytes());
    octets.extend(content);
    Ok(octets)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(octets: &[u8], max: usize) -> Result<FrameHeader, FrameError> {
        FrameHeader::read(octets[..FRAME_HEADER_BYTES].try_into().unwrap(), max)
    }

    #[test]
    fn a_frame_comes_back_as_it_went_and_damage_is_seen() {
        let mut octets = frame(b"content", 7).unwrap();
        let read = header(&octets, 7).unwrap();
        assert_eq!(read.bytes, 7);
        assert_eq!(read.check(&octets[FRAME_HEADER_BYTES..]), Ok(()));
        octets[FRAME_HEADER_BYTES] ^= 1;
        assert_eq!(read.check(&octets[FRAME_HEADER_BYTES..]), Err(FrameError::Checksum));
    }

    #[test]
    fn a_frame_longer_than_allowed_is_refused_by_both_ends() {
        let too_long = FrameError::TooLong { bytes: 7, max: 6 };
        assert_eq!(frame(b"content", 6), Err(too_long));
        assert_eq!(header(&frame(b"content", 7).unwrap(), 6), Err(too_long));
    }
}
