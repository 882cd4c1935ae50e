//! Which release this program is, as far as other nodes and what is written are concerned: the version of the peer protocol and the level of
//! features rise together, by one with each minor release that adds to either.
//!
//! Tests of clusters of two releases need a program of the next one. It is a copy of this one in whose octets two digits were changed: no variable
//! and no setting does the same, so that no node can be led to take itself for another by accident.

use std::hint::black_box;

/// By how many releases a copy of this program is ahead of it: the two digits at the end, which nothing but tests changes.
static STAMP: [u8; 34] = *b"warren, releases ahead of this: 00";
/// Of the release whose sources these are.
const OWN: u16 = 1;

/// Read from the octets of the running program, and never assumed when it is compiled.
fn ahead() -> u16 {
    read(black_box(&STAMP))
}

/// Digits that are none count as nought: nobody is ahead by mistake.
fn read(stamp: &[u8; 34]) -> u16 {
    let digits = std::str::from_utf8(&stamp[32..]);
    digits.ok().and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

/// The version of the peer protocol. Who connects speaks the older of both ends' versions; peers of any other version are refused by name.
pub fn protocol_version() -> u16 {
    OWN + ahead()
}

/// The oldest version that is spoken: that of the release before.
fn protocol_version_min() -> u16 {
    (protocol_version() - 1).max(OWN)
}

/// Whether this end speaks that version of the protocol.
pub fn is_spoken(version: u16) -> bool {
    (protocol_version_min()..=protocol_version()).contains(&version)
}

/// What this release adds to what nodes may say to each other and write down. Nothing of it is said or written before the definitions say that
/// every member understands it.
pub fn feature_level() -> u32 {
    protocol_version().into()
}

/// The oldest level that is understood: that of the release before.
pub fn feature_level_min() -> u32 {
    protocol_version_min().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_of_its_own_release_unless_its_digits_were_changed() {
        assert_eq!(read(b"warren, releases ahead of this: 00"), 0);
        assert_eq!(read(b"warren, releases ahead of this: 01"), 1);
        assert_eq!(read(b"warren, releases ahead of this: 12"), 12);
        assert_eq!(read(b"warren, releases ahead of this: x2"), 0);
        assert_eq!((ahead(), feature_level()), (0, 1));
    }
}
