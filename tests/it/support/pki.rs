//! Certificates, made anew for each test.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    PKCS_ECDSA_P256_SHA256, SanType, date_time_ymd,
};
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// A certificate and its key, as PEM.
#[derive(Clone)]
pub(crate) struct Identity {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Identity {
    fn chain(&self) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let chain =
            CertificateDer::pem_slice_iter(self.certificate.as_bytes()).collect::<Result<_, _>>();
        (
            chain.expect("PEM"),
            PrivateKeyDer::from_pem_slice(self.key.as_bytes()).expect("PEM"),
        )
    }

    /// Writes both into `folder`, as `NAME.pem` and `NAME.key`.
    pub(crate) fn write(&self, folder: &Path, name: &str) {
        std::fs::write(folder.join(name).with_extension("pem"), &self.certificate)
            .expect("written");
        std::fs::write(folder.join(name).with_extension("key"), &self.key).expect("written");
    }
}

/// Who issues certificates.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) identity: Identity,
}

/// A certificate to be issued.
pub(crate) fn request(names: &[&str]) -> CertificateParams {
    let mut request = CertificateParams::default();
    request.subject_alt_names = names.iter().map(|name| alternative_name(name)).collect();
    request
}

fn alternative_name(name: &str) -> SanType {
    let text = || Ia5String::try_from(name).expect("ASCII");
    match name.parse::<IpAddr>() {
        Ok(address) => SanType::IpAddress(address),
        Err(_) if name.contains("://") => SanType::URI(text()),
        Err(_) if name.contains('@') => SanType::Rfc822Name(text()),
        Err(_) => SanType::DnsName(text()),
    }
}

/// Times that are past: the certificate has expired.
pub(crate) fn expired(mut request: CertificateParams) -> CertificateParams {
    (request.not_before, request.not_after) =
        (date_time_ymd(2001, 1, 1), date_time_ymd(2002, 1, 1));
    request
}

/// What OpenSSL makes where nothing else is said: a certificate of an authority.
pub(crate) fn of_authority(mut request: CertificateParams) -> CertificateParams {
    request.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    request
}

/// A certificate that is for servers alone.
pub(crate) fn for_servers(mut request: CertificateParams) -> CertificateParams {
    request.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    request
}

/// Signs a request with its own key.
pub(crate) fn self_signed(request: &CertificateParams) -> Identity {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("a key");
    let certificate = request.self_signed(&key).expect("a certificate");
    Identity {
        certificate: certificate.pem(),
        key: key.serialize_pem(),
    }
}

impl Authority {
    pub(crate) fn new() -> Self {
        let request = of_authority(request(&[]));
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("a key");
        let certificate = request.self_signed(&key).expect("a certificate");
        let identity = Identity {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        };
        Self {
            issuer: Issuer::new(request, key),
            identity,
        }
    }

    pub(crate) fn issue(&self, request: &CertificateParams) -> Identity {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("a key");
        let certificate = request
            .signed_by(&key, &self.issuer)
            .expect("a certificate");
        Identity {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        }
    }

    /// A certificate for servers on this host.
    pub(crate) fn server(&self) -> Identity {
        self.issue(&request(&["localhost", "127.0.0.1"]))
    }
}

/// How a client speaks TLS.
#[derive(Clone, Default)]
pub(crate) struct TlsClient {
    /// Whom it trusts.
    pub(crate) trusted: Vec<Identity>,
    /// What it shows.
    pub(crate) identity: Option<Identity>,
    /// The one version that it speaks; any where nothing is said.
    pub(crate) version: Option<&'static SupportedProtocolVersion>,
    /// Suites and key exchanges; all where nothing is said.
    pub(crate) provider: Option<rustls::crypto::CryptoProvider>,
    /// Protocols that it offers.
    pub(crate) protocols: Vec<&'static str>,
}

impl TlsClient {
    pub(crate) fn trusting(authority: &Authority) -> Self {
        Self {
            trusted: vec![authority.identity.clone()],
            ..Self::default()
        }
    }

    pub(crate) fn config(&self) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        for trusted in &self.trusted {
            roots.add_parsable_certificates(trusted.chain().0);
        }
        let provider = self
            .provider
            .clone()
            .unwrap_or_else(aws_lc_rs::default_provider);
        let versions = self
            .version
            .map_or(rustls::DEFAULT_VERSIONS.to_vec(), |version| vec![version]);
        let builder = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&versions)
            .expect("versions and suites go together")
            .with_root_certificates(roots);
        let mut config = match &self.identity {
            None => builder.with_no_client_auth(),
            Some(identity) => {
                let (chain, key) = identity.chain();
                builder.with_client_auth_cert(chain, key).expect("a pair")
            }
        };
        config.alpn_protocols = self
            .protocols
            .iter()
            .map(|name| name.as_bytes().to_vec())
            .collect();
        Arc::new(config)
    }
}
