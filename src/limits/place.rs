//! Where calls go, and which of them may still be on their way.
//!
//! A call that ended without an answer may lie in a buffer, and a frozen gateway delivers all of
//! them at once when it continues. Such a call keeps its slots until a call that was sent later to
//! the same place was answered, or until it is given up.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::call::{LaneId, LayerId, Outcome, Queue};
use super::rate::{SECOND, Time};

/// This many calls without an answer shut a place until a trial call is answered.
const SHUT_AT: usize = 60;

/// The time from a trial call to the next one: first this, ...
const TRIAL_WAIT: Duration = Duration::from_secs(9);

/// ... and this after so many. An hour without an answer adds 125 calls to those that shut the place.
const LATER_TRIAL_WAIT: Duration = Duration::from_secs(30);
const FIRST_TRIALS: u32 = 6;

/// A call without an answer is given up this long after its end.
const GIVEN_UP_AFTER: Duration = Duration::from_secs(300);

/// A trial call without an answer is given up earlier: few slots are reserved for trial calls.
const TRIAL_GIVEN_UP_AFTER: Duration = Duration::from_secs(60);

/// All calls are given up this long after the last lane has left the place.
const LEFT_AFTER: Duration = Duration::from_secs(60);

/// The queues that are open to the calls to a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Gate {
    /// All but the queue of trial calls.
    pub(super) open: bool,
    pub(super) trial: bool,
}

impl Default for Gate {
    /// The gate of a place to which no call was made yet.
    fn default() -> Self {
        Self {
            open: true,
            trial: false,
        }
    }
}

/// A call that has ended and holds slots of the place's layers.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) path: Arc<[LayerId]>,
    pub(super) trial: bool,
    sent_at: Time,
    unanswered: bool,
}

/// What is known of a place.
#[derive(Debug, Default)]
pub(super) struct Place {
    pub(super) lanes: Vec<LaneId>,
    in_flight: usize,
    /// Whether a trial call is in flight.
    trial: bool,
    /// No trial call leaves before this time.
    trial_at: Time,
    /// Trial calls since the last answer.
    trials: u32,
    /// Whether a call was ever answered. Before, one call at a time is made.
    proven: bool,
    /// No call leaves before this time.
    opens_at: Time,
    /// The calls without an answer and the trial calls, by the time at which their slots are free.
    held: BTreeMap<(Time, u64), Held>,
    /// How many of them have no answer.
    unanswered: usize,
    /// The calls without an answer since the last answer, those included that were given up.
    silent: usize,
    left_at: Option<Time>,
    /// The gate that the lanes know of, and the time at which the place is looked at again.
    pub(super) gate_in_force: Gate,
    pub(super) alarm: Option<Time>,
}

impl Place {
    /// Whether too many calls have no answer.
    pub(super) fn is_shut(&self) -> bool {
        self.silent >= SHUT_AT
    }

    pub(super) fn gate(&self, now: Time) -> Gate {
        let ready = self.opens_at <= now && (self.proven || self.in_flight == 0);
        Gate {
            open: ready && !self.is_shut(),
            trial: ready && self.silent > 0 && !self.trial && self.trial_at <= now,
        }
    }

    /// The next time at which the gate or the slots change by themselves.
    pub(super) fn wakes_at(&self, now: Time) -> Option<Time> {
        let free = self.held.first_key_value().map(|((at, _), _)| *at);
        let opens = [self.opens_at, self.trial_at].into_iter();
        let opens = opens.filter(|at| *at > now);
        free.into_iter().chain(opens).min()
    }

    /// A call leaves.
    pub(super) fn pass(&mut self, queue: Queue) {
        self.in_flight += 1;
        self.trial |= queue == Queue::Trial;
    }

    /// A call has ended. Returns the calls that prove by its answer not to be on their way any
    /// more; their slots become free in a second, those of trial calls by themselves.
    pub(super) fn end(
        &mut self,
        (path, queue, sent_at): (&Arc<[LayerId]>, Queue, Time),
        outcome: Outcome,
        number: u64,
        now: Time,
    ) -> Vec<Held> {
        self.in_flight -= 1;
        let trial = queue == Queue::Trial;
        if trial {
            self.trial = false;
            self.trials += 1;
            let wait = if self.trials <= FIRST_TRIALS {
                TRIAL_WAIT
            } else {
                LATER_TRIAL_WAIT
            };
            self.trial_at = sent_at + wait;
        }
        let unanswered = outcome == Outcome::Unanswered;
        if unanswered || (trial && outcome != Outcome::Unused) {
            let free_at = match (unanswered, trial) {
                (false, _) => now + SECOND,
                (true, true) => now + TRIAL_GIVEN_UP_AFTER,
                (true, false) => now + GIVEN_UP_AFTER,
            };
            let free_at = self.left_at.map_or(free_at, |at| {
                free_at.min((at + LEFT_AFTER).max(now + SECOND))
            });
            let held = Held {
                path: Arc::clone(path),
                trial,
                sent_at,
                unanswered,
            };
            self.unanswered += usize::from(unanswered);
            self.silent += usize::from(unanswered);
            self.held.insert((free_at, number), held);
        }
        if outcome == Outcome::Answered {
            self.answered(sent_at, now)
        } else {
            Vec::new()
        }
    }

    fn answered(&mut self, sent_at: Time, now: Time) -> Vec<Held> {
        // Earlier calls, those included that were given up, may arrive together with this one.
        let first = !std::mem::replace(&mut self.proven, true);
        if self.is_shut() || first && now.since(sent_at) > SECOND {
            self.opens_at = now + SECOND;
        }
        if self.silent == 0 {
            return Vec::new();
        }
        self.trials = 0;
        self.trial_at = now;
        let earlier = |held: &Held| held.unanswered && held.sent_at < sent_at;
        let (arrived, held): (BTreeMap<_, _>, BTreeMap<_, _>) = std::mem::take(&mut self.held)
            .into_iter()
            .partition(|(_, held)| earlier(held));
        self.held = held;
        self.unanswered -= arrived.len();
        self.silent = self.unanswered;
        let (trials, others): (Vec<_>, Vec<_>) =
            arrived.into_iter().partition(|(_, held)| held.trial);
        for ((_, number), held) in trials {
            let held = Held {
                unanswered: false,
                ..held
            };
            self.held.insert((now + SECOND, number), held);
        }
        others.into_iter().map(|(_, held)| held).collect()
    }

    /// The calls whose slots are free by `now`.
    pub(super) fn free(&mut self, now: Time) -> Vec<Held> {
        let mut free = Vec::new();
        while let Some(first) = self.held.first_entry()
            && first.key().0 <= now
        {
            let held = first.remove();
            self.unanswered -= usize::from(held.unanswered);
            free.push(held);
        }
        free
    }

    /// Whether lanes use the place. Without any, its calls are given up soon.
    pub(super) fn set_in_use(&mut self, in_use: bool, now: Time) {
        if in_use {
            self.left_at = None;
        } else if self.left_at.is_none() {
            self.left_at = Some(now);
            let latest = now + LEFT_AFTER;
            self.held = std::mem::take(&mut self.held)
                .into_iter()
                .map(|((at, number), held)| ((at.min(latest), number), held))
                .collect();
        }
    }
}
