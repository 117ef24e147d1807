//! What is impossible or wasteful about a plan, and the settings that resolve it.

use std::time::Duration;

use super::plan::{Plan, USUAL_INTERVALS, shown};
use crate::config::{Config, Mode, Problem, Problems, Query, Quotas};
use crate::limits::LayerSpec;
use crate::presence::{Operation, Shard};

/// Polling that takes more of a rate than this leaves little for retries.
const NEARLY_ALL: f64 = 0.9;

impl Plan {
    /// Plans the sweeps of `shard`, whose instances have so many `clients`, in the order of `config`.
    ///
    /// Impossible settings are refused, with values that are possible: a share or a number of shards
    /// that leaves no slot, an interval that the rates do not allow, and a `stale_after` shorter than
    /// two sweeps, with which clients would become unknown between two queries.
    pub fn new(config: &Config, shard: Shard, clients: &[usize]) -> Result<Self, Problems> {
        let plan = Self::calculate(config, shard, clients);
        let mut problems = Problems::default();
        if let Some(problem) = plan.no_slot(config, shard) {
            problems.push(problem);
        }
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

    /// The error of a share or a number of shards that leaves no slot of an operation in use. If each
    /// process kept one, many processes together would exceed the limits of the egress IP.
    fn no_slot(&self, config: &Config, shard: Shard) -> Option<Problem> {
        let slots_of = |whole: LayerSpec| whole.slots + whole.trial_slots;
        let operations = config.collect.query.operations().iter();
        let (&operation, whole) = operations
            .filter(|&&operation| self.quotas.egress(operation).slots == 0)
            .map(|operation| (operation, Quotas::whole(config, *operation)))
            .min_by_key(|&(_, whole)| slots_of(whole))?;
        let (slots, given, total) = (slots_of(whole), config.limits.share, shard.total());
        let fits = |share: f64, shards| whole.scaled(share * f64::from(shards).recip()).slots > 0;
        let most = |share| {
            let shards = (1..=u32::try_from(slots).ok()?).rev();
            let most = shards.into_iter().find(|&shards| fits(share, shards))?;
            Some(format!("at most {most} shards"))
        };
        let mut thousandths = (1..=1000).map(|n| f64::from(n) / 1000.0);
        let least = thousandths.find(|&share| fits(share, total));
        let least = least.map(|least| format!("a `limits.share` of {least} or more"));
        let remedy = match (most(given), least) {
            (Some(most), Some(least)) => format!("{most}, or {least}"),
            (None, None) => format!("{} with a `limits.share` of 1", most(1.0)?),
            (most, least) => most.or(least)?,
        };
        let message = format!(
            "leaves no slot for {}: {slots} slots × `limits.share` {given} ÷ `--shard.total` {total} is less than one; use {remedy}",
            operation.name()
        );
        let key = if total == 1 {
            "limits.share"
        } else {
            "--shard.total"
        };
        Some(Problem::of_key(key, message))
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
