//! The accept loop, through real sockets. What depends on how long something takes is tested in
//! paused time, beside the code.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use hyper_util::service::TowerToHyperService;
use mqtt_presence_exporter::net::{ServeOptions, listen, serve};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::support::http::{Client, Server, request, soon};

/// Times that no test waits for, unless it sets one of its own.
const PATIENT: ServeOptions = ServeOptions {
    max_connections: 512,
    header_timeout: Duration::from_secs(3600),
    idle_timeout: Duration::from_secs(3600),
    write_timeout: Duration::from_secs(3600),
    drain_timeout: Duration::from_secs(3600),
};

fn hello() -> Router {
    Router::new().route(
        "/{name}",
        get(async |axum::extract::Path(name): axum::extract::Path<String>| name),
    )
}

/// Answers when `release` gets a permit, and counts who `entered`.
fn held() -> (Router, Arc<Semaphore>, Arc<Semaphore>) {
    let (entered, release) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let (entry, exit) = (Arc::clone(&entered), Arc::clone(&release));
    let handler = async move || {
        entry.add_permits(1);
        exit.acquire().await.expect("never closed").forget();
        "done"
    };
    (Router::new().route("/", get(handler)), entered, release)
}

/// An answer that never ends.
fn endless() -> Router {
    let chunks =
        || futures_util::stream::repeat_with(|| Ok::<_, std::io::Error>(vec![b'x'; 65536]));
    Router::new().route("/", get(async move || Body::from_stream(chunks())))
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_their_order() {
    let server = Server::start(hello(), PATIENT).await;
    let mut client = server.client().await;
    let requests: String = ["/a", "/b", "/c"]
        .iter()
        .map(|path| request("GET", path, &[]))
        .collect();
    client.send(&(requests + "GET /d HT")).await;
    for name in ["a", "b", "c"] {
        assert_eq!(client.answer("GET").await.expect("an answer").text(), name);
    }
    client.send("TP/1.1\r\nHost: x\r\n\r\n").await;
    assert_eq!(client.answer("GET").await.expect("an answer").text(), "d");
}

#[tokio::test]
async fn malformed_requests_end_their_connection_and_no_other() {
    let server = Server::start(hello(), PATIENT).await;
    let mut bystander = server.client().await;
    bystander.send(&request("GET", "/before", &[])).await;
    assert_eq!(
        bystander.answer("GET").await.expect("an answer").status,
        200
    );
    for malformed in [
        "\0\x01\x02\r\n\r\n",
        "GET\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "GET / HTTP/1.1\r\nbad header\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\n folded: y\r\n\r\n",
        "GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        let mut client = server.client().await;
        client.send(malformed).await;
        if let Some(answer) = client.answer("GET").await {
            assert_eq!(answer.status, 400, "{malformed:?}");
        }
        client.closed().await;
    }
    bystander.send(&request("GET", "/after", &[])).await;
    assert_eq!(
        bystander.answer("GET").await.expect("an answer").text(),
        "after"
    );
}

#[tokio::test]
async fn a_head_may_be_large_but_not_too_large() {
    let server = Server::start(hello(), PATIENT).await;
    let long = |length: usize| format!("X-Long: {}", "x".repeat(length));
    assert_eq!(
        server.request("GET", "/a", &[&long(8 * 1024)]).await.status,
        200
    );
    assert_eq!(
        server
            .request("GET", "/a", &vec!["X-Many: 1"; 90])
            .await
            .status,
        200
    );

    assert_eq!(
        server
            .request("GET", "/a", &vec!["X-Many: 1"; 101])
            .await
            .status,
        431
    );
    let mut client = server.client().await;
    // Not one byte more than is read, so that the answer is not lost to a reset.
    let bomb = format!("GET / HTTP/1.1\r\n{}", long(64 * 1024));
    client.send(&bomb[..16 * 1024]).await;
    assert_eq!(client.answer("GET").await.expect("an answer").status, 431);
    client.closed().await;
}

#[tokio::test]
async fn half_open_connections_are_dropped() {
    let server = Server::start(
        hello(),
        ServeOptions {
            header_timeout: Duration::from_millis(500),
            ..PATIENT
        },
    )
    .await;
    let mut used = server.client().await;
    used.send(&request("GET", "/a", &[])).await;
    used.answer("GET").await.expect("an answer");
    used.send("GET").await;
    let mut clients = vec![used];
    for start in ["", "GET /", "GET / HTTP/1.1\r\nHost: x\r\n"] {
        let mut client = server.client().await;
        client.send(start).await;
        clients.push(client);
    }
    for client in &mut clients {
        client.closed().await;
    }
}

#[tokio::test]
async fn a_client_that_never_reads_holds_up_nobody_and_is_dropped() {
    let server = Server::start(
        endless().merge(hello()),
        ServeOptions {
            write_timeout: Duration::from_secs(1),
            max_connections: 2,
            ..PATIENT
        },
    )
    .await;
    let mut deaf = server.client().await;
    deaf.send(&request("GET", "/", &[])).await;
    assert_eq!(server.get("/meanwhile").await.text(), "meanwhile");
    // Its place is free in the end: of two connections, two can be used by others, and neither
    // has to make room for the other.
    let both = async || {
        let (mut one, mut other) = (server.client().await, server.client().await);
        for client in [&mut other, &mut one] {
            if client.try_send(&request("GET", "/a", &[])).await.is_err()
                || client.answer("GET").await.is_none()
            {
                return false;
            }
        }
        true
    };
    soon(async { while !both().await {} }).await;
    assert!(deaf.answer("GET").await.is_none());
}

#[tokio::test]
async fn at_the_cap_the_connection_that_has_waited_longest_makes_room() {
    let server = Server::start(
        hello(),
        ServeOptions {
            max_connections: 3,
            ..PATIENT
        },
    )
    .await;
    let mut clients = Vec::new();
    for _ in 0..3 {
        let mut client = server.client().await;
        client.send(&request("GET", "/a", &[])).await;
        client.answer("GET").await.expect("an answer");
        clients.push(client);
    }
    // The first one is used again, so that the second has waited longest.
    clients[0].send(&request("GET", "/a", &[])).await;
    clients[0].answer("GET").await.expect("an answer");
    assert_eq!(server.get("/b").await.text(), "b");
    clients.remove(1).closed().await;
    for client in &mut clients {
        client.send(&request("GET", "/c", &[])).await;
        assert_eq!(client.answer("GET").await.expect("an answer").text(), "c");
    }
}

#[tokio::test]
async fn at_the_cap_a_connection_waits_while_each_has_a_request_in_flight() {
    let (router, entered, release) = held();
    let server = Server::start(
        router.merge(hello()),
        ServeOptions {
            max_connections: 2,
            ..PATIENT
        },
    )
    .await;
    let mut busy = [server.client().await, server.client().await];
    for client in &mut busy {
        client.send(&request("GET", "/", &[])).await;
    }
    soon(entered.acquire_many(2))
        .await
        .expect("never closed")
        .forget();
    let mut third = server.client().await;
    third.send(&request("GET", "/", &[])).await;
    // Whatever was going to happen has happened by now; there is nothing else to wait for.
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(entered.available_permits(), 0, "it was not served");
    release.add_permits(1);
    soon(entered.acquire())
        .await
        .expect("never closed")
        .forget();
    release.add_permits(2);
    assert_eq!(third.answer("GET").await.expect("an answer").text(), "done");
}

#[tokio::test]
async fn thousands_of_idle_and_half_open_connections_leave_room() {
    let server = Server::start(
        hello(),
        ServeOptions {
            max_connections: 100,
            ..PATIENT
        },
    )
    .await;
    let mut crowd = Vec::new();
    for n in 0..2000 {
        let mut client = server.client().await;
        match n % 3 {
            0 => {}
            1 => client.send("GET / HTTP/1.1\r\n").await,
            _ => {
                client.send(&request("GET", "/idle", &[])).await;
                client.answer("GET").await.expect("an answer");
            }
        }
        crowd.push(client);
        if n % 500 == 499 {
            assert_eq!(server.get("/scrape").await.text(), "scrape");
        }
    }
    // Most of them have been sent away.
    for client in crowd.iter_mut().take(1800) {
        client.closed().await;
    }
}

#[tokio::test]
async fn a_request_without_end_is_answered_and_not_read() {
    let server = Server::start(hello(), PATIENT).await;
    let mut client = server.client().await;
    client
        .send("POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        .await;
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
    soon(async { while client.try_send(&chunk).await.is_ok() {} }).await;
    assert_eq!(server.get("/b").await.text(), "b");
}

#[tokio::test]
async fn shutdown_lets_a_request_in_flight_end() {
    let (router, entered, release) = held();
    let server = Server::start(router, PATIENT).await;
    let (mut idle, mut unused, mut busy) = (
        server.client().await,
        server.client().await,
        server.client().await,
    );
    release.add_permits(1);
    idle.send(&request("GET", "/", &[])).await;
    idle.answer("GET").await.expect("an answer");
    busy.send(&request("GET", "/", &[])).await;
    soon(entered.acquire_many(2))
        .await
        .expect("never closed")
        .forget();

    server.shutdown.cancel();
    idle.closed().await;
    unused.closed().await;
    assert!(
        TcpStream::connect(server.address).await.is_err(),
        "nobody listens any more"
    );
    release.add_permits(1);
    let answer = busy.answer("GET").await.expect("an answer");
    assert_eq!(
        (answer.text(), answer.header("connection")),
        ("done", Some("close"))
    );
    busy.closed().await;
    server.ended().await;
}

#[tokio::test]
async fn shutdown_does_not_wait_forever() {
    let (router, entered, _release) = held();
    let options = ServeOptions {
        drain_timeout: Duration::from_millis(50),
        ..PATIENT
    };
    let server = Server::start(router.nest("/endless", endless()), options).await;
    let (mut stuck, mut deaf) = (server.client().await, server.client().await);
    stuck.send(&request("GET", "/", &[])).await;
    deaf.send(&request("GET", "/endless", &[])).await;
    soon(entered.acquire())
        .await
        .expect("never closed")
        .forget();
    server.shutdown.cancel();
    server.ended().await;
    assert!(stuck.answer("GET").await.is_none());
    assert!(deaf.answer("GET").await.is_none());
}

#[tokio::test]
async fn several_listeners_are_one_server() {
    let listeners = [
        listen("127.0.0.1:0").await.expect("bound"),
        listen("127.0.0.1:0").await.expect("bound"),
    ];
    let addresses =
        [&listeners[0], &listeners[1]].map(|listener| listener.local_addr().expect("bound"));
    let shutdown = CancellationToken::new();
    let service = TowerToHyperService::new(hello());
    let server = tokio::spawn(serve(
        listeners.into(),
        None,
        service,
        PATIENT,
        shutdown.clone(),
    ));
    for address in addresses {
        let mut client = Client::connect(address).await;
        client.send(&request("GET", "/a", &[])).await;
        assert_eq!(client.answer("GET").await.expect("an answer").text(), "a");
    }
    shutdown.cancel();
    soon(server).await.expect("no panic");
}
