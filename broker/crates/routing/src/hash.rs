//! Hashes that are the same on every node and in every release, and the choice of one destination by weight.
//!
//! Weighted rendezvous: each destination draws a score from the key, the best wins. Adding or removing one destination
//! moves only the keys it wins or held.

use crate::target::Target;

/// FNV-1a, 64 bits.
pub(crate) fn fnv(octets: &[u8]) -> u64 {
    octets.iter().fold(0xcbf2_9ce4_8422_2325, |hash, octet| {
        (hash ^ u64::from(*octet)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// Spreads all bits of a number over all bits (the finaliser of SplitMix64).
pub(crate) fn mix(n: u64) -> u64 {
    let n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ (n >> 31)
}

/// The destination that a key goes to; `None` if there is none with a weight.
pub(crate) fn choose<'a>(key: u64, weighted: impl Iterator<Item = (&'a Target, u64)>) -> Option<&'a Target> {
    let mut best: Option<(f64, &Target)> = None;
    for (target, weight) in weighted {
        let score = score(key, target, weight);
        if weight > 0 && best.is_none_or(|(leader, _)| score > leader) {
            best = Some((score, target));
        }
    }
    best.map(|(_, target)| target)
}

fn score(key: u64, target: &Target, weight: u64) -> f64 {
    let own = match target {
        Target::Queue(id) => mix(id.0),
        Target::Exchange(name) => fnv(name.as_str().as_bytes()),
    };
    // A number strictly between 0 and 1, of 53 random bits.
    let draw = ((mix(key ^ mix(own)) >> 11) as f64 + 0.5) / (1u64 << 53) as f64;
    -(weight as f64) / draw.ln()
}
