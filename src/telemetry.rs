//! The log and the metrics of the exporter.
//!
//! Facts about devices are no part of the registry here: `exposition` renders them straight from
//! the state. All names and help texts come from one [`table`].

mod log_throttle;
mod logging;
mod metric;
#[cfg(target_os = "linux")]
mod process;
mod registry;
pub mod table;

pub use log_throttle::{LogThrottle, Suppressed};
pub use logging::{LogFormat, LogLevel, init_logging};
pub use metric::{Metric, MetricKind, Sample, samples};
pub use registry::{CONFIRMATION_RESULTS, REVISION, VERSION};
pub use table::Metrics;
