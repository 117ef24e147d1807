//! URLs that list clients, as configured, and URLs whose query may contain a secret.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Serialize, Serializer};
use url::Url;

use super::serialize;
use crate::secret::REDACTED;

/// A URL that lists clients, in the format of Prometheus's `http_sd`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClientUrl {
    /// `http` or `https`, without user name and password.
    pub url: HiddenUrl,
    /// Time between two requests.
    #[serde(serialize_with = "serialize::duration")]
    pub refresh_interval: Duration,
    /// How the exporter authenticates.
    #[serde(flatten)]
    pub authorization: Option<Authorization>,
    /// TLS options.
    #[serde(rename = "tls_config")]
    pub tls: UrlTls,
}

impl ClientUrl {
    /// The default of `refresh_interval`.
    pub const REFRESH_INTERVAL: Duration = Duration::from_secs(60);
}

/// Authentication with a server. Secrets are read from their files for each request, so that a new
/// one needs no reload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Authorization {
    /// User name and password.
    #[serde(rename = "basic_auth")]
    Basic {
        /// The user name.
        username: String,
        /// The file with the password.
        #[serde(serialize_with = "serialize::path")]
        password_file: PathBuf,
    },
    /// A token.
    #[serde(rename = "authorization")]
    Token {
        /// The authentication scheme, usually `Bearer`.
        #[serde(rename = "type")]
        scheme: String,
        /// The file with the token.
        #[serde(serialize_with = "serialize::path")]
        credentials_file: PathBuf,
    },
}

/// TLS options of a client URL.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct UrlTls {
    /// Certificates (PEM) to trust instead of the system's.
    #[serde(serialize_with = "serialize::path")]
    pub ca_file: Option<PathBuf>,
    /// The client certificate, if the server requires one.
    #[serde(flatten)]
    pub identity: Option<Identity>,
}

/// A client certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Identity {
    /// The certificate chain (PEM).
    #[serde(serialize_with = "serialize::path")]
    pub cert_file: PathBuf,
    /// The private key (PEM).
    #[serde(serialize_with = "serialize::path")]
    pub key_file: PathBuf,
}

/// A URL that is displayed without its query, and in debug output also without its path.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HiddenUrl(Url);

impl HiddenUrl {
    /// Wraps `url`.
    #[must_use]
    pub const fn new(url: Url) -> Self {
        Self(url)
    }

    /// The URL itself, for a request.
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
            write!(f, "?{REDACTED}")?;
        }
        Ok(())
    }
}

impl Serialize for HiddenUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Debug for HiddenUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("HiddenUrl")
            .field(&self.0.origin().ascii_serialization())
            .finish()
    }
}
