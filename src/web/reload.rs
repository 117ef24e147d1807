//! `/-/reload`: reloads the configuration and reports the outcome.

use axum::http::StatusCode;
use tokio::sync::{mpsc, oneshot};

/// The outcome of a reload: a sentence after success, else all errors; then nothing has changed.
pub type ReloadOutcome = Result<String, String>;

/// A request for a reload: where to send its outcome.
pub type ReloadRequest = oneshot::Sender<ReloadOutcome>;

/// All requests for reloads that no reload has answered yet.
pub type ReloadRequests = mpsc::UnboundedReceiver<ReloadRequest>;

/// Requests reloads; clones send to the same owner of the configuration.
#[derive(Clone, Debug)]
pub struct Reload(mpsc::UnboundedSender<ReloadRequest>);

impl Reload {
    /// A sender and a receiver of requests. All requests that wait for a reload to end are in the
    /// channel, so that the next reload can answer all of them; connections limit their number.
    #[must_use]
    pub fn channel() -> (Self, ReloadRequests) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self(sender), receiver)
    }

    /// Requests a reload and waits for its outcome. The reload takes place even if the caller does
    /// not wait.
    pub async fn reload(&self) -> ReloadOutcome {
        let (sender, receiver) = oneshot::channel();
        // The receiver ends like this one when the owner does.
        let _ = self.0.send(sender);
        receiver
            .await
            .unwrap_or_else(|_| Err("the exporter is stopping".to_owned()))
    }
}

/// Reloads, if that is enabled.
pub(super) async fn respond(reload: Option<&Reload>) -> (StatusCode, String) {
    let Some(reload) = reload else {
        let text =
            "reloads over HTTP are disabled: start with --web.enable-lifecycle, or send SIGHUP\n";
        return (StatusCode::FORBIDDEN, text.to_owned());
    };
    match reload.reload().await {
        Ok(text) => (StatusCode::OK, text + "\n"),
        Err(text) => (StatusCode::INTERNAL_SERVER_ERROR, text + "\n"),
    }
}
