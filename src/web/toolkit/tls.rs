//! `tls_server_config`: the certificate, and what is agreed upon with clients.

mod choices;
mod clients;
mod material;

use rustls::{CertificateError, Error, InconsistentKeys, ServerConfig};

use super::{Reading, is_nothing, yaml11};
use crate::config::{NodeCursor, Report};
use crate::net::{TlsError, TlsSettings};
use material::Material;

const TLS: [&str; 13] = [
    "cert",
    "cert_file",
    "key",
    "key_file",
    "client_ca",
    "client_ca_file",
    "client_auth_type",
    "client_allowed_sans",
    "min_version",
    "max_version",
    "cipher_suites",
    "prefer_server_cipher_suites",
    "curve_preferences",
];

/// `None`: connections are not to be secured, or something was reported.
pub(super) fn tls(
    at: &NodeCursor<'_>,
    http2: bool,
    reading: &mut Reading<'_>,
    report: &mut Report,
) -> Option<ServerConfig> {
    let [
        cert,
        cert_file,
        key,
        key_file,
        ca,
        ca_file,
        auth,
        names,
        least,
        most,
        suites,
        prefer,
        curves,
    ] = at
        .fields(TLS, report)?
        .map(|field| field.filter(|at| !is_nothing(at)));
    let versions = choices::versions(at, least, most, report);
    let cipher_suites = suites
        .as_ref()
        .map(|at| choices::cipher_suites(at, report))
        .unwrap_or_default();
    let curves = curves
        .map(|at| choices::curves(&at, report))
        .unwrap_or_default();
    let prefer_server_order = prefer
        .and_then(|at| yaml11::switch(&at, report))
        .unwrap_or(true);
    // As the toolkit has it: the rest alone does not turn TLS on.
    if [&cert, &cert_file, &key, &key_file, &ca, &ca_file, &auth]
        .iter()
        .all(|field| field.is_none())
    {
        at.warning(
            report,
            "has no `cert_file` and `key_file`: connections are not secured",
        );
        return None;
    }
    if let (Some(at), Some(versions)) = (&suites, &versions) {
        choices::check_suites(at, &cipher_suites, versions, http2, report);
    }
    let cert = Material::read(
        at,
        ("cert", cert),
        ("cert_file", cert_file),
        true,
        reading,
        report,
    );
    let key = Material::read(
        at,
        ("key", key),
        ("key_file", key_file),
        true,
        reading,
        report,
    );
    let ca = Material::read(
        at,
        ("client_ca", ca),
        ("client_ca_file", ca_file),
        false,
        reading,
        report,
    );
    let client_auth = clients::client_auth(auth, ca.as_ref(), names, report);
    let (cert, key) = (cert?, key?);
    let (certificates, private_key) = (cert.certificates(report), key.private_key(report));
    let settings = TlsSettings {
        certificates: certificates?,
        key: private_key?,
        client_auth,
        versions: versions?.list(),
        cipher_suites,
        prefer_server_order,
        curves,
        http2,
    };
    match settings.build(reading.clock) {
        Ok(config) => Some(config),
        Err(error) => {
            tell(&error, at, &cert, &key, ca.as_ref(), report);
            None
        }
    }
}

/// Reports `error` at the key that it is about.
fn tell(
    error: &TlsError,
    at: &NodeCursor<'_>,
    cert: &Material<'_>,
    key: &Material<'_>,
    ca: Option<&Material<'_>>,
    report: &mut Report,
) {
    match error {
        TlsError::Identity(Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => {
            key.at.problem(
                report,
                "is not the key of the certificate; name the two that belong together",
            );
        }
        TlsError::Identity(Error::InvalidCertificate(
            CertificateError::BadEncoding | CertificateError::Other(_),
        )) => {
            let message = "the first certificate cannot be read, or is of X.509 version 1; make one of version 3";
            cert.at.problem(report, message);
        }
        TlsError::Identity(error) => {
            let reason = match error {
                Error::General(reason) => reason.clone(),
                other => other.to_string(),
            };
            let usable = "RSA of 2,048 to 8,192 bits, ECDSA on P-256, P-384 or P-521, and Ed25519 can be used";
            key.at.problem(report, format!("{reason}; {usable}"));
        }
        TlsError::Trust(message) => ca.map_or(at, |ca| &ca.at).problem(report, message.as_str()),
        TlsError::Choice(error) => at.problem(
            report,
            format!("leaves nothing to agree upon with a client: {error}"),
        ),
    }
}
