//! Repeatable random numbers: the same seed and labels give the same number, in any order and on
//! any machine.

/// The odd number nearest to 2^64 divided by the golden ratio, so that neighbouring inputs of `mix`
/// are far apart.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// One random number. Each [`SeededRandom::derive`] or [`SeededRandom::nth`] gives another one,
/// independent of the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SeededRandom(u64);

impl SeededRandom {
    pub(super) const fn new(seed: u64) -> Self {
        Self(mix(seed.wrapping_add(STEP)))
    }

    /// The number with a label, such as a client ID.
    pub(super) fn derive(self, label: &str) -> Self {
        // FNV-1a, 64 bits.
        let hash = label
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
            });
        self.nth(hash)
    }

    /// The number with an index.
    pub(super) const fn nth(self, number: u64) -> Self {
        Self(mix(self.0 ^ mix(number.wrapping_add(STEP))))
    }

    /// As a fraction in [0, 1), uniformly distributed.
    pub(super) fn unit(self) -> f64 {
        /// An `f64` has 53 bits of precision.
        const STEPS: u64 = 1 << 53;
        (self.0 >> 11) as f64 / STEPS as f64
    }

    /// As an element of `range`. The distribution is uniform enough for short ranges.
    pub(super) const fn within(self, range: std::ops::Range<u64>) -> u64 {
        range.start + self.0 % (range.end - range.start)
    }

    /// As it is.
    pub(super) const fn bits(self) -> u64 {
        self.0
    }
}

/// The finalizer of the `SplitMix64` generator: each bit of the input affects half of the output.
const fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_the_numbers_is_below_a_probability() {
        for (label, probability) in [("a", 0.1), ("b", 0.5), ("c", 0.99)] {
            let random = SeededRandom::new(1).derive(label);
            let hits = (0..10_000)
                .filter(|n| random.nth(*n).unit() < probability)
                .count();
            assert!(
                (hits as f64 / 10_000.0 - probability).abs() < 0.02,
                "{label}: {hits}"
            );
        }
    }

    #[test]
    fn labels_are_independent() {
        let random = SeededRandom::new(1);
        let both = (0..10_000)
            .filter(|n| {
                random.derive("x").nth(*n).unit() < 0.5 && random.derive("y").nth(*n).unit() < 0.5
            })
            .count();
        assert!((2_300..2_700).contains(&both), "{both}");
        assert_ne!(random.derive("x"), SeededRandom::new(2).derive("x"));
    }
}
