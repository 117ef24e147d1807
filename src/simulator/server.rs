//! The sockets: accepts connections, serves HTTP/1.1, resets and closes connections.

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

use super::exchange::{KEEP_ALIVE, Reset};
use super::stalling_stream::StallingStream;
use super::state::State;

/// Time for calls in flight at a shutdown.
const DRAIN: Duration = Duration::from_secs(1);

/// Pause after a failed accept: the process has no descriptors left.
const PAUSE: Duration = Duration::from_millis(50);

/// Serves the connections of `listener` as `tasks` until `shutdown`.
pub(super) async fn accept(
    listener: TcpListener,
    state: Arc<State>,
    shutdown: CancellationToken,
    tasks: TaskTracker,
) {
    while let Some(accepted) = shutdown.run_until_cancelled(listener.accept()).await {
        match accepted {
            Ok((stream, peer)) => {
                tasks.spawn(serve(stream, peer, Arc::clone(&state), shutdown.clone()));
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
    state: Arc<State>,
    shutdown: CancellationToken,
) {
    // Without it, responses take a few milliseconds longer.
    let _ = stream.set_nodelay(true);
    let stream = StallingStream::new(stream, Arc::clone(&state));
    let answer = service_fn(move |request| {
        let state = Arc::clone(&state);
        Box::pin(async move { state.answer(peer.ip().to_canonical(), request).await })
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
