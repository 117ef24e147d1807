//! One connection, from its first byte to its last.

use std::convert::Infallible;
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::ServeOptions;
use super::activity::{Activity, Patience};

/// How much is read ahead of a request, hence how large its head may be; and how much of an
/// answer is collected before it is written, so that a client that stops reading holds no more
/// than that and one chunk.
const BUFFER_BYTES: usize = 16 * 1024;

/// Serves requests on `io` until either side ends it, the client takes too long, or `shutdown`
/// comes and no request is in flight.
pub(super) async fn serve<I, S, B>(io: I, service: S, options: ServeOptions, shutdown: CancellationToken)
where
    I: AsyncRead + AsyncWrite + Unpin,
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>,
    B: Body<Error: std::error::Error + Send + Sync> + Unpin + 'static,
{
    let activity = Activity::new();
    let mut patience = pin!(Patience::new(activity.clone(), options));
    let io = TokioIo::new(Watched { io, activity: activity.clone() });
    let service = service_fn(move |request| {
        activity.begin();
        let (answer, activity) = (service.call(request), activity.clone());
        async move { Ok::<_, Infallible>(answer.await?.map(|body| Answer { body, activity })) }
    });
    let mut connection =
        pin!(http1::Builder::new().header_read_timeout(None).max_buf_size(BUFFER_BYTES).serve_connection(io, service));
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
            () = patience.as_mut() => {
                debug!("a client took too long; its connection is dropped");
                return;
            }
            () = shutdown.cancelled(), if !draining => {
                draining = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}

/// A connection whose reads and writes are seen.
struct Watched<I> {
    io: I,
    activity: Activity,
}

impl<I: AsyncRead + Unpin> AsyncRead for Watched<I> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let progress = Pin::new(&mut self.io).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.activity.read();
        }
        progress
    }
}

impl<I: AsyncWrite + Unpin> Watched<I> {
    fn write<T>(&mut self, write: impl FnOnce(Pin<&mut I>) -> Poll<T>) -> Poll<T> {
        let progress = write(Pin::new(&mut self.io));
        self.activity.write(&progress);
        progress
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Watched<I> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.write(|io| io.poll_write(cx, buf))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.write(|io| io.poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.write(|io| io.poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.write(|io| io.poll_shutdown(cx))
    }
}

/// The body of an answer. hyper drops it when it has all of it.
struct Answer<B> {
    body: B,
    activity: Activity,
}

impl<B: Body + Unpin> Body for Answer<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<B> Drop for Answer<B> {
    fn drop(&mut self) {
        self.activity.end();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use bytes::Bytes;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
    use tokio::task::JoinHandle;
    use tokio::time::{Instant, sleep};

    use super::*;

    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    const OPTIONS: ServeOptions = ServeOptions {
        max_connections: 1,
        header_timeout: Duration::from_secs(10),
        idle_timeout: Duration::from_secs(120),
        write_timeout: Duration::from_secs(30),
        drain_timeout: Duration::from_secs(5),
    };

    /// A body of as many chunks of 1,000 bytes as are `left`.
    struct Chunks {
        left: Arc<AtomicUsize>,
    }

    impl Body for Chunks {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            let left = self.left.load(Ordering::Relaxed);
            if left == 0 {
                return Poll::Ready(None);
            }
            self.left.store(left - 1, Ordering::Relaxed);
            Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[b'x'; 1000])))))
        }
    }

    /// A served connection whose answers take `thinking` and have `chunks` chunks each; the pipe
    /// holds 4 KiB.
    fn connect(thinking: Duration, chunks: usize) -> (DuplexStream, JoinHandle<()>) {
        connect_to(move || async move {
            sleep(thinking).await;
            Chunks { left: Arc::new(AtomicUsize::new(chunks)) }
        })
    }

    fn connect_to<F: Future<Output = Chunks> + Send>(
        body: impl Fn() -> F + Send + 'static,
    ) -> (DuplexStream, JoinHandle<()>) {
        let (client, server) = duplex(4096);
        let service = service_fn(move |_| {
            let body = body();
            async { Ok::<_, Infallible>(Response::new(body.await)) }
        });
        (client, tokio::spawn(serve(server, service, OPTIONS, CancellationToken::new())))
    }

    /// Reads the head of an answer and `chunks` chunks.
    async fn read_answer(client: &mut DuplexStream, chunks: usize) {
        let mut text = Vec::new();
        // The last chunk of the chunked coding is an empty one.
        while !text.ends_with(b"\r\n0\r\n\r\n") {
            text.push(client.read_u8().await.expect("the connection is open"));
        }
        assert!(text.len() > chunks * 1000);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_sends_nothing_is_dropped() {
        let start = Instant::now();
        let (mut client, served) = connect(Duration::ZERO, 1);
        assert_eq!(client.read(&mut [0]).await.expect("closed, not broken"), 0);
        served.await.expect("no panic");
        assert_eq!(start.elapsed(), OPTIONS.header_timeout);
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_trickles_in_is_cut_off() {
        let start = Instant::now();
        let (mut client, served) = connect(Duration::ZERO, 1);
        for byte in REQUEST.iter().cycle() {
            sleep(Duration::from_secs(3)).await;
            if client.write_u8(if *byte == b'\n' { b'x' } else { *byte }).await.is_err() {
                break;
            }
        }
        served.await.expect("no panic");
        assert_eq!(start.elapsed(), Duration::from_secs(12), "the first write after the cut");
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_connection_outlives_the_header_timeout_and_then_owes_a_whole_head() {
        let (mut client, served) = connect(Duration::ZERO, 1);
        for _ in 0..3 {
            client.write_all(REQUEST).await.expect("open");
            read_answer(&mut client, 1).await;
            sleep(Duration::from_secs(119)).await;
        }
        let begun = Instant::now();
        client.write_all(b"GET /").await.expect("open");
        served.await.expect("no panic");
        assert_eq!(begun.elapsed(), OPTIONS.header_timeout);
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_connection_is_dropped_in_the_end() {
        let (mut client, served) = connect(Duration::ZERO, 1);
        client.write_all(REQUEST).await.expect("open");
        read_answer(&mut client, 1).await;
        let idle = Instant::now();
        served.await.expect("no panic");
        assert_eq!(idle.elapsed(), OPTIONS.idle_timeout);
    }

    #[tokio::test(start_paused = true)]
    async fn half_a_request_sent_ahead_is_no_idleness() {
        let (mut client, served) = connect(Duration::from_secs(40), 1);
        client.write_all(REQUEST).await.expect("open");
        sleep(Duration::from_secs(1)).await;
        client.write_all(b"GET /").await.expect("open");
        read_answer(&mut client, 1).await;
        let answered = Instant::now();
        served.await.expect("no panic");
        assert_eq!(answered.elapsed(), OPTIONS.header_timeout);
    }

    #[tokio::test(start_paused = true)]
    async fn a_service_may_take_longer_than_any_client() {
        let (mut client, _served) = connect(Duration::from_secs(3600), 1);
        client.write_all(REQUEST).await.expect("open");
        read_answer(&mut client, 1).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_stops_reading_is_dropped_and_held_little() {
        let left = Arc::new(AtomicUsize::new(1000));
        let counter = Arc::clone(&left);
        let (mut client, served) = connect_to(move || std::future::ready(Chunks { left: Arc::clone(&counter) }));
        client.write_all(REQUEST).await.expect("open");
        sleep(Duration::from_secs(29)).await;
        client.read_exact(&mut [0; 1000]).await.expect("open");
        let stopped = Instant::now();
        served.await.expect("no panic");
        assert_eq!(stopped.elapsed(), OPTIONS.write_timeout);
        let made = (1000 - left.load(Ordering::Relaxed)) * 1000;
        assert!(made <= 1000 + 4096 + BUFFER_BYTES + 1000, "{made} bytes were made for a client that took 1,000");
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_reads_slowly_gets_everything() {
        let (mut client, _served) = connect(Duration::ZERO, 30);
        client.write_all(REQUEST).await.expect("open");
        sleep(Duration::from_secs(20)).await;
        let mut part = [0; 2000];
        for _ in 0..10 {
            client.read_exact(&mut part).await.expect("open");
            sleep(Duration::from_secs(20)).await;
        }
        let mut rest = vec![0; 10_000];
        client.read_exact(&mut rest).await.expect("open");
    }
}
