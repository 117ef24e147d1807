//! The accept loop: HTTP/1 on listening sockets, within bounds that a client cannot pass.

mod acceptor;
mod activity;
mod connection;

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

/// What a server bears from its clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServeOptions {
    /// How many connections may be open; further ones wait in the kernel until one ends.
    pub max_connections: usize,
    /// How long the head of a request may take, from the connection's beginning or, on a
    /// connection that was used before, from the head's first byte.
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
pub async fn serve<S, B>(listeners: Vec<TcpListener>, service: S, options: ServeOptions, shutdown: CancellationToken)
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
    B: Body<Error: std::error::Error + Send + Sync, Data: Send> + Send + Unpin + 'static,
{
    let mut acceptor = Acceptor::new(listeners);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            Some(_) = connections.join_next() => {}
            stream = acceptor.accept(), if connections.len() < options.max_connections => {
                connections.spawn(connection::serve(stream, service.clone(), options, shutdown.clone()));
            }
        }
    }
    drop(acceptor);
    let drained = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(options.drain_timeout, drained).await.is_err() {
        warn!(connections = connections.len(), "requests were still in flight at the end of the drain; dropping them");
        connections.shutdown().await;
    }
}
