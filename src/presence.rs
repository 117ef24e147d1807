//! What is known about devices, and nothing about how it came to be known: IDs,
//! fleets, observations, their state, and the trait behind which the API stands.
//!
//! No I/O and no vendor's name belongs here.

mod facts;
mod fleet;
mod freeze;
mod id;
mod label;
mod observation;
mod shard;
mod source;
mod state;

pub use facts::{InstanceFacts, LastError, SweepResult, SweepSummary};
pub use fleet::{Fleet, FleetBuilder, FleetError, Group, MAX_GROUPS};
pub use freeze::{Frozen, FrozenInstance, StatusCounts};
pub use id::{ClientId, EmptyId, InstanceId};
pub use label::{LabelName, LabelNameError, RESERVED_LABELS, escape, escape_into, unescape};
pub use observation::{Observation, Operation, Run, Status};
pub use shard::{NoSuchShard, Shard};
pub use source::{
    Answer, BatchEntry, BoxFuture, CallError, ErrorClass, MAX_BATCH, PresenceSource, ThrottledLayer,
};
pub use state::{InstanceState, Published};
