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

/// The length of the request IDs of Alibaba Cloud.
const REQUEST_ID: usize = 36;

/// The width of the column with the time.
const TIME: usize = 22;

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
#[derive(Default)]
struct Row {
    client: String,
    at: Timestamp,
    /// `None` before the first result, or if the client was not queried.
    result: Option<QueryResult>,
    /// Whether the result is of this round.
    is_current: bool,
}

impl Row {
    fn status(&self) -> Status {
        match &self.result {
            Some(QueryResult {
                result: Ok(seen), ..
            }) => seen.status(),
            _ => Status::Unknown,
        }
    }

    fn error(&self) -> Option<&CallError> {
        self.result.as_ref()?.result.as_ref().err()
    }

    /// The client gets another line when this changes.
    fn summary(&self) -> (Status, Option<String>, bool) {
        let code = self.error().map(|error| error.code.clone());
        (self.status(), code, self.result.is_some())
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
        let row = |client| Row {
            client,
            ..Row::default()
        };
        let widths = clients.iter().map(|client| client.chars().count());
        Self {
            instance,
            begun: 0,
            output,
            with_time,
            width: widths.max().unwrap_or_default().max(6),
            rows: clients.into_iter().map(row).collect(),
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
            let mut known = self.errors.iter_mut();
            match known.find(|(known, _)| known.label == error.label) {
                Some((_, times)) => *times += 1,
                None => self.errors.push((error.clone(), 1)),
            }
        }
        let mut rows = self.rows.iter();
        match rows.position(|row| *row.client == *result.client) {
            Some(index) => self.set(index, Some(result), at),
            None => Ok(()),
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
        for index in 0..self.rows.len() {
            let stays = interrupted && index < self.begun;
            if !self.rows[index].is_current && !stays {
                self.set(index, None, at)?;
            }
            self.rows[index].is_current = false;
        }
        let mut errors = std::mem::take(&mut self.errors);
        let labels = errors.iter().map(|(error, _)| error.label).collect();
        let previous = std::mem::replace(&mut self.previous_errors, labels);
        errors.retain(|(error, _)| !previous.contains(&error.label));
        for (error, times) in &errors {
            match times {
                1 => writeln!(err, "error: {error}")?,
                times => writeln!(err, "error ({times} times): {error}")?,
            }
        }
        let not_queried = self.rows.iter().filter(|row| row.result.is_none()).count();
        if not_queried > 0 && !interrupted && !errors.is_empty() {
            writeln!(
                err,
                "{not_queried} more clients not queried: their calls would fail in the same way"
            )?;
        }
        Ok(())
    }

    /// Sets the newest result of a client. The first line of a client is written after the first
    /// lines of the clients before it.
    fn set(&mut self, index: usize, result: Option<QueryResult>, at: Timestamp) -> io::Result<()> {
        let row = &mut self.rows[index];
        let before = row.summary();
        (row.at, row.result, row.is_current) = (at, result, true);
        if index < self.begun && before != row.summary() {
            self.write(index)?;
        }
        while self.rows.get(self.begun).is_some_and(|row| row.is_current) {
            self.write(self.begun)?;
            self.begun += 1;
        }
        self.out.flush()
    }

    fn write(&mut self, index: usize) -> io::Result<()> {
        let row = &self.rows[index];
        let (client, status, result) = (&row.client, row.status().as_str(), row.result.as_ref());
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
        // A column with the width and precision 0 is empty.
        let time_width = if self.with_time { TIME } else { 0 };
        if index == 0 && self.begun == 0 {
            writeln!(
                self.out,
                "{:time_width$.time_width$}{:width$}  STATUS      TOOK  REQUEST ID",
                "TIME", "CLIENT"
            )?;
        }
        let time = format_date(row.at);
        let took = result.map_or_else(|| "-".to_owned(), |result| short(result.took));
        let problem = match (result, row.error()) {
            (None, _) => "not queried",
            (_, Some(error)) => &error.code,
            (_, None) => "",
        };
        let line = format!(
            "{time:time_width$.time_width$}{client:width$}  {status:7}  {took:>7}  {request_id:REQUEST_ID$}  {problem}"
        );
        writeln!(self.out, "{}", line.trim_end())
    }
}

/// A duration in at most 7 characters.
fn short(duration: Duration) -> String {
    match duration.as_millis() {
        millis @ ..1000 => format!("{millis} ms"),
        _ => format!("{:.1} s", duration.as_secs_f64()),
    }
}
