//! Asking about a fleet: plan, permit, call, classify, publish.
//!
//! A sweep is a task of its own, which no HTTP handler owns; a scrape joins it. What calls may
//! leave, and when, is decided in `gate`; what follows from a failed one in `decide`; the
//! loop between the two is `ask`. What is known is published to [`crate::presence`], and nothing
//! here knows how it is shown.

mod apart;
mod ask;
mod breaker;
mod budget;
mod decide;
mod gate;
mod pass;
pub mod plan;
mod poll;
mod probe;
mod ring;
mod sweeper;
mod sweeps;
mod target;
mod turns;

pub use crate::random::Random;
pub use ask::Reply;
pub use gate::{Gate, Quotas};
pub use probe::{NoAnswer, Prober};
pub use sweeps::{Subject, Sweeps, Tools};
