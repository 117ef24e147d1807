//! What cannot work, why, and what would.

use std::time::Duration;

use super::{Plan, shown};
use crate::config::{Config, Mode, Problem, Problems, Query};
use crate::presence::{Operation, Shard};

/// Everything that makes `plan` impossible.
pub(super) fn refusals(plan: &Plan, config: &Config, shard: Shard) -> Problems {
    let mut problems = Problems::default();
    if config.collect.mode == Mode::Poll {
        problems.append(short_interval(plan, config, shard));
    }
    for (instance, planned) in config.instances.iter().zip(&plan.instances) {
        if planned.stale_after < 2 * planned.sweep {
            let [given, sweep, least] =
                [planned.stale_after, planned.sweep, 2 * planned.sweep].map(shown);
            problems.push(Problem::of_key(
                "collect.stale_after",
                format!(
                    "{given} is less than two sweeps of {}, which take {sweep} each; write {least} or more, or `auto`",
                    instance.id
                ),
            ));
        }
    }
    problems
}

/// The interval in which no sweep of one instance ends, or none of all of them together.
fn short_interval(plan: &Plan, config: &Config, shard: Shard) -> Problems {
    let mut problems = Problems::default();
    let (interval, query) = (config.collect.interval, config.collect.query);
    let operation = query.operation();
    for (instance, planned) in config.instances.iter().zip(&plan.instances) {
        let needed = time_for(planned.calls, planned.calls_per_second);
        if needed > interval && planned.calls_per_second < plan.quotas.rate(operation) {
            let would_do = planned.calls as f64 / interval.as_secs_f64() / shard.part();
            let raise = (would_do <= f64::from(config.limits.single_per_second)).then(|| {
                format!(
                    "raise the `calls_per_second` of the instance to {:.0} or more",
                    would_do.ceil()
                )
            });
            let what = format!("the {} clients of {}", planned.clients, instance.id);
            problems.push(too_short(
                plan,
                config,
                &what,
                needed,
                planned.calls_per_second,
                raise,
            ));
        }
    }
    let calls = plan.instances.iter().map(|instance| instance.calls).sum();
    let needed = time_for(calls, plan.quotas.rate(operation));
    if problems.is_empty() && needed > interval {
        let what = format!(
            "all {} clients",
            plan.instances
                .iter()
                .map(|instance| instance.clients)
                .sum::<usize>()
        );
        problems.push(too_short(
            plan,
            config,
            &what,
            needed,
            plan.quotas.rate(operation),
            None,
        ));
    }
    problems
}

fn too_short(
    plan: &Plan,
    config: &Config,
    what: &str,
    needed: Duration,
    rate: f64,
    raise: Option<String>,
) -> Problem {
    let [given, least] = [config.collect.interval, needed].map(shown);
    let batches = plan
        .instances
        .iter()
        .map(|instance| Query::Batch.calls(instance.clients))
        .sum();
    let by_batch = time_for(batches, plan.quotas.rate(Operation::Batch));
    let batch = (config.collect.query == Query::Single && by_batch <= config.collect.interval)
        .then(|| format!("use `query: batch`, which takes {}", shown(by_batch)));
    let instead: Vec<_> = std::iter::once(format!("write {least} or more"))
        .chain(raise)
        .chain(batch)
        .collect();
    let message = format!(
        "{given} is too short: querying {what} takes {least} at {} calls/s; {}",
        (rate * 10.0).round() / 10.0,
        instead.join(", or "),
    );
    Problem::of_key("collect.interval", message)
}

fn time_for(calls: usize, rate: f64) -> Duration {
    Duration::from_secs_f64(calls as f64 / rate)
}
