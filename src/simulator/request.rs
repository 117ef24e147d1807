//! One HTTP request, taken apart.

use std::borrow::Cow;

use bytes::Bytes;
use hyper::HeaderMap;
use hyper::header::CONTENT_TYPE;
use hyper::http::request::Parts;
use serde::Serialize;

/// A request to the API, or to whatever else it may be for.
#[derive(Debug)]
pub(super) struct ApiRequest {
    head: Parts,
    body: Bytes,
    /// The parameters of the URL's query.
    query: Vec<(String, String)>,
    /// Those of a form in the body.
    form: Vec<(String, String)>,
}

/// A request as it came, for the one who checks signatures elsewhere.
#[derive(Clone, Debug, Serialize)]
pub struct CapturedRequest {
    /// The HTTP method.
    pub method: String,
    /// Path and query, still encoded.
    pub target: String,
    /// Names in lower case, values, in the order in which they came.
    pub headers: Vec<(String, String)>,
    /// The body; empty for most.
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

    pub(super) const fn body(&self) -> &Bytes {
        &self.body
    }

    /// The parameters of the query alone, which are those that a V3 signature covers one by one.
    pub(super) fn query(&self) -> impl Iterator<Item = (&str, &str)> {
        self.query
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// All parameters.
    pub(super) fn params(&self) -> impl Iterator<Item = (&str, &str)> {
        self.query
            .iter()
            .chain(&self.form)
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// A parameter; one without a value counts as not given.
    pub(super) fn param(&self, name: &str) -> Option<&str> {
        self.params()
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value)
            .filter(|value| !value.is_empty())
    }

    pub(super) const fn headers(&self) -> &HeaderMap {
        &self.head.headers
    }

    /// A header, its repetitions joined by commas; one without a value counts as not given.
    pub(super) fn header(&self, name: &str) -> Option<Cow<'_, str>> {
        let mut values = self
            .head
            .headers
            .get_all(name)
            .iter()
            .map(|value| String::from_utf8_lossy(value.as_bytes()));
        let first = values.next()?;
        let joined = values.fold(first, |joined, value| {
            Cow::Owned(format!("{joined},{value}"))
        });
        (!joined.is_empty()).then_some(joined)
    }

    /// The operation that is asked for.
    pub(super) fn action(&self) -> Option<Cow<'_, str>> {
        self.header("x-acs-action")
            .or_else(|| self.param("Action").map(Cow::Borrowed))
    }

    /// Whether the answer shall be XML.
    pub(super) fn wants_xml(&self) -> bool {
        self.param("Format")
            .is_some_and(|format| format.eq_ignore_ascii_case("XML"))
    }

    pub(super) fn captured(&self) -> CapturedRequest {
        let headers = self.head.headers.iter();
        CapturedRequest {
            method: self.method().to_owned(),
            target: self.head.uri.to_string(),
            headers: headers
                .map(|(name, value)| {
                    (
                        name.to_string(),
                        String::from_utf8_lossy(value.as_bytes()).into_owned(),
                    )
                })
                .collect(),
            body: String::from_utf8_lossy(&self.body).into_owned(),
        }
    }
}

fn pairs(encoded: &[u8]) -> Vec<(String, String)> {
    form_urlencoded::parse(encoded).into_owned().collect()
}
