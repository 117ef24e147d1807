//! TLS for the server: what it is told becomes what rustls needs, and can be exchanged while
//! connections are served.

mod clients;
mod names;

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwap;
use rustls::crypto::{CryptoProvider, SupportedKxGroup, aws_lc_rs};
use rustls::time_provider::TimeProvider;
use rustls::{ServerConfig, SupportedCipherSuite, SupportedProtocolVersion};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, UnixTime};

pub use clients::{ClientAuth, Trust};

use crate::clock::Clock;

/// What a client is to understand that speaks HTTP/2, as it is named in the handshake (RFC 9113).
pub(super) const HTTP2: &[u8] = b"h2";
const HTTP1: &[u8] = b"http/1.1";

/// What a server says and accepts in a handshake.
#[derive(Debug)]
pub struct TlsSettings {
    /// The certificate and those that lead from it to a trusted one.
    pub certificates: Vec<CertificateDer<'static>>,
    /// The key of the first of them.
    pub key: PrivateKeyDer<'static>,
    /// Which certificates clients have to show; `None`: none is asked for.
    pub client_auth: Option<ClientAuth>,
    /// The versions that are spoken.
    pub versions: Vec<&'static SupportedProtocolVersion>,
    /// The suites of TLS 1.2 that are spoken, the best first; empty: all, and the client chooses.
    /// Those of TLS 1.3 are not for choosing.
    pub cipher_suites: Vec<SupportedCipherSuite>,
    /// Whether the order of [`TlsSettings::cipher_suites`] counts, and not that of the client.
    pub prefer_server_order: bool,
    /// The key exchanges that are spoken, the best first; empty: all.
    pub curves: Vec<&'static dyn SupportedKxGroup>,
    /// Whether HTTP/2 is offered.
    pub http2: bool,
}

/// What is wrong with [`TlsSettings`].
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The certificate or its key cannot be used.
    #[error("{0}")]
    Identity(rustls::Error),
    /// The certificates of authorities cannot be used.
    #[error("{0}")]
    Trust(String),
    /// Nothing is left to agree upon with a client.
    #[error("{0}")]
    Choice(rustls::Error),
}

impl TlsSettings {
    /// Makes of it what serves connections; `clock` says whether a client's certificate has expired.
    pub fn build(self, clock: Clock) -> Result<ServerConfig, TlsError> {
        let provider = Arc::new(self.provider());
        let verifier = self
            .client_auth
            .map(|auth| clients::verifier(auth, &provider))
            .transpose()
            .map_err(TlsError::Trust)?;
        let builder = ServerConfig::builder_with_details(provider, Arc::new(WallTime(clock)))
            .with_protocol_versions(&self.versions)
            .map_err(TlsError::Choice)?;
        let builder = match verifier {
            Some(verifier) => builder.with_client_cert_verifier(verifier),
            None => builder.with_no_client_auth(),
        };
        let mut config = builder
            .with_single_cert(self.certificates, self.key)
            .map_err(TlsError::Identity)?;
        // Without a list there is no order of ours, and the client knows which suite it is quick at.
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

/// What secures the connections of a server, each as it is at its handshake. Clones share it.
#[derive(Clone)]
pub struct Tls(Arc<ArcSwap<ServerConfig>>);

impl Tls {
    /// Secures connections with `config`.
    #[must_use]
    pub fn new(config: ServerConfig) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(config)))
    }

    /// Secures connections with `config` from now on. Those that are there stay as they are.
    pub fn replace(&self, config: ServerConfig) {
        self.0.store(Arc::new(config));
    }

    /// What secures the next connection.
    pub(super) fn current(&self) -> Arc<ServerConfig> {
        self.0.load_full()
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct WallTime(Clock);

impl TimeProvider for WallTime {
    fn current_time(&self) -> Option<UnixTime> {
        self.0
            .now()
            .to_system_time()
            .duration_since(SystemTime::UNIX_EPOCH)
            .ok()
            .map(UnixTime::since_unix_epoch)
    }
}
