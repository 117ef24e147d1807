//! The network, whatever is said over it: addresses to listen at, the loop that serves HTTP
//! there, the one HTTP client, and the watch on files.
//!
//! No route and no vendor's name belongs here.

pub mod client;
mod listen;
mod serve;
mod watch;

pub use listen::{ListenError, listen};
pub use serve::{ServeOptions, serve};
pub use watch::Watch;
