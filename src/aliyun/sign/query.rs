//! Parameters in the form that is both signed and sent.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, PercentEncode, utf8_percent_encode};

/// Request parameters, sorted by name and encoded: the query of a URL, and a stage of both
/// signatures.
pub struct CanonicalQuery(String);

impl CanonicalQuery {
    /// Sorts and encodes `params`, pairs of a name and a value that are not encoded yet.
    #[must_use]
    pub fn new(mut params: Vec<(&str, &str)>) -> Self {
        params.sort_unstable();
        let mut text = String::with_capacity(512);
        for (name, value) in params {
            if !text.is_empty() {
                text.push('&');
            }
            text.extend(percent_encode(name));
            text.push('=');
            text.extend(percent_encode(value));
        }
        Self(text)
    }

    /// The text, without a leading `?`. It contains the security token if the parameters do.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text, by value.
    #[must_use]
    pub fn into_string(self) -> String {
        self.0
    }
}

/// The unreserved characters of RFC 3986 stay; everything else is encoded.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// `text`, percent-encoded as RFC 3986 specifies, with upper-case digits.
#[must_use]
pub fn percent_encode(text: &str) -> PercentEncode<'_> {
    utf8_percent_encode(text, RESERVED)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_unreserved_characters_stay() {
        assert_eq!(percent_encode("AZaz09-_.~").to_string(), "AZaz09-_.~");
        assert_eq!(
            percent_encode("GID_a@@@b c+d*e%f/ü").to_string(),
            "GID_a%40%40%40b%20c%2Bd%2Ae%25f%2F%C3%BC"
        );
    }

    #[test]
    fn parameters_are_sorted_as_text() {
        let query = CanonicalQuery::new(vec![("L.2", "b"), ("L.10", "c"), ("L.1", ""), ("I", "x")]);
        assert_eq!(query.as_str(), "I=x&L.1=&L.10=c&L.2=b");
        assert_eq!(CanonicalQuery::new(Vec::new()).as_str(), "");
    }

    proptest! {
        /// The decoder is the one of the `url` crate.
        #[test]
        fn decoding_returns_the_sorted_parameters(params in proptest::collection::vec((any::<String>(), any::<String>()), 0..6)) {
            let query = CanonicalQuery::new(params.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect());
            prop_assert!(query.as_str().bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.~%=&".contains(&b)));

            let mut url = reqwest::Url::parse("http://localhost/").unwrap();
            url.set_query(Some(query.as_str()));
            prop_assert_eq!(url.query(), Some(query.as_str()), "a URL does not change it");
            let back: Vec<(String, String)> = url.query_pairs().into_owned().collect();
            let mut sorted = params;
            sorted.sort();
            // A query does not distinguish no parameter from one with an empty name and value.
            if sorted != [(String::new(), String::new())] {
                prop_assert_eq!(back, sorted);
            }
        }
    }
}
