//! A gateway that freezes: it accepts calls, answers none, and delivers all of them when it thaws.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::limits::Permit;

/// The time after which a call without an answer is closed.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);

/// The time from arrival to answer.
const LATENCY: Duration = Duration::from_millis(20);

/// The layer of single calls of a `serve` process.
fn egress(concurrency: usize) -> LayerSpec {
    LayerSpec {
        trial_slots: 10,
        in_flight: concurrency,
        ..LayerSpec::standard(Rate::per_second(220), 255)
    }
}

/// A process with demand without pause, in front of a gateway with this schedule.
struct Run {
    limits: LayerTree,
    lanes: Vec<LaneId>,
    /// Seconds from the start at which the gateway freezes and thaws.
    frozen: Vec<(Time, Time)>,
    arrivals: Vec<Time>,
    answers: Vec<Time>,
    ends: BTreeMap<(Time, usize), (Permit, Outcome, LaneId)>,
    calls: usize,
}

impl Run {
    fn new(spec: &LayerSpec, lanes: usize, frozen: &[(u64, u64)]) -> Self {
        let mut limits = LayerTree::default();
        let layer = limits.add_layer(None, spec, Time::START + SECOND);
        let place = limits.add_place();
        let lanes: Vec<_> = (0..lanes).map(|_| limits.add_lane(layer, place)).collect();
        for lane in &lanes {
            limits.enqueue(Time::START, *lane, Priority::Ordinary);
        }
        Self {
            limits,
            lanes,
            frozen: frozen
                .iter()
                .map(|(from, to)| (at(from * 1_000), at(to * 1_000)))
                .collect(),
            arrivals: Vec::new(),
            answers: Vec::new(),
            ends: BTreeMap::new(),
            calls: 0,
        }
    }

    /// When a call that is sent now arrives.
    fn arrives(&self, sent: Time) -> Time {
        let frozen = self
            .frozen
            .iter()
            .find(|(from, to)| (*from..*to).contains(&sent));
        frozen.map_or(sent, |(_, thaws)| *thaws)
    }

    fn until(mut self, end: Time) -> Self {
        let mut now = Time::START;
        while now < end {
            let advance = self.limits.advance(now);
            for (ticket, permit) in advance.granted {
                let arrives = self.arrives(now);
                self.arrivals.push(arrives);
                let answered = arrives + LATENCY;
                let closes = now + CALL_TIMEOUT;
                let (ends, outcome) = if answered <= closes {
                    (answered, Outcome::Answered)
                } else {
                    (closes, Outcome::Unanswered)
                };
                self.ends
                    .insert((ends, self.calls), (permit, outcome, ticket.lane));
                self.calls += 1;
            }
            let next_end = self.ends.first_key_value().map(|((at, _), _)| *at);
            now = next_end
                .into_iter()
                .chain(advance.next)
                .min()
                .expect("something is due");
            while let Some(end) = self.ends.first_entry()
                && end.key().0 <= now
            {
                let (permit, outcome, lane) = end.remove();
                self.limits.finish(permit, outcome, now);
                if outcome == Outcome::Answered {
                    self.answers.push(now);
                }
                self.limits.enqueue(now, lane, Priority::Ordinary);
            }
            // Demand without pause: more calls wait than may be in flight.
            for lane in self.lanes.clone() {
                while self.limits.waiting(lane) < 4 {
                    self.limits.enqueue(now, lane, Priority::Ordinary);
                }
            }
        }
        self.arrivals.sort_unstable();
        self
    }

    /// The most arrivals in any second.
    fn busiest_second(&self) -> usize {
        let mut first = 0;
        let seconds = self.arrivals.iter().enumerate().map(|(last, arrival)| {
            while arrival.since(self.arrivals[first]) >= SECOND {
                first += 1;
            }
            last + 1 - first
        });
        seconds.max().unwrap_or_default()
    }
}

#[test]
fn a_gateway_that_was_frozen_for_a_minute_receives_no_more_than_the_slots() {
    let run = Run::new(&egress(64), 3, &[(10, 60)]).until(at(120_000));
    assert!(run.busiest_second() <= 265, "{}", run.busiest_second());
    let back = run.answers.iter().find(|at| **at >= self::at(60_000));
    let back = back.expect("it answers again").since(at(60_000));
    assert!(back <= Duration::from_secs(31), "{back:?}");
}

#[test]
fn a_gateway_that_was_frozen_for_an_hour_receives_no_more_than_the_slots() {
    let run = Run::new(&egress(64), 40, &[(10, 3_610)]).until(at(3_700_000));
    assert!(run.busiest_second() <= 265, "{}", run.busiest_second());
    assert!(run.answers.iter().any(|at| *at >= self::at(3_610_000)));
}

#[test]
fn a_start_in_front_of_a_frozen_gateway_sends_one_call_at_a_time() {
    let run = Run::new(&egress(64), 3, &[(0, 40)]).until(at(60_000));
    let thaws = run.arrivals.iter().filter(|at| **at == self::at(40_000));
    assert!(thaws.count() <= 8, "one call in each five seconds");
    assert!(run.answers.len() > 1_000, "and the full rate afterwards");
}

#[test]
fn after_a_slow_first_answer_the_rest_waits_for_a_second() {
    let run = Run::new(&egress(64), 1, &[(0, 3)]).until(at(6_000));
    assert_eq!(run.answers[0], at(3_020));
    assert!(run.arrivals[1] >= at(4_020), "{:?}", run.arrivals[1]);
    let prompt = Run::new(&egress(64), 1, &[]).until(at(6_000));
    assert_eq!(prompt.answers[0], at(1_020));
    assert_eq!(prompt.arrivals[1], at(1_020));
}

#[test]
fn a_few_calls_without_an_answer_do_not_shut_the_place_but_keep_their_slots() {
    let spec = LayerSpec {
        slots: 3,
        trial_slots: 1,
        ..wide()
    };
    let mut limits = LayerTree::default();
    let place = answering(&mut limits);
    let layer = limits.add_layer(None, &spec, Time::START);
    let lane = limits.add_lane(layer, place);
    let permits = |limits: &mut LayerTree, now: Time, calls: usize| {
        for _ in 0..calls {
            limits.enqueue(now, lane, Priority::Ordinary);
        }
        limits
            .advance(now)
            .granted
            .into_iter()
            .map(|(_, permit)| permit)
    };
    for lost in permits(&mut limits, at(1_000), 3).collect::<Vec<_>>() {
        limits.finish(lost, Outcome::Unanswered, at(5_000));
    }
    assert!(!limits.is_shut(lane));
    // The trial call uses the slot that is reserved for it, and its answer frees the others.
    let mut trial: Vec<_> = permits(&mut limits, at(5_000), 3).collect();
    assert_eq!(trial.len(), 1);
    assert!(
        limits.advance(at(60_000)).granted.is_empty(),
        "one at a time"
    );
    limits.finish(trial.remove(0), Outcome::Answered, at(60_000));
    assert_eq!(limits.advance(at(60_000)).next, Some(at(61_000)));
    assert_eq!(limits.advance(at(61_000)).granted.len(), 2);
}

#[test]
fn calls_without_an_answer_are_given_up_after_five_minutes_or_a_minute_after_the_last_lane_left() {
    for (leaves, gives_up) in [(None, 305_000), (Some(20_000), 80_000)] {
        let mut limits = LayerTree::default();
        let place = answering(&mut limits);
        let layer = limits.add_layer(None, &LayerSpec { slots: 1, ..wide() }, Time::START);
        let lane = limits.add_lane(layer, place);
        limits.enqueue(at(0), lane, Priority::Ordinary);
        let (_, lost) = limits.advance(at(0)).granted.remove(0);
        limits.finish(lost, Outcome::Unanswered, at(5_000));
        if let Some(leaves) = leaves {
            limits.set_in_use(place, false, at(leaves));
        }
        limits.enqueue(at(30_000), lane, Priority::Ordinary);
        let advance = limits.advance(at(30_000));
        assert!(advance.granted.is_empty());
        assert_eq!(advance.next, Some(at(gives_up)));
        assert_eq!(limits.advance(at(gives_up)).granted.len(), 1);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// However often the gateway freezes and whatever the concurrency.
    #[test]
    fn no_second_sees_more_arrivals_than_slots(
        pauses in prop::collection::vec((3u64..40, 1u64..90), 1..5),
        lanes in 1usize..30,
        concurrency in 1usize..300,
    ) {
        let mut frozen = Vec::new();
        let mut time = 0;
        for (runs, freezes) in pauses {
            frozen.push((time + runs, time + runs + freezes));
            time += runs + freezes;
        }
        let run = Run::new(&egress(concurrency), lanes, &frozen).until(at((time + 60) * 1_000));
        prop_assert!(run.busiest_second() <= 265, "{} arrivals", run.busiest_second());
        let last = run.answers.last().expect("it answers");
        prop_assert!(*last >= at((time + 59) * 1_000), "it is not back");
    }
}
