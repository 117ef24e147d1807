//! One layer: whether a call may pass, and if not, when.

use std::collections::VecDeque;
use std::time::Duration;

use super::adaptive_rate::AdaptiveRate;
use super::call::{Outcome, QUEUES, Queue};
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
    /// Calls that can arrive in any second. A call holds a slot until one second after its answer.
    pub slots: usize,
    /// Further slots, only for the trial calls to places that do not answer.
    pub trial_slots: usize,
    /// Calls that may be in flight at a time; `usize::MAX` for no limit.
    pub in_flight: usize,
}

impl LayerSpec {
    /// The usual layer for `rate`, with at most `cap` slots and no trial slots: a burst of what is
    /// earned in 50 ms, and slots for a fifth more than the rate plus one, so that calls which take
    /// up to 200 ms reach the rate.
    #[must_use]
    pub fn standard(rate: Rate, cap: usize) -> Self {
        let whole = |millicalls: u64| usize::try_from(millicalls / 1_000).unwrap_or(usize::MAX);
        let burst = u32::try_from(whole(rate.millicalls() / 20)).unwrap_or(u32::MAX);
        let fifth_more = whole((rate.millicalls() * 6).div_ceil(5).next_multiple_of(1_000));
        Self {
            rate,
            burst: burst.max(1),
            slots: cap.min(fifth_more + 1),
            trial_slots: 0,
            in_flight: usize::MAX,
        }
    }

    /// The part of this layer that one of several processes may use: `part` is above 0 and at
    /// most 1. All processes together stay within this layer, so that a small part may have no
    /// slot. At least one slot of a part is for trial calls if it has another one.
    #[must_use]
    pub fn scaled(self, part: f64) -> Self {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "rounds down on purpose; the product is neither negative nor above the whole"
        )]
        let of = |slots: usize| (slots as f64 * part.clamp(0.0, 1.0)) as usize;
        let all = of(self.slots + self.trial_slots);
        let trial_slots = of(self.trial_slots).max(1).min(all.saturating_sub(1));
        Self {
            trial_slots,
            in_flight: self.in_flight,
            ..Self::standard(self.rate.scaled(part), all - trial_slots)
        }
    }

    /// The calls of a queue that may be in flight at a time.
    fn in_flight(&self, queue: Queue) -> usize {
        let all = self.in_flight.min(self.slots);
        match queue.tenths() {
            10 => self.in_flight,
            tenths => (all / 10 * tenths + all % 10 * tenths / 10).max(1),
        }
    }

    /// The burst of calls of a queue. It has room for one call at least.
    fn burst(&self, queue: Queue) -> u128 {
        let burst = u128::from(self.burst.max(1)) * CALL;
        burst.max(queue.cost())
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
    /// What was spent at `drained_until`, by queue. All calls fill the bucket of ordinary calls.
    spent: [u128; QUEUES],
    drained_until: Time,
    /// No call leaves before this time.
    shut_until: Time,
    /// Calls that left and have not ended, by queue.
    in_flight: [usize; QUEUES],
    /// The times at which the slots of answered calls become free, in order.
    cooling: VecDeque<Time>,
    /// Calls without an answer, which keep their slots.
    unanswered: usize,
    /// Trial calls in flight, or whose slots are not free yet.
    trials: usize,
}

impl LayerLimiter {
    /// A layer whose first call may leave at `opens_at`, without a burst saved up by then.
    pub(super) fn new(spec: &LayerSpec, opens_at: Time, phase: u64) -> Self {
        Self {
            spec: *spec,
            rate: AdaptiveRate::new(spec.rate, phase),
            spent: Queue::ALL.map(|queue| spec.burst(queue) - queue.cost()),
            drained_until: opens_at,
            shut_until: opens_at,
            in_flight: [0; QUEUES],
            cooling: VecDeque::new(),
            unanswered: 0,
            trials: 0,
        }
    }

    /// The time before which no call passes.
    pub(super) fn shut_until(&self) -> Time {
        self.shut_until
    }

    /// The rate in force at `now`.
    pub(super) fn rate(&self, now: Time) -> Rate {
        self.rate.at(now)
    }

    /// The time from which on a call may pass; `None` if another call has to end first, or a call
    /// without an answer has to be given up.
    ///
    /// This is a function of the past alone: only events make it later.
    pub(super) fn opens_at(&self, queue: Queue) -> Option<Time> {
        Some(self.has_slot_at(queue)?.max(self.has_pace_at(queue)))
    }

    /// The time from which on everything but the pace lets a call pass.
    fn has_slot_at(&self, queue: Queue) -> Option<Time> {
        let in_flight: usize = self.in_flight.iter().sum();
        if in_flight >= self.spec.in_flight
            || self.in_flight[queue as usize] >= self.spec.in_flight(queue)
        {
            return None;
        }
        let slot = if queue == Queue::Trial {
            (self.trials < self.spec.trial_slots).then_some(Time::START)?
        } else {
            let in_flight = in_flight - self.in_flight[Queue::Trial as usize];
            let held_with_one_more = in_flight + self.unanswered + self.cooling.len() + 1;
            match held_with_one_more.saturating_sub(self.spec.slots) {
                0 => Time::START,
                to_cool => *self.cooling.get(to_cool - 1)?,
            }
        };
        Some(slot.max(self.shut_until))
    }

    fn has_pace_at(&self, queue: Queue) -> Time {
        let missing = self.missing(Queue::Ordinary).max(self.missing(queue));
        self.rate.earned_at(self.drained_until, missing)
    }

    /// Whether calls `wait` for the layer, and whether calls wait for the pace of a layer `below`,
    /// which hides them. The rate in force needs to know whether calls wait for a pace and for
    /// nothing else, which is returned.
    pub(super) fn set_waiting(&mut self, wait: bool, below: bool, now: Time) -> bool {
        let slot = self.has_slot_at(Queue::Ordinary);
        let demand = slot.is_some_and(|slot| slot <= now)
            && (below || wait && self.has_pace_at(Queue::Ordinary) > now);
        if self.rate.has_demand() != demand {
            self.drain(now);
            self.rate.set_demand(demand, now);
        }
        demand
    }

    /// The amount that has to drain before a call fits into the bucket of its queue.
    fn missing(&self, queue: Queue) -> u128 {
        (self.spent[queue as usize] + queue.cost()).saturating_sub(self.spec.burst(queue))
    }

    /// A call passes.
    pub(super) fn pass(&mut self, queue: Queue, now: Time) {
        while self.cooling.front().is_some_and(|free| *free <= now) {
            self.cooling.pop_front();
        }
        self.drain(now);
        self.spent[Queue::Ordinary as usize] += CALL;
        if queue != Queue::Ordinary {
            self.spent[queue as usize] += queue.cost();
        }
        self.in_flight[queue as usize] += 1;
        self.trials += usize::from(queue == Queue::Trial);
    }

    /// A call has ended. A trial call keeps its slot until [`LayerLimiter::free_trial`].
    pub(super) fn end(&mut self, queue: Queue, outcome: Outcome, now: Time) {
        self.in_flight[queue as usize] -= 1;
        match (queue, outcome) {
            (Queue::Trial, Outcome::Unused) => self.trials -= 1,
            (Queue::Trial, _) | (_, Outcome::Unused) => {}
            (_, Outcome::Answered | Outcome::NotSent) => self.cooling.push_back(now + SECOND),
            (_, Outcome::Unanswered) => self.unanswered += 1,
        }
    }

    /// A call that had no answer does not arrive any more: a later call to its place was answered,
    /// and its slot becomes free in a second; or it was given up, and its slot is free.
    pub(super) fn settle(&mut self, answered: bool, now: Time) {
        self.unanswered -= 1;
        if answered {
            self.cooling.push_back(now + SECOND);
        }
    }

    /// The slot of a trial call becomes free.
    pub(super) fn free_trial(&mut self) {
        self.trials -= 1;
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
            trial_slots: 10,
            in_flight: 64,
            ..LayerSpec::standard(Rate::per_second(220), 255)
        };
        for shards in 1..=1_000 {
            let part = whole.scaled(1.0 / f64::from(shards));
            let all = (part.slots + part.trial_slots) * usize::try_from(shards).expect("small");
            assert!(all <= 265, "{shards}");
            assert_eq!(part.slots >= 1, shards <= 265, "{shards}");
            assert_eq!(part.trial_slots >= 1, shards <= 132, "{shards}");
            assert_eq!(part.in_flight, 64);
        }
    }

    #[test]
    fn a_queue_has_its_part_of_the_calls_in_flight_and_one_at_least() {
        let parts = |spec: LayerSpec| Queue::ALL.map(|queue| spec.in_flight(queue));
        let spec = |in_flight| LayerSpec {
            in_flight,
            ..LayerSpec::standard(Rate::per_second(220), 255)
        };
        assert_eq!(parts(spec(64)), [6, 44, 51, 64, 64]);
        assert_eq!(parts(spec(1)), [1, 1, 1, 1, 1]);
    }
}
