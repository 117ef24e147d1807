//! What the exporter tells about itself: its log, and its own metrics beside the table of all
//! metrics.
//!
//! Facts about devices do not pass through here; they are rendered by `exposition` straight from
//! the state. Both take names and help texts from the one [`table`].

mod log_throttle;
mod logging;
mod metric;
#[cfg(target_os = "linux")]
mod process;
mod registry;
pub mod table;

pub use log_throttle::{LogThrottle, Suppressed};
pub use logging::{LogFormat, LogLevel, init_logging};
pub use metric::{Metric, MetricKind};
pub use registry::{CONFIRMATION_RESULTS, Metrics, REVISION, VERSION};
