//! What several subjects need.

pub(crate) mod exporter;
pub(crate) mod exposition;
pub(crate) mod fleet;
pub(crate) mod http;
pub(crate) mod live;
pub(crate) mod pki;
pub(crate) mod pump;
pub(crate) mod recorder;
pub(crate) mod rig;
pub(crate) mod source;
pub(crate) mod tools;

/// The names of the operations in the statistics of the simulator.
pub(crate) const SINGLE: &str = "QuerySessionByClientId";
pub(crate) const BATCH: &str = "BatchQuerySessionByClientIds";
