//! Why a store cannot be opened, in words for the administrator: which file, where, and what can be done.
//!
//! Damage is told, never mended: what was promised and cannot be read is for people to decide about.

use std::{fmt, io};

/// Octets that had been durable and cannot be read any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The file, relative to the data directory.
    pub file: String,
    /// Octets from its beginning.
    pub offset: u64,
    /// What is there instead of what should be.
    pub what: String,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is damaged at offset {}: {}", self.file, self.offset, self.what)
    }
}

/// Why the store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The system refuses.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// What was durable cannot be read.
    #[error(
        "{0}. Confirmed messages may be missing, so the node does not start. Nothing has been changed. `warren store check \
         DIRECTORY` lists what can be read; restore the directory from a backup, or remove it where other nodes hold mirrors"
    )]
    Damaged(Damage),
    /// A later release wrote it.
    #[error(
        "{file} has format version {version}, and this release knows versions up to {known}: start the release that wrote it, or a later one"
    )]
    Newer {
        /// The file.
        file: String,
        /// Its version.
        version: u32,
        /// The latest that is known here.
        known: u32,
    },
}
