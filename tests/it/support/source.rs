//! A source of presence that says what a test wants it to.

use std::fmt;
use std::sync::{Arc, Mutex};

use mqtt_presence_exporter::presence::{
    ApiResponse, BatchEntry, BoxFuture, CallError, Delivery, ErrorClass, PresenceSource,
};
use tokio::sync::watch;
use tokio::time::Instant;

/// Says that every client is online, once its gate is open.
#[derive(Debug)]
pub(crate) struct Gated(pub(crate) watch::Receiver<bool>);

impl PresenceSource for Gated {
    fn query<'a>(
        &'a self,
        _client: &'a str,
    ) -> BoxFuture<'a, Result<ApiResponse<bool>, CallError>> {
        let mut gate = self.0.clone();
        Box::pin(async move {
            let _ = gate.wait_for(|open| *open).await;
            Ok(ApiResponse {
                value: true,
                sent: Instant::now(),
                request_id: None,
            })
        })
    }

    fn query_batch<'a>(
        &'a self,
        clients: &'a [&'a str],
    ) -> BoxFuture<'a, Result<ApiResponse<Vec<BatchEntry>>, CallError>> {
        let entry = |client: &&str| BatchEntry {
            client: (*client).to_owned(),
            online: true,
        };
        Box::pin(async move {
            Ok(ApiResponse {
                value: clients.iter().map(entry).collect(),
                sent: Instant::now(),
                request_id: None,
            })
        })
    }

    fn refresh_credentials(&self) -> BoxFuture<'_, bool> {
        Box::pin(async { false })
    }

    fn clock_offset_millis(&self) -> i64 {
        0
    }
}

/// Whether a client is online, or why that is not known.
pub(crate) type Said = Result<bool, Box<CallError>>;

/// Says what a function says, once its gate is open, and remembers whom it was asked about.
pub(crate) struct Scripted {
    gate: watch::Sender<bool>,
    asked: Mutex<Vec<String>>,
    answer: Box<dyn Fn(&str) -> Said + Send + Sync>,
}

impl Scripted {
    pub(crate) fn new(answer: impl Fn(&str) -> Said + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self {
            gate: watch::Sender::new(true),
            asked: Mutex::default(),
            answer: Box::new(answer),
        })
    }

    /// Answers wait from now on, or no longer.
    pub(crate) fn open(&self, open: bool) {
        self.gate.send_replace(open);
    }

    /// Whom it was asked about, in order.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("no panic").clone()
    }
}

impl fmt::Debug for Scripted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scripted")
    }
}

impl PresenceSource for Scripted {
    fn query<'a>(&'a self, client: &'a str) -> BoxFuture<'a, Result<ApiResponse<bool>, CallError>> {
        self.asked.lock().expect("no panic").push(client.to_owned());
        let sent = Instant::now();
        Box::pin(async move {
            let _ = self.gate.subscribe().wait_for(|open| *open).await;
            let value = (self.answer)(client).map_err(|error| *error)?;
            Ok(ApiResponse {
                value,
                sent,
                request_id: Some(format!("request-of-{client}")),
            })
        })
    }

    fn query_batch<'a>(
        &'a self,
        _clients: &'a [&'a str],
    ) -> BoxFuture<'a, Result<ApiResponse<Vec<BatchEntry>>, CallError>> {
        panic!("no test asks for several clients at once")
    }

    fn refresh_credentials(&self) -> BoxFuture<'_, bool> {
        Box::pin(async { false })
    }

    fn clock_offset_millis(&self) -> i64 {
        0
    }
}

/// A failed call of this class.
pub(crate) fn failure(class: ErrorClass, code: &'static str) -> Box<CallError> {
    Box::new(CallError {
        delivery: Delivery::Answered,
        class,
        label: code,
        operation: "QuerySessionByClientId",
        instance: "post-cn-1".into(),
        code: code.into(),
        message: "it said no".into(),
        request_id: Some("1-2-3".into()),
        advice: "mend it",
    })
}
