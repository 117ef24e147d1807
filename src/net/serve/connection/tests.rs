//! What a client may do, and for how long, in paused time.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Frame;
use hyper::client::conn::http2;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::*;

/// How much hyper's client takes of an answer that is not read.
const CLIENT_WINDOW: usize = 2 * 1024 * 1024;
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

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
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
        Chunks {
            left: Arc::new(AtomicUsize::new(chunks)),
        }
    })
}

fn connect_to<F: Future<Output = Chunks> + Send + 'static>(
    body: impl Fn() -> F + Send + 'static,
) -> (DuplexStream, JoinHandle<()>) {
    connect_by(false, body)
}

fn connect_by<F: Future<Output = Chunks> + Send + 'static>(
    http2: bool,
    body: impl Fn() -> F + Send + 'static,
) -> (DuplexStream, JoinHandle<()>) {
    let (client, server) = duplex(4096);
    let service = service_fn(move |_| {
        let body = body();
        async { Ok::<_, Infallible>(Response::new(body.await)) }
    });
    let connection = Connection {
        service,
        options: OPTIONS,
        state: ConnectionState::new(Arc::default()),
        shutdown: CancellationToken::new(),
    };
    (
        client,
        tokio::spawn(connection.serve_connection(server, http2)),
    )
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
        if client
            .write_u8(if *byte == b'\n' { b'x' } else { *byte })
            .await
            .is_err()
        {
            break;
        }
    }
    served.await.expect("no panic");
    assert_eq!(
        start.elapsed(),
        Duration::from_secs(12),
        "the first write after the cut"
    );
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_outlives_the_header_timeout_which_then_limits_the_next_head() {
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
async fn a_client_that_stops_reading_is_dropped_and_little_is_buffered() {
    let left = Arc::new(AtomicUsize::new(1000));
    let counter = Arc::clone(&left);
    let (mut client, served) = connect_to(move || {
        std::future::ready(Chunks {
            left: Arc::clone(&counter),
        })
    });
    client.write_all(REQUEST).await.expect("open");
    sleep(Duration::from_secs(29)).await;
    client.read_exact(&mut [0; 1000]).await.expect("open");
    let stopped = Instant::now();
    served.await.expect("no panic");
    assert_eq!(stopped.elapsed(), OPTIONS.write_timeout);
    let made = (1000 - left.load(Ordering::Relaxed)) * 1000;
    assert!(
        made <= 1000 + 4096 + BUFFER_BYTES + 1000,
        "{made} bytes were made for a client that took 1,000"
    );
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

/// A client of HTTP/2, the task of its connection, and how many chunks are not made yet.
async fn connect_http2(
    chunks: usize,
) -> (
    http2::SendRequest<Empty<Bytes>>,
    JoinHandle<()>,
    Arc<AtomicUsize>,
) {
    let left = Arc::new(AtomicUsize::new(chunks));
    let counter = Arc::clone(&left);
    let body = move || {
        std::future::ready(Chunks {
            left: Arc::clone(&counter),
        })
    };
    let (client, served) = connect_by(true, body);
    let handshake = http2::Builder::new(TokioExecutor::new()).handshake(TokioIo::new(client));
    let (sender, connection) = handshake.await.expect("HTTP/2");
    tokio::spawn(connection);
    (sender, served, left)
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_of_http2_is_closed_with_a_notice() {
    let (mut sender, served, _) = connect_http2(1).await;
    let answer = sender
        .send_request(Request::new(Empty::new()))
        .await
        .expect("an answer");
    answer.into_body().collect().await.expect("a whole answer");
    let idle = Instant::now();
    served.await.expect("no panic");
    assert_eq!(
        idle.elapsed(),
        OPTIONS.idle_timeout,
        "the client has no request in flight"
    );
    assert!(sender.ready().await.is_err());
}

#[tokio::test(start_paused = true)]
async fn an_answer_by_http2_that_is_not_read_ends_its_connection_and_little_is_buffered() {
    let (mut sender, served, left) = connect_http2(1_000_000).await;
    let start = Instant::now();
    let unread = sender
        .send_request(Request::new(Empty::new()))
        .await
        .expect("a head");
    served.await.expect("no panic");
    assert_eq!(start.elapsed(), OPTIONS.write_timeout);
    // The client's window, and what is collected on this side.
    let made = (1_000_000 - left.load(Ordering::Relaxed)) * 1000;
    assert!(
        made <= CLIENT_WINDOW + BUFFER_BYTES + 1000,
        "{made} bytes were made"
    );
    drop(unread);
}

#[tokio::test(start_paused = true)]
async fn an_answer_by_http2_that_is_read_slowly_comes_whole() {
    let (mut sender, _served, _) = connect_http2(10_000).await;
    let answer = sender
        .send_request(Request::new(Empty::new()))
        .await
        .expect("a head");
    let (mut body, mut length) = (answer.into_body(), 0);
    while let Some(frame) = body.frame().await {
        let read = frame
            .expect("more of the answer")
            .into_data()
            .expect("no trailers")
            .len();
        // A hundred seconds for all of it, and far less than the timeout for each chunk.
        sleep(Duration::from_micros(10 * read as u64)).await;
        length += read;
    }
    assert_eq!(length, 10_000_000);
}
