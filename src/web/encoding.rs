//! Negotiation of the content coding (RFC 9110, sections 8.4.1 and 12.5.3).

use axum::http::HeaderMap;
use axum::http::header::ACCEPT_ENCODING;

/// Whether a client that sent `headers` prefers `gzip` to `identity`.
pub(super) fn prefers_gzip(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(ACCEPT_ENCODING).iter();
    let lines = lines.filter_map(|line| line.to_str().ok());
    is_gzip_preferred(lines.flat_map(|line| line.split(',')))
}

/// `gzip` is chosen if it is accepted and has no lower weight than `identity`. An `identity` that
/// is not named has the lowest weight. A client that accepts neither gets `identity`. A coding
/// with an invalid weight counts as not named; of a coding that is named twice, the first counts.
fn is_gzip_preferred<'a>(codings: impl Iterator<Item = &'a str>) -> bool {
    let codings: Vec<_> = codings.filter_map(parse).collect();
    let weight = |names: &[&str]| {
        let named = |name: &str| names.iter().any(|known| name.eq_ignore_ascii_case(known));
        let first = codings.iter().find(|(name, _)| named(name));
        first.map(|(_, weight)| *weight)
    };
    let gzip = weight(&["gzip", "x-gzip"]).or(weight(&["*"]));
    gzip.is_some_and(|gzip| gzip > 0.0 && gzip >= weight(&["identity"]).unwrap_or(0.0))
}

/// A coding and its weight: `coding [ ; q=WEIGHT ]`.
fn parse(item: &str) -> Option<(&str, f32)> {
    let Some((name, parameter)) = item.split_once(';') else {
        return Some((item.trim(), 1.0));
    };
    let (q, weight) = parameter.trim().split_at_checked(2)?;
    let weight = parse_weight(weight).filter(|_| q.eq_ignore_ascii_case("q="))?;
    Some((name.trim(), weight))
}

/// A number from 0 to 1 with at most three decimals.
fn parse_weight(text: &str) -> Option<f32> {
    let is_short = text.len() <= "0.000".len() && text.starts_with(['0', '1']);
    let is_decimal = text
        .bytes()
        .all(|byte| byte == b'.' || byte.is_ascii_digit());
    let weight = text.parse().ok().filter(|_| is_short && is_decimal);
    weight.filter(|weight| (0.0..=1.0).contains(weight))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn gzipped(header: &str) -> bool {
        is_gzip_preferred(header.split(','))
    }

    #[test]
    fn gzip_if_it_is_accepted() {
        for header in [
            "gzip",
            "GZip",
            "x-gzip",
            "*",
            "br, gzip",
            "deflate , gzip;q=0.1",
            "gzip ; Q=0.001",
            "gzip;q=1.000",
            "gzip;q=1.",
            "identity;q=0.5, gzip;q=0.5",
            "identity;q=0, *",
            "*;q=0.1",
            "gzip, *;q=0",
            "zstd;q=1.0, gzip;q=0.8",
        ] {
            assert!(gzipped(header), "{header}");
        }
    }

    #[test]
    fn identity_if_gzip_is_not_accepted_or_has_less_weight() {
        for header in [
            "",
            "identity",
            "gzip;q=0",
            "gzip;q=0.000",
            "gzip;q=0.",
            "gzip;q=0, *",
            "*;q=0",
            "identity;q=0",
            "identity, gzip;q=0.9",
            "identity;q=0.5, *;q=0.4",
            "gzipped",
            "not-gzip, xgzip",
            "gzip;q=",
            "gzip;q=2",
            "gzip;q=1.001",
            "gzip;q=-1",
            "gzip;q=0.1234",
            "gzip;level=9",
            "gzip;",
        ] {
            assert!(!gzipped(header), "{header}");
        }
    }

    #[test]
    fn several_lines_are_one_list() {
        let mut headers = HeaderMap::new();
        assert!(!prefers_gzip(&headers));
        headers.append(ACCEPT_ENCODING, HeaderValue::from_static("br"));
        headers.append(
            ACCEPT_ENCODING,
            HeaderValue::from_bytes(b"\xff").expect("opaque"),
        );
        headers.append(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        assert!(prefers_gzip(&headers));
    }

    proptest! {
        #[test]
        fn any_header_is_accepted(header in "\\PC{0,60}") {
            gzipped(&header);
        }

        #[test]
        fn the_weights_decide(gzip in 0u16..=1000, identity in 0u16..=1000) {
            let weight = |w: u16| format!("{}.{:03}", w / 1000, w % 1000);
            let header = format!("gzip;q={}, identity;q={}", weight(gzip), weight(identity));
            prop_assert_eq!(gzipped(&header), gzip > 0 && gzip >= identity);
        }
    }
}
