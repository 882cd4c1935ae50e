//! Which version of the formats is written, and up to which they are read.
//!
//! A release reads what it and the one before write. It writes as the one before did until whoever opened the files says that no program of
//! that release will read them any more, so that till then there is a way back. The version only rises.

use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering},
};

/// Shared by all that write files of one node. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Formats {
    known: u8,
    written: Arc<AtomicU8>,
}

impl Default for Formats {
    /// Those of the first release.
    fn default() -> Self {
        Formats::up_to(1)
    }
}

impl Formats {
    /// Versions up to this one are read, and the first is written.
    pub fn up_to(known: u32) -> Self {
        Formats {
            known: narrow(known),
            written: Arc::new(AtomicU8::new(1)),
        }
    }

    /// The newest version that is read.
    pub fn known(&self) -> u8 {
        self.known
    }

    /// The version that is written.
    pub fn written(&self) -> u8 {
        self.written.load(Ordering::Acquire)
    }

    /// This version may be written from now on. What is not known is not written.
    pub fn raise(&self, version: u32) {
        self.written
            .fetch_max(narrow(version).min(self.known), Ordering::AcqRel);
    }
}

fn narrow(version: u32) -> u8 {
    u8::try_from(version.max(1)).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_version_is_written_until_another_is_said_and_none_that_is_not_known() {
        let formats = Formats::up_to(2);
        assert_eq!((formats.known(), formats.written()), (2, 1));
        let writer = formats.clone();
        formats.raise(2);
        formats.raise(1);
        assert_eq!(writer.written(), 2, "it never falls");
        formats.raise(3);
        assert_eq!(writer.written(), 2);
    }
}
