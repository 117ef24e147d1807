//! The network, whatever is said over it: addresses to listen at, the loop that serves HTTP
//! there, TLS, the one HTTP client, and the watch on files.
//!
//! No route and no vendor's name belongs here.

pub mod client;
mod file_watch;
mod listen;
mod serve;
mod tls;

pub use file_watch::{FileWatch, WatchedFiles};
pub use listen::{ListenError, handed_over, listen};
pub use serve::{ServeOptions, serve, serve_secured};
pub use tls::{ClientAuth, Tls, TlsError, TlsSettings, Trust};
