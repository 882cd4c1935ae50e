//! The only source of chance: numbers that follow from a seed, the same in every run and every version. It reads no
//! clock and no randomness of the system.

/// A stream of numbers (splitmix64).
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    /// The stream that follows from these numbers; another order of them is another stream.
    pub(crate) fn new(seeds: &[u64]) -> Self {
        Self(seeds.iter().fold(0, |state, seed| mix(state ^ mix(*seed))))
    }

    /// The next number.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix(self.0)
    }

    /// A number below `end`; 0 if `end` is 0.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        if end == 0 { 0 } else { self.next() % end }
    }

    /// A number from `low` to `high`, both possible.
    pub(crate) fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high - low + 1)
    }

    /// True so many times in a hundred.
    pub(crate) fn percent(&mut self, times: u64) -> bool {
        self.below(100) < times
    }

    /// Picks by weight: the index of the weight that was hit.
    pub(crate) fn weighted(&mut self, weights: &[u64]) -> usize {
        let mut hit = self.below(weights.iter().sum());
        for (index, weight) in weights.iter().enumerate() {
            if hit < *weight {
                return index;
            }
            hit -= weight;
        }
        0
    }
}

/// Spreads a number over all 64 bits.
pub(crate) fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_seeds_give_equal_numbers_and_others_do_not() {
        let stream = |seeds: &[u64]| {
            let mut dice = Dice::new(seeds);
            (0..8).map(|_| dice.next()).collect::<Vec<_>>()
        };
        assert_eq!(stream(&[1, 2]), stream(&[1, 2]));
        assert_ne!(stream(&[1, 2]), stream(&[2, 1]));
    }

    #[test]
    fn a_weight_of_zero_is_never_picked() {
        let mut dice = Dice::new(&[7]);
        assert!((0..1000).all(|_| dice.weighted(&[0, 3, 0, 1]) % 2 == 1));
    }
}
