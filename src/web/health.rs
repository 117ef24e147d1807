//! `/-/healthy` and `/-/ready`. Neither depends on the API: a restart because the API is down would
//! lose the state, and the API would still be down.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use axum::http::StatusCode;

// The stages of a process, in their order: positions in `RESPONSES`.
const STARTING: u8 = 0;
const READY: u8 = 1;
const DRAINING: u8 = 2;

const RESPONSES: [(StatusCode, &str); 3] = [
    (
        StatusCode::SERVICE_UNAVAILABLE,
        "mqtt-presence-exporter is not ready: it is starting.\n",
    ),
    (StatusCode::OK, "mqtt-presence-exporter is Ready.\n"),
    (
        StatusCode::SERVICE_UNAVAILABLE,
        "mqtt-presence-exporter is not ready: it is stopping.\n",
    ),
];

/// The state of `/-/ready`; clones share it.
#[derive(Clone, Debug)]
pub struct Readiness(Arc<AtomicU8>);

impl Readiness {
    /// Not ready yet.
    #[must_use]
    pub fn starting() -> Self {
        Self(Arc::new(AtomicU8::new(STARTING)))
    }

    /// The configuration is loaded, client files are read, and the process listens. Has no effect
    /// once the process drains.
    pub fn ready(&self) {
        self.0.fetch_max(READY, Ordering::Relaxed);
    }

    /// The process is about to end and must get no more requests.
    pub fn draining(&self) {
        self.0.fetch_max(DRAINING, Ordering::Relaxed);
    }

    /// The response of `/-/ready`: 200 or 503.
    pub(super) fn response(&self) -> (StatusCode, &'static str) {
        RESPONSES[usize::from(self.0.load(Ordering::Relaxed))]
    }
}

/// What `/-/healthy` answers, always with 200.
pub(super) const HEALTHY: &str = "mqtt-presence-exporter is Healthy.\n";
