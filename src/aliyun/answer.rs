//! What an answer says: bytes in, a result out, nothing else.
//!
//! Only a complete answer that says `"OnlineStatus": false` makes a client offline. Whatever else
//! comes, from whomever, is a [`CallFailure`].

pub(super) mod error_body;

use std::time::Duration;

use error_body::lenient;
use serde::Deserialize;

use super::failure::{ApiError, CallFailure};
use crate::presence::{ApiResponse, BatchEntry};

/// An answer as it came: complete, but not yet understood.
#[derive(Clone, Copy, Debug)]
pub struct HttpResponse<'a> {
    /// The HTTP status.
    pub status: u16,
    /// How long the API asked to be left alone.
    pub retry_after: Option<Duration>,
    /// The body.
    pub body: &'a [u8],
}

#[derive(Deserialize)]
struct Single {
    #[serde(rename = "OnlineStatus")]
    online: Option<bool>,
    #[serde(rename = "RequestId", default, deserialize_with = "lenient")]
    request_id: Option<String>,
}

#[derive(Deserialize)]
struct Batch {
    #[serde(rename = "OnlineStatusList")]
    entries: Option<Vec<Entry>>,
    #[serde(rename = "RequestId", default, deserialize_with = "lenient")]
    request_id: Option<String>,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(rename = "ClientId")]
    client: String,
    #[serde(rename = "OnlineStatus")]
    online: Option<bool>,
}

/// Understands an answer to `QuerySessionByClientId`.
pub fn decode_single(reply: HttpResponse<'_>) -> Result<ApiResponse<bool>, CallFailure> {
    let Single { online, request_id } = decode(reply)?;
    match online {
        Some(value) => Ok(ApiResponse { value, request_id }),
        None => Err(CallFailure::undecodable("the answer has no `OnlineStatus`")),
    }
}

/// Understands an answer to `BatchQuerySessionByClientIds` about the clients `asked`.
///
/// Entries for other clients are ignored. A client without an entry, without a status in it, or
/// with two entries that disagree is not in the result: nothing is known of it.
pub fn decode_batch(
    reply: HttpResponse<'_>,
    asked: &[&str],
) -> Result<ApiResponse<Vec<BatchEntry>>, CallFailure> {
    let Batch {
        entries,
        request_id,
    } = decode(reply)?;
    let entries =
        entries.ok_or_else(|| CallFailure::undecodable("the answer has no `OnlineStatusList`"))?;
    let statuses = |client: &str| {
        let mut statuses = entries
            .iter()
            .filter(|entry| entry.client == client)
            .map(|entry| entry.online);
        let first = statuses.next()??;
        statuses
            .all(|status| status == Some(first))
            .then_some(first)
    };
    let mut value = Vec::with_capacity(asked.len());
    for (index, client) in asked.iter().enumerate() {
        if let Some(online) = statuses(client)
            && !asked[..index].contains(client)
        {
            value.push(BatchEntry {
                client: (*client).to_owned(),
                online,
            });
        }
    }
    Ok(ApiResponse { value, request_id })
}

/// The body of a success. A success that carries an error's code is that error.
fn decode<'a, T: Deserialize<'a>>(reply: HttpResponse<'a>) -> Result<T, CallFailure> {
    let HttpResponse {
        status,
        retry_after,
        body,
    } = reply;
    let error = error_body::read(body);
    if let Some(error_body::ErrorBody {
        code,
        message,
        request_id,
    }) = error
    {
        return Err(CallFailure::of_api(ApiError {
            status,
            code,
            message,
            request_id,
            retry_after,
        }));
    }
    if (200..300).contains(&status) {
        return serde_json::from_slice(body).map_err(|error| {
            // The place is enough: what stands there is somebody else's text.
            let (line, column) = (error.line(), error.column());
            CallFailure::undecodable(format!(
                "the answer is not the expected JSON (line {line}, column {column})"
            ))
        });
    }
    // An error of the API's that was cut or garbled, or a page of somebody in between?
    match body.trim_ascii_start().first() {
        Some(b'{') => Err(CallFailure::undecodable(format!(
            "the answer to HTTP status {status} is not the expected JSON"
        ))),
        _ => Err(CallFailure::of_status(status, retry_after)),
    }
}

#[cfg(test)]
mod tests;
