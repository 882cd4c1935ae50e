//! The definitions of a node that is not running, read and never changed: its snapshot, and what its log adds.
//!
//! The only member of a cluster has agreed to all that it has written down. Only the readers of `log` and `snapshot` are
//! used: there is one understanding of the octets.

use super::{
    log::{self, OpenError, Payload},
    snapshot::{self, Progress, SnapshotError},
};
use catalog::Catalog;
use std::io;
use store::{
    Formats,
    disk::{self, Disk},
};

/// What the directory of the definitions says.
#[derive(Debug, Default)]
pub struct Definitions {
    /// The definitions.
    pub catalog: Catalog,
    /// Entries of the log that the snapshot does not hold.
    pub entries: usize,
    /// The last place in the log that the snapshot holds, if there is a snapshot.
    pub snapshot_index: Option<u64>,
}

/// Why definitions cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The system refuses.
    #[error("{path} in the data directory: {source}")]
    Io {
        /// The file.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// The log.
    #[error(transparent)]
    Log(#[from] OpenError),
    /// The snapshot.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// Entries are missing between both.
    #[error("the snapshot of the definitions is missing or older than the log: put the directory back from a backup")]
    Gap,
}

impl ReadError {
    /// True if octets are damaged; false if they are another release's, or the system refuses.
    pub fn is_damage(&self) -> bool {
        match self {
            ReadError::Gap | ReadError::Log(OpenError::Damaged { .. }) => true,
            ReadError::Snapshot(SnapshotError::Damaged(_)) => true,
            ReadError::Io { .. } | ReadError::Log(_) | ReadError::Snapshot(SnapshotError::Newer(..)) => false,
        }
    }
}

/// Reads the definitions in a directory; blank if there are none.
///
/// # Errors
/// What is wrong with the files.
pub fn read<D: Disk>(disk: &D, directory: &str) -> Result<Definitions, ReadError> {
    let formats = Formats::up_to(link::feature_level());
    let mut found = Definitions::default();
    let mut progress = Progress::default();
    let path = format!("{directory}/{}", snapshot::FILE);
    match disk::read_all(disk, &path) {
        Ok(octets) => {
            let snapshot = snapshot::decode(&octets, &formats)?;
            found.snapshot_index = snapshot.progress.applied.map(|applied| applied.index);
            (found.catalog, progress) = (snapshot.catalog, snapshot.progress);
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(source) => return Err(ReadError::Io { path, source }),
    }
    let log = log::read(disk, directory, &formats)?;
    if log.purged > progress.applied {
        return Err(ReadError::Gap);
    }
    let further = |index: &u64| progress.applied.is_none_or(|applied| *index > applied.index);
    let entries: Vec<_> = log.entries.into_iter().filter(|(index, _)| further(index)).collect();
    found.entries = entries.len();
    for (_, entry) in entries {
        let Payload::Proposal(proposal) = entry.payload else {
            continue;
        };
        if !progress.takes(&proposal) {
            continue;
        }
        for command in proposal.commands.iter() {
            // A command that is refused changes nothing, now as then.
            let _ = found.catalog.apply(command.clone(), &mut Vec::new());
        }
    }
    Ok(found)
}
