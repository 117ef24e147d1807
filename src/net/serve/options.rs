//! The limits of a server.

use std::time::Duration;

/// The limits of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServeOptions {
    /// The maximum number of connections. At the limit, a new connection replaces the one that has
    /// been idle longest. If every connection has a request in flight, the new one waits.
    pub max_connections: usize,
    /// How long the head of a request may take, from the start of the connection (including the TLS
    /// handshake) or, on a connection that was used before, from the first byte of the head.
    pub header_timeout: Duration,
    /// How long a connection may be idle between requests. Longer than the usual scrape intervals,
    /// so that Prometheus keeps its connection.
    pub idle_timeout: Duration,
    /// How long a client may leave an available part of a response unread.
    pub write_timeout: Duration,
    /// How long requests in flight may take after the shutdown.
    pub drain_timeout: Duration,
}

impl Default for ServeOptions {
    fn default() -> Self {
        Self {
            max_connections: 512,
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(120),
            write_timeout: Duration::from_secs(30),
            drain_timeout: Duration::from_secs(5),
        }
    }
}
