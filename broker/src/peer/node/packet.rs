//! One frame between nodes: version, what it is, the question's number, and the words in MessagePack.
//!
//! Total: any octets are a packet or an error.

use serde::{Serialize, de::DeserializeOwned};
use std::io;

/// The format written here and the only one that is read.
const VERSION: u8 = 1;
const HEADER_BYTES: usize = 10;

/// What a packet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Who speaks; or, as an answer, why nobody is listened to.
    Introduction,
    Request,
    Reply,
}

impl Kind {
    fn octet(self) -> u8 {
        match self {
            Kind::Introduction => 0,
            Kind::Request => 1,
            Kind::Reply => 2,
        }
    }

    fn of(octet: u8) -> Option<Self> {
        [Kind::Introduction, Kind::Request, Kind::Reply]
            .into_iter()
            .find(|kind| kind.octet() == octet)
    }
}

/// A packet ready for a frame.
pub(super) fn write(kind: Kind, number: u64, words: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut octets = vec![VERSION, kind.octet()];
    octets.extend(number.to_be_bytes());
    rmp_serde::encode::write_named(&mut octets, words).map_err(io::Error::other)?;
    Ok(octets)
}

/// What a frame holds: its kind, its number, and the words' octets.
pub(super) fn read(octets: &[u8]) -> io::Result<(Kind, u64, &[u8])> {
    let split = octets.split_first_chunk::<HEADER_BYTES>();
    let (header, words) = split.ok_or_else(|| invalid("a packet of less than its header"))?;
    let [version, kind, number @ ..] = *header;
    if version != VERSION {
        return Err(invalid(format!(
            "a packet of version {version}, {VERSION} is understood"
        )));
    }
    let kind = Kind::of(kind).ok_or_else(|| invalid(format!("a packet of kind {kind}")))?;
    Ok((kind, u64::from_be_bytes(number), words))
}

/// The words themselves.
pub(super) fn words<T: DeserializeOwned>(octets: &[u8]) -> io::Result<T> {
    rmp_serde::from_slice(octets).map_err(|error| invalid(error.to_string()))
}

pub(super) fn invalid(what: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_reads_back_and_other_octets_are_errors() {
        let octets = write(Kind::Reply, 7, &"words").unwrap();
        let (kind, number, rest) = read(&octets).unwrap();
        assert_eq!((kind, number), (Kind::Reply, 7));
        assert_eq!(words::<String>(rest).unwrap(), "words");
        for bad in [&octets[..9], b"\x02\x00\0\0\0\0\0\0\0\0", b"\x01\x09\0\0\0\0\0\0\0\0"] {
            assert!(read(bad).is_err());
        }
        assert!(words::<u64>(b"\xc1").is_err());
    }
}
