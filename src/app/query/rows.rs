//! The answers, as a table for people or as lines of JSON for scripts.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::time::Duration;

use clap::ValueEnum;
use serde_json::json;

use super::Verdict;
use crate::aliyun::sign::format_date;
use crate::clock::Timestamp;
use crate::presence::{CallError, InstanceId, Status};
use crate::sweep::QueryResult;

/// Form of the answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// A table, for people.
    #[default]
    Table,
    /// One JSON object a line, for scripts.
    Json,
}

/// How long the vendor's request IDs are.
const REQUEST_ID: usize = 36;

/// What is known of the clients, and what of it has been written.
///
/// First every client has its line, in the order in which they were given; then a client has
/// another one when something is new about it.
pub(super) struct Rows<'a> {
    instance: InstanceId,
    clients: Vec<String>,
    index: HashMap<String, usize>,
    known: Vec<Option<Row>>,
    /// Which clients were answered for in this round.
    heard: Vec<bool>,
    /// How many clients had their first line.
    begun: usize,
    output: Output,
    with_time: bool,
    width: usize,
    out: &'a mut (dyn Write + Send),
}

/// What is known of one client.
struct Row {
    at: Timestamp,
    status: Status,
    took: Option<Duration>,
    request_id: Option<String>,
    /// Why nothing is known; `None` also where nobody was asked.
    error: Option<CallError>,
}

impl Row {
    fn new(reply: QueryResult, at: Timestamp) -> Self {
        let status = reply
            .result
            .as_ref()
            .map_or(Status::Unknown, |seen| seen.status());
        Self {
            at,
            status,
            took: Some(reply.took),
            request_id: reply.request_id,
            error: reply.result.err(),
        }
    }

    fn not_asked(at: Timestamp) -> Self {
        Self {
            at,
            status: Status::Unknown,
            took: None,
            request_id: None,
            error: None,
        }
    }

    /// What a person wants to be told about when it changes.
    fn news(&self) -> (Status, Option<&str>, bool) {
        (
            self.status,
            self.error.as_ref().map(|error| error.code.as_str()),
            self.took.is_some(),
        )
    }
}

impl<'a> Rows<'a> {
    pub(super) fn new(
        instance: InstanceId,
        clients: Vec<String>,
        output: Output,
        with_time: bool,
        out: &'a mut (dyn Write + Send),
    ) -> Self {
        let index = clients
            .iter()
            .enumerate()
            .map(|(at, client)| (client.clone(), at))
            .collect();
        let width = clients
            .iter()
            .map(|client| client.chars().count())
            .max()
            .unwrap_or_default();
        let (known, heard) = (
            clients.iter().map(|_| None).collect(),
            vec![false; clients.len()],
        );
        Self {
            instance,
            clients,
            index,
            known,
            heard,
            begun: 0,
            output,
            with_time,
            width: width.max(6),
            out,
        }
    }

    pub(super) fn clients(&self) -> &[String] {
        &self.clients
    }

    /// The clients that have this status.
    pub(super) fn with_status(&self, status: Status) -> impl Iterator<Item = &str> {
        let known = self.clients.iter().zip(&self.known);
        known
            .filter(move |(_, row)| row.as_ref().is_some_and(|row| row.status == status))
            .map(|(client, _)| &**client)
    }

    /// How many clients were not asked about when it was last tried.
    pub(super) fn not_asked(&self) -> usize {
        self.known
            .iter()
            .flatten()
            .filter(|row| row.took.is_none())
            .count()
    }

    pub(super) fn verdict(&self) -> Verdict {
        let verdict =
            |row: &Option<Row>| match row.as_ref().map_or(Status::Unknown, |row| row.status) {
                Status::Online => Verdict::Online,
                Status::Offline => Verdict::Offline,
                Status::Unknown => Verdict::Unknown,
            };
        self.known
            .iter()
            .map(verdict)
            .max()
            .unwrap_or(Verdict::Unknown)
    }

    /// Takes a reply, and writes what can be written.
    pub(super) fn heard(&mut self, reply: QueryResult, at: Timestamp) -> io::Result<()> {
        match self.index.get(&*reply.client) {
            Some(&client) => self.take(client, Row::new(reply, at)),
            None => Ok(()),
        }
    }

    /// Ends a round: about clients that had no reply nobody was asked. Of a round that was
    /// `interrupted` they keep what was known before it.
    pub(super) fn end_round(&mut self, interrupted: bool, at: Timestamp) -> io::Result<()> {
        for client in 0..self.clients.len() {
            if !self.heard[client] && (!interrupted || self.known[client].is_none()) {
                self.take(client, Row::not_asked(at))?;
            }
        }
        self.heard.fill(false);
        Ok(())
    }

    fn take(&mut self, client: usize, row: Row) -> io::Result<()> {
        self.heard[client] = true;
        let before = self.known[client].replace(row);
        let now = self.known[client].as_ref();
        if client < self.begun && before.as_ref().map(Row::news) != now.map(Row::news) {
            self.write(client)?;
        }
        while self.begun < self.clients.len() && self.known[self.begun].is_some() {
            self.write(self.begun)?;
            self.begun += 1;
        }
        self.out.flush()
    }

    fn write(&mut self, client: usize) -> io::Result<()> {
        let Some(row) = &self.known[client] else {
            return Ok(());
        };
        let line = match self.output {
            Output::Table => self.table_line(client, row),
            Output::Json => self.json_line(client, row),
        };
        if self.output == Output::Table && client == 0 && self.begun == 0 {
            writeln!(self.out, "{}", self.header())?;
        }
        writeln!(self.out, "{line}")
    }

    fn header(&self) -> String {
        let time = if self.with_time {
            format!("{:20}  ", "TIME")
        } else {
            String::new()
        };
        format!(
            "{time}{:width$}  {:7}  {:>7}  REQUEST ID",
            "CLIENT",
            "STATUS",
            "TOOK",
            width = self.width
        )
    }

    fn table_line(&self, client: usize, row: &Row) -> String {
        let mut line = if self.with_time {
            format_date(row.at) + "  "
        } else {
            String::new()
        };
        let (client, status, width) = (&self.clients[client], row.status.as_str(), self.width);
        let took = row.took.map_or_else(|| "-".to_owned(), short);
        let request_id = row.request_id.as_deref().unwrap_or("-");
        // A `String` takes everything.
        let _ = write!(line, "{client:width$}  {status:7}  {took:>7}  ");
        let _ = match (&row.error, row.took) {
            (Some(error), _) => write!(line, "{request_id:REQUEST_ID$}  {}", error.code),
            (None, None) => write!(line, "{request_id:REQUEST_ID$}  not asked"),
            (None, Some(_)) => write!(line, "{request_id}"),
        };
        line
    }

    fn json_line(&self, client: usize, row: &Row) -> String {
        let error = row.error.as_ref().map(
            |error| json!({ "code": error.code, "message": error.message, "advice": error.advice }),
        );
        let line = json!({
            "timestamp_seconds": row.at.as_seconds(),
            "instance_id": self.instance.as_str(),
            "client_id": self.clients[client],
            "status": row.status.as_str(),
            "duration_seconds": row.took.map(|took| took.as_secs_f64()),
            "request_id": row.request_id,
            "error": error,
        });
        line.to_string()
    }
}

/// A duration in a few letters.
fn short(duration: Duration) -> String {
    match duration.as_millis() {
        millis @ ..1000 => format!("{millis} ms"),
        _ => format!("{:.1} s", duration.as_secs_f64()),
    }
}
