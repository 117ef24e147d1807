//! What a layer allows.

use super::Rate;

/// What a layer allows.
///
/// A layer without slots or without places in flight never opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayerSpec {
    /// How many calls a second may leave, over time.
    pub rate: Rate,
    /// How many calls may leave at once after a pause; 0 counts as 1.
    pub burst: u32,
    /// How many calls can arrive in any second. A call holds a slot until one second after its end.
    pub slots: usize,
    /// How many calls may be without their end at a time; `usize::MAX` where that does not matter.
    pub in_flight: usize,
}

impl LayerSpec {
    /// The usual layer for `rate`, with at most `cap` slots: a burst of what is earned in 50 ms,
    /// and slots for a fifth more than the rate plus one, so that calls which take up to 200 ms
    /// reach the rate.
    #[must_use]
    pub fn standard(rate: Rate, cap: usize) -> Self {
        let whole = |millicalls: u64| usize::try_from(millicalls / 1_000).unwrap_or(usize::MAX);
        let burst = u32::try_from(whole(rate.millicalls() / 20))
            .unwrap_or(u32::MAX)
            .max(1);
        let fifth_more = whole((rate.millicalls() * 6).div_ceil(5).next_multiple_of(1_000));
        Self {
            rate,
            burst,
            slots: cap.min(fifth_more + 1),
            in_flight: usize::MAX,
        }
    }

    /// The part of this layer that one of several processes may use: `part` is above 0 and at
    /// most 1. Rate and slots are rounded down, so that all processes together stay within this
    /// layer, but not to zero.
    #[must_use]
    pub fn scaled(self, part: f64) -> Self {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "rounding down is meant; the product is neither negative nor above the whole"
        )]
        let cap = (self.slots as f64 * part.clamp(0.0, 1.0)) as usize;
        Self {
            in_flight: self.in_flight,
            ..Self::standard(self.rate.scaled(part), cap.max(1))
        }
    }

    /// The same layer with at most `calls` in flight.
    #[must_use]
    pub fn with_in_flight(self, calls: usize) -> Self {
        Self {
            in_flight: calls,
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_layers_are_those_of_the_documentation() {
        let single = LayerSpec::standard(Rate::per_second(220), 265);
        assert_eq!((single.burst, single.slots), (11, 265));
        let batch = LayerSpec::standard(Rate::per_second(80), 85);
        assert_eq!((batch.burst, batch.slots), (4, 85));
        let slow = LayerSpec::standard(Rate::per_second(1), 265);
        assert_eq!((slow.burst, slow.slots), (1, 3));
        let broken = LayerSpec::standard(Rate::from_millicalls(2_200), 265);
        assert_eq!(broken.slots, 4, "1.2 × 2.2 is 2.64, so 3, and one");
    }

    #[test]
    fn many_small_parts_have_no_more_slots_than_the_whole() {
        let whole = LayerSpec::standard(Rate::per_second(220), 265).with_in_flight(64);
        for shards in 1..=265 {
            let part = whole.scaled(1.0 / f64::from(shards));
            assert!(
                part.slots * usize::try_from(shards).expect("small") <= whole.slots,
                "{shards}"
            );
            assert!(part.slots >= 1 && part.burst >= 1);
            assert_eq!(part.in_flight, 64);
        }
    }
}
