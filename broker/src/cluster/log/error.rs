//! Why a log cannot be opened or written, in words that tell an administrator which file and what to do.
//!
//! Nothing here repairs: a damaged log is refused, since what it says would be guessed.

use std::io;

/// A log that cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file system refuses.
    #[error("{path} in the data directory: {source}")]
    Io {
        /// The file.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// A file says what it cannot say.
    #[error(
        "{path} in the data directory is damaged at octet {at}: {why}. Nothing was changed. Put the directory back from a \
         backup; in a cluster, remove this node from it and let it join with an empty directory"
    )]
    Damaged {
        /// The file.
        path: String,
        /// Where.
        at: usize,
        /// What is wrong.
        why: String,
    },
    /// A newer program wrote it.
    #[error("{path} in the data directory has format {version}, this program reads up to {known}: start the newer one")]
    Newer {
        /// The file.
        path: String,
        /// Its format.
        version: u16,
        /// The newest known here.
        known: u16,
    },
}

/// A record that could not be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// There is no room: nothing has changed, and it can be tried again.
    #[error("no space left: {0}")]
    Full(io::Error),
    /// What is on the disk is not known any more: the process must end.
    #[error("{what}: {source}")]
    Fatal {
        /// What was being done.
        what: &'static str,
        /// Why it failed.
        source: io::Error,
    },
}

impl WriteError {
    /// Sorts the error of a write: only a full disk may be tried again.
    pub(super) fn of(what: &'static str, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => WriteError::Full(source),
            _ => WriteError::Fatal { what, source },
        }
    }

    /// An error after which nothing is known.
    pub(super) fn fatal(what: &'static str, source: io::Error) -> Self {
        WriteError::Fatal { what, source }
    }
}
