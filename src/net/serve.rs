//! An HTTP server on listening sockets, with limits that no client can exceed.

mod acceptor;
mod connection;
mod connection_state;
mod instrumented;
mod options;

use std::convert::Infallible;
use std::sync::Arc;

use hyper::body::{Body, Incoming};
use hyper::service::Service;
use hyper::{Request, Response};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::{AbortHandle, JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::warn;

pub(crate) use acceptor::Acceptor;
pub use options::ServeOptions;

use super::tls::Tls;
use connection::Connection;
use connection_state::ConnectionState;

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
    let mut states = Vec::new();
    let idle_added = Arc::new(Notify::new());
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
            () = make_room(&mut connections, &states, &idle_added, options.max_connections) => {}
        }
        states.retain(|(_, task): &(_, AbortHandle)| !task.is_finished());
        let state = ConnectionState::new(Arc::clone(&idle_added));
        let connection = Connection {
            service: service.clone(),
            options,
            state: state.clone(),
            shutdown: shutdown.clone(),
        };
        states.push((
            state,
            connections.spawn(connection.accept(stream, tls.clone())),
        ));
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
async fn make_room(
    connections: &mut JoinSet<()>,
    states: &[(ConnectionState, AbortHandle)],
    idle_added: &Notify,
    max: usize,
) {
    let mut evicted = false;
    while connections.len() >= max {
        evicted = evicted || evict_oldest(states);
        tokio::select! {
            _ = connections.join_next() => {}
            () = idle_added.notified(), if !evicted => {}
        }
    }
}

/// Ends the connection that has been without a request in flight longest, so that idle and
/// half-open connections cannot block a scrape. `false` if every connection has one in flight.
fn evict_oldest(states: &[(ConnectionState, AbortHandle)]) -> bool {
    let open = states.iter().filter(|(_, task)| !task.is_finished());
    let idle = open.filter_map(|(state, task)| Some((state.idle_since()?, task)));
    idle.min_by_key(|(since, _)| *since)
        .inspect(|(_, task)| task.abort())
        .is_some()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::task::yield_now;
    use tokio::time::sleep;

    use super::*;

    /// Connections that began a second after each other.
    async fn connect<const N: usize>() -> [(ConnectionState, AbortHandle); N] {
        let mut connections = Vec::new();
        for _ in 0..N {
            let task = tokio::spawn(std::future::pending::<()>());
            connections.push((ConnectionState::new(Arc::default()), task.abort_handle()));
            sleep(Duration::from_secs(1)).await;
        }
        connections.try_into().expect("as many as requested")
    }

    #[tokio::test(start_paused = true)]
    async fn the_connection_that_has_been_idle_longest_is_evicted_and_busy_ones_stay() {
        let connections = connect::<4>().await;
        let [first, _, third, busy] = &connections;
        let (request, other, _in_flight) = (first.0.begin(), third.0.begin(), busy.0.begin());
        drop(other);
        sleep(Duration::from_secs(1)).await;
        drop(request);
        let finished = || connections.each_ref().map(|(_, task)| task.is_finished());
        for evicted in [
            [false, true, false, false],
            [false, true, true, false],
            [true, true, true, false],
        ] {
            assert!(evict_oldest(&connections));
            yield_now().await;
            assert_eq!(finished(), evicted);
        }
        assert!(!evict_oldest(&connections));
    }

    #[tokio::test(start_paused = true)]
    async fn connections_that_ended_cannot_be_evicted() {
        let connections = connect::<1>().await;
        connections[0].1.abort();
        yield_now().await;
        assert!(!evict_oldest(&connections));
    }
}
