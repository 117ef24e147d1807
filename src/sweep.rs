//! Queries a fleet: plan, permit, call, classify, publish.
//!
//! A sweep is a task of its own, which no HTTP handler owns; a scrape joins it. What calls may
//! leave, and when, is decided in `limiter`; what follows from a failed one in `retry`; the
//! loop between the two is `executor`. What is known is published to [`crate::presence`], and nothing
//! here knows how it is shown.

mod breaker;
mod caller;
mod confirm;
mod cursor;
mod executor;
mod limiter;
mod pacer;
mod poll;
mod probe;
mod retry;
mod run;
mod sweeper;
mod sweeps;

pub use executor::QueryResult;
pub use limiter::Limiter;
pub use probe::{ProbeError, Prober};
pub use sweeps::{SweepConfig, SweepDeps, Sweeps};
