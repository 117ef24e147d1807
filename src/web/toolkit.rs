//! The file of `--web.config.file`, in the format of Prometheus's `exporter-toolkit` ("Web
//! configuration"), so that one file serves all exporters of a host.
//!
//! What the toolkit accepts is accepted, except what rustls does not support, and what the toolkit
//! refuses is refused. The caller reads the files that the configuration names and so knows them.

mod access;
mod choices;
mod tls;
mod values;

use std::path::Path;

use axum::http::HeaderMap;
use rustls::ServerConfig;

pub(super) use access::{PasswordHash, RateLimit, Users};

use crate::clock::Clock;
use crate::config::{self, Keys, NodeCursor, Problem, Problems};

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

impl WebConfig {
    /// Reads `text`, which is named `origin` in messages and whose relative paths start at the
    /// folder of `origin`. Returns the warnings with the configuration.
    pub fn parse(
        text: &[u8],
        origin: &Path,
        clock: Clock,
        read: Read<'_>,
    ) -> Result<(Self, Vec<Problem>), Problems> {
        let mut read = |path: &str| {
            let path = origin.parent().unwrap_or(Path::new("")).join(path);
            read(&path).map_err(|message| format!("{}: {message}", path.display()))
        };
        config::parse_document(text, &origin.into(), |root, report| {
            values::merge(root);
            let root = NodeCursor::root(root, report);
            // The toolkit accepts an empty file.
            if values::is_blank(&root) {
                return Some(Self::default());
            }
            sections(&root, clock, &mut read)
        })
    }
}

fn sections(root: &NodeCursor<'_>, clock: Clock, read: tls::ReadFile<'_>) -> Option<WebConfig> {
    let keys = Keys::of(root)?;
    let tls = keys.get("tls_server_config");
    let http = keys.get("http_server_config");
    let http = http.as_ref().and_then(Keys::of);
    let http2 = http
        .as_ref()
        .and_then(|keys| keys.read("http2", values::boolean));
    let headers = http.and_then(|keys| keys.read("headers", access::headers));
    Some(WebConfig {
        tls: tls.and_then(|at| tls::tls(&at, http2.unwrap_or(true), clock, read)),
        headers: headers.unwrap_or_default(),
        rate_limit: keys.read("rate_limit", access::rate_limit),
        users: keys
            .read("basic_auth_users", access::users)
            .unwrap_or_default(),
    })
}
