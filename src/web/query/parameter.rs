//! The parameters of a query string, and the error of an invalid one.

use std::borrow::Cow;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

/// An invalid parameter of a query string.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(in crate::web) struct BadParameter(String);

impl BadParameter {
    /// `name` is none of the `known` parameters.
    pub(in crate::web) fn unknown(name: &str, known: &[&str]) -> Self {
        let known = known.join("`, `");
        Self(format!(
            "unknown parameter `{name}`; known parameters: `{known}`"
        ))
    }
}

/// In the form of Prometheus's API errors.
impl IntoResponse for BadParameter {
    fn into_response(self) -> Response {
        let error =
            serde_json::json!({ "status": "error", "errorType": "bad_data", "error": self.0 });
        (StatusCode::BAD_REQUEST, Json(error)).into_response()
    }
}

/// What `value` was parsed to; without that, an error that names what is expected.
pub(super) fn valid<T>(
    parsed: Option<T>,
    name: &str,
    value: &str,
    expected: &str,
) -> Result<T, BadParameter> {
    parsed.ok_or_else(|| BadParameter(format!("`{name}={value}`: must be {expected}")))
}

/// The parameters of a query string. Empty values, which forms send, are ignored.
pub(in crate::web) fn parameters(
    query: &str,
) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
    form_urlencoded::parse(query.as_bytes()).filter(|(_, value)| !value.is_empty())
}
