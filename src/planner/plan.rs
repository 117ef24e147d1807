//! The plan of a configuration: the calls, the rate and the time of each sweep.

use std::collections::BTreeMap;
use std::time::Duration;

use super::timing::{sweep_period, sweep_times};
use crate::aliyun;
use crate::config::{Collect, Config, Mode, Quotas, StaleAfter, duration};
use crate::presence::Shard;

/// Scrape intervals in common use, for which the cost is shown.
pub const USUAL_INTERVALS: [Duration; 3] = [
    Duration::from_secs(15),
    Duration::from_secs(30),
    Duration::from_secs(60),
];

const DAY: f64 = 86_400.0;

/// The cost of sweeps to this process.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The limits of this process.
    pub quotas: Quotas,
    /// Each instance, in the order of the configuration.
    pub instances: Vec<InstancePlan>,
    pub(super) collect: Collect,
}

/// The cost of the sweeps of one instance.
#[derive(Clone, Debug, PartialEq)]
pub struct InstancePlan {
    /// The number of clients.
    pub clients: usize,
    /// The number of calls in a sweep, without retries and confirmations.
    pub calls: usize,
    /// The most calls per second that it gets when no other instance is swept.
    pub calls_per_second: f64,
    /// The duration of a sweep when all instances are swept at once and share the rate evenly,
    /// without the latency of the API.
    pub fastest: Duration,
    /// The duration of a sweep: `fastest`, or the polling interval.
    pub sweep: Duration,
    /// The age at which an observation expires and its client becomes unknown.
    pub stale_after: Duration,
    account: Option<String>,
}

/// The effect of sweeps at some interval, without retries and confirmations.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outlook {
    /// Calls per second, on average, all instances together.
    pub per_second: f64,
    /// These calls as a part of the limit of this process.
    pub of_limit: f64,
    /// The calls of the busiest account as a part of its quota at Alibaba Cloud.
    pub of_account: f64,
    /// The age of a status when the next answer arrives.
    pub oldest: Duration,
    /// The longest time from a disconnect to the scrape that shows it. With polling, to the answer
    /// that reports it; the next scrape shows it.
    pub seen_within: Duration,
}

impl Plan {
    /// The plan of `shard`, possible or not.
    pub(super) fn calculate(config: &Config, shard: Shard, clients: &[usize]) -> Self {
        let quotas = Quotas::serve(config, shard);
        let collect = config.collect.clone();
        let operation = collect.query.operation();
        let fleets = || config.instances.iter().zip(clients);
        let loads: Vec<_> = fleets()
            .map(|(instance, &clients)| {
                (
                    collect.query.calls(clients),
                    quotas.rate_of(operation, instance),
                )
            })
            .collect();
        let times = sweep_times(quotas.rate(operation), &loads);
        let instances = fleets().zip(loads).zip(times).map(
            |(((instance, &clients), (calls, calls_per_second)), fastest)| {
                let sweep = match collect.mode {
                    Mode::Scrape => fastest,
                    Mode::Poll => collect.interval,
                };
                let stale_after = match collect.stale_after {
                    StaleAfter::Auto => StaleAfter::AUTO_AT_LEAST.max(3 * sweep),
                    StaleAfter::Fixed(fixed) => fixed,
                };
                InstancePlan {
                    clients,
                    calls,
                    calls_per_second,
                    fastest,
                    sweep,
                    stale_after,
                    account: instance.credentials.account.clone(),
                }
            },
        );
        Self {
            quotas,
            instances: instances.collect(),
            collect,
        }
    }

    /// The effect of `replicas` Prometheus servers that scrape each `interval`, at the offset to
    /// each other that costs most.
    #[must_use]
    pub fn scraped(&self, interval: Duration, replicas: u32) -> Outlook {
        let longest = self.longest_sweep();
        let period = |instance: &InstancePlan| {
            sweep_period(interval, replicas, self.collect.max_age, instance.sweep)
        };
        let longest_period = self.instances.iter().map(period).max().unwrap_or_default();
        let shown_after = if longest <= self.collect.scrape_timeout {
            longest
        } else {
            interval
        };
        let (oldest, seen_within) = (longest_period + longest, longest_period + shown_after);
        self.outlook(period, oldest, seen_within)
    }

    /// The effect of polling.
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
        let mut accounts: BTreeMap<_, f64> = BTreeMap::new();
        for instance in &self.instances {
            let calls = instance.calls as f64 / period(instance).as_secs_f64();
            *accounts.entry(&instance.account).or_default() += calls;
        }
        let per_second = accounts.values().sum::<f64>();
        let most = accounts.into_values().fold(0.0, f64::max);
        Outlook {
            per_second,
            of_limit: per_second / self.quotas.rate(operation),
            of_account: most / f64::from(aliyun::account_quota(operation)),
            oldest,
            seen_within,
        }
    }

    pub(super) fn longest_sweep(&self) -> Duration {
        let sweeps = self.instances.iter().map(|instance| instance.sweep);
        sweeps.max().unwrap_or_default()
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
    /// Calls per day.
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
    let millis = time.as_millis().next_multiple_of(unit);
    let millis = u64::try_from(millis).unwrap_or(u64::MAX);
    duration::display(Duration::from_millis(millis))
}
