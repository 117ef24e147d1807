//! How fast this process may call.

use crate::config::{Instance, Limits};
use crate::presence::{Operation, Shard};

/// The rates that this process may call at, in calls a second, as long as nobody throttles it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rates {
    /// `QuerySessionByClientId`, all instances together.
    pub single: f64,
    /// `BatchQuerySessionByClientIds`, all instances together.
    pub batch: f64,
    /// This process's part of what an instance is to bear.
    instance_part: f64,
}

impl Rates {
    /// The configured limits, as far as they are this process's share.
    #[must_use]
    pub fn new(limits: &Limits, shard: Shard) -> Self {
        let part = limits.share * shard.part();
        Self {
            single: f64::from(limits.single_per_second) * part,
            batch: f64::from(limits.batch_per_second) * part,
            instance_part: shard.part(),
        }
    }

    /// That of an operation.
    #[must_use]
    pub fn of(&self, operation: Operation) -> f64 {
        match operation {
            Operation::Single => self.single,
            Operation::Batch => self.batch,
        }
    }

    /// The most that one instance gets of an operation. What it is to bear is said of single calls:
    /// of batches, there are never as many.
    #[must_use]
    pub fn of_instance(&self, operation: Operation, instance: &Instance) -> f64 {
        match operation {
            Operation::Single => {
                (f64::from(instance.calls_per_second) * self.instance_part).min(self.single)
            }
            Operation::Batch => self.batch,
        }
    }
}
