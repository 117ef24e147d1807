//! Chance that can be asked again: the same seed and the same question give the same answer, in
//! any order and on any machine.

/// Where a run of numbers by `mix` begins; the odd number nearest to 2^64 divided by the golden
/// ratio, so that neighbouring inputs start far apart.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// One question that chance answers. Each further [`SeededRandom::derive`] or [`SeededRandom::nth`] is a question of
/// its own, independent of the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SeededRandom(u64);

impl SeededRandom {
    pub(super) const fn new(seed: u64) -> Self {
        Self(mix(seed.wrapping_add(STEP)))
    }

    /// The question `what`, which may be a client ID as well as a word.
    pub(super) fn derive(self, what: &str) -> Self {
        // FNV-1a, 64 bits.
        let hash = what.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        self.nth(hash)
    }

    /// The same question, asked for the `number`th time.
    pub(super) const fn nth(self, number: u64) -> Self {
        Self(mix(self.0 ^ mix(number.wrapping_add(STEP))))
    }

    /// A number from 0 up to, but not, 1; all are equally likely.
    pub(super) fn unit(self) -> f64 {
        /// An `f64` has 53 bits of precision.
        const STEPS: u64 = 1 << 53;
        (self.0 >> 11) as f64 / STEPS as f64
    }

    /// A number of `range`. Which are likelier than others cannot be told for ranges as short as
    /// those here.
    pub(super) const fn within(self, range: std::ops::Range<u64>) -> u64 {
        range.start + self.0 % (range.end - range.start)
    }

    /// All the bits.
    pub(super) const fn bits(self) -> u64 {
        self.0
    }
}

/// The finalizer of the `SplitMix64` generator: every bit of the input moves half of the output's.
const fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_the_questions_falls_below_a_probability() {
        for (question, probability) in [("a", 0.1), ("b", 0.5), ("c", 0.99)] {
            let random = SeededRandom::new(1).derive(question);
            let hits = (0..10_000)
                .filter(|n| random.nth(*n).unit() < probability)
                .count();
            assert!(
                (hits as f64 / 10_000.0 - probability).abs() < 0.02,
                "{question}: {hits}"
            );
        }
    }

    #[test]
    fn questions_do_not_answer_each_other() {
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
