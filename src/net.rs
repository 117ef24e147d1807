//! Network and files: listen addresses, the HTTP server, TLS, the HTTP client, and the detection of
//! changed files.
//!
//! Routes and everything specific to Alibaba Cloud belong elsewhere.

pub mod client;
mod file_watch;
mod http_client;
mod listen;
mod resolver;
mod serve;
mod tls;

pub use file_watch::{FileWatch, WatchedFiles};
pub use http_client::{HttpClient, ReadyClient};
pub use listen::{ListenError, handed_over, listen};
pub use resolver::{HostAddresses, LookupError, Resolver};
pub(crate) use serve::Acceptor;
pub use serve::{ServeOptions, serve};
pub use tls::{ClientAuth, Tls, TlsError, TlsSettings, Trust};
