//! What the exporter tells about itself: its log, and its own metrics beside the table of all
//! metrics.
//!
//! Facts about devices do not pass through here; they are rendered by `exposition` straight from
//! the state. Both take names and help texts from the one [`table`].

mod logging;
mod metric;
mod own;
#[cfg(target_os = "linux")]
mod process;
mod repeats;
pub mod table;

pub use logging::{LogFormat, LogLevel, init_logging};
pub use metric::{Kind, Metric};
pub use own::{CONFIRMATION_RESULTS, Metrics, REVISION, VERSION};
pub use repeats::{Count, Repeat, Repeats};
