//! From the text of an address to a listening socket.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use listenfd::ListenFd;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, lookup_host};

/// How many connections the kernel holds for us while the server is at its cap.
const BACKLOG: i32 = 1024;

/// Why there is no listening at an address.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The text is not an address.
    #[error(
        "`{0}` is no address to listen at; write HOST:PORT, [IPV6]:PORT, or :PORT for every interface"
    )]
    Address(String),
    /// The host's name has no address.
    #[error("cannot listen at {address}: its host is not known: {source}")]
    Host {
        /// The address as it was written.
        address: String,
        /// What the resolver said.
        source: io::Error,
    },
    /// The service manager handed over a socket that is none to accept connections from.
    #[error("cannot listen at a socket that was handed over: {0}")]
    HandedOver(io::Error),
    /// The service manager handed over none.
    #[error(
        "no socket was handed over: LISTEN_FDS is not set for this process; start it by a systemd socket unit, \
         or listen at addresses"
    )]
    NoneHandedOver,
    /// The address cannot be bound.
    #[error("cannot listen at {address}: {source}")]
    Bind {
        /// The address as it was written.
        address: String,
        /// What the operating system said.
        source: io::Error,
    },
}

/// Listens at `address`: `HOST:PORT`, `[IPV6]:PORT`, or `:PORT` for every interface. Port 0 is a
/// free one of the system's choice.
///
/// `:PORT` means IPv6 and IPv4 on one socket; on a host without IPv6, IPv4 alone. A host name is
/// listened at by the first of its addresses that can be bound.
pub async fn listen(address: &str) -> Result<TcpListener, ListenError> {
    let bind_error = |source| ListenError::Bind {
        address: address.to_owned(),
        source,
    };
    let (host, port) = split(address).ok_or_else(|| ListenError::Address(address.to_owned()))?;
    if host.is_empty() {
        return match bind((Ipv6Addr::UNSPECIFIED, port).into()) {
            Err(error) if !is_about_the_port(&error) => bind((Ipv4Addr::UNSPECIFIED, port).into()),
            bound => bound,
        }
        .map_err(bind_error);
    }
    let unknown = |source| ListenError::Host {
        address: address.to_owned(),
        source,
    };
    let mut refused = unknown(io::ErrorKind::NotFound.into());
    for candidate in lookup_host((host, port)).await.map_err(unknown)? {
        match bind(candidate) {
            Ok(listener) => return Ok(listener),
            Err(error) => refused = bind_error(error),
        }
    }
    Err(refused)
}

/// Listens at the sockets that the process was started with, by systemd's protocol
/// (`sd_listen_fds(3)`): file descriptors from 3 on, as many as `LISTEN_FDS` says, where `LISTEN_PID`
/// is this process. To be called once, and early: it removes the variables.
///
/// Has to be called in a runtime.
pub fn handed_over() -> Result<Vec<TcpListener>, ListenError> {
    let mut sockets = ListenFd::from_env();
    let handed_over = sockets.len();
    let take = |n| {
        let socket = sockets
            .take_tcp_listener(n)?
            .ok_or(io::ErrorKind::NotFound)?;
        socket.set_nonblocking(true)?;
        TcpListener::from_std(socket)
    };
    let listeners: Vec<_> = (0..handed_over)
        .map(take)
        .collect::<io::Result<_>>()
        .map_err(ListenError::HandedOver)?;
    if listeners.is_empty() {
        Err(ListenError::NoneHandedOver)
    } else {
        Ok(listeners)
    }
}

/// The host, without the brackets of an IPv6 address, and the port.
fn split(address: &str) -> Option<(&str, u16)> {
    let (host, port) = address.rsplit_once(':')?;
    let host = match host.strip_prefix('[') {
        Some(bracketed) => bracketed
            .strip_suffix(']')
            .filter(|host| host.parse::<Ipv6Addr>().is_ok())?,
        // A colon is left only in an IPv6 address, whose port nobody could tell.
        None if host.contains([':', '/', '[', ']']) => return None,
        None => host,
    };
    // `parse` would take a sign.
    let port = Some(port)
        .filter(|port| port.bytes().all(|byte| byte.is_ascii_digit()))?
        .parse()
        .ok()?;
    Some((host, port))
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    if address.ip() == Ipv6Addr::UNSPECIFIED {
        // Not left to the system's default (`net.ipv6.bindv6only`).
        socket.set_only_v6(false)?;
    }
    // A restart must not wait for the connections of the process before it.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Whether the address itself is what was refused, so that IPv4 would be refused alike. Anything
/// else is taken for a host without IPv6, which says so in a different way on each system.
fn is_about_the_port(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn addresses_as_prometheus_writes_them() {
        for (address, ip) in [("127.0.0.1:0", "127.0.0.1"), ("localhost:0", "")] {
            let listener = listen(address).await.expect("loopback can be bound");
            let bound = listener.local_addr().expect("bound");
            assert!(
                bound.ip().is_loopback() && bound.port() != 0,
                "{address} became {bound}"
            );
            assert!(ip.is_empty() || bound.ip().to_string() == ip);
        }
    }

    #[test]
    fn hosts_and_ports_are_told_apart() {
        assert_eq!(split(":10120"), Some(("", 10120)));
        assert_eq!(split("[::1]:9"), Some(("::1", 9)));
        assert_eq!(split("exporter.example:80"), Some(("exporter.example", 80)));
        for wrong in [
            "",
            ":",
            "10120",
            "host",
            "host:",
            "host:http",
            ":65536",
            ":+1",
            "::1:9",
            "[::1]",
            "[host]:1",
            "http://host:1",
        ] {
            assert_eq!(split(wrong), None, "{wrong}");
        }
    }

    #[tokio::test]
    async fn an_error_names_the_address_and_the_reason() {
        let taken = listen("127.0.0.1:0").await.expect("loopback can be bound");
        let address = taken.local_addr().expect("bound").to_string();
        let error = listen(&address).await.expect_err("taken").to_string();
        assert!(
            error.contains(&address) && error.contains("in use"),
            "{error}"
        );
        let error = listen("10120").await.expect_err("no colon").to_string();
        assert!(
            error.contains("`10120`") && error.contains(":PORT"),
            "{error}"
        );
    }
}
