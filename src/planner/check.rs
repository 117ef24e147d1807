//! What is impossible or wasteful about a plan, and the settings that resolve it.

use std::time::Duration;

use super::plan::{Plan, USUAL_INTERVALS, shown};
use crate::config::{Config, Mode, Problem, Problems, Query};
use crate::presence::{Operation, Shard};

/// Polling that takes more of a rate than this leaves little for retries.
const NEARLY_ALL: f64 = 0.9;

impl Plan {
    /// Plans the sweeps of `shard`, whose instances have so many `clients`, in the order of `config`.
    ///
    /// Impossible settings are refused, with values that are possible: an interval that the rates
    /// do not allow, and a `stale_after` shorter than two sweeps, with which clients would become
    /// unknown between two queries.
    pub fn new(config: &Config, shard: Shard, clients: &[usize]) -> Result<Self, Problems> {
        let plan = Self::calculate(config, shard, clients);
        let mut problems = Problems::default();
        if config.collect.mode == Mode::Poll {
            for problem in plan.short_intervals(config, shard) {
                problems.push(problem);
            }
        }
        for (instance, planned) in config.instances.iter().zip(&plan.instances) {
            let least = 2 * planned.sweep;
            if planned.stale_after < least {
                let [given, sweep, least] = [planned.stale_after, planned.sweep, least].map(shown);
                let message = format!(
                    "{given} is less than two sweeps of {}, which take {sweep} each; write {least} or more, or `auto`",
                    instance.id
                );
                problems.push(Problem::of_key("collect.stale_after", message));
            }
        }
        if problems.is_empty() {
            Ok(plan)
        } else {
            Err(problems)
        }
    }

    /// The instances whose sweeps do not end within the interval, or all of them together.
    fn short_intervals(&self, config: &Config, shard: Shard) -> Vec<Problem> {
        let rate = self.quotas.rate(self.collect.query.operation());
        let instances = config.instances.iter().zip(&self.instances);
        let slower = instances.filter(|(_, planned)| planned.calls_per_second < rate);
        let alone = slower.filter_map(|(instance, planned)| {
            let enough = planned.calls as f64 / self.collect.interval.as_secs_f64() / shard.part();
            let raise = (enough <= f64::from(config.limits.single_per_second)).then(|| {
                let enough = enough.ceil();
                format!("raise the `calls_per_second` of the instance to {enough:.0} or more")
            });
            let what = format!("the {} clients of {}", planned.clients, instance.id);
            self.too_short(&what, planned.calls, planned.calls_per_second, raise)
        });
        let alone: Vec<_> = alone.collect();
        if !alone.is_empty() {
            return alone;
        }
        let clients: usize = self.instances.iter().map(|planned| planned.clients).sum();
        let calls = self.instances.iter().map(|planned| planned.calls).sum();
        let together = self.too_short(&format!("all {clients} clients"), calls, rate, None);
        together.into_iter().collect()
    }

    /// The error of an interval in which `calls` calls at `rate` do not end.
    fn too_short(
        &self,
        what: &str,
        calls: usize,
        rate: f64,
        raise: Option<String>,
    ) -> Option<Problem> {
        let time_for = |calls: usize, rate: f64| Duration::from_secs_f64(calls as f64 / rate);
        let interval = self.collect.interval;
        let needed = time_for(calls, rate);
        if needed <= interval {
            return None;
        }
        let [given, least] = [interval, needed].map(shown);
        let batches = self.instances.iter();
        let batches = batches.map(|planned| Query::Batch.calls(planned.clients));
        let by_batch = time_for(batches.sum(), self.quotas.rate(Operation::Batch));
        let batch = (self.collect.query == Query::Single && by_batch <= interval)
            .then(|| format!("use `query: batch`, which takes {}", shown(by_batch)));
        let instead = [Some(format!("write {least} or more")), raise, batch];
        let message = format!(
            "{given} is too short: querying {what} takes {least} at {} calls/s; {}",
            (rate * 10.0).round() / 10.0,
            instead
                .into_iter()
                .flatten()
                .collect::<Vec<_>>()
                .join(", or "),
        );
        Some(Problem::of_key("collect.interval", message))
    }

    /// Advice about settings that are possible.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        let (max_age, interval) = (self.collect.max_age, self.collect.interval);
        if self.collect.mode == Mode::Poll {
            let loads = self
                .instances
                .iter()
                .map(|instance| instance.load(interval));
            let busiest = loads.fold(self.polled().of_limit, f64::max);
            let note = (busiest > NEARLY_ALL).then(|| {
                format!(
                    "polling takes {:.0}% of the rate, which leaves little for calls that are made again; a longer `collect.interval` leaves more",
                    busiest * 100.0
                )
            });
            return note.into_iter().collect();
        }
        let usual = |those: &dyn Fn(Duration) -> bool| {
            let intervals = USUAL_INTERVALS.into_iter();
            let intervals: Vec<_> = intervals
                .filter(|&interval| those(interval))
                .map(shown)
                .collect();
            (!intervals.is_empty()).then(|| intervals.join(" and "))
        };
        let replicas = usual(&|interval| 2 * max_age < interval).map(|intervals| {
            let [age, enough] = [max_age, USUAL_INTERVALS[2] / 2].map(shown);
            format!("`collect.max_age` ({age}) is less than half of {intervals}: there, two replicas cost two sweeps each interval; {enough} or more makes it one")
        });
        let sweep = self.longest_sweep();
        let long = usual(&|interval| interval < sweep).map(|intervals| {
            format!("the longest sweep ({}) takes longer than {intervals}: scrapes show what is known so far", shown(sweep))
        });
        replicas.into_iter().chain(long).collect()
    }
}
