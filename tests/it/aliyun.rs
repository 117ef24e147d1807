//! The API client and its HTTP connections.

mod client;
mod http;
