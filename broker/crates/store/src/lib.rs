//! What a node keeps on disk for its queues: the write-ahead log that all share, the pages that hold what outlives it,
//! and recovery from both.
//!
//! Formats and recovery are functions over octets; files are reached through [`disk::Disk`] alone, so that every
//! sentence about crashes is tested on a disk that loses what a real one may lose.

pub mod check;
mod content;
pub mod disk;
mod error;
#[cfg(test)]
mod fixture;
mod formats;
mod front;
mod hold;
mod index;
mod keeper;
mod load;
mod lsn;
mod message;
#[cfg(test)]
mod named_seeds;
mod page;
mod pages;
mod record;
mod recover;
mod retire;
mod segment;
mod sizes;
mod store;
mod writer;

pub use content::Content;
pub use error::{Damage, StoreError};
pub use formats::Formats;
pub use front::Wake;
pub use hold::{Held, HeldFile, Hold, Holding};
pub use lsn::Lsn;
pub use message::{Loaded, Paged, StoredMessage};
pub use record::Entry;
pub use recover::{RecoveredPage, RecoveredQueue};
pub use sizes::Sizes;
pub use store::{Fatal, Opened, SharedBody, Store};
