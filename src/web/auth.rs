//! Rate limit, authentication and additional headers in front of every endpoint, as the web
//! configuration has them.

mod bucket;
mod passwords;

use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{Next, from_fn_with_state, map_response};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::common_headers;
use super::toolkit::WebConfig;
use bucket::RequestBucket;
use passwords::Passwords;

/// The challenge of RFC 7617.
const CHALLENGE: &str = "Basic realm=\"mqtt-presence-exporter\", charset=\"UTF-8\"";

/// The rules in force; clones share them.
#[derive(Clone, Default)]
pub(super) struct AccessControl(Arc<ArcSwap<AccessRules>>);

#[derive(Default)]
struct AccessRules {
    headers: HeaderMap,
    /// `None`: every request is permitted.
    passwords: Option<Arc<Passwords>>,
    bucket: Option<Arc<RequestBucket>>,
}

impl AccessControl {
    /// Replaces the rules. The state of users and of the rate limit stays where they are unchanged.
    pub(super) fn set(&self, config: WebConfig) {
        let old = self.0.load();
        let limit = config.rate_limit;
        let bucket = old.bucket.clone();
        let bucket = bucket.filter(|bucket| Some(bucket.limit) == limit);
        let passwords = old.passwords.clone();
        let passwords = passwords.filter(|passwords| passwords.users == config.users);
        self.0.store(Arc::new(AccessRules {
            headers: config.headers,
            passwords: passwords.or_else(|| Passwords::new(config.users).map(Arc::new)),
            bucket: bucket.or_else(|| limit.map(RequestBucket::new).map(Arc::new)),
        }));
    }

    /// `router` behind the rules.
    pub(super) fn protect(&self, router: Router) -> Router {
        let rules = from_fn_with_state(self.clone(), apply);
        router.layer(rules).layer(map_response(common_headers::add))
    }
}

async fn apply(State(control): State<AccessControl>, request: Request, next: Next) -> Response {
    let rules = control.0.load_full();
    let mut response = if rules.bucket.as_ref().is_some_and(|bucket| !bucket.take()) {
        let text = "more requests than `rate_limit` of the web configuration allows\n";
        (StatusCode::TOO_MANY_REQUESTS, text).into_response()
    } else if is_authorized(rules.passwords.as_ref(), request.headers()).await {
        next.run(request).await
    } else {
        let challenge = [(WWW_AUTHENTICATE, CHALLENGE)];
        let text = "username and password required\n";
        (StatusCode::UNAUTHORIZED, challenge, text).into_response()
    };
    for (name, value) in &rules.headers {
        let entry = response.headers_mut().entry(name);
        entry.or_insert_with(|| value.clone());
    }
    response
}

async fn is_authorized(passwords: Option<&Arc<Passwords>>, headers: &HeaderMap) -> bool {
    let header = headers.get(AUTHORIZATION);
    let credentials = header.and_then(|value| credentials(value.as_bytes()));
    match (passwords, credentials) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(passwords), Some((user, password))) => passwords.check(&user, &password).await,
    }
}

/// The user and the password after `Basic`.
fn credentials(value: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let (scheme, encoded) = value.split_at_checked(6)?;
    let is_basic = scheme.eq_ignore_ascii_case(b"Basic ");
    let decoded = STANDARD.decode(encoded).ok().filter(|_| is_basic)?;
    let colon = decoded.iter().position(|&byte| byte == b':')?;
    Some((decoded[..colon].to_vec(), decoded[colon + 1..].to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_have_the_format_of_rfc_7617() {
        let alice = Some((b"alice".to_vec(), b"pass:word".to_vec()));
        assert_eq!(credentials(b"Basic YWxpY2U6cGFzczp3b3Jk"), alice);
        assert_eq!(credentials(b"bAsIc YWxpY2U6cGFzczp3b3Jk"), alice);
        assert_eq!(credentials(b"Basic Og=="), Some((Vec::new(), Vec::new())));
        for wrong in [
            "",
            "Basic",
            "Basic ",
            "Basic YWxpY2U=",
            "Basic Og",
            "Basic ::",
            "Bearer YWxpY2U6cGFzczp3b3Jk",
            "Basic\tOg==",
        ] {
            assert_eq!(credentials(wrong.as_bytes()), None, "{wrong}");
        }
    }
}
