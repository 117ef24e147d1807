//! One HTTP request: method, path, parameters, headers.

use std::borrow::Cow;

use bytes::Bytes;
use hyper::header::CONTENT_TYPE;
use hyper::http::request::Parts;
use serde::Serialize;

use super::vendor_error::VendorError;

/// A request to the API or to another service of the simulator.
#[derive(Debug)]
pub(super) struct ApiRequest {
    pub(super) head: Parts,
    pub(super) body: Bytes,
    /// The parameters of the query string.
    query: Vec<(String, String)>,
    /// The parameters of a form in the body.
    form: Vec<(String, String)>,
}

/// A request as it arrived, so that its signature can be checked elsewhere.
#[derive(Clone, Debug, Serialize)]
pub struct CapturedRequest {
    /// The HTTP method.
    pub method: String,
    /// Path and query, still encoded.
    pub target: String,
    /// Names in lower case and values, in order of arrival.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

impl ApiRequest {
    pub(super) fn new(head: Parts, body: Bytes) -> Self {
        let is_form = head.headers.get(CONTENT_TYPE).is_some_and(|kind| {
            kind.as_bytes()
                .starts_with(b"application/x-www-form-urlencoded")
        });
        let form = if is_form { pairs(&body) } else { Vec::new() };
        let query = pairs(head.uri.query().unwrap_or_default().as_bytes());
        Self {
            head,
            body,
            query,
            form,
        }
    }

    pub(super) fn method(&self) -> &str {
        self.head.method.as_str()
    }

    pub(super) fn path(&self) -> &str {
        self.head.uri.path()
    }

    /// The parameters of the query string, which a V3 signature covers one by one.
    pub(super) fn query(&self) -> impl Iterator<Item = (&str, &str)> {
        self.query.iter().map(|(name, value)| (&**name, &**value))
    }

    /// All parameters.
    pub(super) fn params(&self) -> impl Iterator<Item = (&str, &str)> {
        let params = self.query.iter().chain(&self.form);
        params.map(|(name, value)| (&**name, &**value))
    }

    /// The value of a parameter; an empty one counts as missing.
    pub(super) fn param(&self, name: &str) -> Option<&str> {
        self.params()
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value)
            .filter(|value| !value.is_empty())
    }

    /// The value of a parameter that the operation needs.
    pub(super) fn required(&self, name: &str) -> Result<&str, VendorError> {
        self.param(name).ok_or_else(|| VendorError::missing(name))
    }

    /// The clients of a batch: the parameters `ClientIdList.1` and so on.
    pub(super) fn batch(&self) -> impl Iterator<Item = &str> {
        let numbered = |name: &str| {
            let number = name.strip_prefix("ClientIdList.");
            number.is_some_and(|number| number.parse::<u32>().is_ok())
        };
        let clients = self.params().filter(move |(name, _)| numbered(name));
        clients.map(|(_, client)| client)
    }

    /// The clients that the request is about.
    pub(super) fn clients(&self) -> impl Iterator<Item = &str> {
        self.param("ClientId").into_iter().chain(self.batch())
    }

    /// The values of a header, joined by commas; an empty one counts as missing.
    pub(super) fn header(&self, name: &str) -> Option<Cow<'_, str>> {
        let values = self.head.headers.get_all(name).iter();
        let values = values.map(|value| String::from_utf8_lossy(value.as_bytes()));
        let joined = values.reduce(|joined, value| format!("{joined},{value}").into())?;
        (!joined.is_empty()).then_some(joined)
    }

    /// The name of the operation.
    pub(super) fn action(&self) -> Option<Cow<'_, str>> {
        self.header("x-acs-action")
            .or_else(|| self.param("Action").map(Cow::Borrowed))
    }

    /// Whether the answer is to be XML.
    pub(super) fn wants_xml(&self) -> bool {
        self.param("Format")
            .is_some_and(|format| format.eq_ignore_ascii_case("XML"))
    }

    pub(super) fn captured(&self) -> CapturedRequest {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let headers = self.head.headers.iter();
        CapturedRequest {
            method: self.method().to_owned(),
            target: self.head.uri.to_string(),
            headers: headers
                .map(|(name, value)| (name.to_string(), text(value.as_bytes())))
                .collect(),
            body: text(&self.body),
        }
    }
}

fn pairs(encoded: &[u8]) -> Vec<(String, String)> {
    form_urlencoded::parse(encoded).into_owned().collect()
}
