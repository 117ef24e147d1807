//! Which content coding an answer gets (RFC 9110, sections 8.4.1 and 12.5.3).

use axum::http::HeaderMap;
use axum::http::header::ACCEPT_ENCODING;

/// A content coding that this server writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    /// As it is.
    Identity,
    /// `gzip`.
    Gzip,
}

impl Encoding {
    /// The coding for a client that sent `headers`.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let lines = headers
            .get_all(ACCEPT_ENCODING)
            .iter()
            .filter_map(|line| line.to_str().ok());
        Self::choose(lines.flat_map(|line| line.split(',')))
    }

    /// The coding for a client that accepts `codings`, each with its weight, if it has one.
    ///
    /// `gzip` is chosen where it is accepted and weighs no less than `identity`. A client that
    /// does not speak of `identity` takes it as a last resort, so then any weight of `gzip` will
    /// do. One that accepts neither gets `identity`, since an answer it may not want is of more
    /// use than none. A coding whose weight cannot be read counts as not named, and of one that
    /// is named twice the first counts.
    fn choose<'a>(codings: impl Iterator<Item = &'a str>) -> Self {
        let (mut gzip, mut identity, mut any) = (None, None, None);
        for (name, weight) in codings.filter_map(parse) {
            let named = match name {
                _ if name.eq_ignore_ascii_case("gzip") || name.eq_ignore_ascii_case("x-gzip") => {
                    &mut gzip
                }
                _ if name.eq_ignore_ascii_case("identity") => &mut identity,
                "*" => &mut any,
                _ => continue,
            };
            named.get_or_insert(weight);
        }
        let gzip = gzip.or(any).unwrap_or(0);
        if gzip > 0 && gzip >= identity.unwrap_or(0) {
            Self::Gzip
        } else {
            Self::Identity
        }
    }
}

/// A coding and its weight in thousandths: `coding [ ; q=WEIGHT ]`.
fn parse(item: &str) -> Option<(&str, u16)> {
    let Some((name, parameter)) = item.split_once(';') else {
        return Some((item.trim(), 1000));
    };
    let (q, weight) = parameter.trim().split_at_checked(2)?;
    q.eq_ignore_ascii_case("q=").then_some(())?;
    Some((name.trim(), parse_weight(weight)?))
}

/// Thousandths from `0`, `1`, or either with up to three digits behind a point; at most 1.
fn parse_weight(text: &str) -> Option<u16> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.len() > 3 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let thousandths = format!("{fraction:0<3}").parse().ok()?;
    match (whole, thousandths) {
        ("0", thousandths) => Some(thousandths),
        ("1", 0) => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn gzipped(header: &str) -> bool {
        Encoding::choose(header.split(',')) == Encoding::Gzip
    }

    #[test]
    fn gzip_where_it_is_accepted() {
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
    fn identity_where_gzip_is_not_accepted_or_wanted_less() {
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
        assert_eq!(Encoding::of(&headers), Encoding::Identity);
        headers.append(ACCEPT_ENCODING, HeaderValue::from_static("br"));
        headers.append(
            ACCEPT_ENCODING,
            HeaderValue::from_bytes(b"\xff").expect("opaque"),
        );
        headers.append(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        assert_eq!(Encoding::of(&headers), Encoding::Gzip);
    }

    proptest! {
        #[test]
        fn any_header_is_survived(header in "\\PC{0,60}") {
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
