//! All definitions in one file: what a log's entries up to one place come to.
//!
//! A header with version, length and checksum, then MessagePack with the fields' names. The same octets go to a node that
//! is far behind. Never panics on any octets.

use super::log::{Membership, Position, Proposal};
use catalog::{Catalog, Image};
use model::NodeUuid;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use store::Formats;

/// The file's name in the directory of the log.
pub const FILE: &str = "snapshot";
const MARK: &[u8; 8] = b"WRN-SNAP";
const HEADER_BYTES: usize = 32;

/// What one node has proposed last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Proposed {
    /// By which of its starts.
    pub incarnation: u64,
    /// The number of the proposal.
    pub number: u64,
}

/// What the log has come to besides the definitions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The last entry that counts.
    pub applied: Option<Position>,
    /// The members then.
    pub membership: Membership,
    /// The entry that made them the members.
    pub membership_at: Option<Position>,
    /// What each node has proposed last.
    pub proposed: BTreeMap<NodeUuid, Proposed>,
}

impl Progress {
    /// True if a proposal is to be performed; one that comes again, because its sender did not learn of its success, is
    /// not.
    pub fn takes(&mut self, proposal: &Proposal) -> bool {
        let this = Proposed {
            incarnation: proposal.incarnation,
            number: proposal.number,
        };
        let is_news = self.proposed.get(&proposal.origin).is_none_or(|last| *last < this);
        if is_news {
            self.proposed.insert(proposal.origin, this);
        }
        is_news
    }
}

#[derive(Serialize, Deserialize)]
struct Content {
    id: String,
    progress: Progress,
    image: Image,
}

/// A snapshot, as it is read.
#[derive(Debug)]
pub struct Snapshot {
    /// Names it.
    pub id: String,
    /// Where the log was.
    pub progress: Progress,
    /// The definitions.
    pub catalog: Catalog,
}

/// Octets that are no snapshot.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// They are damaged.
    #[error(
        "the snapshot of the definitions is damaged: {0}. Nothing was changed. Put the data directory back from a backup; \
         in a cluster, remove this node from it and let it join with an empty directory"
    )]
    Damaged(String),
    /// A newer program wrote them.
    #[error("the snapshot of the definitions has format {0}, this program reads up to {1}: start the newer one")]
    Newer(u16, u8),
}

/// Writes definitions down, in the format of the feature level that they say.
///
/// # Errors
/// Never for definitions that commands have made.
pub fn encode(id: &str, progress: &Progress, catalog: &Catalog) -> Result<Vec<u8>, rmp_serde::encode::Error> {
    let content = Content {
        id: id.to_owned(),
        progress: progress.clone(),
        image: catalog.image(),
    };
    let mut octets = vec![0; HEADER_BYTES];
    rmp_serde::encode::write_named(&mut octets, &content)?;
    octets[..8].copy_from_slice(MARK);
    let version = u16::try_from(catalog.level()).unwrap_or(u16::MAX);
    octets[8..10].copy_from_slice(&version.to_le_bytes());
    let length = (octets.len() - HEADER_BYTES) as u64;
    octets[16..24].copy_from_slice(&length.to_le_bytes());
    let checksum = checksum(&octets);
    octets[24..28].copy_from_slice(&checksum.to_le_bytes());
    Ok(octets)
}

/// Over all but the checksum itself.
fn checksum(octets: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(octets.get(..24).unwrap_or_default());
    hasher.update(octets.get(HEADER_BYTES..).unwrap_or_default());
    hasher.finalize()
}

fn array<const N: usize>(octets: &[u8], at: usize) -> [u8; N] {
    octets
        .get(at..at + N)
        .and_then(|found| found.try_into().ok())
        .unwrap_or([0; N])
}

/// Reads definitions back that are of a known format.
///
/// # Errors
/// What is wrong with the octets.
pub fn decode(octets: &[u8], formats: &Formats) -> Result<Snapshot, SnapshotError> {
    let damaged = |why: &str| SnapshotError::Damaged(why.to_owned());
    if octets.get(..8) != Some(MARK.as_slice()) {
        return Err(damaged("it does not begin as one does"));
    }
    if u64::from_le_bytes(array(octets, 16)) != octets.len().saturating_sub(HEADER_BYTES) as u64 {
        return Err(damaged("it has another length than it says"));
    }
    if u32::from_le_bytes(array(octets, 24)) != checksum(octets) {
        return Err(damaged("its checksum is wrong"));
    }
    match u16::from_le_bytes(array(octets, 8)) {
        version if (1..=u16::from(formats.known())).contains(&version) => {}
        newer => return Err(SnapshotError::Newer(newer, formats.known())),
    }
    let content = rmp_serde::from_slice(octets.get(HEADER_BYTES..).unwrap_or_default());
    let content: Content = content.map_err(|error| damaged(&error.to_string()))?;
    let catalog = Catalog::try_from(content.image).map_err(|error| damaged(&error.to_string()))?;
    Ok(Snapshot {
        id: content.id,
        progress: content.progress,
        catalog,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use catalog::{Command, VhostMetadata};

    fn filled() -> Catalog {
        let mut catalog = Catalog::default();
        let name = "v".parse().unwrap();
        let metadata = VhostMetadata::default();
        let put = catalog.apply(Command::PutVhost { name, metadata }, &mut Vec::new());
        put.unwrap();
        catalog
    }

    fn progress() -> Progress {
        Progress {
            applied: Some(Position {
                term: 2,
                leader: NodeUuid(1),
                index: 7,
            }),
            proposed: BTreeMap::from([(
                NodeUuid(1),
                Proposed {
                    incarnation: 3,
                    number: 4,
                },
            )]),
            ..Progress::default()
        }
    }

    #[test]
    fn a_snapshot_reads_back_whole_and_any_flipped_bit_is_noticed() {
        let octets = encode("2-7", &progress(), &filled()).unwrap();
        let read = decode(&octets, &Formats::default()).unwrap();
        assert_eq!(
            (read.progress, read.catalog, read.id.as_str()),
            (progress(), filled(), "2-7")
        );
        for at in (0..octets.len()).filter(|at| !(28..32).contains(at)) {
            let mut bad = octets.clone();
            bad[at] ^= 4;
            assert!(decode(&bad, &Formats::default()).is_err(), "octet {at}");
            assert!(decode(&octets[..at], &Formats::default()).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn the_first_format_is_read_for_ever() {
        let read = decode(include_bytes!("golden/snapshot-1"), &Formats::default()).unwrap();
        assert_eq!((read.progress, read.catalog), (progress(), filled()));
    }
}
