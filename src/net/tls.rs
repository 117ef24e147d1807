//! TLS of the server: settings to a configuration of rustls, which can be replaced while connections
//! are served.

mod clients;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::crypto::{CryptoProvider, SupportedKxGroup, aws_lc_rs};
use rustls::time_provider::TimeProvider;
use rustls::{ServerConfig, SupportedCipherSuite, SupportedProtocolVersion};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, UnixTime};

pub use clients::{ClientAuth, Trust};

use crate::clock::Clock;

/// The name of HTTP/2 in the handshake (RFC 9113).
pub(super) const HTTP2: &[u8] = b"h2";
const HTTP1: &[u8] = b"http/1.1";

/// What a server presents and accepts in a handshake.
#[derive(Debug)]
pub struct TlsSettings {
    /// The certificate and its intermediate certificates.
    pub certificates: Vec<CertificateDer<'static>>,
    /// The key of the certificate.
    pub key: PrivateKeyDer<'static>,
    /// The certificates required of clients; `None`: none is requested.
    pub client_auth: Option<ClientAuth>,
    /// The supported versions.
    pub versions: Vec<&'static SupportedProtocolVersion>,
    /// The supported cipher suites of TLS 1.2, in the order of preference; empty: all, in the order
    /// of the client. Those of TLS 1.3 are fixed.
    pub cipher_suites: Vec<SupportedCipherSuite>,
    /// Whether the order of [`TlsSettings::cipher_suites`] overrides the order of the client.
    pub prefer_server_order: bool,
    /// The supported key exchanges, in the order of preference; empty: all.
    pub curves: Vec<&'static dyn SupportedKxGroup>,
    /// Whether HTTP/2 is offered.
    pub http2: bool,
}

/// Why [`TlsSettings`] are invalid.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The certificate or its key cannot be used.
    #[error("{0}")]
    Identity(rustls::Error),
    /// The certificates of authorities cannot be used.
    #[error("{0}")]
    Trust(String),
    /// No version or cipher suite is left.
    #[error("{0}")]
    Choice(rustls::Error),
}

impl TlsSettings {
    /// Builds the configuration; `clock` determines whether the certificate of a client has expired.
    pub fn build(self, clock: Clock) -> Result<ServerConfig, TlsError> {
        let provider = Arc::new(self.provider());
        let verifier = self
            .client_auth
            .map(|auth| clients::verifier(auth, &provider))
            .transpose()
            .map_err(TlsError::Trust)?;
        let builder = ServerConfig::builder_with_details(provider, Arc::new(clock))
            .with_protocol_versions(&self.versions)
            .map_err(TlsError::Choice)?;
        let builder = match verifier {
            Some(verifier) => builder.with_client_cert_verifier(verifier),
            None => builder.with_no_client_auth(),
        };
        let mut config = builder
            .with_single_cert(self.certificates, self.key)
            .map_err(TlsError::Identity)?;
        // Without a list, the client chooses the suite that is fast for it.
        config.ignore_client_order = self.prefer_server_order && !self.cipher_suites.is_empty();
        config.alpn_protocols = if self.http2 {
            vec![HTTP2.into(), HTTP1.into()]
        } else {
            vec![HTTP1.into()]
        };
        Ok(config)
    }

    fn provider(&self) -> CryptoProvider {
        let mut provider = aws_lc_rs::default_provider();
        if !self.cipher_suites.is_empty() {
            provider
                .cipher_suites
                .retain(|suite| suite.tls13().is_some());
            provider.cipher_suites.extend(
                self.cipher_suites
                    .iter()
                    .filter(|suite| suite.tls13().is_none()),
            );
        }
        if !self.curves.is_empty() {
            provider.kx_groups.clone_from(&self.curves);
        }
        provider
    }
}

/// The TLS configuration of a server, which is read at each handshake. Clones share it.
#[derive(Clone)]
pub struct Tls(Arc<ArcSwap<ServerConfig>>);

impl Tls {
    /// Starts with `config`.
    #[must_use]
    pub fn new(config: ServerConfig) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(config)))
    }

    /// Replaces the configuration. Existing connections continue.
    pub fn replace(&self, config: ServerConfig) {
        self.0.store(Arc::new(config));
    }

    /// The current configuration.
    pub(super) fn current(&self) -> Arc<ServerConfig> {
        self.0.load_full()
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

impl TimeProvider for Clock {
    fn current_time(&self) -> Option<UnixTime> {
        let since_epoch = Duration::from_millis(self.now().as_millis());
        Some(UnixTime::since_unix_epoch(since_epoch))
    }
}
