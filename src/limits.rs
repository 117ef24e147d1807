//! The limits on calls: time in, decision out.
//!
//! The service counts calls as they *arrive*, this process decides only when they *leave*, and
//! what happens in between is up to the network. So a call needs two things of every layer it
//! passes through:
//!
//! - a **slot**, held from the grant until one second after the answer came or the connection was
//!   closed. Take any second and the last arrival in it: every other call that arrived within that
//!   second had its end at its arrival or later, so that its slot is still held at the last
//!   arrival. All of them hold a slot at once, hence they are at most as many as there are slots.
//!   Nothing is assumed about the network; calls that a stall bunches together are covered too.
//! - **pace**: a rate and a small burst (the generic cell rate algorithm), for evenness.
//!
//! Layers form a tree, as the service's limits do: an operation on this egress IP, in it the
//! accounts, in them the instances. A **lane** stands on one layer, passes through that one and
//! all above it, and is what waiting is fair between. A closed layer keeps what waits below it
//! out of sight of the layer above, so that choosing who is next costs a walk down the tree,
//! however many lanes wait, and no lane is in the way of another that could go.
//!
//! No clock, no I/O and no vendor's name belongs here: [`LayerTree`] is told what time it is.

mod adaptive_rate;
mod layer_limiter;
mod pace;
mod priority;
mod queue;
mod rate;
mod spec;
#[cfg(test)]
mod tests;
mod time;
mod tree;

pub use priority::Priority;
pub use rate::Rate;
pub use spec::LayerSpec;
pub use time::Time;
pub use tree::{Advance, LaneId, LayerId, LayerTree, Permit, Ticket};
