//! Accepts connections from several listeners.

use std::io;
use std::time::Duration;

use futures_util::future::select_all;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep_until};
use tracing::{info, warn};

/// The delay after the first error; it doubles with each further one.
const MIN_BACKOFF: Duration = Duration::from_millis(5);
const MAX_BACKOFF: Duration = Duration::from_secs(1);

/// Accepts from several listeners, and continues after every error.
pub(crate) struct Acceptor {
    listeners: Vec<TcpListener>,
    /// The current delay and its end, after an error such as a lack of file descriptors.
    backoff: Option<(Duration, Instant)>,
}

impl Acceptor {
    pub(crate) fn new(listeners: Vec<TcpListener>) -> Self {
        Self {
            listeners,
            backoff: None,
        }
    }

    /// The next connection. Cancellation loses nothing.
    pub(crate) async fn accept(&mut self) -> TcpStream {
        loop {
            if let Some((_, end)) = self.backoff {
                sleep_until(end).await;
            }
            let accepts = self.listeners.iter().map(|it| Box::pin(it.accept()));
            let (accepted, ..) = select_all(accepts).await;
            match accepted {
                Ok((stream, _)) => {
                    if self.backoff.take().is_some() {
                        info!("accepting connections again");
                    }
                    // Responses are written in large pieces; the last one must not wait for an
                    // acknowledgement. The connection works without this option as well.
                    let _ = stream.set_nodelay(true);
                    return stream;
                }
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => self.back_off(&error),
            }
        }
    }

    /// Delays the next attempt, and logs the first error.
    fn back_off(&mut self, error: &io::Error) {
        let delay = match self.backoff {
            None => {
                warn!(%error, "cannot accept connections; retrying");
                MIN_BACKOFF
            }
            Some((delay, _)) => MAX_BACKOFF.min(delay * 2),
        };
        self.backoff = Some((delay, Instant::now() + delay));
    }
}

/// Whether the error concerns only one connection, so that the next one may succeed.
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
    async fn the_delay_doubles_up_to_a_second() {
        let mut acceptor = Acceptor::new(Vec::new());
        let mut delays = Vec::new();
        for _ in 0..12 {
            acceptor.back_off(&io::ErrorKind::OutOfMemory.into());
            delays.push(acceptor.backoff.map(|(delay, _)| delay.as_millis()));
        }
        assert_eq!(delays[..3], [Some(5), Some(10), Some(20)]);
        assert_eq!(delays[11], Some(1000));
    }

    #[tokio::test]
    async fn accepts_from_every_listener_and_recovers_from_errors() {
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
        assert!(acceptor.backoff.is_none());
    }
}
