//! A node's identity for life: drawn once, kept on its disk. A node whose disk was replaced is another one.
//!
//! Handed in as data (I2): nothing here draws one.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// 128 bits, written as `8-4-4-4-12` hexadecimal digits.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NodeUuid(pub u128);

/// The text is no such identity.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no node UUID: 32 hexadecimal digits in groups of 8-4-4-4-12 are")]
pub struct NotAUuid(String);

/// Where the dashes stand.
const GROUPS: [usize; 5] = [8, 4, 4, 4, 12];

impl fmt::Display for NodeUuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = format!("{:032x}", self.0);
        let mut rest = digits.as_str();
        for (place, length) in GROUPS.into_iter().enumerate() {
            let (group, others) = rest.split_at(length);
            rest = others;
            write!(f, "{}{group}", if place == 0 { "" } else { "-" })?;
        }
        Ok(())
    }
}

impl fmt::Debug for NodeUuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for NodeUuid {
    type Err = NotAUuid;
    fn from_str(text: &str) -> Result<Self, NotAUuid> {
        let bad = || NotAUuid(text.to_owned());
        let groups: Vec<&str> = text.split('-').collect();
        let lengths = groups.iter().map(|group| group.len());
        let plain = |group: &&str| group.bytes().all(|octet| octet.is_ascii_hexdigit());
        if !lengths.eq(GROUPS) || !groups.iter().all(plain) {
            return Err(bad());
        }
        u128::from_str_radix(&groups.concat(), 16)
            .map(NodeUuid)
            .map_err(|_| bad())
    }
}

impl TryFrom<String> for NodeUuid {
    type Error = NotAUuid;
    fn try_from(text: String) -> Result<Self, NotAUuid> {
        text.parse()
    }
}

impl From<NodeUuid> for String {
    fn from(uuid: NodeUuid) -> Self {
        uuid.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_reads_back_as_it_is_written_and_nothing_else_is_one() {
        let uuid = NodeUuid(0x0123_4567_89ab_cdef_0011_2233_4455_6677);
        assert_eq!(uuid.to_string(), "01234567-89ab-cdef-0011-223344556677");
        assert_eq!(uuid.to_string().parse(), Ok(uuid));
        for bad in [
            "",
            "01234567",
            "+1234567-89ab-cdef-0011-223344556677",
            "0123456789abcdef0011223344556677",
        ] {
            assert!(bad.parse::<NodeUuid>().is_err(), "{bad}");
        }
    }
}
