//! The accept loop: HTTP on listening sockets, within bounds that a client cannot pass.

mod acceptor;
mod connection;
mod connection_state;
mod handshake;
mod idle_connections;
mod instrumented_io;
mod response_body;

use std::convert::Infallible;
use std::time::Duration;

use hyper::body::{Body, Incoming};
use hyper::service::Service;
use hyper::{Request, Response};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use acceptor::Acceptor;
use connection::Connection;
use idle_connections::IdleConnections;

use super::tls::Tls;

/// What a server bears from its clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServeOptions {
    /// How many connections may be open. A further one takes the place of the one that has waited
    /// longest for a request, or waits itself while there is a request in flight on each.
    pub max_connections: usize,
    /// How long the head of a request may take, from the connection's beginning (a handshake
    /// included) or, on a connection that was used before, from the head's first byte.
    pub header_timeout: Duration,
    /// How long a connection may lie idle between requests. Longer than the usual scrape
    /// intervals, so that a scraper keeps its connection.
    pub idle_timeout: Duration,
    /// How long a client may take nothing of an answer that waits for it.
    pub write_timeout: Duration,
    /// How long requests in flight may take to end once the server stops.
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

/// Serves HTTP/1 at `listeners` until `shutdown`; then stops listening, lets requests in flight
/// end within [`ServeOptions::drain_timeout`], and drops what is left.
///
/// A head larger than 16 KiB or with more than 100 fields is answered with 431. The body of a
/// request is the service's to bound; time spent in the service is not limited here.
pub async fn serve<S, B>(
    listeners: Vec<TcpListener>,
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
    serve_secured(listeners, None, service, options, shutdown).await;
}

/// Serves as [`serve`] does; where there is `tls`, by TLS alone, and HTTP/2 to clients that agree
/// upon it in the handshake.
pub async fn serve_secured<S, B>(
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
        let connection = Connection::new(
            service.clone(),
            options,
            idle_connections.join(),
            shutdown.clone(),
        );
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
            "requests were still in flight at the end of the drain; dropping them"
        );
        connections.shutdown().await;
    }
}

/// Waits until there are fewer than `most` connections, and makes one go that waits for its client.
async fn make_room(connections: &mut JoinSet<()>, idle_connections: &IdleConnections, most: usize) {
    let mut sent_away = false;
    while connections.len() >= most {
        sent_away = sent_away || idle_connections.evict_oldest();
        tokio::select! {
            _ = connections.join_next() => {}
            () = idle_connections.idle_added(), if !sent_away => {}
        }
    }
}
