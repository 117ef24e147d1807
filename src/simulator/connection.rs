//! Sockets: accepting, serving HTTP/1.1, resetting, ending.

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::service::{ApiService, Reset};
use super::stalling_stream::StallingStream;

/// The vendor's gateway closes a connection that was idle for this long.
pub(super) const KEEP_ALIVE: Duration = Duration::from_secs(25);

/// Calls in flight have so much time to end at a shutdown.
const DRAIN: Duration = Duration::from_secs(1);

/// Before accepting again where that failed: the process has no descriptors left.
const PAUSE: Duration = Duration::from_millis(50);

/// Serves the connections of `listener` as `tasks` until `shutdown`.
pub(super) async fn accept(
    listener: TcpListener,
    service: Arc<ApiService>,
    shutdown: CancellationToken,
    tasks: TaskTracker,
) {
    loop {
        let accepted = tokio::select! {
            biased;
            () = shutdown.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                tasks.spawn(serve(stream, peer, Arc::clone(&service), shutdown.clone()));
            }
            Err(error) => {
                tracing::warn!(%error, "accepting a connection failed");
                sleep(PAUSE).await;
            }
        }
    }
}

async fn serve(
    stream: TcpStream,
    peer: SocketAddr,
    service: Arc<ApiService>,
    shutdown: CancellationToken,
) {
    // Worth a few milliseconds at most.
    let _ = stream.set_nodelay(true);
    let stream = StallingStream::new(stream, Arc::clone(&service));
    let answer = service_fn(move |request| {
        let service = Arc::clone(&service);
        Box::pin(async move { service.answer(peer.ip().to_canonical(), request).await })
    });
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(KEEP_ALIVE)
        .serve_connection(TokioIo::new(stream), answer);
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = shutdown.cancelled() => {
            Pin::new(&mut connection).graceful_shutdown();
            timeout(DRAIN, &mut connection).await.unwrap_or(Ok(()))
        }
    };
    if ended.is_err_and(|error| error.source().is_some_and(<dyn Error>::is::<Reset>)) {
        connection.into_parts().io.into_inner().reset();
    }
}
