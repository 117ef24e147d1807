//! What happens in a storm: drawn from a seed before it begins, so that a run can be repeated.

use std::time::Duration;

use mqtt_presence_exporter::config::{Collect, Mode, Query, StaleAfter};
use mqtt_presence_exporter::presence::Operation;

use super::dice::Dice;

/// The storm of one seed.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) seed: u64,
    pub(super) instances: Vec<InstancePlan>,
    pub(super) collect: Collect,
    pub(super) stale_after: Duration,
    /// The interval and the timeout of each scraper.
    pub(super) scrapers: Vec<(Duration, Duration)>,
    /// What happens, by the time since the start.
    pub(super) events: Vec<(Duration, Event)>,
}

/// An instance.
#[derive(Clone, Debug)]
pub(super) struct InstancePlan {
    /// The devices that exist; which of them are in the fleet changes.
    pub(super) devices: usize,
    pub(super) members: Vec<usize>,
    pub(super) place: usize,
    pub(super) account: Option<String>,
    pub(super) calls_per_second: u32,
}

#[derive(Clone, Debug)]
pub(super) enum Event {
    /// Devices of an instance connect or disconnect.
    Flip(usize, Vec<usize>),
    Api(Change),
    /// A probe of a device, or of a client that is in no fleet. After the patience its caller hangs
    /// up.
    Probe {
        instance: usize,
        device: Option<usize>,
        timeout: Duration,
        patience: Option<Duration>,
    },
    /// A scrape whose caller hangs up.
    HangUp(Duration),
    /// The fleet of an instance is these devices from now on.
    Swap(usize, Vec<usize>),
    Reload(Reload),
    /// The process does not run for so long.
    Pause(Duration),
    /// The wall clock is set ahead, or back, by so many milliseconds.
    Step(i64),
}

/// A change of the API or of the way to it.
#[derive(Clone, Debug)]
pub(super) enum Change {
    /// From the call to its arrival, and from there to the answer.
    Latency(usize, Duration),
    /// The parts of the calls that have a trouble.
    Noise(usize, Vec<(Trouble, f64)>),
    /// Every call has this trouble.
    Outage(usize, Option<Trouble>),
    /// A place is frozen, or not.
    Freeze(usize, bool),
    /// Calls per second that the account of an instance grants.
    Quota(usize, Operation, Option<usize>),
    /// Clients that are refused.
    Refuse(usize, Vec<usize>),
    /// A client whose answers are late.
    Late(usize, Option<(usize, Duration)>),
}

/// What can go wrong with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    Connect,
    /// The connection ends before the answer.
    Reset,
    /// A kept-alive connection ends before the answer.
    Closed,
    /// The call arrives and is not answered.
    Hang,
    /// The call never arrives.
    Lost,
    Internal,
    Undecodable,
    /// By the account or by the instance, with a pause of so many milliseconds or without one.
    Throttled(bool, Option<u64>),
    ClockSkew,
    Nonce,
    Credentials,
    Terminal,
}

/// A change of the configuration.
#[derive(Clone, Debug)]
pub(super) enum Reload {
    Same,
    Collect(Collect),
    /// Other credentials.
    Identity(usize),
    CallsPerSecond(usize, u32),
    /// An instance is removed, or comes back.
    Listed(usize, bool),
    /// The limit on single calls.
    SinglePerSecond(u32),
}

const TROUBLES: [Trouble; 14] = [
    Trouble::Connect,
    Trouble::Reset,
    Trouble::Closed,
    Trouble::Hang,
    Trouble::Lost,
    Trouble::Internal,
    Trouble::Undecodable,
    Trouble::Throttled(false, None),
    Trouble::Throttled(true, None),
    Trouble::Throttled(false, Some(2000)),
    Trouble::ClockSkew,
    Trouble::Nonce,
    Trouble::Credentials,
    Trouble::Terminal,
];

/// Steps of the wall clock, in milliseconds.
const STEPS: [i64; 6] = [-28_800_000, -120_000, -900, 900, 300_000, 28_800_000];

/// The troubles that may be noise: refused credentials stop everything by themselves.
const NOISE: &[Trouble] = TROUBLES.split_at(12).0;

pub(super) fn instance_id(instance: usize) -> String {
    format!("post-cn-storm{instance}")
}

pub(super) fn client_id(instance: usize, device: usize) -> String {
    format!("GID_storm{instance}_{}@@@d{device}", device % 3)
}

impl Plan {
    /// A storm of one to three minutes.
    pub(super) fn new(seed: u64) -> Self {
        Self::lasting(seed, 60..200)
    }

    /// A storm of a minute, for an API on real sockets. All instances are at one place.
    pub(super) fn short(seed: u64) -> Self {
        let mut plan = Self::lasting(seed, 60..61);
        for instance in &mut plan.instances {
            instance.place = 0;
        }
        plan
    }

    fn lasting(seed: u64, seconds: std::ops::Range<u64>) -> Self {
        let mut dice = Dice::new(seed);
        let count = 1 + dice.below(3);
        let instances = (0..count).map(|_| InstancePlan::new(&mut dice, count));
        let instances: Vec<_> = instances.collect();
        let stale_after = dice.millis(30_000..70_000);
        let collect = collect(&mut dice, stale_after);
        let scrapers = 1 + dice.below(2);
        let rarest = dice.pick(&[2500, 10_000, 20_000]);
        let scrapers = (0..scrapers).map(|_| (dice.millis(1000..rarest), dice.millis(500..15_000)));
        let scrapers = scrapers.collect();
        let mut plan = Self {
            seed,
            collect,
            stale_after,
            scrapers,
            instances,
            events: Vec::new(),
        };
        let end = Duration::from_secs(dice.within(seconds));
        let mut at = Duration::ZERO;
        while at < end {
            plan.draw(&mut dice, at, end);
            at += dice.millis(50..2500);
        }
        plan.events.sort_by_key(|(at, _)| *at);
        plan
    }

    /// Draws what happens at a time.
    fn draw(&mut self, dice: &mut Dice, at: Duration, end: Duration) {
        let i = dice.below(self.instances.len());
        let InstancePlan { devices, place, .. } = self.instances[i];
        let mut push = |at, event| self.events.push((at, event));
        // An episode begins now and is over before the end.
        let mut episode = |dice: &mut Dice, longest: u64, begin: Change, over: Change| {
            let over_at = (at + dice.millis(200..longest)).min(end);
            push(at, Event::Api(begin));
            push(over_at, Event::Api(over));
        };
        match dice.below(20) {
            0..4 => push(at, Event::Flip(i, dice.some(devices, 0.1))),
            4..6 => {
                let most = dice.pick(&[20, 100, 1000, 3000]);
                let slow = Change::Latency(i, dice.millis(1..most));
                episode(
                    dice,
                    20_000,
                    slow,
                    Change::Latency(i, Duration::from_millis(20)),
                );
            }
            6..8 => {
                let mut noise = Vec::new();
                for _ in 0..=dice.below(3) {
                    noise.push((dice.pick(NOISE), dice.unit() * 0.1));
                }
                episode(
                    dice,
                    30_000,
                    Change::Noise(i, noise),
                    Change::Noise(i, Vec::new()),
                );
            }
            8 => {
                let trouble = Change::Outage(i, Some(dice.pick(&TROUBLES)));
                episode(dice, 40_000, trouble, Change::Outage(i, None));
            }
            9..11 => {
                let longest = dice.pick(&[1500, 30_000, 90_000]);
                let freeze = Change::Freeze(place, true);
                episode(dice, longest, freeze, Change::Freeze(place, false));
            }
            11 => {
                let operation = dice.pick(&Operation::ALL);
                let quota = Change::Quota(i, operation, Some(5 + dice.below(100)));
                episode(dice, 40_000, quota, Change::Quota(i, operation, None));
            }
            12 => push(at, Event::Api(Change::Refuse(i, dice.some(devices, 0.08)))),
            13 => {
                let late = (dice.below(devices), dice.millis(1000..6000));
                let late = Change::Late(i, Some(late));
                episode(dice, 30_000, late, Change::Late(i, None));
            }
            14..17 => {
                let device = dice.chance(0.9).then(|| dice.below(devices));
                let patience = dice.chance(0.3).then(|| dice.millis(1..2000));
                let timeout = dice.millis(100..8000);
                push(
                    at,
                    Event::Probe {
                        instance: i,
                        device,
                        timeout,
                        patience,
                    },
                );
            }
            17 => push(at, Event::HangUp(dice.millis(1..3000))),
            18 => {
                let event = match dice.below(4) {
                    0 => Event::Pause(dice.millis(10..3000)),
                    1 => Event::Step(dice.pick(&STEPS)),
                    _ => Event::Swap(i, dice.some(devices, 0.8)),
                };
                push(at, event);
            }
            _ => {
                let reload = match dice.below(7) {
                    0 => Reload::Same,
                    1 => Reload::Collect(collect(dice, self.stale_after)),
                    2 => Reload::Identity(i),
                    3 => Reload::CallsPerSecond(i, dice.pick(&[20, 100, 1000])),
                    4 => Reload::SinglePerSecond(dice.pick(&[100, 220, 280])),
                    _ => {
                        let back = (at + dice.millis(100..20_000)).min(end);
                        push(back, Event::Reload(Reload::Listed(i, true)));
                        Reload::Listed(i, false)
                    }
                };
                push(at, Event::Reload(reload));
            }
        }
    }
}

impl InstancePlan {
    fn new(dice: &mut Dice, count: usize) -> Self {
        let devices = dice.pick(&[50, 120, 200]) / count;
        Self {
            devices,
            members: dice.some(devices, 0.9),
            // Mostly all instances share one.
            place: dice.below(5) / 4,
            account: dice.pick(&[None, None, Some("other".to_owned())]),
            calls_per_second: dice.pick(&[100, 1000]),
        }
    }
}

fn collect(dice: &mut Dice, stale_after: Duration) -> Collect {
    Collect {
        mode: dice.pick(&[Mode::Scrape, Mode::Scrape, Mode::Poll]),
        query: dice.pick(&[Query::Single, Query::Single, Query::Batch]),
        interval: dice.millis(2000..15_000),
        max_age: dice.pick(&[0, 1, 5, 10].map(Duration::from_secs)),
        concurrency: dice.pick(&[4, 64, 200]),
        call_timeout: dice.pick(&[1, 1, 5].map(Duration::from_secs)),
        retries: dice.pick(&[0, 2]),
        stale_after: StaleAfter::Fixed(stale_after),
        ..Collect::default()
    }
}
