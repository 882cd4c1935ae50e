//! What a node keeps on disk for its queues: the write-ahead log that all share, the pages that hold what outlives it,
//! and recovery from both.
//!
//! Formats and recovery are functions over octets; files are reached through [`disk::Disk`] alone, so that every
//! sentence about crashes is tested on a disk that loses what a real one may lose.

pub mod disk;
