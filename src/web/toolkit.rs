//! The file of `--web.config.file`, in the format of Prometheus's `exporter-toolkit` ("Web
//! configuration"), so that one file serves all exporters of a host.
//!
//! What the toolkit takes is taken, but for what rustls rightly does not do, and what the toolkit
//! refuses is refused. Files that the file names are read by the caller's means, so that it knows
//! which they are.

mod headers;
mod rate;
mod tls;
mod users;
mod yaml11;

use std::path::Path;
use std::sync::Arc;

use axum::http::HeaderMap;
use rustls::ServerConfig;

pub(super) use rate::RateLimit;
pub(super) use users::{PasswordHash, Users};

use crate::clock::Clock;
use crate::config::{Document, NodeCursor, Problem, Problems, Report, Value, decode};

/// What the file says, ready for use.
#[derive(Debug, Default)]
pub struct WebConfig {
    /// What secures connections; `None`: nothing does.
    pub(super) tls: Option<ServerConfig>,
    /// What is added to every answer that does not say it itself.
    pub(super) headers: HeaderMap,
    /// The permitted users; if empty, every request is permitted.
    pub(super) users: Users,
    /// How many requests are answered.
    pub(super) rate_limit: Option<RateLimit>,
}

/// Reads a file that is named in the configuration: its bytes, or why there are none.
pub type Read<'a> = &'a mut dyn FnMut(&Path) -> Result<Vec<u8>, String>;

/// The parts of the toolkit's format.
const TOP: [&str; 4] = [
    "tls_server_config",
    "http_server_config",
    "rate_limit",
    "basic_auth_users",
];
const HTTP: [&str; 2] = ["http2", "headers"];

impl WebConfig {
    /// Reads `text`, which is named `origin` in messages and whose relative paths start at the
    /// folder of `origin`. Beside the configuration: what is odd, but possible.
    pub fn parse(
        text: &[u8],
        origin: &Path,
        clock: Clock,
        read: Read<'_>,
    ) -> Result<(Self, Vec<Problem>), Problems> {
        let name: Arc<Path> = origin.into();
        let mut document = decode(text)
            .and_then(Document::read)
            .map_err(|unreadable| {
                Problem::of_file(&name, unreadable.message).at(unreadable.position, "")
            })?;
        yaml11::merge(&mut document.root);
        let mut report = Report::default();
        let mut reading = Reading {
            folder: origin.parent().unwrap_or(Path::new("")),
            clock,
            read,
        };
        let config = config(NodeCursor::root(&document.root), &mut reading, &mut report);
        let (problems, warnings) = report.locate(&name, |mark| document.position(mark));
        if problems.is_empty() {
            Ok((config, warnings))
        } else {
            Err(problems)
        }
    }
}

/// What checking needs beside the text.
struct Reading<'a> {
    folder: &'a Path,
    clock: Clock,
    read: Read<'a>,
}

fn config(root: NodeCursor<'_>, reading: &mut Reading<'_>, report: &mut Report) -> WebConfig {
    // The toolkit takes an empty file for one that changes nothing.
    if is_nothing(&root) {
        return WebConfig::default();
    }
    let Some([tls_at, http_at, rate_at, users_at]) = root.fields(TOP, report) else {
        return WebConfig::default();
    };
    let [http2, headers_at] = http_at
        .as_ref()
        .and_then(|at| at.fields(HTTP, report))
        .unwrap_or_default();
    let http2 = http2
        .and_then(|at| yaml11::switch(&at, report))
        .unwrap_or(true);
    WebConfig {
        tls: tls_at.and_then(|at| tls::tls(&at, http2, reading, report)),
        headers: headers_at
            .map(|at| headers::headers(&at, report))
            .unwrap_or_default(),
        users: users_at
            .map(|at| users::users(&at, report))
            .unwrap_or_default(),
        rate_limit: rate_at.and_then(|at| rate::rate_limit(&at, report)),
    }
}

/// Whether a value is there that says nothing: none, or an empty text.
fn is_nothing(at: &NodeCursor<'_>) -> bool {
    match at.value() {
        Value::Null => true,
        Value::Scalar(_, text) => text.is_empty(),
        _ => false,
    }
}
