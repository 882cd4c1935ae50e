//! How long the files of a store become, and how many segments of the log are kept.
//!
//! Smaller ones are for tests, which want to see many of them.

/// Sizes of files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Octets of the log's segments: the record that crosses this line is the last of its segment.
    pub segment_bytes: u64,
    /// Segments that may be complete and not retired: a message consumed within so much of the log is written once.
    pub segments_max: usize,
    /// A page file that is longer gets no more pages.
    pub page_file_bytes: u64,
}

impl Default for Sizes {
    fn default() -> Self {
        Sizes {
            segment_bytes: 32 << 20,
            segments_max: 4,
            page_file_bytes: 64 << 20,
        }
    }
}
