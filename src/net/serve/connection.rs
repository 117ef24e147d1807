//! One connection, from its first byte to its last.

#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::io;
use std::pin::pin;

use hyper::body::{Body, Incoming};
use hyper::service::{Service, service_fn};
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::connection_state::{ConnectionState, Timeout};
use super::instrumented::{InstrumentedBody, InstrumentedIo};
use super::options::ServeOptions;
use crate::net::tls::{HTTP2, Tls};

/// How much is read ahead of a request, which limits the size of its head; and how much of a
/// response is buffered before it is written, so that a client that stops reading holds no more
/// than that and one chunk.
const BUFFER_BYTES: usize = 16 * 1024;
/// The maximum size of a decoded head of HTTP/2.
const HEAD_BYTES: u32 = 16 * 1024;
/// How much of the bodies of HTTP/2 requests is buffered: the minimum of the protocol. No endpoint
/// reads any.
const WINDOW_BYTES: u32 = 65_535;
/// How many requests may be in flight on one connection of HTTP/2: the minimum that RFC 9113
/// recommends (section 6.5.2), and what clients assume before they receive the setting.
const STREAMS: u32 = 100;

/// The response to a client that speaks HTTP to a TLS server.
const TLS_REQUIRED: &[u8] =
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n\
    Content-Length: 50\r\nConnection: close\r\n\r\nthis server speaks HTTPS; use https:// in the URL\n";

/// A connection before it is served.
pub(super) struct Connection<S> {
    pub(super) service: S,
    pub(super) options: ServeOptions,
    pub(super) state: ConnectionState,
    pub(super) shutdown: CancellationToken,
}

impl<S, B> Connection<S>
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + 'static,
    S::Future: Send + 'static,
    B: Body<Error: std::error::Error + Send + Sync, Data: Send> + Send + Unpin + 'static,
{
    /// Serves requests on `stream`, with TLS if there is `tls`, until either side closes it, the
    /// client exceeds a timeout, or `shutdown` is requested and no request is in flight.
    pub(super) async fn accept(self, stream: TcpStream, tls: Option<Tls>) {
        let Some(tls) = tls else {
            return self.serve_connection(stream, false).await;
        };
        let secured = tokio::select! {
            biased;
            secured = handshake(stream, &tls) => secured,
            timeout = self.state.clone().timeout(self.options) => return log(timeout),
            () = self.shutdown.cancelled() => return,
        };
        match secured {
            Ok(stream) => {
                let http2 = stream.get_ref().1.alpn_protocol() == Some(HTTP2);
                self.serve_connection(stream, http2).await;
            }
            Err(error) => debug!(%error, "the TLS handshake failed"),
        }
    }

    async fn serve_connection<I: AsyncRead + AsyncWrite + Unpin + 'static>(
        self,
        io: I,
        http2: bool,
    ) {
        let (service, state) = (self.service, self.state);
        let mut timeout = pin!(state.clone().timeout(self.options));
        let io = TokioIo::new(InstrumentedIo {
            io,
            state: state.clone(),
            requests: !http2,
        });
        let service = service_fn(move |request| {
            let (request, response) = (state.begin(), service.call(request));
            async move {
                Ok::<_, Infallible>(response.await?.map(|body| InstrumentedBody {
                    body,
                    request,
                    multiplexed: http2,
                }))
            }
        });
        let builder = builder(http2);
        let mut connection = pin!(builder.serve_connection(io, service));
        let mut draining = false;
        loop {
            tokio::select! {
                biased;
                ended = connection.as_mut() => {
                    if let Err(error) = ended {
                        debug!(%error, "a connection ended with an error");
                    }
                    return;
                }
                timeout = timeout.as_mut() => {
                    log(timeout);
                    if http2 && timeout == Timeout::Idle {
                        // HTTP/2 can report that a request sent at this moment was not read.
                        connection.as_mut().graceful_shutdown();
                        let _ = tokio::time::timeout(self.options.header_timeout, connection).await;
                    }
                    return;
                }
                () = self.shutdown.cancelled(), if !draining => {
                    draining = true;
                    connection.as_mut().graceful_shutdown();
                }
            }
        }
    }
}

fn log(timeout: Timeout) {
    debug!(?timeout, "closing the connection of a slow client");
}

async fn handshake(mut stream: TcpStream, tls: &Tls) -> io::Result<TlsStream<TcpStream>> {
    let mut first = [0];
    stream.peek(&mut first).await?;
    // A TLS client begins with a byte of 22, an HTTP client with a method.
    if first[0].is_ascii_uppercase() {
        stream.write_all(TLS_REQUIRED).await?;
        let message = "the client speaks HTTP without TLS";
        return Err(io::Error::new(io::ErrorKind::InvalidData, message));
    }
    // The settings at this time, not when the connection was made: browsers make some in advance.
    TlsAcceptor::from(tls.current()).accept(stream).await
}

/// The server of one protocol, with limits on what a client can make it hold.
fn builder(http2: bool) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .header_read_timeout(None)
        .max_buf_size(BUFFER_BYTES)
        .http2()
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(HEAD_BYTES)
        .max_send_buf_size(BUFFER_BYTES)
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES);
    if http2 {
        builder.http2_only()
    } else {
        builder.http1_only()
    }
}
