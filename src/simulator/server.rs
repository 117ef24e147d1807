//! The sockets: accepts connections, serves HTTP/1.1, resets and closes connections.

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::join;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::exchange::{KEEP_ALIVE, Reset};
use super::stalling_reader::StallingReader;
use super::state::State;
use crate::net::Acceptor;

/// Time for calls in flight at a shutdown.
const DRAIN: Duration = Duration::from_secs(1);

/// Serves the connections of `listener` until the shutdown.
pub(super) async fn accept(listener: TcpListener, state: Arc<State>) {
    let mut acceptor = Acceptor::new(vec![listener]);
    while let Some(stream) = state.shutdown.run_until_cancelled(acceptor.accept()).await {
        // A connection that was reset already has no peer.
        if let Ok(peer) = stream.peer_addr() {
            state.tasks.spawn(serve(stream, peer, Arc::clone(&state)));
        }
    }
}

async fn serve(stream: TcpStream, peer: SocketAddr, state: Arc<State>) {
    let (reader, writer) = stream.into_split();
    let reader = StallingReader {
        stream: reader,
        state: Arc::clone(&state),
        stall: None,
    };
    let service = Arc::clone(&state);
    let answer = service_fn(move |request| {
        let state = Arc::clone(&service);
        Box::pin(async move { state.answer(peer.ip().to_canonical(), request).await })
    });
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(KEEP_ALIVE)
        .serve_connection(TokioIo::new(join(reader, writer)), answer);
    let ended = tokio::select! {
        biased;
        () = state.shutdown.cancelled() => {
            Pin::new(&mut connection).graceful_shutdown();
            timeout(DRAIN, &mut connection).await.unwrap_or(Ok(()))
        }
        // A dead connection is held until the shutdown.
        () = state.faults.death() => return state.shutdown.cancelled().await,
        ended = &mut connection => ended,
    };
    if ended.is_err_and(|error| error.source().is_some_and(<dyn Error>::is::<Reset>)) {
        // A reset without a regular end before it, as from a firewall.
        let (_, writer) = connection.into_parts().io.into_inner().into_inner();
        // It fails only if the socket is closed already.
        let _ = writer.as_ref().set_zero_linger();
        writer.forget();
    }
}
