//! The beginning of a connection that is secured.

use std::io;

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::net::tls::Tls;

/// What a client reads that speaks HTTP here; it has begun with a method.
const SPEAK_TLS: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n\
    Content-Length: 50\r\nConnection: close\r\n\r\nthis server speaks HTTPS; use https:// in the URL\n";

/// Agrees with a client on how to secure `stream`.
pub(super) async fn secure(mut stream: TcpStream, tls: &Tls) -> io::Result<TlsStream<TcpStream>> {
    let mut first = [0];
    stream.peek(&mut first).await?;
    if first[0].is_ascii_uppercase() {
        stream.write_all(SPEAK_TLS).await?;
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "HTTP was spoken where TLS was to be",
        ));
    }
    // What is in force now, not when the connection was made: browsers make some in advance.
    TlsAcceptor::from(tls.current()).accept(stream).await
}
