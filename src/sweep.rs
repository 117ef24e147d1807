//! Queries a fleet: plan, permit, call, classify, publish.
//!
//! - `sweeps` and `sweeper` start sweeps, each a task of its own. No HTTP handler owns a sweep; a
//!   scrape joins it.
//! - `run` plans a sweep: the next clients, in the order of `order`, and the confirmations of
//!   `confirm`. `probe` does the same for queries outside sweeps.
//! - `limiter` grants the permits.
//! - `executor` is the only loop that makes calls, and `retry` its decisions about failed calls.
//! - `caller` classifies results for one instance: `breaker`, publishing to [`crate::presence`],
//!   metrics and logs.

mod breaker;
mod caller;
mod confirm;
mod executor;
mod lap;
mod limiter;
mod order;
mod probe;
mod rejected;
mod retry;
mod run;
mod sweeper;
mod sweeps;

pub use caller::SweepDeps;
pub use executor::QueryResult;
pub use limiter::Limiter;
pub use probe::{ProbeError, Prober};
pub use sweeps::{SweepConfig, Sweeps};
