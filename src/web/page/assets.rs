//! The style and the script of the page, and the policy that allows nothing else.

use std::sync::LazyLock;

use axum::http::HeaderName;
use axum::http::header::{CONTENT_SECURITY_POLICY, REFERRER_POLICY};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

pub(super) const STYLE: &str = include_str!("page.css");

pub(super) const SCRIPT: &str = include_str!("page.js");

/// Style and script are allowed by their hashes (Content Security Policy Level 3), so that nothing
/// in a client ID or a label can run. The script may connect to this server only.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    let [style, script] = [STYLE, SCRIPT].map(|text| STANDARD.encode(Sha256::digest(text)));
    format!(
        "default-src 'none'; style-src 'sha256-{style}'; script-src 'sha256-{script}'; connect-src 'self'; \
         img-src data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )
});

/// The headers of the page.
pub(super) fn headers() -> [(HeaderName, &'static str); 2] {
    [
        (CONTENT_SECURITY_POLICY, &POLICY),
        (REFERRER_POLICY, "no-referrer"),
    ]
}
