//! What a configuration will cost, in time and in calls: pure arithmetic, before any call is made.

use std::time::Duration;

use crate::config::{Config, Limits, Problem, Problems, StaleAfter, duration};

/// Scrape intervals in common use, for which the cost is told.
pub const USUAL_INTERVALS: [Duration; 3] = [Duration::from_secs(15), Duration::from_secs(30), Duration::from_secs(60)];

const DAY: f64 = 86_400.0;

/// The rates that this process may call at, in calls a second, as long as nobody throttles it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rates {
    /// `QuerySessionByClientId`, all instances together.
    pub single: f64,
    /// `BatchQuerySessionByClientIds`, all instances together.
    pub batch: f64,
}

impl Rates {
    /// The configured limits of the egress IP, as far as they are this process's share.
    #[must_use]
    pub fn new(limits: &Limits) -> Self {
        Self {
            single: f64::from(limits.single_per_second) * limits.share,
            batch: f64::from(limits.batch_per_second) * limits.share,
        }
    }
}

/// What sweeping costs.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The rates in force.
    pub rates: Rates,
    /// Each instance, in the order of the configuration.
    pub instances: Vec<InstancePlan>,
    max_age: Duration,
}

/// What sweeping one instance costs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct InstancePlan {
    /// How many clients it has.
    pub clients: usize,
    /// The most calls a second that it gets when it sweeps alone.
    pub calls_per_second: f64,
    /// How long a sweep takes when all instances sweep at once and share the rate evenly; the
    /// time of the answers themselves is not in it.
    pub sweep: Duration,
    /// How old an observation may get before its client is unknown.
    pub stale_after: Duration,
}

/// Calls that being scraped costs, retries not counted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cost {
    /// Calls a second, on average.
    pub per_second: f64,
    /// Calls a day.
    pub per_day: f64,
}

impl Plan {
    /// Plans the sweeps of `config`, whose instances have so many `clients`, in the same order.
    ///
    /// A `stale_after` shorter than two sweeps is refused: clients would turn unknown between the
    /// sweeps that see them.
    pub fn new(config: &Config, clients: &[usize]) -> Result<Self, Problems> {
        let rates = Rates::new(&config.limits);
        let loads: Vec<_> = config
            .instances
            .iter()
            .zip(clients)
            .map(|(instance, &clients)| (clients, f64::from(instance.calls_per_second).min(rates.single)))
            .collect();
        let mut problems = Problems::default();
        let mut instances = Vec::with_capacity(loads.len());
        for ((instance, &(clients, calls_per_second)), sweep) in
            config.instances.iter().zip(&loads).zip(sweep_times(rates.single, &loads))
        {
            let stale_after = match config.collect.stale_after {
                StaleAfter::Auto => StaleAfter::AUTO_AT_LEAST.max(3 * sweep),
                StaleAfter::Fixed(fixed) => fixed,
            };
            if stale_after < 2 * sweep {
                let [given, sweep, least] = [stale_after, sweep, 2 * sweep].map(shown);
                problems.push(Problem::of_key(
                    "collect.stale_after",
                    format!("{given} is less than two sweeps of {}, which take {sweep} each; write {least} or more, or `auto`", instance.id),
                ));
            }
            instances.push(InstancePlan { clients, calls_per_second, sweep, stale_after });
        }
        if problems.is_empty() { Ok(Self { rates, instances, max_age: config.collect.max_age }) } else { Err(problems) }
    }

    /// What `replicas` Prometheus servers cost that scrape each `interval`, at the offset to each
    /// other that costs most.
    #[must_use]
    pub fn cost(&self, interval: Duration, replicas: u32) -> Cost {
        let per_second = self
            .instances
            .iter()
            .map(|instance| {
                let period = sweep_period(interval, replicas, self.max_age, instance.sweep);
                instance.clients as f64 / period.as_secs_f64()
            })
            .sum();
        Cost { per_second, per_day: per_second * DAY }
    }

    /// What is worth knowing about the [`USUAL_INTERVALS`] before one is chosen.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        let list = |intervals: Vec<Duration>| intervals.into_iter().map(shown).collect::<Vec<_>>().join(" and ");
        let usual =
            |those: &dyn Fn(Duration) -> bool| USUAL_INTERVALS.into_iter().filter(|&i| those(i)).collect::<Vec<_>>();
        let mut notes = Vec::new();
        let apart = usual(&|interval| 2 * self.max_age < interval);
        if let Some(&longest) = apart.last() {
            let (age, intervals) = (shown(self.max_age), list(apart));
            notes.push(format!(
                "`collect.max_age` ({age}) is less than half of {intervals}: there, two replicas cost two sweeps each interval; {} or more makes it one",
                shown(longest / 2),
            ));
        }
        let sweep = self.instances.iter().map(|instance| instance.sweep).max().unwrap_or_default();
        let outrun = usual(&|interval| interval < sweep);
        if let Some(&shortest) = outrun.first() {
            let (intervals, oldest) = (list(outrun), shown(sweep + shortest));
            notes.push(format!(
                "the longest sweep ({}) takes longer than {intervals}: scrapes show what is known so far, and observations get as old as {oldest}",
                shown(sweep),
            ));
        }
        notes
    }
}

/// When a sweep starts again, seen over a long time.
///
/// A scrape joins the sweep in flight, and starts none before `max_age` has passed since the last
/// start; so one starts at the first scrape after both. The scrapes of several replicas lie
/// evenly between each other where they cost most.
fn sweep_period(interval: Duration, replicas: u32, max_age: Duration, sweep: Duration) -> Duration {
    let apart = interval / replicas;
    let wait = max_age.max(sweep);
    let scrapes = wait.as_nanos().div_ceil(apart.as_nanos()).max(1);
    // Scrapes exactly `max_age` apart keep to it only until one comes a little late or early; the
    // rule of thumb counts them as joined.
    let on_the_edge = replicas > 1 && wait == apart;
    apart * (u32::try_from(scrapes).unwrap_or(u32::MAX) + u32::from(on_the_edge))
}

/// How long each of the sweeps takes that start together, given the clients and the own rate of
/// each, when `rate` is shared evenly and what one cannot use goes to the others.
fn sweep_times(rate: f64, loads: &[(usize, f64)]) -> Vec<Duration> {
    // Time as each would have it alone with an even share; as sweeps end, the share grows.
    let mut left: Vec<f64> = loads.iter().map(|&(clients, _)| clients as f64).collect();
    let mut times = vec![Duration::ZERO; loads.len()];
    // By own rate, the lowest first: who cannot use an even share decides what the others get.
    let mut active: Vec<usize> = (0..loads.len()).filter(|&n| loads[n].0 > 0).collect();
    active.sort_by(|&a, &b| loads[a].1.total_cmp(&loads[b].1));
    let mut now = 0.0;
    while !active.is_empty() {
        let mut free = rate;
        let speeds: Vec<f64> = active
            .iter()
            .enumerate()
            .map(|(n, &at)| {
                let speed = loads[at].1.min(free / (active.len() - n) as f64);
                free -= speed;
                speed
            })
            .collect();
        let step = active.iter().zip(&speeds).map(|(&at, speed)| left[at] / speed).fold(f64::INFINITY, f64::min);
        now += step;
        for (&at, speed) in active.iter().zip(&speeds) {
            left[at] -= speed * step;
        }
        active.retain(|&at| {
            // Half a call: what remains of a finished sweep is rounding.
            let unfinished = left[at] > 0.5;
            if !unfinished {
                times[at] = Duration::from_secs_f64(now);
            }
            unfinished
        });
    }
    times
}

/// A duration for people: whole seconds, and milliseconds only below ten seconds.
#[must_use]
pub fn shown(time: Duration) -> String {
    let unit = if time < Duration::from_secs(10) { 1 } else { 1000 };
    let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX).div_ceil(unit).saturating_mul(unit);
    duration::display(Duration::from_millis(millis)).to_string()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;

    const fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn config(collect: &str, instances: &[u32]) -> Config {
        let instances = instances.iter().enumerate().map(|(n, rate)| {
            format!("- {{id: post-cn-{n}, region: cn-hangzhou, calls_per_second: {rate}, clients: [GID_test@@@a]}}\n")
        });
        let instances: String = instances.collect();
        let text = format!("collect: {collect}\nlimits: {{single_per_second: 200}}\ninstances:\n{instances}");
        Config::parse(text, Path::new("test.yaml")).expect("valid").config
    }

    #[test]
    fn a_sweep_takes_its_clients_by_its_rate_and_instances_share_the_egress_rate() {
        let sweeps = |rates: &[u32], clients: &[usize]| {
            let plan = Plan::new(&config("{}", rates), clients).expect("possible");
            plan.instances.iter().map(|instance| instance.sweep).collect::<Vec<_>>()
        };
        assert_eq!(sweeps(&[100], &[1000]), [secs(10)]);
        assert_eq!(sweeps(&[220], &[1000]), [secs(5)], "the egress rate bounds it");
        assert_eq!(sweeps(&[200, 200], &[1000, 1000]), [secs(10), secs(10)]);
        assert_eq!(sweeps(&[50, 200], &[500, 1500]), [secs(10), secs(10)], "what one leaves the other gets");
        assert_eq!(sweeps(&[200, 200], &[100, 1100]), [secs(1), secs(6)], "a sweep that ends frees its share");
        assert_eq!(sweeps(&[100, 100], &[0, 100]), [secs(0), secs(1)]);
    }

    #[test]
    fn stale_after_is_three_sweeps_but_five_minutes_at_least() {
        let stale = |collect, clients| {
            Plan::new(&config(collect, &[100]), &[clients]).map(|plan| plan.instances[0].stale_after)
        };
        assert_eq!(stale("{}", 1000), Ok(secs(300)));
        assert_eq!(stale("{}", 60_000), Ok(secs(1800)));
        assert_eq!(stale("{stale_after: 20m}", 60_000), Ok(secs(1200)));
        let wrong = stale("{stale_after: 19m}", 60_000).expect_err("less than two sweeps");
        assert_eq!(
            wrong.to_string(),
            "collect.stale_after: 19m is less than two sweeps of post-cn-0, which take 10m each; \
             write 20m or more, or `auto`"
        );
    }

    #[test]
    fn two_replicas_cost_one_sweep_while_max_age_is_half_the_interval() {
        let cost = |collect, clients, interval, replicas| {
            let plan = Plan::new(&config(collect, &[100]), &[clients]).expect("possible");
            plan.cost(secs(interval), replicas).per_second
        };
        let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-9, "{a} {b}");
        close(cost("{}", 300, 15, 1), 20.0);
        close(cost("{}", 300, 15, 2), 20.0);
        close(cost("{}", 300, 30, 1), 10.0);
        close(cost("{}", 300, 30, 2), 20.0);
        close(cost("{max_age: 15s}", 300, 30, 2), 10.0);
        close(cost("{max_age: 20s}", 300, 15, 1), 10.0);
        // A sweep of 100 s: the first scrape after it starts the next.
        close(cost("{}", 10_000, 15, 1), 10_000.0 / 105.0);
        close(cost("{}", 10_000, 15, 2), 10_000.0 / 105.0);
    }

    #[test]
    fn notes_tell_of_replicas_apart_and_of_long_sweeps() {
        let notes = |collect, clients| Plan::new(&config(collect, &[100]), &[clients]).expect("possible").notes();
        assert_eq!(notes("{max_age: 30s}", 100), [""; 0]);
        let all = notes("{}", 2000).join("\n");
        assert!(all.contains("less than half of 30s and 1m") && all.contains("30s or more makes it one"), "{all}");
        assert!(all.contains("(20s) takes longer than 15s") && all.contains("as old as 35s"), "{all}");
    }

    proptest! {
        #[test]
        fn sharing_passes_no_rate_and_wastes_none(loads in prop::collection::vec((1_usize..5000, 1_u32..300), 1..8)) {
            let loads: Vec<_> = loads.into_iter().map(|(n, rate)| (n, f64::from(rate).min(200.0))).collect();
            let times = sweep_times(200.0, &loads);
            let total: usize = loads.iter().map(|load| load.0).sum();
            let last = times.iter().max().expect("one at least").as_secs_f64();
            prop_assert!(last >= total as f64 / 200.0 - 0.01);
            for (time, &(clients, own)) in times.iter().zip(&loads) {
                prop_assert!(time.as_secs_f64() >= clients as f64 / own - 0.51 / own - 0.01);
                // Nobody waits longer than with an even share from start to end.
                let even = own.min(200.0 / loads.len() as f64);
                prop_assert!(time.as_secs_f64() <= clients as f64 / even + 0.01);
            }
        }

        #[test]
        fn calls_never_pass_the_rate(clients in 1_usize..100_000, interval in 1_u64..120, replicas in 1_u32..3) {
            let plan = Plan::new(&config("{}", &[100]), &[clients]).expect("possible");
            prop_assert!(plan.cost(secs(interval), replicas).per_second <= 100.0 + 1e-6);
        }
    }
}
