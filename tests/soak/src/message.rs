//! The body of every message: who published it, as which number, with a nonce that only this campaign can have drawn
//! and a fill that follows from it. Decides whether a body that came back is one of ours and whole.

use crate::dice::mix;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Names a message within its lane: in the order of publishing for each publisher.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub(crate) struct Id {
    /// Round of the campaign it was published in.
    pub(crate) round: u32,
    /// Publisher within the lane.
    pub(crate) publisher: u8,
    /// How many the publisher had published before, in this round.
    pub(crate) number: u32,
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.round, self.publisher, self.number)
    }
}

impl From<Id> for String {
    fn from(id: Id) -> Self {
        id.to_string()
    }
}

impl TryFrom<String> for Id {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl FromStr for Id {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("'{text}' is no message: ROUND.PUBLISHER.NUMBER");
        let mut parts = text.split('.');
        let mut part = || parts.next().ok_or_else(wrong);
        Ok(Self {
            round: part()?.parse().map_err(|_| wrong())?,
            publisher: part()?.parse().map_err(|_| wrong())?,
            number: part()?.parse().map_err(|_| wrong())?,
        })
    }
}

/// What belongs to one lane of one campaign: its name, and the seed that its nonces follow from.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    /// The lane's name.
    pub(crate) lane: String,
    /// The campaign's seed.
    pub(crate) seed: u64,
}

impl Origin {
    fn nonce(&self, id: Id) -> u64 {
        let lane = self
            .lane
            .bytes()
            .fold(self.seed, |state, octet| mix(state ^ u64::from(octet)));
        mix(lane ^ mix(u64::from(id.round) << 40 | u64::from(id.publisher) << 32 | u64::from(id.number)))
    }

    /// The body of `id`, of at least `size` octets.
    pub(crate) fn body(&self, id: Id, size: usize) -> Vec<u8> {
        let nonce = self.nonce(id);
        let mut body = format!("soak {} {id} {nonce:016x} {size}\n", self.lane).into_bytes();
        let begin = body.len();
        body.extend((begin..size).map(|at| fill(nonce, at)));
        body
    }

    /// The message that a body says it is.
    ///
    /// # Errors
    /// What is wrong with it: not ours, of another lane or campaign, or damaged.
    pub(crate) fn read(&self, body: &[u8]) -> Result<Id, String> {
        let shown = || String::from_utf8_lossy(&body[..body.len().min(80)]).into_owned();
        let end = body.iter().position(|octet| *octet == b'\n');
        let head = end.and_then(|end| std::str::from_utf8(&body[..end]).ok());
        let words: Vec<&str> = head.unwrap_or_default().split(' ').collect();
        let ["soak", _, id, _, size] = words[..] else {
            return Err(format!("a body that is none of ours: {}", shown()));
        };
        let id: Id = id.parse()?;
        let size: usize = size.parse().map_err(|_| format!("a body of no size: {}", shown()))?;
        if size > body.len() + 1024 || self.body(id, size) != body {
            return Err(format!(
                "a damaged body, or one of another lane or campaign: {}",
                shown()
            ));
        }
        Ok(id)
    }
}

fn fill(nonce: u64, at: usize) -> u8 {
    (nonce >> (8 * (at % 8))) as u8 ^ (at / 8) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: Id = Id {
        round: 3,
        publisher: 1,
        number: 77,
    };

    fn origin(lane: &str, seed: u64) -> Origin {
        Origin {
            lane: lane.to_owned(),
            seed,
        }
    }

    #[test]
    fn a_body_tells_its_message_and_survives_the_trip() {
        for size in [0, 40, 200, 300_000] {
            let body = origin("classic", 5).body(ID, size);
            assert_eq!(origin("classic", 5).read(&body), Ok(ID));
            assert!(body.len() >= size);
        }
    }

    #[test]
    fn a_changed_octet_a_cut_tail_and_a_foreign_body_are_found() {
        let whole = origin("classic", 5).body(ID, 500);
        for at in [0, 6, 20, 60, 499] {
            let mut body = whole.clone();
            body[at] ^= 1;
            assert!(origin("classic", 5).read(&body).is_err(), "octet {at}");
        }
        assert!(origin("classic", 5).read(&whole[..499]).is_err());
        assert!(origin("lazy", 5).read(&whole).is_err());
        assert!(origin("classic", 6).read(&whole).is_err());
    }

    #[test]
    fn a_name_reads_back() {
        assert_eq!(ID.to_string().parse(), Ok(ID));
        assert!("1.2".parse::<Id>().is_err());
    }
}
