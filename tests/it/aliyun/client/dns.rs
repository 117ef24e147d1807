//! DNS and connections: slow lookups, changed addresses, and the texts of errors.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mqtt_presence_exporter::config::Signature;
use mqtt_presence_exporter::net::Resolver;
use mqtt_presence_exporter::presence::{Delivery, ErrorClass, PresenceSource as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::time::{advance, pause, resume, sleep};

use super::server::{Server, Step};
use super::{answer, client_with, inline, ok};

const ONLINE: &str = r#"{"OnlineStatus":true}"#;

/// A nameserver whose lookups take `time` and find what `addresses` contains at their start.
struct Dns {
    time: Duration,
    addresses: Mutex<Vec<Ipv4Addr>>,
    answered: Notify,
}

impl Dns {
    fn new(time: Duration) -> (Arc<Self>, Resolver) {
        let dns = Arc::new(Self {
            time,
            addresses: Mutex::new(vec![Ipv4Addr::LOCALHOST]),
            answered: Notify::new(),
        });
        let server = Arc::clone(&dns);
        let resolver = Resolver::new(move |_| Box::pin(Arc::clone(&server).lookup()));
        (dns, resolver)
    }

    async fn lookup(self: Arc<Self>) -> io::Result<Vec<SocketAddr>> {
        let found = self.addresses.lock().expect("no panic").clone();
        sleep(self.time).await;
        self.answered.notify_one();
        let found = found.into_iter();
        Ok(found.map(|ip| SocketAddr::from((ip, 0))).collect())
    }
}

#[tokio::test]
async fn a_lookup_that_is_slower_than_a_call_helps_the_next_call() {
    let server = Server::start([ok(ONLINE)]).await;
    let (_, resolver) = Dns::new(Duration::from_secs(90));
    let client = client_with(
        &format!("http://localhost:{}", server.address.port()),
        Signature::V3,
        inline(),
        &resolver,
    );
    pause();
    let error = client.query("a").await.expect_err("no address yet");
    assert_eq!(
        (error.class, error.label, error.delivery),
        (ErrorClass::Connect, "dns", Delivery::NotSent)
    );
    assert_eq!(
        error.to_string(),
        "QuerySessionByClientId on post-cn-example: dns: cannot resolve `localhost`: no nameserver has answered yet; \
         the lookup continues; check the host name, and the nameservers of this host (`/etc/resolv.conf`)"
    );
    sleep(Duration::from_secs(31)).await;
    resume();
    client.query("a").await.expect("an answer");
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn a_failed_lookup_names_the_host() {
    let resolver = Resolver::new(|_| Box::pin(async { Err(io::Error::other("try again later")) }));
    let client = client_with("http://localhost:9", Signature::V3, inline(), &resolver);
    let error = client.query("a").await.expect_err("no address");
    assert_eq!((error.label, error.delivery), ("dns", Delivery::NotSent));
    assert_eq!(error.message, "cannot resolve `localhost`: try again later");
}

#[tokio::test]
async fn calls_move_to_new_addresses_and_the_old_connection_finishes_its_call() {
    let gate = Arc::new(Notify::new());
    let late = Step::SayWhen(Arc::clone(&gate), answer(200, "", ONLINE));
    let server = Server::start([ok(ONLINE), late, ok(ONLINE), ok(ONLINE), ok(ONLINE)]).await;
    let (dns, resolver) = Dns::new(Duration::ZERO);
    let client = Arc::new(client_with(
        &format!("http://localhost:{}", server.address.port()),
        Signature::V3,
        inline(),
        &resolver,
    ));
    client.query("a").await.expect("an answer");
    dns.answered.notified().await;
    after(Duration::from_secs(30)).await;
    let in_progress = tokio::spawn({
        let client = Arc::clone(&client);
        async move { client.query("a").await }
    });
    server.requests_came(2).await;
    *dns.addresses.lock().expect("no panic") =
        vec![Ipv4Addr::LOCALHOST, Ipv4Addr::new(127, 0, 0, 2)];
    after(Duration::from_secs(31)).await;
    // This call starts the lookup and does not wait for it.
    client.query("a").await.expect("an answer");
    dns.answered.notified().await;
    for _ in 0..2 {
        client.query("a").await.expect("an answer");
    }
    gate.notify_one();
    let old = in_progress.await.expect("no panic");
    assert!(old.expect("an answer").value);
    let connections: Vec<_> = server
        .requests()
        .iter()
        .map(|request| request.connection)
        .collect();
    let [.., in_progress, before, first, second] = connections[..] else {
        panic!("{connections:?}");
    };
    assert!(
        first > before.max(in_progress) && second == first,
        "{connections:?}"
    );
}

/// Moves the time forward.
async fn after(time: Duration) {
    pause();
    advance(time).await;
    resume();
}

#[tokio::test]
async fn connection_errors_name_host_and_port() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    let message = async |url: String| {
        let client = client_with(&url, Signature::V3, inline(), &Resolver::system());
        let error = client.query("a").await.expect_err("no API there");
        (error.label, error.message, error.advice)
    };
    assert_eq!(
        message(format!("http://{address}")).await,
        (
            "connect",
            format!("cannot connect to {address}: Connection refused (os error 111)"),
            "check `region`, `endpoint`, the proxy and the network"
        )
    );
    let plain = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = plain.local_addr().expect("an address");
    let server = async move {
        let (mut stream, _) = plain.accept().await.expect("a connection");
        stream.read_u8().await.expect("a handshake");
        let refusal = answer(400, "", "");
        stream.write_all(refusal.as_bytes()).await.expect("sent");
        stream
    };
    let server = tokio::spawn(server);
    assert_eq!(
        message(format!("https://{address}")).await,
        (
            "tls",
            format!(
                "TLS handshake with {address} failed: the server does not use TLS on this port"
            ),
            "check the scheme and the port of `endpoint`"
        )
    );
    server.await.expect("no panic");
}
