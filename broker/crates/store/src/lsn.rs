//! Positions in the write-ahead log: which segment, and where in it.
//!
//! Positions only ascend, so what is durable is one number. Nothing here knows what stands at a position.

/// Bits of a position that say where in its segment: a segment holds at most 64 GiB.
const OFFSET_BITS: u32 = 36;

/// A position in the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lsn(pub u64);

impl Lsn {
    /// `offset` octets into a segment.
    pub fn new(segment: u64, offset: u64) -> Self {
        debug_assert!(offset < 1 << OFFSET_BITS);
        Lsn((segment << OFFSET_BITS) | offset)
    }

    /// The segment's number.
    pub fn segment(self) -> u64 {
        self.0 >> OFFSET_BITS
    }

    /// Octets from the beginning of the segment's file.
    pub fn offset(self) -> u64 {
        self.0 & ((1 << OFFSET_BITS) - 1)
    }

    /// So many octets further on in the same segment.
    #[must_use]
    pub fn plus(self, octets: u64) -> Self {
        Lsn::new(self.segment(), self.offset() + octets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_ascend_within_a_segment_and_from_one_to_the_next() {
        let positions = [Lsn::new(1, 64), Lsn::new(1, 70), Lsn::new(2, 64), Lsn::new(9, 0)];
        assert!(positions.is_sorted());
        assert_eq!((positions[1].segment(), positions[1].offset()), (1, 70));
        assert_eq!(Lsn::new(1, 64).plus(6), positions[1]);
    }
}
