//! A URL whose query may be a secret.

use std::fmt;

use reqwest::Url;

use crate::secret::REDACTED;

/// A URL that is shown without its query, and in debug output without its path, too.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HiddenUrl(Url);

impl HiddenUrl {
    /// Takes over `url`.
    #[must_use]
    pub const fn new(url: Url) -> Self {
        Self(url)
    }

    /// The URL itself, for the one who asks there.
    #[must_use]
    pub const fn expose(&self) -> &Url {
        &self.0
    }
}

impl fmt::Display for HiddenUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut url = self.0.clone();
        url.set_query(None);
        url.fmt(f)?;
        if self.0.query().is_some() {
            write!(f, "?{REDACTED}")
        } else {
            Ok(())
        }
    }
}

impl fmt::Debug for HiddenUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("HiddenUrl")
            .field(&self.0.origin().ascii_serialization())
            .finish()
    }
}
