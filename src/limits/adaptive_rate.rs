//! The rate in force of a layer: the configured one, or what the service grants.
//!
//! A service that throttles grants less than what is configured, and changes it without notice. The
//! rate in force follows what is granted, as BBR follows a link: the highest number of calls that
//! were answered in one of the last ten seconds, with a *gain second* in every eight that tries for
//! more, and a second below it that lets a queue drain. Reducing the rate for each throttled answer
//! instead would let random throttling of 1 % reduce it to almost nothing.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::rate::{Rate, SECOND, Time};

/// How long the service must not throttle before the configured rate is in force again.
const FORGIVEN_AFTER: Duration = Duration::from_secs(60);
/// How many seconds the highest granted rate counts.
const WINDOW: u64 = 10;
/// One second in so many is a gain second.
const CYCLE: u64 = 8;
/// How long calls can be in flight and still be counted to their second.
const MEMORY: Duration = Duration::from_secs(30);
/// The rate while nothing is granted.
const TRICKLE: Rate = Rate::ONE;

/// A rate as a function of time and of the answers so far.
///
/// Its seconds are seconds in which calls waited for this rate and for nothing else, so that a lack
/// of demand is not taken for a lack of quota.
#[derive(Clone, Debug)]
pub(super) struct AdaptiveRate {
    configured: Rate,
    clock: DemandClock,
    /// The send time of the latest throttled answer that counts.
    throttled: Option<Time>,
    /// The send time of the first throttled answer since the latest granted one.
    refused_since: Option<Time>,
    /// How many calls of each second were granted.
    granted: BTreeMap<u64, u64>,
    /// The second in which the rate was one call per second; it doubles in each second after it.
    trickle: Option<u64>,
    /// Where in the cycle of gain seconds the first second is.
    phase: u64,
}

impl AdaptiveRate {
    /// A rate at which nothing was throttled. `phase` spreads the gain seconds of processes that
    /// share a quota: any number.
    pub(super) fn new(configured: Rate, phase: u64) -> Self {
        Self {
            configured,
            clock: DemandClock::default(),
            throttled: None,
            refused_since: None,
            granted: BTreeMap::new(),
            trickle: None,
            phase,
        }
    }

    /// The rate at `now`.
    pub(super) fn at(&self, now: Time) -> Rate {
        match self.throttled {
            Some(at) if now < at + FORGIVEN_AFTER => self.in_second(self.clock.second(now)),
            _ => self.configured,
        }
    }

    /// What is earned between two points in time.
    pub(super) fn earned(&self, mut from: Time, to: Time) -> u128 {
        let mut earned = 0;
        while from < to {
            let end = self.steady_until(from).min(to);
            earned += self.at(from).over(end.since(from));
            from = end;
        }
        earned
    }

    /// The first point in time at which `amount` is earned, counted from `from`.
    pub(super) fn earned_at(&self, mut from: Time, mut amount: u128) -> Time {
        loop {
            let rate = self.at(from);
            let done = from + rate.time_for(amount);
            let end = self.steady_until(from);
            if done <= end {
                return done;
            }
            amount -= rate.over(end.since(from));
            from = end;
        }
    }

    /// Whether a call waits for this rate and for nothing else.
    pub(super) fn has_demand(&self) -> bool {
        self.clock.turns.back().is_some_and(|turn| turn.runs)
    }

    /// From `now` on, a call waits for this rate and for nothing else, or none does.
    pub(super) fn set_demand(&mut self, demand: bool, now: Time) {
        self.clock.set(demand, now);
    }

    /// The service answered a call that was sent at `sent_at`.
    pub(super) fn granted(&mut self, sent_at: Time) {
        if self.refused_since.is_some_and(|since| since <= sent_at) {
            self.refused_since = None;
        }
        if let Some(second) = self.clock.counted(sent_at)
            && self.trickle.is_none_or(|start| start <= second)
        {
            *self.granted.entry(second).or_default() += 1;
            let newest = self
                .granted
                .last_key_value()
                .map_or(0, |(second, _)| *second);
            self.granted.retain(|second, _| second + WINDOW >= newest);
        }
    }

    /// The service throttled a call that was sent at `sent_at`.
    pub(super) fn throttle(&mut self, sent_at: Time, now: Time) {
        self.throttled = self.throttled.max(Some(now));
        let second = self.clock.second(now);
        let since = *self.refused_since.get_or_insert(sent_at);
        match self.trickle {
            // Calls of before the trickle are heard late; they prove nothing about it.
            Some(start) if self.clock.second(sent_at) < start => {}
            // The doubled rate met the quota.
            Some(_) if self.highest(second + 1).is_some_and(|most| most > 1) => self.trickle = None,
            Some(_) => self.trickle = Some(second),
            None if sent_at.since(since) >= SECOND => {
                self.granted.clear();
                self.trickle = Some(second + 1);
            }
            None => {}
        }
    }

    /// Configures another rate. What was granted stays known.
    pub(super) fn reconfigure(&mut self, configured: Rate) {
        self.configured = configured;
    }

    /// The rate in a second while the service throttles.
    fn in_second(&self, second: u64) -> Rate {
        if let Some(start) = self.trickle {
            let doubled = second.saturating_sub(start).min(20);
            let rate = Rate::from_millicalls(TRICKLE.millicalls() << doubled);
            return rate.min(self.configured);
        }
        let Some(most) = self.highest(second) else {
            return self.configured;
        };
        let granted = most.saturating_mul(TRICKLE.millicalls());
        let rate = match second.wrapping_add(self.phase) % CYCLE {
            0 => {
                let more = (granted / 4).max(self.configured.millicalls() / 10);
                granted + more.min(granted)
            }
            1 => granted / 5 * 4,
            _ => granted,
        };
        Rate::from_millicalls(rate)
            .max(TRICKLE)
            .min(self.configured)
    }

    /// The most calls that were granted in one of the ten seconds before `second`.
    fn highest(&self, second: u64) -> Option<u64> {
        let window = second.saturating_sub(WINDOW)..second;
        self.granted.range(window).map(|(_, calls)| *calls).max()
    }

    /// Until when the rate stays what it is at `now`.
    fn steady_until(&self, now: Time) -> Time {
        match self.throttled.map(|at| at + FORGIVEN_AFTER) {
            Some(forgiven) if now < forgiven => self.clock.second_ends(now).min(forgiven),
            _ => Time::NEVER,
        }
    }
}

/// Counts the seconds in which there was demand.
#[derive(Clone, Debug, Default)]
struct DemandClock {
    /// From when on the clock ran or stood still, and what it showed then.
    turns: VecDeque<Turn>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Turn {
    from: Time,
    shown: Duration,
    runs: bool,
}

impl Turn {
    fn shown_at(&self, now: Time) -> Duration {
        let since = if self.runs {
            now.since(self.from)
        } else {
            Duration::ZERO
        };
        self.shown + since
    }
}

impl DemandClock {
    fn set(&mut self, runs: bool, now: Time) {
        let latest = self.turn(now);
        if latest.runs == runs {
            return;
        }
        if self.turns.back().is_some_and(|turn| turn.from == now) {
            self.turns.pop_back();
        }
        let shown = latest.shown_at(now);
        if self.turn(now).runs != runs {
            self.turns.push_back(Turn {
                from: now,
                shown,
                runs,
            });
        }
        while self
            .turns
            .get(1)
            .is_some_and(|turn| turn.from + MEMORY < now)
        {
            self.turns.pop_front();
        }
    }

    /// The turn that `at` is in.
    fn turn(&self, at: Time) -> Turn {
        let turn = self.turns.iter().rev().find(|turn| turn.from <= at);
        turn.copied().unwrap_or_default()
    }

    fn second(&self, at: Time) -> u64 {
        self.turn(at).shown_at(at).as_secs()
    }

    /// The second that a call of that time counts to; none if it did not wait. The demand may end
    /// with the call, so the clock just before it decides.
    fn counted(&self, at: Time) -> Option<u64> {
        let turn = self.turns.iter().rev().find(|turn| turn.from < at)?;
        turn.runs.then(|| turn.shown_at(at).as_secs())
    }

    /// When the second of `now` ends; never while the clock stands still.
    fn second_ends(&self, now: Time) -> Time {
        let turn = self.turn(now);
        if !turn.runs {
            return Time::NEVER;
        }
        let into = turn.shown_at(now).subsec_nanos();
        now + SECOND.saturating_sub(Duration::from_nanos(into.into()))
    }
}
