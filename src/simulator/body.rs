//! What goes out over HTTP, whole or broken off.

use std::io;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::Response;
use hyper::body::Frame;
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE};

/// A text, or half of one and an error.
pub(super) type Body = UnsyncBoxBody<Bytes, io::Error>;

/// An answer with `text`.
pub(super) fn response(status: u16, kind: &'static str, text: impl Into<Bytes>) -> Response<Body> {
    with(
        status,
        kind,
        Full::new(text.into())
            .map_err(|never| match never {})
            .boxed_unsync(),
    )
}

/// An answer that promises all of `text`, gives half and breaks off.
pub(super) fn truncated(status: u16, kind: &'static str, text: &str) -> Response<Body> {
    let half = Bytes::copy_from_slice(&text.as_bytes()[..text.len() / 2]);
    let end = stream::once(async {
        // Lets the half go out before the connection ends.
        tokio::task::yield_now().await;
        Err(io::Error::other("the answer breaks off"))
    });
    let halves = stream::iter([Ok(Frame::data(half))]).chain(end);
    let mut response = with(status, kind, StreamBody::new(halves).boxed_unsync());
    response
        .headers_mut()
        .insert(CONTENT_LENGTH, text.len().into());
    response
}

fn with(status: u16, kind: &'static str, body: Body) -> Response<Body> {
    let response = Response::builder()
        .status(status)
        .header(CONTENT_TYPE, kind)
        .body(body);
    response.expect("the status and the media type are constants")
}
