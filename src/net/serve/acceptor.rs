//! Connections, from as many listeners as there are.

use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep_until};
use tracing::{info, warn};

/// The pause after the first failure to accept; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Accepts from several listeners, and goes on whatever goes wrong.
pub(super) struct Acceptor {
    listeners: Vec<TcpListener>,
    trouble: Option<Trouble>,
}

/// The system does not let us accept; most often it is out of file descriptors.
struct Trouble {
    pause: Duration,
    until: Instant,
}

impl Acceptor {
    pub(super) fn new(listeners: Vec<TcpListener>) -> Self {
        Self {
            listeners,
            trouble: None,
        }
    }

    /// The next connection. Nothing is lost when the future is dropped.
    pub(super) async fn accept(&mut self) -> TcpStream {
        loop {
            if let Some(trouble) = &self.trouble {
                sleep_until(trouble.until).await;
            }
            match poll_fn(|cx| self.poll_accept(cx)).await {
                Ok(stream) => {
                    if self.trouble.take().is_some() {
                        info!("accepting connections again");
                    }
                    // An answer is written in large pieces; its last one must not wait for an
                    // acknowledgement. A socket that refuses works all the same.
                    let _ = stream.set_nodelay(true);
                    return stream;
                }
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => self.back_off(&error),
            }
        }
    }

    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<TcpStream>> {
        for listener in &self.listeners {
            if let Poll::Ready(accepted) = listener.poll_accept(cx) {
                return Poll::Ready(accepted.map(|(stream, _)| stream));
            }
        }
        Poll::Pending
    }

    /// Leaves the listeners alone for a while, and says so the first time.
    fn back_off(&mut self, error: &io::Error) {
        let pause = match &self.trouble {
            None => {
                warn!(%error, "cannot accept connections; trying again until it works");
                FIRST_PAUSE
            }
            Some(trouble) => LONGEST_PAUSE.min(trouble.pause * 2),
        };
        self.trouble = Some(Trouble {
            pause,
            until: Instant::now() + pause,
        });
    }
}

/// Whether only the connection that was to be accepted failed, and the next one may not.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn trouble_pauses_longer_each_time_up_to_a_second() {
        let mut acceptor = Acceptor::new(Vec::new());
        let mut pauses = Vec::new();
        for _ in 0..12 {
            acceptor.back_off(&io::ErrorKind::OutOfMemory.into());
            pauses.push(
                acceptor
                    .trouble
                    .as_ref()
                    .map(|trouble| trouble.pause.as_millis()),
            );
        }
        assert_eq!(pauses[..3], [Some(5), Some(10), Some(20)]);
        assert_eq!(pauses[11], Some(1000));
    }

    #[tokio::test]
    async fn accepts_from_every_listener_and_recovers_from_trouble() {
        let mut listeners = Vec::new();
        let mut addresses = Vec::new();
        for _ in 0..2 {
            let listener = crate::net::listen("127.0.0.1:0")
                .await
                .expect("loopback can be bound");
            addresses.push(listener.local_addr().expect("bound"));
            listeners.push(listener);
        }
        let mut acceptor = Acceptor::new(listeners);
        acceptor.back_off(&io::ErrorKind::OutOfMemory.into());
        for address in addresses {
            let client = TcpStream::connect(address).await.expect("listening");
            let accepted = acceptor.accept().await;
            assert_eq!(
                accepted.peer_addr().expect("connected"),
                client.local_addr().expect("connected")
            );
        }
        assert!(acceptor.trouble.is_none());
    }
}
