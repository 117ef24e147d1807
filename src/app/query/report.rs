//! The results of `query`: a table or lines of JSON, and each error once.

use std::io::{self, Write};
use std::time::Duration;

use clap::ValueEnum;
use serde_json::json;

use crate::aliyun::sign::format_date;
use crate::clock::Timestamp;
use crate::presence::{CallError, InstanceId, Status};
use crate::sweep::QueryResult;

/// The format of the results.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// A table, for people.
    #[default]
    Table,
    /// One JSON object a line, for scripts.
    Json,
}

/// The length of the vendor's request IDs.
const REQUEST_ID: usize = 36;

/// The newest result of each client, and the lines written so far.
///
/// First, each client gets a line, in the given order. After that, a client gets another line when
/// its status or error changes.
pub(super) struct Report<'a> {
    instance: InstanceId,
    rows: Vec<Row>,
    /// The number of clients that have a line.
    begun: usize,
    output: Output,
    with_time: bool,
    width: usize,
    out: &'a mut (dyn Write + Send),
    /// The errors of this round: one of each kind, and the number of its occurrences.
    errors: Vec<(CallError, usize)>,
    /// The kinds of errors of the previous round, which are not repeated.
    previous_errors: Vec<&'static str>,
}

/// The newest result of one client.
struct Row {
    client: String,
    at: Timestamp,
    outcome: Outcome,
    /// Whether the outcome is of this round.
    is_current: bool,
}

enum Outcome {
    Pending,
    NotQueried,
    Queried(Box<QueryResult>),
}

impl Row {
    fn new(client: String) -> Self {
        Self {
            client,
            at: Timestamp::default(),
            outcome: Outcome::Pending,
            is_current: false,
        }
    }

    fn result(&self) -> Option<&QueryResult> {
        match &self.outcome {
            Outcome::Queried(result) => Some(result),
            Outcome::Pending | Outcome::NotQueried => None,
        }
    }

    fn status(&self) -> Status {
        let seen = self.result().and_then(|result| result.result.as_ref().ok());
        seen.map_or(Status::Unknown, |seen| seen.status())
    }

    fn error(&self) -> Option<&CallError> {
        self.result()?.result.as_ref().err()
    }

    /// The client gets another line when this changes.
    fn summary(&self) -> (Status, Option<String>, bool) {
        let code = self.error().map(|error| error.code.clone());
        (self.status(), code, self.result().is_some())
    }
}

impl<'a> Report<'a> {
    pub(super) fn new(
        instance: InstanceId,
        clients: Vec<String>,
        output: Output,
        with_time: bool,
        out: &'a mut (dyn Write + Send),
    ) -> Self {
        let widths = clients.iter().map(|client| client.chars().count());
        Self {
            instance,
            begun: 0,
            output,
            with_time,
            width: widths.max().unwrap_or_default().max(6),
            rows: clients.into_iter().map(Row::new).collect(),
            out,
            errors: Vec::new(),
            previous_errors: Vec::new(),
        }
    }

    /// The clients and their statuses; unknown before the first result.
    pub(super) fn statuses(&self) -> impl Iterator<Item = (&str, Status)> {
        self.rows.iter().map(|row| (&*row.client, row.status()))
    }

    /// Records the result of a client, and writes the lines that are complete.
    pub(super) fn record(&mut self, result: QueryResult, at: Timestamp) -> io::Result<()> {
        if let Err(error) = &result.result {
            self.record_error(error);
        }
        let row = self
            .rows
            .iter()
            .position(|row| *row.client == *result.client);
        row.map_or(Ok(()), |row| {
            self.set(row, Outcome::Queried(Box::new(result)), at)
        })
    }

    /// Records a call that failed for good.
    pub(super) fn record_error(&mut self, error: &CallError) {
        let mut known = self.errors.iter_mut();
        match known.find(|(known, _)| known.label == error.label) {
            Some((_, times)) => *times += 1,
            None => self.errors.push((error.clone(), 1)),
        }
    }

    /// Ends a round: clients without a result were not queried, and new errors are written to
    /// `err`. In an `interrupted` round such clients keep their previous result.
    pub(super) fn end_round(
        &mut self,
        interrupted: bool,
        at: Timestamp,
        err: &mut dyn Write,
    ) -> io::Result<()> {
        for row in 0..self.rows.len() {
            let Row {
                outcome,
                is_current,
                ..
            } = &self.rows[row];
            if !is_current && (!interrupted || matches!(outcome, Outcome::Pending)) {
                self.set(row, Outcome::NotQueried, at)?;
            }
            self.rows[row].is_current = false;
        }
        let errors = std::mem::take(&mut self.errors);
        let is_new = |error: &CallError| !self.previous_errors.contains(&error.label);
        for (error, times) in errors.iter().filter(|(error, _)| is_new(error)) {
            let times = if *times > 1 {
                format!(" ({times} times)")
            } else {
                String::new()
            };
            writeln!(err, "error{times}: {error}")?;
        }
        let not_queried = self
            .rows
            .iter()
            .filter(|row| row.result().is_none())
            .count();
        if not_queried > 0 && !interrupted && errors.iter().any(|(error, _)| is_new(error)) {
            writeln!(
                err,
                "{not_queried} more clients not queried: their calls would fail in the same way"
            )?;
        }
        self.previous_errors = errors.iter().map(|(error, _)| error.label).collect();
        Ok(())
    }

    fn set(&mut self, index: usize, outcome: Outcome, at: Timestamp) -> io::Result<()> {
        let row = &mut self.rows[index];
        let before = row.summary();
        (row.at, row.outcome, row.is_current) = (at, outcome, true);
        if index < self.begun && before != row.summary() {
            self.write(index)?;
        }
        while self
            .rows
            .get(self.begun)
            .is_some_and(|row| !matches!(row.outcome, Outcome::Pending))
        {
            self.write(self.begun)?;
            self.begun += 1;
        }
        self.out.flush()
    }

    fn write(&mut self, index: usize) -> io::Result<()> {
        let row = &self.rows[index];
        let (client, status, result) = (&row.client, row.status().as_str(), row.result());
        let request_id = result.and_then(|result| result.request_id.as_deref());
        if self.output == Output::Json {
            let error = row.error().map(|error| {
                json!({ "code": error.code, "message": error.message, "advice": error.advice })
            });
            let line = json!({
                "timestamp_seconds": row.at.as_seconds(),
                "instance_id": self.instance.as_str(),
                "client_id": client,
                "status": status,
                "duration_seconds": result.map(|result| result.took.as_secs_f64()),
                "request_id": request_id,
                "error": error,
            });
            return writeln!(self.out, "{line}");
        }
        let (width, request_id) = (self.width, request_id.unwrap_or("-"));
        let time = |text: &str| {
            if self.with_time {
                format!("{text:20}  ")
            } else {
                String::new()
            }
        };
        if index == 0 && self.begun == 0 {
            let time = time("TIME");
            writeln!(
                self.out,
                "{time}{:width$}  STATUS      TOOK  REQUEST ID",
                "CLIENT"
            )?;
        }
        let time = time(&format_date(row.at));
        let took = result.map_or_else(|| "-".to_owned(), |result| short(result.took));
        write!(self.out, "{time}{client:width$}  {status:7}  {took:>7}  ")?;
        match (row.error(), result) {
            (Some(error), _) => writeln!(self.out, "{request_id:REQUEST_ID$}  {}", error.code),
            (None, None) => writeln!(self.out, "{request_id:REQUEST_ID$}  not queried"),
            (None, Some(_)) => writeln!(self.out, "{request_id}"),
        }
    }
}

/// A duration in at most 7 characters.
fn short(duration: Duration) -> String {
    match duration.as_millis() {
        millis @ ..1000 => format!("{millis} ms"),
        _ => format!("{:.1} s", duration.as_secs_f64()),
    }
}
