//! The gate of one layer: may a call pass, and if not, when.

use std::collections::VecDeque;
use std::time::Duration;

use super::pace::Pace;
use super::priority::Priority;
use super::time::SECOND;
use super::{LayerSpec, Rate, Time};

/// The longest that a service's wish to be left alone is followed.
const LONGEST_REST: Duration = Duration::from_secs(300);

#[derive(Clone, Debug)]
pub(super) struct LayerLimiter {
    slots: usize,
    places: usize,
    pace: Pace,
    /// No call leaves before.
    shut_until: Time,
    /// Calls that left and have not ended.
    in_flight: usize,
    /// When the slots of ended calls become free, in order.
    cooling: VecDeque<Time>,
}

impl LayerLimiter {
    pub(super) fn new(spec: &LayerSpec, opens_at: Time) -> Self {
        Self {
            slots: spec.slots,
            places: spec.in_flight,
            pace: Pace::new(spec, opens_at),
            shut_until: opens_at,
            in_flight: 0,
            cooling: VecDeque::new(),
        }
    }

    /// The rate in force at `now`.
    pub(super) fn rate(&self, now: Time) -> Rate {
        self.pace.rate(now)
    }

    /// From when on a call may pass; `None` if that takes the end of another call first.
    ///
    /// This is a function of the past alone: only events make it later.
    pub(super) fn opens_at(&self, priority: Priority) -> Option<Time> {
        if self.in_flight >= self.places {
            return None;
        }
        let held_with_one_more = self.in_flight + self.cooling.len() + 1;
        let slot = match held_with_one_more.saturating_sub(self.slots) {
            0 => Time::START,
            to_cool => *self.cooling.get(to_cool - 1)?,
        };
        Some(slot.max(self.shut_until).max(self.pace.opens_at(priority)))
    }

    /// A call passes.
    pub(super) fn pass(&mut self, priority: Priority, now: Time) {
        while self.cooling.front().is_some_and(|free| *free <= now) {
            self.cooling.pop_front();
        }
        self.pace.spend(priority, now);
        self.in_flight += 1;
    }

    /// A call has ended: its place is free, its slot will be in a second.
    pub(super) fn end(&mut self, now: Time) {
        self.in_flight -= 1;
        self.cooling.push_back(now + SECOND);
    }

    /// A call that passed will not be sent: its place and its slot are free, its pace is spent.
    pub(super) fn take_back(&mut self) {
        self.in_flight -= 1;
    }

    /// The service throttled a call.
    pub(super) fn throttle(&mut self, sent_at: Time, now: Time, retry_after: Option<Duration>) {
        self.pace.halve(sent_at, now);
        if let Some(rest) = retry_after {
            self.shut_until = self.shut_until.max(now + rest.min(LONGEST_REST));
        }
    }

    /// The layer allows something else from now on. Nothing that was spent or taken is forgotten.
    pub(super) fn reconfigure(&mut self, spec: &LayerSpec, now: Time) {
        self.slots = spec.slots;
        self.places = spec.in_flight;
        self.pace.reconfigure(spec, now);
    }
}
