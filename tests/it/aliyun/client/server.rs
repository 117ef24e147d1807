//! A server that says, byte for byte, what it was told to say.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

/// What follows a request.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// These bytes, and the connection stays.
    Say(String),
    /// These bytes, and the connection is closed.
    SayAndClose(String),
    /// These bytes, and the connection is reset. (Linux hands out what came before a reset.)
    SayAndReset(String),
    /// These bytes, when notified, and the connection stays.
    SayWhen(Arc<Notify>, String),
    /// Nothing, until the client has gone.
    Hang,
}

/// A request as it came.
#[derive(Clone, Debug)]
pub(super) struct Request {
    /// Which connection it came on, counted from 0.
    pub(super) connection: usize,
    /// Its head.
    pub(super) head: String,
}

impl Request {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .skip(1)
            .filter_map(|line| line.split_once(": "))
            .find(|(n, _)| *n == name)
            .map(|(_, v)| v)
    }
}

#[derive(Debug, Default)]
struct Shared {
    steps: VecDeque<Step>,
    requests: Vec<Request>,
    hung_up: usize,
}

/// The server; it stops when it is dropped.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
    changed: watch::Receiver<()>,
    task: JoinHandle<()>,
}

impl Server {
    /// Starts a server that takes one of `steps` after each request, on whatever connection.
    pub(super) async fn start(steps: impl IntoIterator<Item = Step>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Mutex::new(Shared {
            steps: steps.into_iter().collect(),
            ..Shared::default()
        }));
        let (change, changed) = watch::channel(());
        let task = tokio::spawn(accept(listener, Arc::clone(&shared), change));
        Self {
            address,
            shared,
            changed,
            task,
        }
    }

    /// The requests so far.
    pub(super) fn requests(&self) -> Vec<Request> {
        self.shared.lock().expect("no panic").requests.clone()
    }

    /// Waits until this many requests have come.
    pub(super) async fn requests_came(&self, number: usize) {
        self.until(|shared| shared.requests.len() >= number).await;
    }

    /// Waits until the client has ended a connection on which it was left hanging.
    pub(super) async fn client_hung_up(&self) {
        self.until(|shared| shared.hung_up > 0).await;
    }

    async fn until(&self, holds: impl Fn(&Shared) -> bool) {
        let mut changed = self.changed.clone();
        let holds = |(): &()| holds(&self.shared.lock().expect("no panic"));
        changed.wait_for(holds).await.expect("the server runs");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Mutex<Shared>>, change: watch::Sender<()>) {
    let mut connections = tokio::task::JoinSet::new();
    for connection in 0.. {
        let Ok((stream, _)) = listener.accept().await else {
            return;
        };
        connections.spawn(serve(
            stream,
            connection,
            Arc::clone(&shared),
            change.clone(),
        ));
    }
}

async fn serve(
    mut stream: TcpStream,
    connection: usize,
    shared: Arc<Mutex<Shared>>,
    change: watch::Sender<()>,
) {
    while let Some(head) = read_head(&mut stream).await {
        let step = {
            let mut shared = shared.lock().expect("no panic");
            shared.requests.push(Request { connection, head });
            shared.steps.pop_front()
        };
        change.send_replace(());
        match step {
            Some(Step::Say(bytes)) => {
                if stream.write_all(bytes.as_bytes()).await.is_err() {
                    return;
                }
            }
            Some(Step::SayWhen(gate, bytes)) => {
                gate.notified().await;
                let _ = stream.write_all(bytes.as_bytes()).await;
            }
            Some(Step::SayAndClose(bytes)) => {
                let _ = stream.write_all(bytes.as_bytes()).await;
                return;
            }
            Some(Step::SayAndReset(bytes)) => {
                let _ = stream.write_all(bytes.as_bytes()).await;
                let _ = socket2::SockRef::from(&stream).set_linger(Some(std::time::Duration::ZERO));
                return;
            }
            Some(Step::Hang) => {
                let _ = stream.read(&mut [0; 1]).await;
                shared.lock().expect("no panic").hung_up += 1;
                change.send_replace(());
                return;
            }
            None => return,
        }
    }
}

/// The head of the next request, which has no body.
async fn read_head(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    String::from_utf8(head).ok()
}
