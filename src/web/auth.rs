//! Who comes in, and how often: the rules of the web configuration, in front of every endpoint.

mod bucket;
mod passwords;

use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::toolkit::{RateLimit, Users};
use bucket::RequestBucket;
use passwords::Passwords;

/// What an answer says to somebody who has to say who he is (RFC 7617).
const CHALLENGE: (HeaderName, HeaderValue) = (
    WWW_AUTHENTICATE,
    HeaderValue::from_static("Basic realm=\"mqtt-presence-exporter\", charset=\"UTF-8\""),
);

/// The rules in force; clones share them.
#[derive(Clone, Default)]
pub(super) struct AccessControl(Arc<ArcSwap<AccessRules>>);

#[derive(Default)]
struct AccessRules {
    headers: HeaderMap,
    passwords: Arc<Passwords>,
    bucket: Option<Arc<RequestBucket>>,
}

impl AccessControl {
    /// Puts rules in force. What is remembered of users and requests stays where their rules do.
    pub(super) fn set(&self, headers: HeaderMap, users: Users, rate_limit: Option<RateLimit>) {
        let old = self.0.load();
        let passwords = if old.passwords.are_of(&users) {
            Arc::clone(&old.passwords)
        } else {
            Arc::new(Passwords::new(users))
        };
        let bucket = rate_limit.map(|limit| match &old.bucket {
            Some(bucket) if bucket.is_of(limit) => Arc::clone(bucket),
            _ => Arc::new(RequestBucket::new(limit)),
        });
        self.0.store(Arc::new(AccessRules {
            headers,
            passwords,
            bucket,
        }));
    }

    /// `router` behind the rules.
    pub(super) fn protect(&self, router: Router) -> Router {
        router.layer(from_fn_with_state(self.clone(), guard))
    }
}

async fn guard(
    State(AccessControl(rules)): State<AccessControl>,
    request: Request,
    next: Next,
) -> Response {
    let rules = rules.load_full();
    let mut response = if rules.bucket.as_ref().is_some_and(|bucket| !bucket.take()) {
        (
            StatusCode::TOO_MANY_REQUESTS,
            "more requests than `rate_limit` of the web configuration allows\n",
        )
            .into_response()
    } else if rules.passwords.admit(request.headers()).await {
        next.run(request).await
    } else {
        (
            StatusCode::UNAUTHORIZED,
            [CHALLENGE],
            "say who you are: a user and password of the web configuration\n",
        )
            .into_response()
    };
    for (name, value) in &rules.headers {
        response
            .headers_mut()
            .entry(name)
            .or_insert_with(|| value.clone());
    }
    response
}

impl Passwords {
    /// Whether whoever sent `headers` may come in.
    async fn admit(self: &Arc<Self>, headers: &HeaderMap) -> bool {
        if self.is_open() {
            return true;
        }
        let said = headers
            .get(AUTHORIZATION)
            .and_then(|value| credentials(value.as_bytes()));
        match said.as_deref().and_then(split) {
            Some((user, password)) => self.check(user, password).await,
            None => false,
        }
    }
}

/// What stands behind `Basic`, decoded.
fn credentials(value: &[u8]) -> Option<Vec<u8>> {
    let (scheme, encoded) = value.split_at_checked(6)?;
    scheme
        .eq_ignore_ascii_case(b"Basic ")
        .then(|| STANDARD.decode(encoded).ok())?
}

fn split(credentials: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = credentials.iter().position(|&byte| byte == b':')?;
    Some((&credentials[..colon], &credentials[colon + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: &str) -> Option<(Vec<u8>, Vec<u8>)> {
        let said = credentials(value.as_bytes())?;
        split(&said).map(|(user, password)| (user.to_vec(), password.to_vec()))
    }

    #[test]
    fn credentials_are_read_as_rfc_7617_has_them() {
        let alice = Some((b"alice".to_vec(), b"pass:word".to_vec()));
        assert_eq!(read("Basic YWxpY2U6cGFzczp3b3Jk"), alice);
        assert_eq!(read("bAsIc YWxpY2U6cGFzczp3b3Jk"), alice);
        assert_eq!(read("Basic Og=="), Some((Vec::new(), Vec::new())));
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
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
