//! `/-/reload`: the configuration is loaded anew, and the caller is told what came of it.

use axum::http::StatusCode;
use axum::routing::{MethodRouter, post};
use tokio::sync::{mpsc, oneshot};

/// What came of a reload: a sentence when it succeeded; otherwise everything that is wrong, and
/// then nothing has changed.
pub type ReloadOutcome = Result<String, String>;

/// Somebody who waits for a reload.
#[derive(Debug)]
pub struct ReloadRequest(oneshot::Sender<ReloadOutcome>);

impl ReloadRequest {
    /// Says what came of it. Whoever does not wait any more misses it.
    pub fn answer(self, outcome: ReloadOutcome) {
        let _ = self.0.send(outcome);
    }
}

/// How to ask for a reload; its clones ask the same owner of the configuration.
#[derive(Clone, Debug)]
pub struct Reload(mpsc::Sender<ReloadRequest>);

impl Reload {
    /// A way to ask, and where the questions arrive.
    #[must_use]
    pub fn channel() -> (Self, mpsc::Receiver<ReloadRequest>) {
        let (sender, receiver) = mpsc::channel(16);
        (Self(sender), receiver)
    }

    /// Asks, and waits for what comes of it. A reload that was asked for takes place, even if
    /// nobody waits any more.
    pub async fn reload(&self) -> ReloadOutcome {
        let (sender, receiver) = oneshot::channel();
        let gone = |()| "the exporter is stopping".to_owned();
        self.0
            .send(ReloadRequest(sender))
            .await
            .map_err(|_| gone(()))?;
        receiver.await.map_err(|_| gone(()))?
    }
}

/// `POST` (or `PUT`, as for Prometheus) reloads, if that is switched on.
pub(super) fn routes(reload: Option<Reload>) -> MethodRouter {
    let handler = move || {
        let reload = reload.clone();
        async move {
            match reload {
                None => (
                    StatusCode::FORBIDDEN,
                    "reloading over HTTP is off: start with --web.enable-lifecycle, or send SIGHUP\n".to_owned(),
                ),
                Some(reload) => match reload.reload().await {
                    Ok(text) => (StatusCode::OK, text + "\n"),
                    Err(text) => (StatusCode::INTERNAL_SERVER_ERROR, text + "\n"),
                },
            }
        }
    };
    post(handler.clone()).put(handler)
}
