//! Asking about a fleet: plan, permit, call, classify, publish.
//!
//! A sweep is a task of its own, which no HTTP handler owns; a scrape joins it. What calls may
//! leave, and when, is decided in `gate`; what follows from a failed one in `decide`; the
//! loop between the two is `ask`. What is known is published to [`crate::presence`], and nothing
//! here knows how it is shown.

mod ask;
mod breaker;
mod budget;
mod decide;
mod gate;
pub mod plan;
mod ring;
mod sweeper;
mod sweeps;
mod target;

use std::fmt;
use std::sync::Arc;

pub use gate::{Gate, Quotas};
pub use sweeps::{Subject, Sweeps, Tools};

/// Where random numbers come from.
#[derive(Clone)]
pub struct Random(Arc<dyn Fn() -> u64 + Send + Sync>);

impl Random {
    /// Random numbers from `source`.
    pub fn new(source: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        Self(Arc::new(source))
    }

    fn next(&self) -> u64 {
        (self.0)()
    }
}

impl fmt::Debug for Random {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Random")
    }
}
