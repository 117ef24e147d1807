//! Parameters in the form that is both signed and sent.

use std::fmt;

/// Request parameters, sorted by name and encoded: the query of a URL, and a stage of both
/// signatures.
#[derive(Clone, PartialEq, Eq)]
pub struct CanonicalQuery(String);

impl CanonicalQuery {
    /// Sorts and encodes `params`, pairs of a name and a value as they are, not yet encoded.
    #[must_use]
    pub fn new(mut params: Vec<(&str, &str)>) -> Self {
        params.sort_unstable();
        // `=`, `&`, and a few characters that grow; one more growth costs little.
        let length: usize = params
            .iter()
            .map(|(name, value)| name.len() + value.len() + 10)
            .sum();
        let mut text = String::with_capacity(length);
        for (name, value) in params {
            if !text.is_empty() {
                text.push('&');
            }
            percent_encode_into(&mut text, name);
            text.push('=');
            percent_encode_into(&mut text, value);
        }
        Self(text)
    }

    /// The text, without a `?` before it. It holds a security token if the parameters do.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text, given away.
    #[must_use]
    pub fn into_string(self) -> String {
        self.0
    }
}

impl fmt::Debug for CanonicalQuery {
    /// Not the text: it may hold a security token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CanonicalQuery").finish_non_exhaustive()
    }
}

/// Appends `text` to `out`, percent-encoded as RFC 3986 wants it: everything but letters, digits
/// and `-_.~` is encoded, with upper-case digits.
pub fn percent_encode_into(out: &mut String, text: &str) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut rest = text;
    while let Some(at) = rest.bytes().position(|byte| !is_unreserved(byte)) {
        // Every byte of a character beyond ASCII is encoded, so that whole characters are taken.
        let special = rest[at..].chars().next().map_or(1, char::len_utf8);
        out.push_str(&rest[..at]);
        for byte in rest[at..at + special].bytes() {
            out.push('%');
            out.push(char::from(HEX[usize::from(byte >> 4)]));
            out.push(char::from(HEX[usize::from(byte & 15)]));
        }
        rest = &rest[at + special..];
    }
    out.push_str(rest);
}

const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encoded(text: &str) -> String {
        let mut out = String::new();
        percent_encode_into(&mut out, text);
        out
    }

    #[test]
    fn only_unreserved_characters_stay() {
        assert_eq!(encoded("AZaz09-_.~"), "AZaz09-_.~");
        assert_eq!(
            encoded("GID_a@@@b c+d*e%f/ü"),
            "GID_a%40%40%40b%20c%2Bd%2Ae%25f%2F%C3%BC"
        );
    }

    #[test]
    fn parameters_are_sorted_by_name_and_not_by_number() {
        let query = CanonicalQuery::new(vec![("L.2", "b"), ("L.10", "c"), ("L.1", ""), ("I", "x")]);
        assert_eq!(query.as_str(), "I=x&L.1=&L.10=c&L.2=b");
        assert_eq!(CanonicalQuery::new(Vec::new()).as_str(), "");
    }

    proptest! {
        /// The decoder is that of the `url` crate.
        #[test]
        fn parameters_come_back_sorted(params in proptest::collection::vec((any::<String>(), any::<String>()), 0..6)) {
            let query = CanonicalQuery::new(params.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect());
            prop_assert!(query.as_str().bytes().all(|b| is_unreserved(b) || b"%=&".contains(&b)));

            let mut url = reqwest::Url::parse("http://localhost/").unwrap();
            url.set_query(Some(query.as_str()));
            prop_assert_eq!(url.query(), Some(query.as_str()), "a URL carries it unchanged");
            let back: Vec<(String, String)> = url.query_pairs().into_owned().collect();
            let mut sorted = params;
            sorted.sort();
            // A query cannot tell no parameter from one without name and value.
            if sorted != [(String::new(), String::new())] {
                prop_assert_eq!(back, sorted);
            }
        }
    }
}
