//! The file of `--web.config.file`, in the format of Prometheus's `exporter-toolkit` ("Web
//! configuration"), so that one file serves all exporters of a host.
//!
//! What the toolkit accepts is accepted, except what rustls does not support, and what the toolkit
//! refuses is refused. The caller reads the files that the configuration names and so knows them.

mod choices;
mod headers;
mod rate;
mod tls;
mod users;
mod values;

use std::path::Path;
use std::sync::Arc;

use axum::http::HeaderMap;
use rustls::ServerConfig;

pub(super) use rate::RateLimit;
pub(super) use users::{PasswordHash, Users};

use crate::clock::Clock;
use crate::config::{Document, NodeCursor, Problem, Problems, Report, decode};

/// The content of the file, ready for use.
#[derive(Debug, Default)]
pub struct WebConfig {
    /// Secures connections; `None`: they are not secured.
    pub(super) tls: Option<ServerConfig>,
    /// Added to every response that does not have them.
    pub(super) headers: HeaderMap,
    /// The permitted users; if empty, every request is permitted.
    pub(super) users: Users,
    /// The maximum rate of requests.
    pub(super) rate_limit: Option<RateLimit>,
}

/// Reads a file that is named in the configuration: its bytes, or why it cannot be read.
pub type Read<'a> = &'a mut dyn FnMut(&Path) -> Result<Vec<u8>, String>;

/// The sections of the format.
const TOP: [&str; 4] = [
    "tls_server_config",
    "http_server_config",
    "rate_limit",
    "basic_auth_users",
];
const HTTP: [&str; 2] = ["http2", "headers"];

impl WebConfig {
    /// Reads `text`, which is named `origin` in messages and whose relative paths start at the
    /// folder of `origin`. Returns the warnings with the configuration.
    pub fn parse(
        text: &[u8],
        origin: &Path,
        clock: Clock,
        read: Read<'_>,
    ) -> Result<(Self, Vec<Problem>), Problems> {
        let name: Arc<Path> = origin.into();
        let mut document = decode(text)
            .and_then(Document::read)
            .map_err(|error| Problem::of_file(&name, error.message).at(error.position, ""))?;
        values::merge(&mut document.root);
        let mut read = |path: &str| {
            let path = origin.parent().unwrap_or(Path::new("")).join(path);
            read(&path).map_err(|message| format!("{}: {message}", path.display()))
        };
        let mut report = Report::default();
        let root = NodeCursor::root(&document.root);
        let config = sections(&root, clock, &mut read, &mut report).unwrap_or_default();
        let (problems, warnings) = report.locate(&name, |mark| document.position(mark));
        if problems.is_empty() {
            Ok((config, warnings))
        } else {
            Err(problems)
        }
    }
}

fn sections(
    root: &NodeCursor<'_>,
    clock: Clock,
    read: tls::ReadFile<'_>,
    report: &mut Report,
) -> Option<WebConfig> {
    // The toolkit accepts an empty file.
    if values::is_blank(root) {
        return None;
    }
    root.fields(TOP, report)?;
    let http = root.get("http_server_config");
    let http = http.as_ref().filter(|at| at.fields(HTTP, report).is_some());
    let http2 = http
        .and_then(|at| at.get("http2"))
        .and_then(|at| values::boolean(&at, report))
        .unwrap_or(true);
    let tls = root.get("tls_server_config");
    let headers = http.and_then(|at| at.get("headers"));
    let users = root.get("basic_auth_users");
    let rate_limit = root.get("rate_limit");
    Some(WebConfig {
        tls: tls.and_then(|at| tls::tls(&at, http2, clock, read, report)),
        headers: headers
            .map(|at| headers::headers(&at, report))
            .unwrap_or_default(),
        users: users
            .map(|at| users::users(&at, report))
            .unwrap_or_default(),
        rate_limit: rate_limit.and_then(|at| rate::rate_limit(&at, report)),
    })
}
