//! A server that has one answer for everything, and counts.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;

/// What it answers: what the API says of a client that is online.
pub(crate) const ANSWER: &str =
    r#"{"OnlineStatus":true,"RequestId":"01234567-89AB-CDEF-0123-456789ABCDEF"}"#;

/// The server.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    /// How many requests it has answered, and how long they were together.
    pub(crate) calls: AtomicU64,
    pub(crate) bytes: AtomicU64,
    /// The first request, as it came.
    pub(crate) first: OnceLock<Vec<u8>>,
}

impl Server {
    pub(crate) fn start() -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("it listens");
        let server = Arc::new(Self {
            address,
            calls: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            first: OnceLock::new(),
        });
        let this = Arc::clone(&server);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let this = Arc::clone(&this);
                thread::spawn(move || this.answer(stream.expect("a connection")));
            }
        });
        server
    }

    /// Answers until the connection ends; no request has a body.
    fn answer(&self, mut stream: TcpStream) {
        stream.set_nodelay(true).expect("a TCP connection");
        let length = ANSWER.len();
        let answer = format!(
            "HTTP/1.1 200 OK\r\ndate: Mon, 24 Nov 2025 08:00:00 GMT\r\n\
             content-type: application/json;charset=utf-8\r\ncontent-length: {length}\r\n\r\n{ANSWER}"
        );
        let (mut buf, mut len) = ([0; 4096], 0);
        while let Ok(read @ 1..) = stream.read(&mut buf[len..]) {
            len += read;
            if buf[..len].ends_with(b"\r\n\r\n") {
                self.first.get_or_init(|| buf[..len].to_vec());
                self.bytes.fetch_add(len as u64, Ordering::Relaxed);
                self.calls.fetch_add(1, Ordering::Relaxed);
                len = 0;
                if stream.write_all(answer.as_bytes()).is_err() {
                    return;
                }
            }
        }
    }
}
