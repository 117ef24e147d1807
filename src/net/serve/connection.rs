//! One connection, from its first byte to its last.

#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;

use hyper::body::{Body, Incoming};
use hyper::service::{Service, service_fn};
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::ServeOptions;
use super::connection_state::{ConnectionState, ConnectionTimeouts, Overdue};
use super::handshake::secure;
use super::idle_connections::ConnectionSlot;
use super::instrumented_io::InstrumentedIo;
use super::response_body::ResponseBody;
use crate::net::tls::{HTTP2, Tls};

/// How much is read ahead of a request, hence how large its head may be; and how much of an
/// answer is collected before it is written, so that a client that stops reading holds no more
/// than that and one chunk.
const BUFFER_BYTES: usize = 16 * 1024;
/// How large a head of HTTP/2 may be, decoded.
const HEAD_BYTES: u32 = 16 * 1024;
/// How much of the bodies of requests of HTTP/2 is taken before somebody reads them: the least that
/// there is. No endpoint reads any.
const WINDOW_BYTES: u32 = 65_535;
/// How many requests may be in flight on one connection of HTTP/2: the least that RFC 9113 advises
/// (section 6.5.2), and what clients begin with before they receive the setting.
const STREAMS: u32 = 100;

/// What is spoken on a connection.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Protocol {
    Http1,
    Http2,
}

/// A connection that is about to be served.
pub(super) struct Connection<S> {
    service: S,
    options: ServeOptions,
    state: ConnectionState,
    /// Told when the connection has to make room for another.
    evict: Arc<Notify>,
    shutdown: CancellationToken,
}

impl<S, B> Connection<S>
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + 'static,
    S::Future: Send + 'static,
    B: Body<Error: std::error::Error + Send + Sync, Data: Send> + Send + Unpin + 'static,
{
    pub(super) fn new(
        service: S,
        options: ServeOptions,
        slot: ConnectionSlot,
        shutdown: CancellationToken,
    ) -> Self {
        let evict = slot.evict();
        Self {
            service,
            options,
            state: ConnectionState::new(slot),
            evict,
            shutdown,
        }
    }

    /// Serves requests on `stream`, secured where there is `tls`, until either side ends it, the
    /// client takes too long, or `shutdown` comes and no request is in flight.
    pub(super) async fn accept(self, stream: TcpStream, tls: Option<Tls>) {
        let Some(tls) = tls else {
            return self.serve_connection(stream, Protocol::Http1).await;
        };
        let secured = tokio::select! {
            biased;
            secured = secure(stream, &tls) => secured,
            overdue = ConnectionTimeouts::new(self.state.clone(), self.options) => return overdue.log(),
            () = self.evict.notified() => return,
            () = self.shutdown.cancelled() => return,
        };
        match secured {
            Ok(stream) => {
                let protocol = if stream.get_ref().1.alpn_protocol() == Some(HTTP2) {
                    Protocol::Http2
                } else {
                    Protocol::Http1
                };
                self.serve_connection(stream, protocol).await;
            }
            Err(error) => debug!(%error, "a connection was not secured"),
        }
    }

    async fn serve_connection<I: AsyncRead + AsyncWrite + Unpin + 'static>(
        self,
        io: I,
        protocol: Protocol,
    ) {
        let Self {
            service,
            options,
            state,
            evict,
            shutdown,
        } = self;
        let mut timeouts = pin!(ConnectionTimeouts::new(state.clone(), options));
        let several = protocol == Protocol::Http2;
        let io = TokioIo::new(InstrumentedIo {
            io,
            state: state.clone(),
            requests: !several,
        });
        let service = service_fn(move |request| {
            let (request, answer) = (state.begin(), service.call(request));
            async move {
                Ok::<_, Infallible>(answer.await?.map(|body| ResponseBody {
                    body,
                    request,
                    one_of_several: several,
                }))
            }
        });
        let builder = builder(protocol);
        let mut connection = pin!(builder.serve_connection(io, service));
        let mut draining = false;
        loop {
            tokio::select! {
                biased;
                ended = connection.as_mut() => {
                    if let Err(error) = ended {
                        debug!(%error, "a connection ended early");
                    }
                    return;
                }
                overdue = timeouts.as_mut() => {
                    overdue.log();
                    if several && overdue == Overdue::Request {
                        // The client may be sending one right now; HTTP/2 can report that it was not read.
                        connection.as_mut().graceful_shutdown();
                        let _ = timeout(options.header_timeout, connection).await;
                    }
                    return;
                }
                () = evict.notified() => return,
                () = shutdown.cancelled(), if !draining => {
                    draining = true;
                    connection.as_mut().graceful_shutdown();
                }
            }
        }
    }
}

/// How `protocol` is spoken, with bounds on what a client makes us hold.
fn builder(protocol: Protocol) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    match protocol {
        Protocol::Http1 => {
            builder
                .http1()
                .header_read_timeout(None)
                .max_buf_size(BUFFER_BYTES);
            builder.http1_only()
        }
        Protocol::Http2 => {
            builder
                .http2()
                .max_concurrent_streams(STREAMS)
                .max_header_list_size(HEAD_BYTES)
                .max_send_buf_size(BUFFER_BYTES)
                .initial_stream_window_size(WINDOW_BYTES)
                .initial_connection_window_size(WINDOW_BYTES);
            builder.http2_only()
        }
    }
}
