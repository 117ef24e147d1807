//! The limits that the configuration allows this process: the only place that computes them.

use std::time::Duration;

use super::values::{Config, Instance};
use crate::limits::{LayerSpec, Rate};
use crate::presence::{Operation, Shard};

/// Single calls that may arrive in any second from one `serve` process, and those of them that are
/// reserved for trial calls. Together with [`QUERY_SLOTS`] this stays below 300, at which Alibaba
/// Cloud blocks an egress IP (page "QPS limits").
const SINGLE_SLOTS: [usize; 2] = [255, 10];

/// Batch calls likewise; an account may make 100.
const BATCH_SLOTS: [usize; 2] = [80, 5];

/// The limits of a `query` process that runs next to `serve`.
const QUERY_SLOTS: [usize; 2] = [23, 2];
const QUERY_PER_SECOND: u32 = 10;

/// A `serve` process sends no call before it is this old, so that a crash loop adds no calls.
const QUIET_START: Duration = Duration::from_secs(1);

/// The limits of this process on one egress IP.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quotas {
    /// By operation.
    egress: [LayerSpec; 2],
    /// This process's part of the calls that an instance accepts.
    instance_part: f64,
    /// No call leaves for this long after the start.
    pub quiet: Duration,
}

impl Quotas {
    /// The limit on the calls of an operation of all `serve` processes on an egress IP together.
    #[must_use]
    pub fn whole(config: &Config, operation: Operation) -> LayerSpec {
        let limits = &config.limits;
        let (per_second, [slots, trial_slots]) = match operation {
            Operation::Single => (limits.single_per_second, SINGLE_SLOTS),
            Operation::Batch => (limits.batch_per_second, BATCH_SLOTS),
        };
        LayerSpec {
            trial_slots,
            in_flight: config.collect.concurrency,
            ..LayerSpec::standard(Rate::per_second(per_second), slots)
        }
    }

    /// The limits of a `serve` process: the part of its shard.
    #[must_use]
    pub fn serve(config: &Config, shard: Shard) -> Self {
        let part = config.limits.share * shard.part();
        Self {
            egress: Operation::ALL.map(|operation| Self::whole(config, operation).scaled(part)),
            instance_part: shard.part(),
            quiet: QUIET_START,
        }
    }

    /// The limits of a `query` process.
    #[must_use]
    pub fn query() -> Self {
        let [slots, trial_slots] = QUERY_SLOTS;
        let layer = LayerSpec {
            slots,
            trial_slots,
            ..LayerSpec::standard(Rate::per_second(QUERY_PER_SECOND), slots)
        };
        Self {
            egress: [layer; 2],
            instance_part: 1.0,
            quiet: Duration::ZERO,
        }
    }

    /// The limit on the calls of an operation to all instances together.
    #[must_use]
    pub fn egress(&self, operation: Operation) -> LayerSpec {
        self.egress[operation as usize]
    }

    /// The limit on the single calls to an instance, which accepts this many from all shards.
    #[must_use]
    pub fn instance(&self, calls_per_second: u32) -> LayerSpec {
        let rate = Rate::per_second(calls_per_second).scaled(self.instance_part);
        let [_, trial_slots] = SINGLE_SLOTS;
        LayerSpec {
            trial_slots,
            ..LayerSpec::standard(rate, usize::MAX)
        }
    }

    /// Calls per second of an operation, all instances together.
    #[must_use]
    pub fn rate(&self, operation: Operation) -> f64 {
        self.egress(operation).rate.calls_per_second()
    }

    /// The most calls per second of an operation that `instance` gets. `calls_per_second` bounds
    /// single calls only.
    #[must_use]
    pub fn rate_of(&self, operation: Operation, instance: &Instance) -> f64 {
        let rate = self.rate(operation);
        match operation {
            Operation::Single => {
                let own = self.instance(instance.calls_per_second).rate;
                own.calls_per_second().min(rate)
            }
            Operation::Batch => rate,
        }
    }
}
