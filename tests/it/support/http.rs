//! HTTP as bytes: a server on a free port, and a client that says exactly what it is told and
//! reads an answer as strictly as it can.

use std::future::Future;
use std::io::Read as _;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use flate2::read::GzDecoder;
use hyper_util::service::TowerToHyperService;
use mqtt_presence_exporter::net::{ServeOptions, Tls, listen, serve};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;

use crate::support::pki::TlsClient;

/// Waits for what is to happen; a test that waits in vain fails and does not hang.
pub(crate) async fn soon<T>(event: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), event)
        .await
        .expect("it happens")
}

/// A server on a free port of the loopback interface; it is stopped when dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    /// Stops it.
    pub(crate) shutdown: CancellationToken,
    task: JoinHandle<()>,
}

impl Server {
    pub(crate) async fn start(router: Router, options: ServeOptions) -> Self {
        Self::start_secured(router, None, options).await
    }

    pub(crate) async fn start_secured(
        router: Router,
        tls: Option<Tls>,
        options: ServeOptions,
    ) -> Self {
        let listener = listen("127.0.0.1:0").await.expect("loopback can be bound");
        let address = listener.local_addr().expect("bound");
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(serve(
            vec![listener],
            tls,
            TowerToHyperService::new(router),
            options,
            shutdown.clone(),
        ));
        Self {
            address,
            shutdown,
            task,
        }
    }

    /// Waits until it has ended by itself.
    pub(crate) async fn ended(mut self) {
        soon(&mut self.task).await.expect("no panic");
    }

    pub(crate) async fn client(&self) -> Client {
        Client::connect(self.address).await
    }

    /// A client for which the kernel holds little, so that it must read for an answer to end.
    pub(crate) async fn narrow_client(&self) -> Client {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(4096).expect("a small buffer");
        Client::new(
            socket
                .connect(self.address)
                .await
                .expect("the server listens"),
        )
    }

    /// One request on a connection of its own.
    pub(crate) async fn request(&self, method: &str, path: &str, headers: &[&str]) -> Answer {
        let mut client = self.client().await;
        client.send(&request(method, path, headers)).await;
        client.answer(method).await.expect("an answer")
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.request("GET", path, &[]).await
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The text of a request without a body.
pub(crate) fn request(method: &str, path: &str, headers: &[&str]) -> String {
    let start = format!("{method} {path} HTTP/1.1");
    [&[&*start, "Host: exporter"], headers, &["", ""]]
        .concat()
        .join("\r\n")
}

/// What a client reads and writes.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// A secured stream to a server with a certificate for `localhost`.
pub(crate) async fn secured(
    address: SocketAddr,
    tls: &TlsClient,
) -> std::io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
    let name = ServerName::try_from("localhost").expect("a name");
    let stream = TcpStream::connect(address).await?;
    soon(TlsConnector::from(tls.config()).connect(name, stream)).await
}

/// One connection to a server.
pub(crate) struct Client {
    stream: BufReader<Box<dyn Stream>>,
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self::new(
            TcpStream::connect(address)
                .await
                .expect("the server listens"),
        )
    }

    fn new(stream: impl Stream + 'static) -> Self {
        Self {
            stream: BufReader::new(Box::new(stream)),
        }
    }

    /// A connection that is secured, to a server with a certificate for `localhost`.
    pub(crate) async fn secured(address: SocketAddr, tls: &TlsClient) -> std::io::Result<Self> {
        Ok(Self::new(secured(address, tls).await?))
    }

    pub(crate) async fn send(&mut self, text: &str) {
        self.try_send(text).await.expect("the connection is open");
    }

    /// The same, where the server may have ended the connection.
    pub(crate) async fn try_send(&mut self, text: &str) -> std::io::Result<()> {
        self.stream.write_all(text.as_bytes()).await?;
        self.stream.flush().await
    }

    /// The next answer, to a request with `method`; `None` if the connection ends before its end.
    pub(crate) async fn answer(&mut self, method: &str) -> Option<Answer> {
        soon(self.read_answer(method)).await
    }

    /// Waits until the server has ended the connection without another byte.
    pub(crate) async fn closed(&mut self) {
        match soon(self.stream.read(&mut [0])).await {
            Ok(0) | Err(_) => {}
            Ok(_) => panic!("the server said something"),
        }
    }

    /// Waits until the server has ended the connection, whatever it says before.
    pub(crate) async fn finished(&mut self) {
        let _ = soon(self.stream.read_to_end(&mut Vec::new())).await;
    }

    async fn read_answer(&mut self, method: &str) -> Option<Answer> {
        let status_line = self.line().await?;
        let status = status_line
            .strip_prefix("HTTP/1.1 ")
            .expect("an answer of HTTP/1.1")[..3]
            .parse()
            .expect("a status");
        let mut answer = Answer {
            status,
            headers: Vec::new(),
            body: Vec::new(),
        };
        loop {
            let line = self.line().await?;
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(": ").expect("a header");
            answer
                .headers
                .push((name.to_ascii_lowercase(), value.to_owned()));
        }
        if method == "HEAD" {
            return Some(answer);
        }
        if let Some(length) = answer.header("content-length") {
            answer.body = self.exactly(length.parse().expect("a length")).await?;
            return Some(answer);
        }
        assert_eq!(answer.header("transfer-encoding"), Some("chunked"));
        loop {
            let size = usize::from_str_radix(&self.line().await?, 16).expect("the size of a chunk");
            let chunk = self.exactly(size).await?;
            answer.body.extend(chunk);
            assert_eq!(self.line().await?, "");
            if size == 0 {
                return Some(answer);
            }
        }
    }

    async fn exactly(&mut self, length: usize) -> Option<Vec<u8>> {
        let mut bytes = vec![0; length];
        self.stream.read_exact(&mut bytes).await.ok()?;
        Some(bytes)
    }

    async fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        self.stream.read_line(&mut line).await.ok()?;
        Some(line.strip_suffix("\r\n")?.to_owned())
    }
}

/// An answer, whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The value of a header, by its name in lower case, that is there at most once.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self
            .headers
            .iter()
            .filter(|(n, _)| n == name)
            .map(|(_, value)| value.as_str());
        let value = values.next();
        assert_eq!(values.next(), None, "`{name}` is there twice");
        value
    }

    /// The names and values of all headers but those named.
    pub(crate) fn headers_without(&self, names: &[&str]) -> Vec<(String, String)> {
        let mut headers: Vec<_> = self
            .headers
            .iter()
            .filter(|(name, _)| !names.contains(&&**name))
            .cloned()
            .collect();
        headers.sort();
        headers
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("UTF-8")
    }

    /// The body, which is a whole gzip stream and nothing else, decompressed.
    pub(crate) fn gunzip(&self) -> String {
        let mut decoder = GzDecoder::new(&self.body[..]);
        let mut text = String::new();
        decoder.read_to_string(&mut text).expect("gzip of UTF-8");
        assert!(
            decoder.into_inner().is_empty(),
            "bytes behind the gzip stream"
        );
        text
    }
}
