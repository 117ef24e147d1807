//! Sending a request: a complete answer, or the failure that the transport reports.
//!
//! The texts of the HTTP library are not used: they contain the URL, and with it a security token
//! if the signature is V2. The innermost cause describes the failure.

use std::error::Error;
use std::io::ErrorKind;
use std::time::Duration;

use reqwest::Request;
use reqwest::header::{DATE, HeaderMap};
use secrecy::zeroize::Zeroizing;
use tokio::time::Instant;

use super::failure::CallFailure;
use crate::clock::{Clock, Timestamp};
use crate::net::ReadyClient;
use crate::net::client::{causes, innermost, tls_error, tls_message};
use crate::presence::{Delivery, ErrorClass};

/// The largest body that is read, in bytes; the largest expected answer has about 2,000.
const MAX_BODY: usize = 1 << 20;

const CHECK_ENDPOINT: &str = "check `region`, `endpoint`, the proxy and the network";

/// A complete answer, not yet decoded.
pub struct HttpResponse {
    /// The HTTP status.
    pub status: u16,
    /// When the request was handed to the HTTP library.
    pub sent: Instant,
    /// The pause that the API requested.
    pub retry_after: Option<Duration>,
    /// The time of the server's clock, and of this host's when the answer arrived.
    pub clocks: Option<(Timestamp, Timestamp)>,
    /// The body, which may contain secrets.
    pub body: Zeroizing<Vec<u8>>,
}

/// Sends `request`, once, and reads the whole answer.
pub(super) async fn send(
    client: &ReadyClient,
    request: Request,
    clock: &Clock,
) -> Result<HttpResponse, CallFailure> {
    let sent = Instant::now();
    let response = client.http.execute(request).await;
    let mut response = response.map_err(|error| {
        let delivery = if error.is_connect() {
            Delivery::NotSent
        } else {
            Delivery::Unanswered
        };
        CallFailure {
            delivery,
            ..no_answer(&error, &client.peer)
        }
    })?;
    let received = clock.now();
    let mut answer = HttpResponse {
        status: response.status().as_u16(),
        sent,
        retry_after: retry_after(response.headers()),
        clocks: server_date(response.headers()).map(|server| (server, received)),
        body: Zeroizing::default(),
    };
    loop {
        let chunk = response.chunk().await;
        let Some(chunk) = chunk.map_err(|error| partial_answer(&error))? else {
            return Ok(answer);
        };
        if answer.body.len() + chunk.len() > MAX_BODY {
            return Err(CallFailure::undecodable(format!(
                "the answer is larger than {MAX_BODY} bytes"
            )));
        }
        answer.body.extend_from_slice(&chunk);
    }
}

/// `x-acs-retry-after`, in milliseconds; zero counts as missing.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get("x-acs-retry-after")?.to_str().ok()?;
    let millis = value.trim().parse().ok()?;
    (millis > 0).then(|| Duration::from_millis(millis))
}

/// The server's clock in whole seconds, half a second behind on average; the API tolerates 15
/// minutes.
fn server_date(headers: &HeaderMap) -> Option<Timestamp> {
    let date = httpdate::parse_http_date(headers.get(DATE)?.to_str().ok()?);
    date.ok().map(Timestamp::from)
}

/// The head of the answer of `peer` did not arrive.
fn no_answer(error: &reqwest::Error, peer: &str) -> CallFailure {
    let message = innermost(error);
    let unconnected = if error.is_connect() {
        ErrorClass::Connect
    } else {
        ErrorClass::Transient
    };
    if error.is_dns() {
        return CallFailure::unresolved(&message);
    }
    if let Some(tls) = tls_error(error) {
        let message = format!("TLS handshake with {peer} failed: {}", tls_message(tls));
        let advice = match tls {
            rustls::Error::InvalidCertificate(_) => {
                "check `endpoint` and the clock of this host; set `api.ca_file` if the CA is your own"
            }
            rustls::Error::InvalidMessage(_) => "check the scheme and the port of `endpoint`",
            _ => "check that `endpoint` supports TLS, and that no proxy interferes",
        };
        return CallFailure::new(unconnected, "tls", message, advice);
    }
    if error.is_connect() {
        let cause = if error.is_timeout() {
            "timed out"
        } else {
            &message
        };
        let message = format!("cannot connect to {peer}: {cause}");
        return CallFailure::new(unconnected, "connect", message, CHECK_ENDPOINT);
    }
    if end_of(error).is_some() {
        // The library does not report whether part of the head arrived.
        let message = "the connection ended before the answer";
        let advice = "if this continues, check what ends connections between this host and the API";
        return CallFailure::new(ErrorClass::Closed, "reset", message, advice);
    }
    if causes(error).any(|cause| hyper(cause).is_some_and(hyper::Error::is_parse)) {
        return CallFailure::undecodable("the answer is not HTTP");
    }
    CallFailure::new(unconnected, "other", message, CHECK_ENDPOINT).with_code("transport")
}

/// The head of an answer arrived, but not the whole body.
fn partial_answer(error: &reqwest::Error) -> CallFailure {
    match end_of(error) {
        Some(End::Reset) => {
            let message = "the connection was reset within the answer";
            let advice =
                "if this continues, check what resets connections between this host and the API";
            CallFailure::new(ErrorClass::Transient, "reset", message, advice)
        }
        Some(End::Closed) => CallFailure::undecodable("the answer ended early"),
        None => CallFailure::undecodable(innermost(error)),
    }
}

/// How a connection ended too early.
enum End {
    Closed,
    Reset,
}

fn end_of(error: &reqwest::Error) -> Option<End> {
    causes(error).find_map(|cause| {
        let closed = |error: &hyper::Error| {
            error.is_incomplete_message() || error.is_canceled() || error.is_closed()
        };
        if hyper(cause).is_some_and(closed) {
            return Some(End::Closed);
        }
        match cause.downcast_ref::<std::io::Error>()?.kind() {
            ErrorKind::UnexpectedEof => Some(End::Closed),
            ErrorKind::ConnectionReset
            | ErrorKind::ConnectionAborted
            | ErrorKind::BrokenPipe
            | ErrorKind::NotConnected => Some(End::Reset),
            _ => None,
        }
    })
}

fn hyper<'a>(cause: &'a (dyn Error + 'static)) -> Option<&'a hyper::Error> {
    cause.downcast_ref()
}
