//! Verification of client certificates.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore,
    SignatureScheme,
};
use rustls_pki_types::{CertificateDer, UnixTime};
use x509_cert::Certificate;
use x509_cert::der::Decode as _;
use x509_cert::der::oid::db::rfc5280::{ANY_EXTENDED_KEY_USAGE, ID_KP_CLIENT_AUTH};
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{ExtendedKeyUsage, SubjectAltName};

use crate::net::client::system_roots;

/// The certificates that are required of clients.
#[derive(Debug)]
pub struct ClientAuth {
    /// Whether a client without a certificate is rejected.
    pub required: bool,
    /// The trusted issuers; `None`: every issuer, the client only proves that it has the key.
    pub issued_by: Option<Trust>,
    /// The names of which the certificate must have one; `None`: every name.
    pub allowed_names: Option<Vec<String>>,
}

/// Trusted certificates.
#[derive(Debug)]
pub enum Trust {
    /// The certificates of the system.
    System,
    /// These certificates.
    These(Vec<CertificateDer<'static>>),
}

pub(super) fn verifier(
    auth: ClientAuth,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, String> {
    let mut trusted = Vec::new();
    let roots = match auth.issued_by {
        None => None,
        Some(Trust::System) => Some(
            system_roots()
                .map_err(|_| "this system has no trusted certificates; set `client_ca_file`")?,
        ),
        Some(Trust::These(certificates)) => {
            let mut roots = RootCertStore::empty();
            for certificate in &certificates {
                roots
                    .add(certificate.clone())
                    .map_err(|error| format!("a certificate in it cannot be trusted: {error}"))?;
            }
            trusted = certificates;
            Some(roots)
        }
    };
    let chain = roots.map(|roots| {
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider)).build()
    });
    Ok(Arc::new(Verifier {
        required: auth.required,
        chain: chain.transpose().map_err(|error| error.to_string())?,
        trusted,
        allowed_names: auth.allowed_names,
        algorithms: provider.signature_verification_algorithms,
    }))
}

#[derive(Debug)]
struct Verifier {
    required: bool,
    /// Verifies the issuer; `None` for every issuer.
    chain: Option<Arc<dyn ClientCertVerifier>>,
    trusted: Vec<CertificateDer<'static>>,
    allowed_names: Option<Vec<String>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ClientCertVerifier for Verifier {
    fn client_auth_mandatory(&self) -> bool {
        self.required
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.chain
            .as_ref()
            .map_or(&[], |chain| chain.root_hint_subjects())
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        match &self.chain {
            // As in Go, the certificate of the client itself may be trusted. webpki rejects it if it
            // is one of an authority, which OpenSSL creates by default.
            Some(_) if self.trusted.iter().any(|trusted| trusted == end_entity) => {
                valid_by_itself(end_entity, now)?;
            }
            Some(chain) => {
                chain.verify_client_cert(end_entity, intermediates, now)?;
            }
            None => {}
        }
        if let Some(allowed) = &self.allowed_names {
            let names =
                alternative_names(&parse(end_entity)?).ok_or(CertificateError::BadEncoding)?;
            if !names.iter().any(|name| allowed.contains(name)) {
                return Err(CertificateError::ApplicationVerificationFailure.into());
            }
        }
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

fn parse(certificate: &CertificateDer<'_>) -> Result<Certificate, Error> {
    Certificate::from_der(certificate).map_err(|_| CertificateError::BadEncoding.into())
}

/// Checks the validity period and the purpose of a certificate that is trusted itself.
fn valid_by_itself(certificate: &CertificateDer<'_>, now: UnixTime) -> Result<(), Error> {
    let certificate = parse(certificate)?;
    let certificate = certificate.tbs_certificate();
    let (now, validity) = (Duration::from_secs(now.as_secs()), certificate.validity());
    if now < validity.not_before.to_unix_duration() {
        return Err(CertificateError::NotValidYet.into());
    }
    if now > validity.not_after.to_unix_duration() {
        return Err(CertificateError::Expired.into());
    }
    match certificate.get_extension::<ExtendedKeyUsage>() {
        Err(_) => Err(CertificateError::BadEncoding.into()),
        Ok(Some((_, usage)))
            if !usage
                .0
                .iter()
                .any(|id| [ID_KP_CLIENT_AUTH, ANY_EXTENDED_KEY_USAGE].contains(id)) =>
        {
            Err(CertificateError::InvalidPurpose.into())
        }
        Ok(_) => Ok(()),
    }
}

/// The subject alternative names: host names, e-mail addresses, URIs and IP addresses. `None` if they
/// cannot be parsed.
fn alternative_names(certificate: &Certificate) -> Option<Vec<String>> {
    let Some((_, SubjectAltName(names))) = certificate.tbs_certificate().get_extension().ok()?
    else {
        return Some(Vec::new());
    };
    Some(names.iter().filter_map(name_text).collect())
}

fn name_text(name: &GeneralName) -> Option<String> {
    match name {
        GeneralName::DnsName(text)
        | GeneralName::Rfc822Name(text)
        | GeneralName::UniformResourceIdentifier(text) => Some(text.as_str().to_owned()),
        GeneralName::IpAddress(bytes) => {
            let (v4, v6) = (bytes.as_bytes().try_into(), bytes.as_bytes().try_into());
            let v4 = v4.map(|octets: [u8; 4]| IpAddr::from(octets));
            let address = v4.or_else(|_| v6.map(|octets: [u8; 16]| IpAddr::from(octets)));
            Some(address.ok()?.to_canonical().to_string())
        }
        _ => None,
    }
}
