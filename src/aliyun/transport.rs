//! What comes from the transport: the body and the time of an answer, or what it says when there
//! is no answer, or only a part of one.
//!
//! The HTTP library's own texts are not used: they hold the URL, and with it a security token
//! where the signature is V2. The innermost cause says what happened.

use std::error::Error;
use std::io::ErrorKind;

use reqwest::Response;
use reqwest::header::{DATE, HeaderMap};

use super::failure::{CallFailure, label};
use crate::clock::Timestamp;
use crate::net::client::{causes, tls_error};
use crate::presence::ErrorClass;

/// The largest body that is read, in bytes; the largest answer that is expected has about two
/// thousand.
const LARGEST_BODY: usize = 1 << 20;

const ENDPOINT: &str = "check `region`, `endpoint`, the proxy and the network";

/// No head of an answer came.
pub(super) fn no_answer(error: &reqwest::Error) -> CallFailure {
    let message = innermost(error);
    if let Some(tls) = tls_error(error) {
        let class = if error.is_connect() {
            ErrorClass::Connect
        } else {
            ErrorClass::Transient
        };
        let advice = match tls {
            rustls::Error::InvalidCertificate(_) => {
                "check `endpoint` and this host's clock, and name the CA as `api.ca_file` if it is one of your own"
            }
            _ => "check that `endpoint` speaks TLS, and that no proxy breaks it",
        };
        return CallFailure::new(class, label::TLS, "tls", message, advice);
    }
    if error.is_connect() {
        let message = if error.is_timeout() {
            "no connection in time".to_owned()
        } else {
            message
        };
        return CallFailure::new(
            ErrorClass::Connect,
            label::CONNECT,
            "connect",
            message,
            ENDPOINT,
        );
    }
    match ended(error) {
        Some(End::Closed | End::Reset) => {
            // The library does not tell whether a part of the head had come; nothing was answered.
            let advice = "check what ends connections between here and the API, if this goes on";
            CallFailure::new(
                ErrorClass::Closed,
                label::RESET,
                "reset",
                "the connection ended before the answer",
                advice,
            )
        }
        None if causes(error).any(|cause| hyper(cause).is_some_and(hyper::Error::is_parse)) => {
            CallFailure::undecodable("the answer is not HTTP")
        }
        None => CallFailure::new(
            ErrorClass::Transient,
            label::OTHER,
            "transport",
            message,
            ENDPOINT,
        ),
    }
}

/// The head of an answer came, but not the whole body.
fn half_an_answer(error: &reqwest::Error) -> CallFailure {
    match ended(error) {
        Some(End::Reset) => {
            let advice = "check what resets connections between here and the API, if this goes on";
            CallFailure::new(
                ErrorClass::Transient,
                label::RESET,
                "reset",
                "the connection was reset in the answer",
                advice,
            )
        }
        Some(End::Closed) => CallFailure::undecodable("the answer ended early"),
        None => CallFailure::undecodable(innermost(error)),
    }
}

/// The whole body, as far as it is one of a size to be expected.
pub(super) async fn body(mut response: Response) -> Result<Vec<u8>, CallFailure> {
    let mut body = Vec::new();
    while let Some(chunk) = response
        .chunk()
        .await
        .map_err(|error| half_an_answer(&error))?
    {
        if body.len() + chunk.len() > LARGEST_BODY {
            return Err(CallFailure::undecodable(format!(
                "the answer is larger than {LARGEST_BODY} bytes"
            )));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// The server's clock. It counts whole seconds, so that on average half a second is missing; the
/// vendor allows 15 minutes.
pub(super) fn server_date(headers: &HeaderMap) -> Option<Timestamp> {
    httpdate::parse_http_date(headers.get(DATE)?.to_str().ok()?)
        .ok()
        .map(Timestamp::from)
}

/// How a connection ended.
enum End {
    /// In an orderly way, but too early.
    Closed,
    Reset,
}

fn ended(error: &reqwest::Error) -> Option<End> {
    causes(error).find_map(|cause| {
        let of_hyper = |error: &hyper::Error| {
            error.is_incomplete_message() || error.is_canceled() || error.is_closed()
        };
        if hyper(cause).is_some_and(of_hyper) {
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

fn innermost(error: &reqwest::Error) -> String {
    causes(error)
        .skip(1)
        .last()
        .map(ToString::to_string)
        .unwrap_or_default()
}
