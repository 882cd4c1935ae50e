//! Watermarks of the alarms, changed while the node runs.
//!
//! The configuration stays as it is: the next start begins with its values.

use link::{Failure, Level, Term};

use super::Outcome;
use crate::{
    config::{ByteSize, Value, Watermark},
    host::Node,
};

pub(super) fn set_memory(node: &Node, level: &Level) -> Outcome {
    match level {
        Level::Relative(share) if !(0.0..=1.0).contains(share) => Err(Failure::Refused(
            "The threshold should be a fraction between 0.0 and 1.0".to_owned(),
        )),
        _ => {
            node.set_memory_watermark(watermark(level)?);
            Ok(Term::none())
        }
    }
}

pub(super) fn set_disk(node: &Node, level: &Level) -> Outcome {
    node.set_disk_watermark(watermark(level)?);
    Ok(Term::none())
}

fn watermark(level: &Level) -> Result<Watermark, Failure> {
    match level {
        Level::Relative(share) if share.is_finite() && *share >= 0.0 => Ok(Watermark::Relative(*share)),
        Level::Relative(share) => Err(Failure::Refused(format!("{share} must be a fraction such as 0.4"))),
        Level::Absolute(text) => ByteSize::read(text)
            .map(Watermark::Absolute)
            .map_err(|right| Failure::Refused(format!("{text} {right}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_a_share_of_the_memory_or_octets_with_a_unit() {
        let absolute = |text: &str| watermark(&Level::Absolute(text.to_owned()));
        assert_eq!(watermark(&Level::Relative(0.4)), Ok(Watermark::Relative(0.4)));
        assert_eq!(absolute("1GB"), Ok(Watermark::Absolute(ByteSize(1_000_000_000))));
        assert_eq!(absolute("0"), Ok(Watermark::Absolute(ByteSize(0))));
        for bad in ["", "1XB", "-1", "much"] {
            assert!(absolute(bad).is_err(), "{bad}");
        }
        for bad in [-0.1, f64::NAN, f64::INFINITY] {
            assert!(watermark(&Level::Relative(bad)).is_err(), "{bad}");
        }
    }
}
