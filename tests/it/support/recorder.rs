//! A source of presence that asks another one, and remembers every answer.

use std::sync::{Arc, Mutex};

use mqtt_presence_exporter::clock::{Clock, Moment};
use mqtt_presence_exporter::presence::{
    ApiResponse, BatchEntry, BoxFuture, CallError, Observation, Operation, PresenceSource,
};
use tokio::time::Instant;

/// What was said of a client.
pub(crate) type Said = (String, Observation);

/// Remembers what `inner` says.
#[derive(Debug)]
pub(crate) struct Recorder<S> {
    inner: S,
    clock: Clock,
    said: Arc<Mutex<Vec<Said>>>,
    batches: Arc<Mutex<Vec<Moment>>>,
}

/// What was said so far, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Record {
    said: Arc<Mutex<Vec<Said>>>,
    batches: Arc<Mutex<Vec<Moment>>>,
}

impl Record {
    /// Answers about clients.
    pub(crate) fn said(&self) -> Vec<Said> {
        self.said.lock().expect("nobody panics with it").clone()
    }

    /// When batches were answered.
    pub(crate) fn batches(&self) -> Vec<Moment> {
        self.batches.lock().expect("nobody panics with it").clone()
    }
}

impl<S> Recorder<S> {
    pub(crate) fn new(inner: S, clock: Clock) -> (Self, Record) {
        let record = Record::default();
        let Record { said, batches } = record.clone();
        (
            Self {
                inner,
                clock,
                said,
                batches,
            },
            record,
        )
    }

    fn note(&self, client: &str, online: bool, sent: Instant, operation: Operation) {
        let observation = Observation {
            online,
            at: self.clock.moment_of(sent),
            answered: self.clock.moment(),
            operation,
        };
        self.said
            .lock()
            .expect("nobody panics with it")
            .push((client.to_owned(), observation));
    }
}

impl<S: PresenceSource> PresenceSource for Recorder<S> {
    fn query<'a>(&'a self, client: &'a str) -> BoxFuture<'a, Result<ApiResponse<bool>, CallError>> {
        Box::pin(async move {
            let answer = self.inner.query(client).await?;
            self.note(client, answer.value, answer.sent, Operation::Single);
            Ok(answer)
        })
    }

    fn query_batch<'a>(
        &'a self,
        clients: &'a [&'a str],
    ) -> BoxFuture<'a, Result<ApiResponse<Vec<BatchEntry>>, CallError>> {
        Box::pin(async move {
            let answer = self.inner.query_batch(clients).await?;
            for entry in &answer.value {
                self.note(&entry.client, entry.online, answer.sent, Operation::Batch);
            }
            self.batches
                .lock()
                .expect("nobody panics with it")
                .push(self.clock.moment());
            Ok(answer)
        })
    }

    fn refresh_credentials(&self) -> BoxFuture<'_, bool> {
        self.inner.refresh_credentials()
    }

    fn clock_offset_millis(&self) -> i64 {
        self.inner.clock_offset_millis()
    }
}
