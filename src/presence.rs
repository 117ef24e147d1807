//! IDs, fleets, observations, their state, and the trait of the API.
//!
//! This room does no I/O and contains no vendor names.

mod fleet;
mod id;
mod instance_stats;
mod label;
mod observation;
mod shard;
mod snapshot;
mod source;
mod state;
mod table;

pub use fleet::{ClientGroup, Fleet, FleetBuilder, FleetError, MAX_GROUPS};
pub use id::{ClientId, ClientIdError, EmptyId, InstanceId};
pub use instance_stats::{InstanceStats, LastError, SweepResult, SweepSummary};
pub use label::{LabelName, LabelNameError, RESERVED_LABELS, escape, escape_into, unescape};
pub use observation::{Observation, Operation, Status};
pub use shard::{NoSuchShard, Shard};
pub use snapshot::{InstanceSnapshot, Snapshot, StatusCounts};
pub use source::{
    ApiResponse, BatchEntry, BoxFuture, CallError, Delivery, ErrorClass, MAX_BATCH, PresenceSource,
    ThrottledLayer,
};
pub use state::{InstanceState, Published};
