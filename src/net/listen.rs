//! The text of an address to a listening socket.

use std::fmt::Display;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use listenfd::ListenFd;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, lookup_host};

/// How many connections the kernel queues while the server is at its limit.
const BACKLOG: i32 = 1024;

/// Why an address cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The text is not an address.
    #[error("invalid listen address `{0}`; {hint}", hint = correction(.0))]
    Address(String),
    /// The socket cannot be used.
    #[error("{0}")]
    Failed(String),
}

fn correction(address: &str) -> String {
    if address.parse::<u16>().is_ok() {
        format!("did you mean `:{address}`?")
    } else {
        "write HOST:PORT, [IPV6]:PORT, or :PORT for every interface".to_owned()
    }
}

/// Listens on `address`: `HOST:PORT`, `[IPV6]:PORT`, or `:PORT` for every interface. Port 0 is a
/// free port that the system chooses.
///
/// `:PORT` means IPv6 and IPv4 on one socket; on a host without IPv6, only IPv4. Of the addresses
/// of a host name, the first that can be bound is used.
pub async fn listen(address: &str) -> Result<TcpListener, ListenError> {
    let failed =
        |why: &dyn Display| ListenError::Failed(format!("cannot listen on {address}: {why}"));
    let (host, port) = split(address).ok_or_else(|| ListenError::Address(address.to_owned()))?;
    if host.is_empty() {
        return match bind((Ipv6Addr::UNSPECIFIED, port).into()) {
            Err(error) if !is_about_the_port(&error) => bind((Ipv4Addr::UNSPECIFIED, port).into()),
            bound => bound,
        }
        .map_err(|error| failed(&error));
    }
    let unknown = |error| failed(&format_args!("cannot resolve the host: {error}"));
    let mut refused = unknown(io::ErrorKind::NotFound.into());
    for candidate in lookup_host((host, port)).await.map_err(unknown)? {
        match bind(candidate) {
            Ok(listener) => return Ok(listener),
            Err(error) => refused = failed(&error),
        }
    }
    Err(refused)
}

/// Listens on the sockets that the process was started with, by the protocol of systemd
/// (`sd_listen_fds(3)`): file descriptors from 3 on, as many as `LISTEN_FDS` states, if `LISTEN_PID`
/// is this process. Call it once, early and in a runtime: it removes the variables.
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
        .map_err(|error| {
            let what = "cannot listen on a socket passed by the service manager";
            ListenError::Failed(format!("{what}: {error}"))
        })?;
    if listeners.is_empty() {
        let message = "no socket was passed: LISTEN_FDS is not set for this process; \
             start it with a systemd socket unit, or use --web.listen-address";
        return Err(ListenError::Failed(message.to_owned()));
    }
    Ok(listeners)
}

/// The host, without the brackets of an IPv6 address, and the port.
fn split(address: &str) -> Option<(&str, u16)> {
    let (host, port) = address.rsplit_once(':')?;
    let host = match host.strip_prefix('[') {
        Some(bracketed) => bracketed
            .strip_suffix(']')
            .filter(|host| host.parse::<Ipv6Addr>().is_ok())?,
        // Another colon means an IPv6 address without brackets, whose port is ambiguous.
        None if host.contains([':', '/', '[', ']']) => return None,
        None => host,
    };
    // `parse` accepts a sign.
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
        // Independent of the default of the system (`net.ipv6.bindv6only`).
        socket.set_only_v6(false)?;
    }
    // A restart must not wait for the connections of the previous process.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Whether IPv4 would be refused as well. Every other error means a host without IPv6, which
/// systems report in different ways.
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
    fn addresses_are_split_into_host_and_port() {
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
        let error = listen(&address).await.map_err(anyhow::Error::from);
        let shown = format!("{:#}", error.expect_err("taken"));
        assert_eq!(shown.matches("in use").count(), 1, "{shown}");
        for (address, correction) in [("10120", "did you mean `:10120`?"), ("::1:9", ":PORT")] {
            let error = listen(address).await.expect_err("invalid").to_string();
            assert!(
                error.contains(&format!("`{address}`")) && error.contains(correction),
                "{error}"
            );
        }
    }
}
