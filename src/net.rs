//! The network, whatever is said over it: addresses to listen at, the loop that serves HTTP
//! there, and the one HTTP client.
//!
//! No route and no vendor's name belongs here.

pub mod client;
mod listen;
mod serve;

pub use listen::{ListenError, listen};
pub use serve::{ServeOptions, serve};
