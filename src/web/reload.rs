//! `/-/reload`: reloads the configuration and reports the outcome.

use axum::http::StatusCode;
use tokio::sync::{mpsc, oneshot};

/// The outcome of a reload: a sentence after success, else all errors; then nothing has changed.
pub type ReloadOutcome = Result<String, String>;

/// A request for a reload: where to send its outcome.
pub type ReloadRequest = oneshot::Sender<ReloadOutcome>;

/// Requests reloads; clones send to the same owner of the configuration.
#[derive(Clone, Debug)]
pub struct Reload(mpsc::Sender<ReloadRequest>);

impl Reload {
    /// A sender and a receiver of requests.
    #[must_use]
    pub fn channel() -> (Self, mpsc::Receiver<ReloadRequest>) {
        let (sender, receiver) = mpsc::channel(16);
        (Self(sender), receiver)
    }

    /// Requests a reload and waits for its outcome. The reload takes place even if the caller does
    /// not wait.
    pub async fn reload(&self) -> ReloadOutcome {
        let (sender, receiver) = oneshot::channel();
        // The receiver ends like this one when the owner does.
        let _ = self.0.send(sender).await;
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
