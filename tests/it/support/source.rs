//! A source of presence that says what a test wants it to.

use mqtt_presence_exporter::presence::{Answer, BatchEntry, BoxFuture, CallError, PresenceSource};
use tokio::sync::watch;

/// Says that every client is online, once its gate is open.
#[derive(Debug)]
pub(crate) struct Gated(pub(crate) watch::Receiver<bool>);

impl PresenceSource for Gated {
    fn query<'a>(&'a self, _client: &'a str) -> BoxFuture<'a, Result<Answer<bool>, CallError>> {
        let mut gate = self.0.clone();
        Box::pin(async move {
            let _ = gate.wait_for(|open| *open).await;
            Ok(Answer { value: true, request_id: None })
        })
    }

    fn query_batch<'a>(&'a self, clients: &'a [&'a str]) -> BoxFuture<'a, Result<Answer<Vec<BatchEntry>>, CallError>> {
        let entry = |client: &&str| BatchEntry { client: (*client).to_owned(), online: true };
        Box::pin(async move { Ok(Answer { value: clients.iter().map(entry).collect(), request_id: None }) })
    }

    fn refresh_credentials(&self) -> BoxFuture<'_, bool> {
        Box::pin(async { false })
    }

    fn clock_offset_millis(&self) -> i64 {
        0
    }
}
