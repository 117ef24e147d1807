//! How many requests of one kind are answered at the same time.

use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Places for requests of one kind; `--web.max-requests` says how many.
#[derive(Debug)]
pub(super) struct ConcurrencyLimit {
    /// What the requests are, for the refusal.
    kind: &'static str,
    most: usize,
    free: Arc<Semaphore>,
}

impl ConcurrencyLimit {
    /// So many places, any number for 0.
    pub(super) fn new(kind: &'static str, most: usize) -> Self {
        let free = match most {
            0 => Semaphore::MAX_PERMITS,
            limited => limited.min(Semaphore::MAX_PERMITS),
        };
        Self {
            kind,
            most,
            free: Arc::new(Semaphore::new(free)),
        }
    }

    /// A place, which is taken until it is dropped; where there is none, what to answer.
    pub(super) fn take(&self) -> Result<OwnedSemaphorePermit, Box<Response>> {
        Arc::clone(&self.free).try_acquire_owned().map_err(|_| {
            let Self { kind, most, .. } = self;
            let text =
                format!("{most} {kind} are being answered, and --web.max-requests allows no more; try again later\n");
            Box::new((StatusCode::SERVICE_UNAVAILABLE, text).into_response())
        })
    }
}
