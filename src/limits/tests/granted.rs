//! The rate in force against models of a service that throttles.

use std::collections::BTreeMap;

use super::*;
use crate::limits::Permit;

const CONFIGURED: u32 = 220;
/// How long a call is in flight: between half of it and one and a half.
const LATENCY: u64 = 40;

/// A seeded random number generator (xorshift).
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 >> 11
    }

    fn chance(&mut self, per_mille: u64) -> bool {
        self.roll() % 1_000 < per_mille
    }
}

/// How the service decides about a call that arrives at a millisecond.
enum Service {
    /// It throttles so many of a thousand calls.
    Random(u64),
    /// In each second it answers so many calls, by second.
    Quota(fn(u64) -> u64),
}

/// One process with demand; its calls in flight by the time of their answers.
struct Process {
    limits: LayerTree,
    layer: LayerId,
    lane: LaneId,
    /// The one call that waits. The next one is asked for a moment after it was granted.
    waiting: Option<Ticket>,
    now: Time,
    in_flight: BTreeMap<(u64, u64), (Permit, bool)>,
    granted: Vec<u64>,
    throttled: Vec<u64>,
}

impl Process {
    /// `below` is the rate of a layer below the one that the service throttles.
    fn new(phase: u64, below: u32) -> Self {
        let mut limits = LayerTree::new(phase);
        let layer = limits.add_layer(None, &paced(CONFIGURED, 11), Time::START);
        let place = answering(&mut limits);
        let below = limits.add_layer(Some(layer), &paced(below, below / 20), Time::START);
        let lane = limits.add_lane(below, place);
        Self {
            limits,
            layer,
            lane,
            in_flight: BTreeMap::new(),
            waiting: None,
            now: Time::START,
            granted: vec![],
            throttled: vec![],
        }
    }

    /// How many calls of some seconds were answered, and how many were throttled.
    fn counts(&self, seconds: std::ops::Range<usize>) -> (u64, u64) {
        let sum = |counts: &[u64]| counts[seconds.clone()].iter().sum();
        (sum(&self.granted), sum(&self.throttled))
    }

    /// Grants the call that waits, if there is demand and it can go.
    fn grant(&mut self, millis: u64, demand: bool) -> Option<Permit> {
        self.now = at(millis).max(self.now + Duration::from_micros(1));
        match (demand, self.waiting) {
            (true, None) => {
                let priority = Priority::Ordinary;
                self.waiting = Some(self.limits.enqueue(self.now, self.lane, priority));
            }
            (false, Some(ticket)) => {
                self.limits.cancel(ticket);
                self.waiting = None;
            }
            _ => {}
        }
        let (_, permit) = self.limits.advance(self.now).granted.pop()?;
        self.waiting = None;
        Some(permit)
    }

    /// The answers that arrive at a millisecond.
    fn hear(&mut self, millis: u64) {
        while let Some(call) = self.in_flight.first_entry()
            && call.key().0 <= millis
        {
            let (permit, granted) = call.remove();
            if granted {
                self.limits.granted(&permit, at(millis));
            } else {
                let sent = permit.granted_at;
                self.limits.throttled(self.layer, sent, at(millis), None);
            }
            self.limits.finish(permit, Outcome::Answered, at(millis));
        }
    }
}

/// Runs processes for some seconds. In each millisecond of demand, more calls wait than can go.
fn run(
    phases: &[u64],
    seconds: usize,
    seed: u64,
    demand: fn(u64) -> bool,
    service: &Service,
) -> Vec<Process> {
    run_below(phases, seconds, seed, demand, service, 1_000)
}

/// The same, with another layer below that is slower.
fn run_below(
    phases: &[u64],
    seconds: usize,
    seed: u64,
    demand: fn(u64) -> bool,
    service: &Service,
    below: u32,
) -> Vec<Process> {
    let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut processes: Vec<_> = phases
        .iter()
        .map(|phase| Process::new(*phase, below))
        .collect();
    let mut answered = vec![0; seconds];
    for process in &mut processes {
        process.granted = vec![0; seconds];
        process.throttled = vec![0; seconds];
    }
    for millis in 0..seconds as u64 * 1_000 {
        let second = (millis / 1_000) as usize;
        for process in &mut processes {
            process.hear(millis);
            while let Some(permit) = process.grant(millis, demand(millis)) {
                let granted = match service {
                    Service::Random(loss) => !dice.chance(*loss),
                    Service::Quota(quota) => answered[second] < quota(second as u64),
                };
                let counts = if granted {
                    answered[second] += 1;
                    &mut process.granted
                } else {
                    &mut process.throttled
                };
                counts[second] += 1;
                let answer = millis + LATENCY / 2 + dice.roll() % LATENCY;
                let id = process.in_flight.len() as u64 + dice.roll();
                process.in_flight.insert((answer, id), (permit, granted));
            }
        }
    }
    processes
}

fn always(_: u64) -> bool {
    true
}

/// What a process without pause is granted of what is possible, and the share of throttled calls.
fn share(service: &Service, possible: f64) -> Vec<(f64, f64)> {
    (1..=3)
        .map(|seed| {
            let processes = run(&[seed * 3], 120, seed, always, service);
            let (granted, throttled) = processes[0].counts(20..118);
            let share = granted as f64 / 98.0 / possible;
            (share, throttled as f64 / (granted + throttled) as f64)
        })
        .collect()
}

#[test]
fn nothing_throttled_costs_nothing() {
    for (share, throttled) in share(&Service::Random(0), f64::from(CONFIGURED)) {
        assert!(share > 0.995 && throttled == 0.0, "{share} {throttled}");
    }
}

#[test]
fn random_throttling_does_not_reduce_the_rate_to_nothing() {
    for (loss, at_least) in [(10, 0.9), (20, 0.85), (100, 0.75)] {
        let possible = f64::from(CONFIGURED) * (1_000 - loss) as f64 / 1_000.0;
        for (share, _) in share(&Service::Random(loss), possible) {
            assert!(share >= at_least, "{share} at {loss} of a thousand");
        }
    }
}

#[test]
fn a_hidden_quota_is_used_and_rarely_exceeded() {
    for (share, throttled) in share(&Service::Quota(|_| 50), 50.0) {
        assert!(share >= 0.9, "{share}");
        assert!(throttled <= 0.08, "{throttled}");
    }
}

/// The layer below is as fast, or slower, and closes first: calls wait for both.
#[test]
fn a_hidden_quota_behind_another_layer_is_found() {
    for below in [CONFIGURED, 100] {
        let service = Service::Quota(|_| 50);
        let process = &run_below(&[3], 90, 7, |_| true, &service, below)[0];
        let (granted, throttled) = process.counts(30..90);
        let share = granted as f64 / 3_000.0;
        assert!(share >= 0.9, "{share} below {below}");
        let throttled = throttled as f64 / (granted + throttled) as f64;
        assert!(throttled <= 0.08, "{throttled} below {below}");
    }
}

#[test]
fn a_quota_that_changes_is_followed() {
    let quota: fn(u64) -> u64 = |second| match second {
        0..80 => 50,
        80..160 => 150,
        _ => 30,
    };
    let processes = run(&[5], 240, 7, always, &Service::Quota(quota));
    for (seconds, quota) in [(20..80, 50), (125..160, 150), (175..240, 30)] {
        let length = seconds.len() as u64;
        let (granted, throttled) = processes[0].counts(seconds);
        assert!(granted * 10 >= quota * length * 9, "{granted} at {quota}");
        assert!(throttled * 6 <= granted, "{throttled} at {quota}");
    }
}

#[test]
fn an_outage_costs_few_calls_and_the_rate_returns_within_ten_seconds() {
    let quota: fn(u64) -> u64 = |second| if (20..50).contains(&second) { 0 } else { 1_000 };
    for seed in 1..=5 {
        let processes = run(&[seed], 80, seed, always, &Service::Quota(quota));
        let (granted, throttled) = processes[0].counts(30..50);
        assert_eq!(granted, 0);
        assert!(throttled <= 60, "{throttled} calls in the last 20 s");
        let (granted, _) = processes[0].counts(60..70);
        assert!(granted >= 2_190, "{granted} in 10 s");
    }
}

#[test]
fn a_quota_that_is_shared_with_bursts_of_others_is_used() {
    let quota: fn(u64) -> u64 = |second| if second % 10 < 3 { 20 } else { 150 };
    let processes = run(&[2], 240, 3, always, &Service::Quota(quota));
    let (granted, _) = processes[0].counts(40..240);
    let possible = 20 * (3 * 20 + 7 * 150);
    assert!(granted * 10 >= possible * 7, "{granted} of {possible}");
}

#[test]
fn two_processes_share_a_quota() {
    for (quota, phases) in [(50, [1, 6]), (200, [3, 4]), (200, [7, 2])] {
        let service = Service::Quota(if quota == 50 { |_| 50 } else { |_| 200 });
        let processes = run(&phases, 420, 11, always, &service);
        let [(one, _), (other, _)] = [0, 1].map(|n| processes[n].counts(300..420));
        let (most, least) = (one.max(other), one.min(other));
        assert!(2 * most <= 5 * least, "{most} : {least} of {quota}");
        assert!((most + least) * 10 >= quota * 120 * 9, "{most} + {least}");
    }
}

#[test]
fn bursts_of_demand_keep_the_rate() {
    let sweeps: fn(u64) -> bool = |millis| millis % 15_000 < 4_600;
    for (loss, at_least) in [(0, 1_010), (20, 900)] {
        let processes = run(&[4], 150, 9, sweeps, &Service::Random(loss));
        for sweep in 1..10 {
            let (granted, _) = processes[0].counts(sweep * 15..sweep * 15 + 15);
            assert!(granted >= at_least, "{granted} in sweep {sweep}");
        }
    }
}

#[test]
fn the_configured_rate_is_in_force_again_after_a_minute_without_throttling() {
    let mut process = Process::new(0, 1_000);
    let rate = |process: &Process, millis| process.limits.rate_in_force(process.layer, at(millis));
    let (limits, layer) = (&mut process.limits, process.layer);
    for second in 1..=4 {
        limits.throttled(layer, at(second * 1_000), at(second * 1_000), None);
    }
    assert_eq!(
        rate(&process, 4_000),
        Rate::per_second(1),
        "nothing is granted"
    );
    assert_eq!(
        rate(&process, 63_999),
        Rate::per_second(1),
        "without demand, nothing is learnt"
    );
    assert_eq!(rate(&process, 64_000), Rate::per_second(CONFIGURED));
}
