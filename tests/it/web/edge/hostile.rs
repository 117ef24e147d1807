//! HTTP/2, and what a client may do with it that it should not.

use std::convert::Infallible;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, StreamBody};
use hyper::body::Frame;
use hyper::client::conn::http2::{self, SendRequest};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use mqtt_presence_exporter::net::ServeOptions;
use tokio_util::task::AbortOnDropHandle;

use super::{Guarded, PAIR};
use crate::support::http::{secured, soon};
use crate::support::pki::TlsClient;

type Sender<B> = (SendRequest<B>, AbortOnDropHandle<()>);

async fn connect<B>(
    guarded: &Guarded,
    settings: impl FnOnce(&mut http2::Builder<TokioExecutor>),
) -> Sender<B>
where
    B: hyper::body::Body<Data = Bytes, Error = Infallible> + Send + Unpin + 'static,
{
    let tls = TlsClient {
        protocols: vec!["h2"],
        ..guarded.client()
    };
    let stream = secured(guarded.server.address, &tls).await.expect("let in");
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let mut builder = http2::Builder::new(TokioExecutor::new());
    settings(&mut builder);
    let (sender, connection) = builder
        .handshake(TokioIo::new(stream))
        .await
        .expect("HTTP/2");
    (
        sender,
        AbortOnDropHandle::new(tokio::spawn(async { drop(connection.await) })),
    )
}

fn ask(path: &str) -> Request<Empty<Bytes>> {
    Request::get(format!("https://localhost{path}"))
        .body(Empty::new())
        .expect("a request")
}

async fn text(answer: Response<hyper::body::Incoming>) -> Bytes {
    soon(answer.into_body().collect())
        .await
        .expect("a whole answer")
        .to_bytes()
}

fn hello_and_endless() -> Router {
    let chunks = || {
        futures_util::stream::repeat_with(|| Ok::<_, Infallible>(Bytes::from(vec![b'x'; 65536])))
    };
    Router::new()
        .route("/", get(async || "hello").post(async || "taken"))
        .route("/endless", get(async move || Body::from_stream(chunks())))
}

async fn guarded(options: ServeOptions) -> Guarded {
    Guarded::serve(PAIR, hello_and_endless(), options).await
}

#[tokio::test]
async fn http2_is_spoken_where_both_want_it() {
    let guarded = guarded(ServeOptions::default()).await;
    let (mut sender, _connection) = connect(&guarded, |_| {}).await;
    let answers = futures_util::future::join_all((0..50).map(|_| sender.send_request(ask("/"))));
    for answer in soon(answers).await {
        assert_eq!(text(answer.expect("an answer")).await, "hello");
    }

    let without = Guarded::start(&format!("{PAIR}http_server_config: {{http2: false}}\n")).await;
    for (guarded, agreed) in [(&guarded, &b"h2"[..]), (&without, b"http/1.1")] {
        let tls = TlsClient {
            protocols: vec!["h2", "http/1.1"],
            ..guarded.client()
        };
        let stream = secured(guarded.server.address, &tls).await.expect("let in");
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(agreed));
        assert!(
            guarded.lets_in(&guarded.client()).await,
            "a client that offers nothing speaks HTTP/1"
        );
    }
}

#[tokio::test]
async fn a_stream_that_is_not_read_is_ended() {
    let guarded = guarded(ServeOptions {
        write_timeout: Duration::from_secs(1),
        ..ServeOptions::default()
    })
    .await;
    // The connection is read all the time; only this answer is not.
    let (mut sender, connection) = connect(&guarded, |_| {}).await;
    let deaf = soon(sender.send_request(ask("/endless")))
        .await
        .expect("a head");
    soon(connection).await.expect("no panic");
    drop(deaf);
    assert!(guarded.lets_in(&guarded.client()).await);
}

#[tokio::test]
async fn a_request_that_its_client_takes_back_leaves_nothing_behind() {
    let (entered, mut asked) = tokio::sync::mpsc::channel(10);
    let never = async move || {
        let _ = entered.send(()).await;
        std::future::pending::<()>().await;
    };
    let options = ServeOptions {
        max_connections: 1,
        ..ServeOptions::default()
    };
    let guarded = Guarded::serve(
        PAIR,
        hello_and_endless().route("/never", get(never)),
        options,
    )
    .await;
    let (mut sender, _connection) = connect(&guarded, |_| {}).await;
    for _ in 0..3 {
        let request = AbortOnDropHandle::new(tokio::spawn(sender.send_request(ask("/never"))));
        soon(asked.recv()).await.expect("a request");
        drop(request);
    }
    assert_eq!(
        text(
            soon(sender.send_request(ask("/")))
                .await
                .expect("an answer")
        )
        .await,
        "hello"
    );
    // Nothing is in flight on it any more, so that it makes room.
    assert!(guarded.lets_in(&guarded.client()).await);
}

#[tokio::test]
async fn heads_that_are_too_large_are_refused() {
    let guarded = guarded(ServeOptions::default()).await;
    let (mut sender, _connection) = connect(&guarded, |_| {}).await;
    let bomb = |length: usize| {
        let mut request = ask("/");
        request
            .headers_mut()
            .insert("x-long", "x".repeat(length).parse().expect("a value"));
        request
    };
    let answer = soon(sender.send_request(bomb(8 * 1024)))
        .await
        .expect("an answer");
    assert_eq!(answer.status(), StatusCode::OK);
    match soon(sender.send_request(bomb(64 * 1024))).await {
        Ok(answer) => assert_eq!(answer.status(), StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE),
        Err(error) => assert!(!error.is_timeout(), "{error}"),
    }
    assert!(guarded.lets_in(&guarded.client()).await);
}

#[tokio::test]
async fn a_request_without_end_is_answered_and_not_read() {
    let guarded = guarded(ServeOptions::default()).await;
    let endless =
        futures_util::stream::repeat_with(|| Ok(Frame::data(Bytes::from(vec![b'x'; 16384]))));
    let (mut sender, _connection) = connect(&guarded, |_| {}).await;
    let request = Request::post("https://localhost/")
        .body(StreamBody::new(endless))
        .expect("a request");
    let answer = soon(sender.send_request(request)).await.expect("an answer");
    assert_eq!(answer.status(), StatusCode::OK);
    assert!(guarded.lets_in(&guarded.client()).await);
}
