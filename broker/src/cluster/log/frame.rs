//! The octets of a log segment: a header, then frames of one checked content each, then zeros.
//!
//! A frame is written by one write and is safe before the next one begins, so a frame that cannot be read is either the
//! last one, torn by a power cut, or damaged later. Which of both is told by looking for a frame behind it: the salt,
//! drawn for each segment, keeps the octets of users and of older files from being taken for one. Nothing here panics on
//! any octets, and nothing is allocated.

/// Octets of the segment's header.
pub(super) const HEADER_BYTES: usize = 40;
/// Octets before a frame's content.
pub(super) const FRAME_BYTES: usize = 20;

const SEGMENT_MARK: &[u8; 8] = b"WRN-META";
const FRAME_MARK: &[u8; 4] = b"WRNf";

/// What a segment begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// Of the format.
    pub(super) version: u8,
    /// Drawn for this segment; part of every checksum in it.
    pub(super) salt: u64,
    /// Number of its first frame. Frames are numbered through all segments.
    pub(super) first_frame: u64,
}

/// Octets that are no header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoHeader {
    /// Nothing was ever written there.
    Blank,
    /// A version that only a newer program reads.
    Newer(u16),
    /// Anything else.
    Damaged,
}

/// What is found where a frame may begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found<'a> {
    /// A whole frame.
    Frame {
        number: u64,
        content: &'a [u8],
        /// Where the next one begins.
        next: usize,
    },
    /// Zeros, or no room for a frame.
    Nothing,
    /// Octets that are no frame.
    Damaged,
}

fn array<const N: usize>(octets: &[u8], at: usize) -> Option<[u8; N]> {
    octets.get(at..at.checked_add(N)?)?.try_into().ok()
}

fn number(octets: &[u8], at: usize) -> Option<u64> {
    array(octets, at).map(u64::from_le_bytes)
}

fn short(octets: &[u8], at: usize) -> Option<u32> {
    array(octets, at).map(u32::from_le_bytes)
}

impl Header {
    pub(super) fn octets(self) -> [u8; HEADER_BYTES] {
        let mut out = [0; HEADER_BYTES];
        out[..8].copy_from_slice(SEGMENT_MARK);
        out[8..10].copy_from_slice(&u16::from(self.version).to_le_bytes());
        out[16..24].copy_from_slice(&self.salt.to_le_bytes());
        out[24..32].copy_from_slice(&self.first_frame.to_le_bytes());
        let checksum = crc32fast::hash(&out[..32]);
        out[32..36].copy_from_slice(&checksum.to_le_bytes());
        out
    }

    /// Reads one of a version up to `known`.
    pub(super) fn read(octets: &[u8], known: u8) -> Result<Self, NoHeader> {
        if is_blank(octets) {
            return Err(NoHeader::Blank);
        }
        let parse = || {
            let sound = octets.get(..8)? == SEGMENT_MARK && short(octets, 32)? == crc32fast::hash(octets.get(..32)?);
            let version = array(octets, 8).map(u16::from_le_bytes)?;
            let header = Header {
                version: u8::try_from(version).unwrap_or(u8::MAX),
                salt: number(octets, 16)?,
                first_frame: number(octets, 24)?,
            };
            sound.then_some((version, header))
        };
        match parse() {
            Some((version, header)) if (1..=u16::from(known)).contains(&version) => Ok(header),
            Some((version, _)) => Err(NoHeader::Newer(version)),
            None => Err(NoHeader::Damaged),
        }
    }
}

fn checksum(salt: u64, numbers: &[u8], content: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&salt.to_le_bytes());
    hasher.update(numbers);
    hasher.update(content);
    hasher.finalize()
}

/// Appends a frame. Content of more than 4 GiB is refused.
pub(super) fn write(out: &mut Vec<u8>, salt: u64, number: u64, content: &[u8]) -> std::io::Result<()> {
    let length = u32::try_from(content.len()).map_err(std::io::Error::other)?;
    let mut numbers = [0; 12];
    numbers[..4].copy_from_slice(&length.to_le_bytes());
    numbers[4..].copy_from_slice(&number.to_le_bytes());
    out.extend_from_slice(FRAME_MARK);
    out.extend_from_slice(&numbers);
    out.extend_from_slice(&checksum(salt, &numbers, content).to_le_bytes());
    out.extend_from_slice(content);
    Ok(())
}

fn frame(octets: &[u8], at: usize, salt: u64) -> Option<Found<'_>> {
    let start = at.checked_add(FRAME_BYTES)?;
    let length = usize::try_from(short(octets, at + 4)?).ok()?;
    let next = start.checked_add(length)?;
    let content = octets.get(start..next)?;
    let sound = array(octets, at)? == *FRAME_MARK
        && short(octets, at + 16)? == checksum(salt, octets.get(at + 4..at + 16)?, content);
    sound.then_some(Found::Frame {
        number: number(octets, at + 8)?,
        content,
        next,
    })
}

/// Looks at the place where a frame may begin.
pub(super) fn read(octets: &[u8], at: usize, salt: u64) -> Found<'_> {
    let head = octets.get(at..).unwrap_or_default();
    let blank = is_blank(&head[..head.len().min(FRAME_BYTES)]);
    match frame(octets, at, salt) {
        Some(found) => found,
        None if blank => Found::Nothing,
        None => Found::Damaged,
    }
}

/// The place of the first whole frame at or behind `from`.
pub(super) fn find(octets: &[u8], from: usize, salt: u64) -> Option<usize> {
    let marks = memchr::memmem::find_iter(octets.get(from..)?, FRAME_MARK);
    marks
        .map(|offset| from + offset)
        .find(|at| frame(octets, *at, salt).is_some())
}

/// True if there is nothing but zeros.
pub(super) fn is_blank(octets: &[u8]) -> bool {
    const ZEROS: [u8; 4096] = [0; 4096];
    octets.chunks(ZEROS.len()).all(|chunk| chunk == &ZEROS[..chunk.len()])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment() -> Vec<u8> {
        let mut out = Header {
            version: 1,
            salt: 7,
            first_frame: 1,
        }
        .octets()
        .to_vec();
        write(&mut out, 7, 1, b"one").unwrap();
        write(&mut out, 7, 2, b"").unwrap();
        out.resize(out.len() + 64, 0);
        out
    }

    #[test]
    fn frames_read_back_in_order_until_the_zeros() {
        let octets = segment();
        let Found::Frame {
            number: 1,
            content,
            next,
        } = read(&octets, HEADER_BYTES, 7)
        else {
            panic!()
        };
        assert_eq!(content, b"one");
        let Found::Frame { number: 2, next, .. } = read(&octets, next, 7) else {
            panic!()
        };
        assert_eq!(read(&octets, next, 7), Found::Nothing);
        assert_eq!(read(&octets, octets.len() - 3, 7), Found::Nothing);
    }

    #[test]
    fn any_flipped_bit_of_header_or_frame_is_noticed() {
        let whole = segment();
        for at in 0..HEADER_BYTES - 4 {
            let mut octets = whole.clone();
            octets[at] ^= 1;
            assert_eq!(
                Header::read(&octets[..HEADER_BYTES], 1),
                Err(NoHeader::Damaged),
                "octet {at}"
            );
        }
        for at in HEADER_BYTES..HEADER_BYTES + FRAME_BYTES + 3 {
            let mut octets = whole.clone();
            octets[at] ^= 1;
            assert_eq!(read(&octets, HEADER_BYTES, 7), Found::Damaged, "octet {at}");
            assert!(find(&octets, HEADER_BYTES, 7).is_some_and(|found| found > at));
        }
    }

    #[test]
    fn a_frame_of_another_segment_is_none_here() {
        let octets = segment();
        assert_eq!(read(&octets, HEADER_BYTES, 8), Found::Damaged);
        assert_eq!(find(&octets, 0, 8), None);
    }

    #[test]
    fn a_newer_format_is_told_from_damage() {
        let mut octets = Header {
            version: 2,
            salt: 1,
            first_frame: 1,
        }
        .octets();
        assert_eq!(Header::read(&octets, 1), Err(NoHeader::Newer(2)));
        assert_eq!(Header::read(&octets, 2).map(|header| header.version), Ok(2));
        octets[8] = 9;
        let sum = crc32fast::hash(&octets[..32]);
        octets[32..36].copy_from_slice(&sum.to_le_bytes());
        assert_eq!(Header::read(&octets, 1), Err(NoHeader::Newer(9)));
        assert_eq!(Header::read(&[0; HEADER_BYTES], 1), Err(NoHeader::Blank));
        assert_eq!(Header::read(b"short", 1), Err(NoHeader::Damaged));
    }
}
