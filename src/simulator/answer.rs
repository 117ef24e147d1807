//! From the answer of a service to an HTTP response: JSON or XML, complete or truncated.

use std::io;

use axum::body::Body;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use hyper::Response;
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE};
use serde_json::{Value, json};

use super::request::ApiRequest;
use super::vendor_error::VendorError;

pub(super) const JSON: &str = "application/json;charset=utf-8";
const XML: &str = "text/xml;charset=utf-8";
pub(super) const HTML: &str = "text/html";
pub(super) const TEXT: &str = "text/plain";

/// The page of a proxy in front of the API.
pub(super) const BAD_GATEWAY: &str =
    "<html><head><title>502 Bad Gateway</title></head><body>502</body></html>";

/// A body that no client can parse.
pub(super) const UNDECODABLE: &str = r#"{"OnlineStatus": maybe"#;

/// What a service answers.
#[derive(Debug)]
pub(super) enum Content {
    /// The result of an operation, without its request ID.
    Result(Value),
    /// Anything else: HTTP status, media type and text.
    Raw(u16, &'static str, String),
}

/// The HTTP status, media type and text of the answer to `request`.
pub(super) fn render(
    answer: Result<Content, VendorError>,
    request: &ApiRequest,
    request_id: &str,
) -> (u16, &'static str, String) {
    let (status, mut value) = match answer {
        Ok(Content::Raw(status, kind, text)) => return (status, kind, text),
        Ok(Content::Result(value)) => (200, value),
        // The API answers every error with a code.
        Err(VendorError { status, code, .. }) if code.is_empty() => {
            let page = format!("<html><head><title>{status}</title></head></html>");
            return (status, HTML, page);
        }
        Err(VendorError {
            status,
            code,
            message,
        }) => {
            let recommend = format!("https://api.aliyun.com/troubleshoot?q={code}");
            let host = request.header("host").unwrap_or_default();
            (
                status,
                json!({"HostId": host, "Code": code, "Message": message, "Recommend": recommend}),
            )
        }
    };
    if request.wants_xml() {
        let root = match status {
            200 => format!("{}Response", request.action().unwrap_or_default()),
            _ => "Error".to_owned(),
        };
        let content = element("RequestId", &request_id.into()) + &content(&value);
        let text = format!("<?xml version='1.0' encoding='UTF-8'?><{root}>{content}</{root}>");
        return (status, XML, text);
    }
    value["RequestId"] = request_id.into();
    (status, JSON, value.to_string())
}

/// An XML element. The elements of a list have the name of the list, as in answers of the API.
fn element(name: &str, value: &Value) -> String {
    let content = match value {
        Value::Array(items) => items.iter().map(|item| element(name, item)).collect(),
        value => content(value),
    };
    format!("<{name}>{content}</{name}>")
}

fn content(value: &Value) -> String {
    match value {
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| element(name, value))
            .collect(),
        Value::String(text) => text
            .replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('>', "&gt;"),
        value => value.to_string(),
    }
}

/// A response with `body`.
pub(super) fn response(status: u16, kind: &'static str, body: impl Into<Body>) -> Response<Body> {
    let response = Response::builder()
        .status(status)
        .header(CONTENT_TYPE, kind);
    response
        .body(body.into())
        .expect("status and media type are valid")
}

/// A response that announces all of `text`, then sends half of it and ends the connection.
pub(super) fn truncated(status: u16, kind: &'static str, text: &str) -> Response<Body> {
    let half = Bytes::copy_from_slice(&text.as_bytes()[..text.len() / 2]);
    let end = stream::once(async {
        // The half is sent before the connection ends.
        tokio::task::yield_now().await;
        Err(io::Error::other("the answer is truncated"))
    });
    let halves = Body::from_stream(stream::iter([Ok(half)]).chain(end));
    let mut response = response(status, kind, halves);
    let headers = response.headers_mut();
    headers.insert(CONTENT_LENGTH, text.len().into());
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The text of the answer to a request with this query.
    fn text(answer: Result<Content, VendorError>, query: &str) -> String {
        let request = hyper::Request::get(format!("http://h/?{query}")).header("host", "h");
        let (head, ()) = request.body(()).expect("a request").into_parts();
        render(answer, &ApiRequest::new(head, Bytes::new()), "R").2
    }

    #[test]
    fn answers_have_the_shapes_of_the_api() {
        let entries = json!([
            {"ClientId": "a<&>", "OnlineStatus": true}, {"ClientId": "b", "OnlineStatus": false},
        ]);
        let batch = || Ok(Content::Result(json!({"OnlineStatusList": entries})));
        assert_eq!(
            serde_json::from_str::<Value>(&text(batch(), "")).unwrap(),
            json!({"RequestId": "R", "OnlineStatusList": entries})
        );
        assert_eq!(
            text(batch(), "Format=xml&Action=Batch"),
            "<?xml version='1.0' encoding='UTF-8'?><BatchResponse><RequestId>R</RequestId><OnlineStatusList>\
             <OnlineStatusList><ClientId>a&lt;&amp;&gt;</ClientId><OnlineStatus>true</OnlineStatus></OnlineStatusList>\
             <OnlineStatusList><ClientId>b</ClientId><OnlineStatus>false</OnlineStatus></OnlineStatusList>\
             </OnlineStatusList></BatchResponse>"
        );
        let error = || Err(VendorError::NO_SUCH_API);
        let body: Value = serde_json::from_str(&text(error(), "")).unwrap();
        assert_eq!(
            (&body["Code"], &body["HostId"], &body["RequestId"]),
            (&json!("InvalidApi.NotFound"), &json!("h"), &json!("R"))
        );
        let body = text(error(), "Format=XML&Action=Any");
        assert!(body.contains("<Error><RequestId>R</RequestId>"), "{body}");
        for element in ["<HostId>h</HostId>", "<Code>InvalidApi.NotFound</Code>"] {
            assert!(body.contains(element), "{body}");
        }
    }
}
