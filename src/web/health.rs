//! `/-/healthy` and `/-/ready`. Neither asks the API: an exporter that was restarted because the
//! API is down would know less than before, and the API would still be down.

use std::sync::Arc;

use axum::http::StatusCode;
use axum::routing::{MethodRouter, get};
use tokio::sync::watch;

/// What a process may be on its way from start to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Starting,
    Ready,
    Draining,
}

/// What `/-/ready` says; its clones share it.
#[derive(Clone, Debug)]
pub struct Readiness(Arc<watch::Sender<Stage>>);

impl Readiness {
    /// Not ready yet.
    #[must_use]
    pub fn starting() -> Self {
        Self(Arc::new(watch::Sender::new(Stage::Starting)))
    }

    /// The configuration is loaded, client files are read, and the process listens. Comes too
    /// late once it drains.
    pub fn ready(&self) {
        self.0.send_if_modified(|stage| {
            let starting = *stage == Stage::Starting;
            if starting {
                *stage = Stage::Ready;
            }
            starting
        });
    }

    /// The process is about to end, and wants no more requests.
    pub fn draining(&self) {
        self.0.send_replace(Stage::Draining);
    }
}

/// `/-/healthy`: 200 as long as anything is answered.
pub(super) fn healthy() -> MethodRouter {
    get(async || "mqtt-presence-exporter is Healthy.\n")
}

/// `/-/ready`: 200 or 503, as `readiness` says.
pub(super) fn ready(readiness: Readiness) -> MethodRouter {
    get(move || async move {
        match *readiness.0.borrow() {
            Stage::Ready => (StatusCode::OK, "mqtt-presence-exporter is Ready.\n"),
            Stage::Starting => (
                StatusCode::SERVICE_UNAVAILABLE,
                "mqtt-presence-exporter is not ready: it is starting.\n",
            ),
            Stage::Draining => (
                StatusCode::SERVICE_UNAVAILABLE,
                "mqtt-presence-exporter is not ready: it is stopping.\n",
            ),
        }
    })
}
