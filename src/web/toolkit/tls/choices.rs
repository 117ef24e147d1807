//! Versions, cipher suites and curves by the names that Go gives them.
//!
//! What Go knows and rustls does not is refused with the reason; what neither knows is a mistake.

use rustls::crypto::SupportedKxGroup;
use rustls::crypto::aws_lc_rs::{cipher_suite as suite, kx_group};
use rustls::version::{TLS12, TLS13};
use rustls::{SupportedCipherSuite, SupportedProtocolVersion};

use crate::config::{NodeCursor, Report, quote};

/// A name that means something here, or why it does not.
type Word<T> = (&'static str, Result<T, &'static str>);

const TOO_OLD: &str = "is not supported: TLS 1.0 and 1.1 are broken and deprecated (RFC 8996); write `TLS12` or `TLS13`";
const CBC: &str = "is not supported: CBC suites have a record of padding attacks; use one with GCM or CHACHA20_POLY1305";
const STATIC_RSA: &str = "is not supported: without ECDHE there is no forward secrecy; use a suite that begins with `TLS_ECDHE_`";
const P521: &str = "is not supported by the TLS library; use `X25519`, `CurveP256` or `CurveP384`";

/// From the lowest version to the highest.
pub(super) struct Versions {
    least: Version,
    most: Version,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Version {
    Tls12,
    Tls13,
}

const VERSIONS: [Word<Version>; 4] = [
    ("TLS13", Ok(Version::Tls13)),
    ("TLS12", Ok(Version::Tls12)),
    ("TLS11", Err(TOO_OLD)),
    ("TLS10", Err(TOO_OLD)),
];

/// `None` where something was reported.
pub(super) fn versions(
    tls: &NodeCursor<'_>,
    least: Option<NodeCursor<'_>>,
    most: Option<NodeCursor<'_>>,
    report: &mut Report,
) -> Option<Versions> {
    let mut version = |at: Option<NodeCursor<'_>>, default| match at {
        Some(at) => word(&at, &VERSIONS, report),
        None => Some(default),
    };
    let (least, most) = (
        version(least, Version::Tls12),
        version(most, Version::Tls13),
    );
    let versions = Versions {
        least: least?,
        most: most?,
    };
    if versions.least > versions.most {
        tls.problem(
            report,
            "`min_version` is above `max_version`, so that no client could connect",
        );
        return None;
    }
    Some(versions)
}

impl Versions {
    pub(super) fn list(&self) -> Vec<&'static SupportedProtocolVersion> {
        [(Version::Tls13, &TLS13), (Version::Tls12, &TLS12)]
            .into_iter()
            .filter(|(version, _)| (self.least..=self.most).contains(version))
            .map(|(_, version)| version)
            .collect()
    }
}

fn suites() -> [Word<SupportedCipherSuite>; 17] {
    [
        (
            "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
            Ok(suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384),
        ),
        (
            "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
            Ok(suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256),
        ),
        (
            "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
            Ok(suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256),
        ),
        (
            "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
            Ok(suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384),
        ),
        (
            "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
            Ok(suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256),
        ),
        (
            "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
            Ok(suite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256),
        ),
        // Those of TLS 1.3 may be named and are not for choosing, as in Go.
        (
            "TLS_AES_128_GCM_SHA256",
            Ok(suite::TLS13_AES_128_GCM_SHA256),
        ),
        (
            "TLS_AES_256_GCM_SHA384",
            Ok(suite::TLS13_AES_256_GCM_SHA384),
        ),
        (
            "TLS_CHACHA20_POLY1305_SHA256",
            Ok(suite::TLS13_CHACHA20_POLY1305_SHA256),
        ),
        ("TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA", Err(CBC)),
        ("TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA", Err(CBC)),
        ("TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA", Err(CBC)),
        ("TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA", Err(CBC)),
        ("TLS_RSA_WITH_AES_128_CBC_SHA", Err(STATIC_RSA)),
        ("TLS_RSA_WITH_AES_256_CBC_SHA", Err(STATIC_RSA)),
        ("TLS_RSA_WITH_AES_128_GCM_SHA256", Err(STATIC_RSA)),
        ("TLS_RSA_WITH_AES_256_GCM_SHA384", Err(STATIC_RSA)),
    ]
}

pub(super) fn cipher_suites(at: &NodeCursor<'_>, report: &mut Report) -> Vec<SupportedCipherSuite> {
    words(at, &suites(), report)
}

/// Whether something can be agreed upon by TLS 1.2, where it is spoken: HTTP/2 has a suite for it that
/// everybody has (RFC 9113, section 9.2.2), without which Go does not begin to serve.
pub(super) fn check_suites(
    at: &NodeCursor<'_>,
    chosen: &[SupportedCipherSuite],
    versions: &Versions,
    http2: bool,
    report: &mut Report,
) {
    let needed = [
        suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    ];
    if chosen.is_empty() || versions.least > Version::Tls12 {
        return;
    }
    if versions.most == Version::Tls12 && chosen.iter().all(|suite| suite.tls13().is_some()) {
        at.problem(
            report,
            "has no suite of TLS 1.2, and `max_version` leaves no other version; add one",
        );
    } else if http2 && !chosen.iter().any(|suite| needed.contains(suite)) {
        at.problem(
            report,
            "HTTP/2 needs `TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256` or `TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256`; \
             add one, or write `http2: false` in `http_server_config`",
        );
    }
}

pub(super) fn curves(
    at: &NodeCursor<'_>,
    report: &mut Report,
) -> Vec<&'static dyn SupportedKxGroup> {
    let curves: [Word<&'static dyn SupportedKxGroup>; 4] = [
        ("X25519", Ok(kx_group::X25519)),
        ("CurveP256", Ok(kx_group::SECP256R1)),
        ("CurveP384", Ok(kx_group::SECP384R1)),
        ("CurveP521", Err(P521)),
    ];
    words(at, &curves, report)
}

fn words<T: Copy>(at: &NodeCursor<'_>, known: &[Word<T>], report: &mut Report) -> Vec<T> {
    let items = at.items(report).collect::<Vec<_>>();
    items
        .iter()
        .filter_map(|at| word(at, known, report))
        .collect()
}

fn word<T: Copy>(at: &NodeCursor<'_>, known: &[Word<T>], report: &mut Report) -> Option<T> {
    let name = at.scalar(report)?;
    if let Some((_, Err(why))) = known.iter().find(|(word, _)| *word == name) {
        at.problem(report, format!("{} {why}", quote(name)));
        return None;
    }
    let supported: Vec<_> = known
        .iter()
        .filter_map(|&(word, known)| Some((word, known.ok()?)))
        .collect();
    at.choice(report, &supported)
}
