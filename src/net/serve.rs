//! An HTTP server on listening sockets, with limits that no client can exceed.

mod acceptor;
mod connection;
mod connection_state;
mod idle_connections;
mod instrumented;

use std::convert::Infallible;
use std::time::Duration;

use hyper::body::{Body, Incoming};
use hyper::service::Service;
use hyper::{Request, Response};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::tls::Tls;
use acceptor::Acceptor;
use connection::Connection;
use idle_connections::IdleConnections;

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

/// Serves HTTP at `listeners` until `shutdown`. Then it stops listening, waits for requests in
/// flight up to [`ServeOptions::drain_timeout`], and closes all other connections.
///
/// With `tls`, only TLS is served, and HTTP/2 to clients that negotiate it. Heads larger than
/// 16 KiB or with more than 100 fields receive 431. The service limits the bodies of requests and
/// its own time.
pub async fn serve<S, B>(
    listeners: Vec<TcpListener>,
    tls: Option<Tls>,
    service: S,
    options: ServeOptions,
    shutdown: CancellationToken,
) where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send + 'static,
    B: Body<Error: std::error::Error + Send + Sync, Data: Send> + Send + Unpin + 'static,
{
    let mut acceptor = Acceptor::new(listeners);
    let mut connections = JoinSet::new();
    let idle_connections = IdleConnections::default();
    loop {
        let stream = tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            Some(_) = connections.join_next() => continue,
            stream = acceptor.accept() => stream,
        };
        tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            () = make_room(&mut connections, &idle_connections, options.max_connections) => {}
        }
        let slot = idle_connections.join();
        let connection = Connection::new(service.clone(), options, slot, shutdown.clone());
        connections.spawn(connection.accept(stream, tls.clone()));
    }
    drop(acceptor);
    let drained = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(options.drain_timeout, drained)
        .await
        .is_err()
    {
        warn!(
            connections = connections.len(),
            "requests are still in flight after the drain timeout; closing their connections"
        );
        connections.shutdown().await;
    }
}

/// Waits until there are fewer than `max` connections, and evicts the oldest idle one if necessary.
async fn make_room(connections: &mut JoinSet<()>, idle: &IdleConnections, max: usize) {
    let mut evicted = false;
    while connections.len() >= max {
        evicted = evicted || idle.evict_oldest();
        tokio::select! {
            _ = connections.join_next() => {}
            () = idle.idle_added(), if !evicted => {}
        }
    }
}
