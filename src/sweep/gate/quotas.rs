//! How much a process may ask of the vendor.

use std::time::Duration;

use crate::config;
use crate::limits::{LayerSpec, Rate};
use crate::presence::{Operation, Shard};

/// Single calls that may arrive in any second from one `serve` process. With [`QUERY_SLOTS`] it
/// stays below the 300 at which the vendor blocks an egress IP (page "QPS limits").
const SINGLE_SLOTS: usize = 265;

/// Batch calls that may arrive in any second; an account may make 100.
const BATCH_SLOTS: usize = 85;

/// What a `query` beside a running `serve` may do.
const QUERY_SLOTS: usize = 25;
const QUERY_PER_SECOND: u32 = 10;

/// Nothing leaves a `serve` process before it is this old, so that a crash loop adds nothing.
const QUIET_START: Duration = Duration::from_secs(1);

/// What one egress IP may do, by operation, and from when on.
#[derive(Clone, Copy, Debug)]
pub struct Quotas {
    pub(super) egress: ByOperation<LayerSpec>,
    /// This process's part of what an instance is to bear.
    pub(super) instance_part: f64,
    /// How long nothing leaves after the start.
    pub(super) quiet: Duration,
}

impl Quotas {
    /// The quotas of a `serve` process: its shard's part of everything.
    #[must_use]
    pub fn serve(config: &config::Config, shard: Shard) -> Self {
        let limits = &config.limits;
        let layer = |per_second, slots| {
            let whole = LayerSpec::standard(Rate::per_second(per_second), slots);
            whole
                .scaled(limits.share * shard.part())
                .with_in_flight(config.collect.concurrency)
        };
        let egress = ByOperation {
            single: layer(limits.single_per_second, SINGLE_SLOTS),
            batch: layer(limits.batch_per_second, BATCH_SLOTS),
        };
        Self {
            egress,
            instance_part: shard.part(),
            quiet: QUIET_START,
        }
    }

    /// The quotas of a `query` process.
    #[must_use]
    pub fn query() -> Self {
        let pace = LayerSpec::standard(Rate::per_second(QUERY_PER_SECOND), QUERY_SLOTS);
        let layer = LayerSpec {
            slots: QUERY_SLOTS,
            ..pace
        };
        Self {
            egress: ByOperation {
                single: layer,
                batch: layer,
            },
            instance_part: 1.0,
            quiet: Duration::ZERO,
        }
    }
}

/// One of `T` for each operation.
#[derive(Clone, Copy, Debug)]
pub(super) struct ByOperation<T> {
    pub(super) single: T,
    pub(super) batch: T,
}

impl<T: Copy> ByOperation<T> {
    pub(super) fn of(self, operation: Operation) -> T {
        match operation {
            Operation::Single => self.single,
            Operation::Batch => self.batch,
        }
    }
}
