//! Inventories that are asked over HTTP for clients, as configured.

use std::path::PathBuf;
use std::time::Duration;

use super::HiddenUrl;

/// A URL that lists clients, in the format of Prometheus's `http_sd`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientUrl {
    /// `http` or `https`, without a user name and a password.
    pub url: HiddenUrl,
    /// How often it is asked.
    pub refresh_interval: Duration,
    /// How the exporter says who it is.
    pub authorization: Option<Authorization>,
    /// How `https` is spoken.
    pub tls: UrlTls,
}

impl ClientUrl {
    /// How often a URL is asked that does not say it.
    pub const REFRESH_INTERVAL: Duration = Duration::from_secs(60);
}

/// Who asks. Secrets are read from their files each time, so that a new one needs no reload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Authorization {
    /// By name and password.
    Basic {
        /// The name.
        username: String,
        /// Where the password is.
        password_file: PathBuf,
    },
    /// By a token.
    Token {
        /// What the token is, `Bearer` usually.
        scheme: String,
        /// Where it is.
        credentials_file: PathBuf,
    },
}

/// How `https` is spoken with an inventory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UrlTls {
    /// Certificates (PEM) to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// The exporter's own certificate and its key (PEM), where the inventory asks for one.
    pub identity: Option<Identity>,
}

/// A client certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The certificate, and those that lead to its authority.
    pub cert_file: PathBuf,
    /// Its key.
    pub key_file: PathBuf,
}
