//! The limits on calls: time in, decision out.
//!
//! Alibaba Cloud counts calls as they *arrive*. This process decides only when they *leave*, and
//! the network may delay them. A call therefore needs two things from every layer on its path:
//!
//! - a **slot**, held from the grant until one second after the answer arrived. Take any second and
//!   the last arrival in it: every other call that arrived within that second was answered at its
//!   arrival or later, so that its slot is still held at the last arrival. All of these calls hold a
//!   slot at the same time, so they are at most as many as there are slots. This assumes nothing
//!   about the network and covers calls that a stall bunches. A call without an answer may still
//!   arrive and keeps its slot; `place` has the rules.
//! - **pace**: a rate and a small burst (the generic cell rate algorithm), for evenness.
//!
//! Layers form a tree, as the limits of the API do: an operation on this egress IP, in it the
//! accounts, in them the instances. A **lane** belongs to one layer and passes that layer and all
//! layers above it. Waiting is fair between lanes. A closed layer hides the calls below it from
//! the layer above. Choosing the next call is therefore one walk down the tree, however many lanes
//! wait, and no lane blocks another one that could go.
//!
//! This module contains no clock, no I/O and no API names: the caller passes the time.

mod adaptive_rate;
mod call;
mod layer;
mod place;
mod queue;
mod rate;
#[cfg(test)]
mod tests;
mod tree;

pub use call::{LaneId, LayerId, Outcome, PlaceId, Priority, Ticket};
pub use layer::LayerSpec;
pub use rate::{Rate, Time};
pub use tree::{Advance, LayerTree, Permit};
