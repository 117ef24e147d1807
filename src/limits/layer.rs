//! One layer: whether a call may pass, and if not, when.

use std::collections::VecDeque;
use std::time::Duration;

use super::adaptive_rate::AdaptiveRate;
use super::rate::{CALL, Rate, SECOND, Time};

/// The longest time that a retry-after of the API is followed.
const LONGEST_REST: Duration = Duration::from_secs(300);

/// The limits of a layer.
///
/// A layer without slots or with no calls in flight never opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayerSpec {
    /// Calls per second that may leave, over time.
    pub rate: Rate,
    /// Calls that may leave at once after a pause; 0 counts as 1.
    pub burst: u32,
    /// Calls that can arrive in any second. A call holds a slot until one second after its end.
    pub slots: usize,
    /// Calls that may be in flight at a time; `usize::MAX` for no limit.
    pub in_flight: usize,
}

impl LayerSpec {
    /// The usual layer for `rate`, with at most `cap` slots: a burst of what is earned in 50 ms,
    /// and slots for a fifth more than the rate plus one, so that calls which take up to 200 ms
    /// reach the rate.
    #[must_use]
    pub fn standard(rate: Rate, cap: usize) -> Self {
        let whole = |millicalls: u64| usize::try_from(millicalls / 1_000).unwrap_or(usize::MAX);
        let burst = u32::try_from(whole(rate.millicalls() / 20)).unwrap_or(u32::MAX);
        let fifth_more = whole((rate.millicalls() * 6).div_ceil(5).next_multiple_of(1_000));
        Self {
            rate,
            burst: burst.max(1),
            slots: cap.min(fifth_more + 1),
            in_flight: usize::MAX,
        }
    }

    /// The part of this layer that one of several processes may use: `part` is above 0 and at
    /// most 1. Rate and slots are rounded down but not to zero, so that all processes together
    /// stay within this layer.
    #[must_use]
    pub fn scaled(self, part: f64) -> Self {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "rounds down on purpose; the product is neither negative nor above the whole"
        )]
        let cap = (self.slots as f64 * part.clamp(0.0, 1.0)) as usize;
        Self {
            in_flight: self.in_flight,
            ..Self::standard(self.rate.scaled(part), cap.max(1))
        }
    }

    /// The burst of calls of a priority. The one of urgent calls has room for one call at least.
    fn burst(&self, priority: Priority) -> u128 {
        let burst = u128::from(self.burst.max(1)) * CALL;
        burst.max(cost(priority))
    }
}

/// Whether a call may overtake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// Goes before every ordinary call, as long as overtaking takes at most a tenth of the rate of
    /// any layer. Beyond that tenth it takes the ordinary turns of its lane that no ordinary call
    /// of the lane uses.
    Urgent,
    /// Waits for the turn of its lane.
    Ordinary,
}

impl Priority {
    /// All, in the order in which they are served. A value per priority is an array in this order.
    pub(super) const ALL: [Self; 2] = [Self::Urgent, Self::Ordinary];
}

/// The price of a call in the bucket of its priority. Urgent calls pay ten times as much, which
/// limits them to a tenth of the rate.
const fn cost(priority: Priority) -> u128 {
    match priority {
        Priority::Urgent => 10 * CALL,
        Priority::Ordinary => CALL,
    }
}

/// The slots and the pace of a layer.
///
/// The pace is the generic cell rate algorithm as a leaky bucket: a call fills it, the rate drains
/// it. The form with a theoretical arrival time is equivalent while the rate stays the same. This
/// form stores what was spent instead of a time, so that a change of the rate needs no conversion.
#[derive(Clone, Debug)]
pub(super) struct LayerLimiter {
    spec: LayerSpec,
    rate: AdaptiveRate,
    /// What was spent at `drained_until`, by priority. All calls fill the bucket of ordinary calls.
    spent: [u128; 2],
    drained_until: Time,
    /// No call leaves before this time.
    shut_until: Time,
    /// Calls that left and have not ended.
    in_flight: usize,
    /// The times at which the slots of ended calls become free, in order.
    cooling: VecDeque<Time>,
}

impl LayerLimiter {
    /// A layer whose first call may leave at `opens_at`, without a burst saved up by then.
    pub(super) fn new(spec: &LayerSpec, opens_at: Time, phase: u64) -> Self {
        Self {
            spec: *spec,
            rate: AdaptiveRate::new(spec.rate, phase),
            spent: Priority::ALL.map(|priority| spec.burst(priority) - cost(priority)),
            drained_until: opens_at,
            shut_until: opens_at,
            in_flight: 0,
            cooling: VecDeque::new(),
        }
    }

    /// The rate in force at `now`.
    pub(super) fn rate(&self, now: Time) -> Rate {
        self.rate.at(now)
    }

    /// The time from which on a call may pass; `None` if another call has to end first.
    ///
    /// This is a function of the past alone: only events make it later.
    pub(super) fn opens_at(&self, priority: Priority) -> Option<Time> {
        Some(self.has_slot_at()?.max(self.has_pace_at(priority)))
    }

    /// The time from which on everything but the pace lets a call pass.
    fn has_slot_at(&self) -> Option<Time> {
        if self.in_flight >= self.spec.in_flight {
            return None;
        }
        let held_with_one_more = self.in_flight + self.cooling.len() + 1;
        let slot = match held_with_one_more.saturating_sub(self.spec.slots) {
            0 => Time::START,
            to_cool => *self.cooling.get(to_cool - 1)?,
        };
        Some(slot.max(self.shut_until))
    }

    fn has_pace_at(&self, priority: Priority) -> Time {
        let missing = self.missing(Priority::Ordinary).max(self.missing(priority));
        self.rate.earned_at(self.drained_until, missing)
    }

    /// Whether calls `wait` for the layer. The rate in force needs to know whether they wait for
    /// the pace and for nothing else.
    pub(super) fn set_waiting(&mut self, wait: bool, now: Time) {
        let demand = wait
            && self.has_slot_at().is_some_and(|slot| slot <= now)
            && self.has_pace_at(Priority::Ordinary) > now;
        if self.rate.has_demand() != demand {
            self.drain(now);
            self.rate.set_demand(demand, now);
        }
    }

    /// The amount that has to drain before a call fits into the bucket of its priority.
    fn missing(&self, priority: Priority) -> u128 {
        (self.spent[priority as usize] + cost(priority)).saturating_sub(self.spec.burst(priority))
    }

    /// A call passes.
    pub(super) fn pass(&mut self, priority: Priority, now: Time) {
        while self.cooling.front().is_some_and(|free| *free <= now) {
            self.cooling.pop_front();
        }
        self.drain(now);
        self.spent[Priority::Ordinary as usize] += CALL;
        if priority == Priority::Urgent {
            self.spent[Priority::Urgent as usize] += cost(priority);
        }
        self.in_flight += 1;
    }

    /// A call has ended. Its slot becomes free in a second.
    pub(super) fn end(&mut self, now: Time) {
        self.in_flight -= 1;
        self.cooling.push_back(now + SECOND);
    }

    /// A call that passed will not be sent. Its slot is free, its pace is spent.
    pub(super) fn take_back(&mut self) {
        self.in_flight -= 1;
    }

    /// The API answered a call, and did not throttle it.
    pub(super) fn grant(&mut self, sent_at: Time, now: Time) {
        self.drain(now);
        self.rate.granted(sent_at);
    }

    /// The API throttled a call.
    pub(super) fn throttle(&mut self, sent_at: Time, now: Time, retry_after: Option<Duration>) {
        self.drain(now);
        self.rate.throttle(sent_at, now);
        if let Some(rest) = retry_after {
            self.shut_until = self.shut_until.max(now + rest.min(LONGEST_REST));
        }
    }

    /// Changes the limits. What was spent or taken stays so.
    pub(super) fn reconfigure(&mut self, spec: &LayerSpec, now: Time) {
        self.drain(now);
        self.rate.reconfigure(spec.rate);
        self.spec = *spec;
    }

    fn drain(&mut self, now: Time) {
        let earned = self.rate.earned(self.drained_until, now);
        self.spent = self.spent.map(|spent| spent.saturating_sub(earned));
        self.drained_until = self.drained_until.max(now);
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
        let whole = LayerSpec {
            in_flight: 64,
            ..LayerSpec::standard(Rate::per_second(220), 265)
        };
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
