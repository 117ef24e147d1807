//! Versions, cipher suites and curves by the names of Go's `crypto/tls`.

use rustls::crypto::SupportedKxGroup;
use rustls::crypto::aws_lc_rs::{ALL_CIPHER_SUITES, cipher_suite as suite, kx_group};
use rustls::version::{TLS12, TLS13};
use rustls::{SupportedCipherSuite, SupportedProtocolVersion};

use crate::config::{NodeCursor, quote};

/// The supported versions, the lowest first.
static VERSIONS: [&SupportedProtocolVersion; 2] = [&TLS12, &TLS13];

/// Their names, with their positions in [`VERSIONS`].
const VERSION_NAMES: [(&str, usize); 2] = [("TLS13", 1), ("TLS12", 0)];

/// The supported curves.
const CURVES: [(&str, &dyn SupportedKxGroup); 3] = [
    ("X25519", kx_group::X25519),
    ("CurveP256", kx_group::SECP256R1),
    ("CurveP384", kx_group::SECP384R1),
];

/// Why a name that the toolkit accepts is refused.
fn unsupported(name: &str) -> Option<&'static str> {
    match name {
        "TLS10" | "TLS11" => Some(
            "is not supported: TLS 1.0 and 1.1 are broken and deprecated (RFC 8996); write `TLS12` or `TLS13`",
        ),
        "CurveP521" => {
            Some("is not supported by the TLS library; use `X25519`, `CurveP256` or `CurveP384`")
        }
        _ if name.starts_with("TLS_RSA_WITH_AES_") => Some(
            "is not supported: without ECDHE there is no forward secrecy; use a suite that begins with `TLS_ECDHE_`",
        ),
        _ if name.contains("_CBC_") => Some(
            "is not supported: CBC suites have a record of padding attacks; use one with GCM or CHACHA20_POLY1305",
        ),
        _ => None,
    }
}

/// The versions from `min` to `max`; `None` if a problem was reported.
pub(super) fn versions(
    tls: &NodeCursor<'_>,
    min: Option<NodeCursor<'_>>,
    max: Option<NodeCursor<'_>>,
) -> Option<&'static [&'static SupportedProtocolVersion]> {
    let [min, max] = [(min, 0), (max, 1)].map(|(at, default)| match at {
        Some(at) => choice(&at, &VERSION_NAMES),
        None => Some(default),
    });
    let error = "`min_version` is above `max_version`, so that no client could connect";
    let versions = VERSIONS.get(min?..=max?).filter(|list| !list.is_empty());
    tls.accept(versions.ok_or(error))
}

/// The suites of a list. Those of TLS 1.3 are valid and have no effect, as in Go.
pub(super) fn cipher_suites(at: &NodeCursor<'_>) -> Option<Vec<SupportedCipherSuite>> {
    let names = ALL_CIPHER_SUITES.iter().map(|suite| {
        let name = suite.suite().as_str().unwrap_or_default();
        (name.replace("TLS13_", "TLS_"), *suite)
    });
    let names: Vec<_> = names.collect();
    let known: Vec<_> = names
        .iter()
        .map(|(name, suite)| (&**name, *suite))
        .collect();
    choices(at, &known)
}

/// Reports suites that leave TLS 1.2, if it is enabled, without a common suite: all clients of
/// HTTP/2 have one (RFC 9113, section 9.2.2), without which Go does not serve it.
pub(super) fn check_suites(
    at: &NodeCursor<'_>,
    suites: &[SupportedCipherSuite],
    versions: &[&SupportedProtocolVersion],
    http2: bool,
) {
    let of_http2 = [
        suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    ];
    if suites.is_empty() || !versions.contains(&&TLS12) {
        return;
    }
    if versions.len() == 1 && suites.iter().all(|suite| suite.tls13().is_some()) {
        at.problem("has no suite of TLS 1.2, and `max_version` leaves no other version; add one");
    } else if http2 && !suites.iter().any(|suite| of_http2.contains(suite)) {
        at.problem(
            "HTTP/2 needs `TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256` or `TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256`; \
             add one, or write `http2: false` in `http_server_config`",
        );
    }
}

/// The curves of a list.
pub(super) fn curves(at: &NodeCursor<'_>) -> Option<Vec<&'static dyn SupportedKxGroup>> {
    choices(at, &CURVES)
}

fn choices<T: Copy>(at: &NodeCursor<'_>, known: &[(&str, T)]) -> Option<Vec<T>> {
    let items = at.items()?;
    Some(items.filter_map(|at| choice(&at, known)).collect())
}

fn choice<T: Copy>(at: &NodeCursor<'_>, known: &[(&str, T)]) -> Option<T> {
    let name = at.scalar()?;
    if let Some(reason) = unsupported(name) {
        return at.accept(Err(format!("{} {reason}", quote(name))));
    }
    at.choice(known)
}
