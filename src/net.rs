//! Network and files: listen addresses, the HTTP server, TLS, the HTTP client, and the detection of
//! changed files.
//!
//! Routes and everything specific to Alibaba Cloud belong elsewhere.

pub mod client;
mod file_watch;
mod listen;
mod serve;
mod tls;

pub use file_watch::{FileWatch, WatchedFiles};
pub use listen::{ListenError, handed_over, listen};
pub(crate) use serve::Acceptor;
pub use serve::{ServeOptions, serve};
pub use tls::{ClientAuth, Tls, TlsError, TlsSettings, Trust};
