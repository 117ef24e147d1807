//! The meaning of an answer: bytes in, a result out.
//!
//! Only a complete answer with `"OnlineStatus": false` makes a client offline. Everything else
//! is a [`CallFailure`].

use serde::Deserialize;

use super::body::{ErrorBody, lenient, parse};
use super::failure::CallFailure;
use super::transport::HttpResponse;
use crate::presence::{ApiResponse, BatchEntry};

/// The body of a success: the first key is the answer to a single query, the second to a batch.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    online_status: Option<bool>,
    online_status_list: Option<Vec<BatchItem>>,
    #[serde(default, deserialize_with = "lenient")]
    request_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct BatchItem {
    client_id: String,
    online_status: Option<bool>,
}

/// Decodes an answer to `QuerySessionByClientId`.
pub fn decode_single(response: &HttpResponse) -> Result<ApiResponse<bool>, CallFailure> {
    let answer = decode(response)?;
    let value = answer
        .online_status
        .ok_or_else(|| CallFailure::undecodable("the answer has no `OnlineStatus`"))?;
    Ok(ApiResponse {
        value,
        sent: response.sent,
        request_id: answer.request_id,
    })
}

/// Decodes an answer to `BatchQuerySessionByClientIds` about the clients `queried`.
///
/// Entries of other clients are ignored. The result leaves out each client without an entry, with
/// an entry without a status, or with entries that disagree: its status is unknown.
pub fn decode_batch(
    response: &HttpResponse,
    queried: &[&str],
) -> Result<ApiResponse<Vec<BatchEntry>>, CallFailure> {
    let answer = decode(response)?;
    let items = answer
        .online_status_list
        .ok_or_else(|| CallFailure::undecodable("the answer has no `OnlineStatusList`"))?;
    let mut value = Vec::with_capacity(queried.len());
    for (index, client) in queried.iter().enumerate() {
        let mut statuses = items
            .iter()
            .filter(|item| item.client_id == *client)
            .map(|item| item.online_status);
        if let Some(Some(online)) = statuses.next()
            && statuses.all(|status| status == Some(online))
            && !queried[..index].contains(client)
        {
            value.push(BatchEntry {
                client: (*client).to_owned(),
                online,
            });
        }
    }
    Ok(ApiResponse {
        value,
        sent: response.sent,
        request_id: answer.request_id,
    })
}

/// The body of a success. A success with the code of an error is that error.
fn decode(response: &HttpResponse) -> Result<Answer, CallFailure> {
    let HttpResponse { status, body, .. } = response;
    let failure = if let Some(error) = ErrorBody::read(body) {
        CallFailure::of_api(*status, error)
    } else if (200..300).contains(status) {
        return parse(body).map_err(CallFailure::undecodable);
    } else if body.trim_ascii_start().starts_with(b"{") {
        // Probably an error of the API that was cut off: its code is not known.
        CallFailure::undecodable(format!(
            "the answer to HTTP status {status} is not the expected JSON"
        ))
    } else {
        CallFailure::of_status(*status)
    };
    Err(failure.with_retry_after(response.retry_after))
}

#[cfg(test)]
mod tests;
