//! What a configuration will cost, in time and in calls: pure arithmetic, before any call is made.

mod refusals;
#[cfg(test)]
mod tests;
mod timing;

use std::collections::HashMap;
use std::time::Duration;

use timing::{sweep_period, sweep_times};

use crate::aliyun;
use crate::config::{Collect, Config, Mode, Problems, Quotas, StaleAfter, duration};
use crate::presence::Shard;

/// Scrape intervals in common use, for which the cost is told.
pub const USUAL_INTERVALS: [Duration; 3] = [
    Duration::from_secs(15),
    Duration::from_secs(30),
    Duration::from_secs(60),
];

const DAY: f64 = 86_400.0;

/// Polling that takes more of a rate than this leaves little for retries.
const NEARLY_ALL: f64 = 0.9;

/// What sweeping costs this process.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The limits of this process.
    pub quotas: Quotas,
    /// Each instance, in the order of the configuration.
    pub instances: Vec<InstancePlan>,
    collect: Collect,
}

/// What sweeping one instance costs.
#[derive(Clone, Debug, PartialEq)]
pub struct InstancePlan {
    /// How many clients it has.
    pub clients: usize,
    /// How many calls a sweep takes, retries and confirmations not counted.
    pub calls: usize,
    /// The most calls a second that it gets when it sweeps alone.
    pub calls_per_second: f64,
    /// How long a sweep takes when all instances sweep at once and share the rate evenly; the
    /// time of the answers themselves is not in it.
    pub fastest: Duration,
    /// How long a sweep takes: as long as that, or on purpose longer.
    pub sweep: Duration,
    /// How old an observation may get before its client is unknown.
    pub stale_after: Duration,
    account: Option<String>,
}

/// What comes of sweeping at some pace; retries and confirmations are not counted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outlook {
    /// Calls a second, on average, all instances together.
    pub per_second: f64,
    /// The part of what this process may do that this is.
    pub of_limit: f64,
    /// The part of the vendor's quota of an account, of the one that spends most of it.
    pub of_account: f64,
    /// How old a status gets before the next answer.
    pub oldest: Duration,
    /// The longest from a disconnect to the scrape that shows it. Where a timer starts the sweeps,
    /// up to the answer that does; the next scrape shows it.
    pub seen_within: Duration,
}

impl Plan {
    /// Plans the sweeps of `shard`, whose instances have so many `clients`, in the order of `config`.
    ///
    /// What cannot work is refused, with what would: an interval that the rates do not allow, and a
    /// `stale_after` shorter than two sweeps, with which clients would turn unknown between the
    /// sweeps that see them.
    pub fn new(config: &Config, shard: Shard, clients: &[usize]) -> Result<Self, Problems> {
        let quotas = Quotas::serve(config, shard);
        let collect = &config.collect;
        let operation = collect.query.operation();
        let loads: Vec<_> = config
            .instances
            .iter()
            .zip(clients)
            .map(|(instance, &clients)| {
                (
                    collect.query.calls(clients),
                    quotas.rate_of(operation, instance),
                )
            })
            .collect();
        let fastest = sweep_times(quotas.rate(operation), &loads);
        let instances = config
            .instances
            .iter()
            .zip(clients)
            .zip(loads.iter().zip(fastest));
        let instances = instances.map(
            |((instance, &clients), (&(calls, calls_per_second), fastest))| {
                let sweep = match collect.mode {
                    Mode::Scrape => fastest,
                    Mode::Poll => collect.interval,
                };
                let stale_after = match collect.stale_after {
                    StaleAfter::Auto => StaleAfter::AUTO_AT_LEAST.max(3 * sweep),
                    StaleAfter::Fixed(fixed) => fixed,
                };
                let account = instance.credentials.account.clone();
                InstancePlan {
                    clients,
                    calls,
                    calls_per_second,
                    fastest,
                    sweep,
                    stale_after,
                    account,
                }
            },
        );
        let plan = Self {
            quotas,
            instances: instances.collect(),
            collect: collect.clone(),
        };
        let problems = refusals::refusals(&plan, config, shard);
        if problems.is_empty() {
            Ok(plan)
        } else {
            Err(problems)
        }
    }

    /// What comes of `replicas` Prometheus servers that scrape each `interval`, at the offset to
    /// each other that costs most.
    #[must_use]
    pub fn scraped(&self, interval: Duration, replicas: u32) -> Outlook {
        let longest = self.longest_sweep();
        let waits = longest <= self.collect.scrape_timeout;
        let period = |instance: &InstancePlan| {
            sweep_period(interval, replicas, self.collect.max_age, instance.sweep)
        };
        let longest_period = self.instances.iter().map(&period).max().unwrap_or_default();
        self.outlook(
            period,
            longest_period + longest,
            longest_period + if waits { longest } else { interval },
        )
    }

    /// What comes of sweeps that a timer starts.
    #[must_use]
    pub fn polled(&self) -> Outlook {
        let interval = self.collect.interval;
        self.outlook(|_| interval, interval, interval)
    }

    fn outlook(
        &self,
        period: impl Fn(&InstancePlan) -> Duration,
        oldest: Duration,
        seen_within: Duration,
    ) -> Outlook {
        let operation = self.collect.query.operation();
        let mut accounts: HashMap<_, f64> = HashMap::new();
        let mut per_second = 0.0;
        for instance in &self.instances {
            let calls = instance.calls as f64 / period(instance).as_secs_f64();
            per_second += calls;
            *accounts.entry(&instance.account).or_default() += calls;
        }
        let most = accounts.into_values().fold(0.0, f64::max);
        Outlook {
            per_second,
            of_limit: per_second / self.quotas.rate(operation),
            of_account: most / f64::from(aliyun::account_quota(operation)),
            oldest,
            seen_within,
        }
    }

    fn longest_sweep(&self) -> Duration {
        self.instances
            .iter()
            .map(|instance| instance.sweep)
            .max()
            .unwrap_or_default()
    }

    /// What is worth knowing before it is used.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        match self.collect.mode {
            Mode::Scrape => self.notes_on_scraping(),
            Mode::Poll => self.notes_on_polling().into_iter().collect(),
        }
    }

    fn notes_on_scraping(&self) -> Vec<String> {
        let max_age = self.collect.max_age;
        let list = |intervals: Vec<Duration>| {
            intervals
                .into_iter()
                .map(shown)
                .collect::<Vec<_>>()
                .join(" and ")
        };
        let usual = |those: &dyn Fn(Duration) -> bool| {
            USUAL_INTERVALS
                .into_iter()
                .filter(|&i| those(i))
                .collect::<Vec<_>>()
        };
        let mut notes = Vec::new();
        let apart = usual(&|interval| 2 * max_age < interval);
        if let Some(&longest) = apart.last() {
            let (age, intervals) = (shown(max_age), list(apart));
            notes.push(format!(
                "`collect.max_age` ({age}) is less than half of {intervals}: there, two replicas cost two sweeps each interval; {} or more makes it one",
                shown(longest / 2),
            ));
        }
        let sweep = self.longest_sweep();
        let outrun = usual(&|interval| interval < sweep);
        if !outrun.is_empty() {
            let (sweep, intervals) = (shown(sweep), list(outrun));
            notes.push(format!(
                "the longest sweep ({sweep}) takes longer than {intervals}: scrapes show what is known so far"
            ));
        }
        notes
    }

    fn notes_on_polling(&self) -> Option<String> {
        let busiest = self
            .instances
            .iter()
            .map(|instance| instance.load(self.collect.interval));
        let busiest = busiest.fold(self.polled().of_limit, f64::max);
        (busiest > NEARLY_ALL).then(|| {
            format!(
                "polling takes {:.0}% of the rate, which leaves little for calls that are made again; a longer `collect.interval` leaves more",
                busiest * 100.0
            )
        })
    }
}

impl InstancePlan {
    /// The part of its rate that a sweep each `interval` takes.
    #[must_use]
    pub fn load(&self, interval: Duration) -> f64 {
        self.calls as f64 / interval.as_secs_f64() / self.calls_per_second
    }
}

impl Outlook {
    /// Calls a day.
    #[must_use]
    pub fn per_day(&self) -> f64 {
        self.per_second * DAY
    }
}

/// A duration for people: whole seconds, and milliseconds only below ten seconds; rounded up.
#[must_use]
pub fn shown(time: Duration) -> String {
    let unit = if time < Duration::from_secs(10) {
        1
    } else {
        1000
    };
    let millis = u64::try_from(time.as_millis())
        .unwrap_or(u64::MAX)
        .div_ceil(unit)
        .saturating_mul(unit);
    duration::display(Duration::from_millis(millis)).to_string()
}
