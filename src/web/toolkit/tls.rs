//! `tls_server_config`: certificates and keys, from files or from the configuration itself, and what
//! is negotiated with clients.

use rustls::{CertificateError, Error, InconsistentKeys, ServerConfig};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use super::choices;
use super::values::{accept, boolean, is_blank, texts};
use crate::clock::Clock;
use crate::config::{NodeCursor, Report};
use crate::net::{ClientAuth, TlsError, TlsSettings, Trust};

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

/// How many of the keys, from the first, enable TLS.
const ENABLING: usize = 7;

/// The key of a file, and the key of its content.
type Source = [&'static str; 2];
const CERT: Source = ["cert_file", "cert"];
const KEY: Source = ["key_file", "key"];
const CLIENT_CA: Source = ["client_ca_file", "client_ca"];

/// Reads a file that the configuration names.
pub(super) type ReadFile<'a> = &'a mut dyn FnMut(&str) -> Result<Vec<u8>, String>;

/// `None` if connections are not secured, or if a problem was reported.
pub(super) fn tls(
    at: &NodeCursor<'_>,
    http2: bool,
    clock: Clock,
    read: ReadFile<'_>,
    report: &mut Report,
) -> Option<ServerConfig> {
    at.fields(TLS, report)?;
    let versions = choices::versions(
        at,
        field(at, "min_version"),
        field(at, "max_version"),
        report,
    );
    let suites_at = field(at, "cipher_suites");
    let cipher_suites = (suites_at.as_ref())
        .map(|at| choices::cipher_suites(at, report))
        .unwrap_or_default();
    let curves = field(at, "curve_preferences")
        .map(|at| choices::curves(&at, report))
        .unwrap_or_default();
    let prefer_server_order = field(at, "prefer_server_cipher_suites")
        .and_then(|at| boolean(&at, report))
        .unwrap_or(true);
    if TLS[..ENABLING].iter().all(|key| field(at, key).is_none()) {
        at.warning(
            report,
            "has no `cert_file` and `key_file`: connections are not secured",
        );
        return None;
    }
    if let (Some(at), Some(versions)) = (&suites_at, versions) {
        choices::check_suites(at, &cipher_suites, versions, http2, report);
    }
    for [file, inline] in [CERT, KEY] {
        if field(at, file).or(field(at, inline)).is_none() {
            at.problem(
                report,
                format!("`{file}` is missing; name the file, or write its content as `{inline}`"),
            );
        }
    }
    let [cert, key, ca] = [CERT, KEY, CLIENT_CA].map(|keys| Pem::read(at, keys, read, report));
    let client_auth = client_auth(at, ca.as_ref(), report);
    let (cert, key) = (cert?, key?);
    let certificates = cert.certificates(report);
    let private_key = key.items("PRIVATE KEY", 1, report)?.pop();
    let settings = TlsSettings {
        certificates: certificates?,
        key: private_key?,
        client_auth,
        versions: versions?.to_vec(),
        cipher_suites,
        prefer_server_order,
        curves,
        http2,
    };
    match settings.build(clock) {
        Ok(config) => Some(config),
        Err(error) => {
            let ca_at = ca.as_ref().map_or(at, |ca| &ca.at);
            let (at, message) = explain(error, at, [&cert.at, &key.at, ca_at]);
            at.problem(report, message);
            None
        }
    }
}

/// The value of a key that has one.
fn field<'a>(tls: &'a NodeCursor<'_>, key: &'a str) -> Option<NodeCursor<'a>> {
    tls.get(key).filter(|at| !is_blank(at))
}

/// The key with the error and the message.
fn explain<'a>(
    error: TlsError,
    tls: &'a NodeCursor<'a>,
    [cert, key, ca]: [&'a NodeCursor<'a>; 3],
) -> (&'a NodeCursor<'a>, String) {
    let unusable = |reason: String| {
        format!(
            "{reason}; RSA of 2,048 to 8,192 bits, ECDSA on P-256, P-384 or P-521, and Ed25519 can be used"
        )
    };
    match error {
        TlsError::Trust(message) => (ca, message),
        TlsError::Choice(error) => (
            tls,
            format!("leaves nothing to negotiate with a client: {error}"),
        ),
        TlsError::Identity(error) => match error {
            Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => (
                key,
                "is not the key of the certificate; name the two that belong together".to_owned(),
            ),
            Error::InvalidCertificate(
                CertificateError::BadEncoding | CertificateError::Other(_),
            ) => (
                cert,
                "the first certificate cannot be read, or is of X.509 version 1; make one of version 3".to_owned(),
            ),
            Error::General(reason) => (key, unusable(reason)),
            other => (key, unusable(other.to_string())),
        },
    }
}

/// PEM, and the key that contains it or its file.
struct Pem<'a> {
    at: NodeCursor<'a>,
    bytes: Vec<u8>,
}

impl<'a> Pem<'a> {
    /// Prefers the file to the text in the configuration, as the toolkit does.
    fn read(
        tls: &'a NodeCursor<'_>,
        keys: Source,
        read: ReadFile<'_>,
        report: &mut Report,
    ) -> Option<Self> {
        let [file, inline] = keys.map(|key| field(tls, key));
        let is_file = file.is_some();
        if let (true, Some(inline)) = (is_file, &inline) {
            inline.warning(
                report,
                format!("is not used, since `{}` is given too; remove one", keys[0]),
            );
        }
        let at = file.or(inline)?;
        let text = at.text(report)?;
        let bytes = if is_file { read(text) } else { Ok(text.into()) };
        let bytes = accept(&at, report, bytes)?;
        Some(Self { at, bytes })
    }

    fn certificates(&self, report: &mut Report) -> Option<Vec<CertificateDer<'static>>> {
        self.items("CERTIFICATE", usize::MAX, report)
    }

    /// At most the first `count` items with a label of PEM, and at least one.
    fn items<T: PemObject>(
        &self,
        label: &str,
        count: usize,
        report: &mut Report,
    ) -> Option<Vec<T>> {
        let items = T::pem_slice_iter(&self.bytes).take(count);
        let items = match items.collect::<Result<Vec<_>, _>>() {
            Ok(items) if !items.is_empty() => Ok(items),
            Err(error) => Err(format!("is not PEM: {error}")),
            _ if String::from_utf8_lossy(&self.bytes).contains(&format!("ENCRYPTED {label}")) => {
                Err("is encrypted, which is not supported; store it unencrypted".to_owned())
            }
            _ => {
                let kind = label.to_lowercase();
                Err(format!(
                    "has no {kind} in it; it has to be PEM, `-----BEGIN {label}-----`"
                ))
            }
        };
        accept(&self.at, report, items)
    }
}

/// How certificates of clients are treated.
#[derive(Clone, Copy)]
struct Policy {
    required: bool,
    verified: bool,
}

/// The names of Go's `crypto/tls`, and `RequireClientCert`, which the toolkit had before them;
/// `None` requests no certificate.
const POLICIES: [(&str, Option<Policy>); 6] = [
    ("NoClientCert", None),
    (
        "RequestClientCert",
        Some(Policy {
            required: false,
            verified: false,
        }),
    ),
    (
        "RequireAnyClientCert",
        Some(Policy {
            required: true,
            verified: false,
        }),
    ),
    (
        "RequireClientCert",
        Some(Policy {
            required: true,
            verified: false,
        }),
    ),
    (
        "VerifyClientCertIfGiven",
        Some(Policy {
            required: false,
            verified: true,
        }),
    ),
    (
        "RequireAndVerifyClientCert",
        Some(Policy {
            required: true,
            verified: true,
        }),
    ),
];

/// `None` if no certificate is requested, or if a problem was reported.
fn client_auth(
    tls: &NodeCursor<'_>,
    ca: Option<&Pem<'_>>,
    report: &mut Report,
) -> Option<ClientAuth> {
    let policy_at = field(tls, "client_auth_type");
    let policy = match &policy_at {
        Some(at) => at.choice(report, &POLICIES)?,
        None => None,
    };
    let trusted = ca.map(|ca| ca.certificates(report));
    let names_at = field(tls, "client_allowed_sans");
    let allowed_names = names_at.as_ref().map(|at| texts(at, report));
    if let Some(at) = names_at
        && !policy.is_some_and(|policy| policy.required)
    {
        at.problem(
            report,
            "needs `client_auth_type: RequireAndVerifyClientCert` (or `RequireAnyClientCert`): a client without a certificate has no name",
        );
    }
    let Some(Policy { required, verified }) = policy else {
        if let Some(ca) = ca {
            ca.at.problem(
                report,
                "needs `client_auth_type`; write `RequireAndVerifyClientCert`",
            );
        }
        return None;
    };
    if let Some(at) = policy_at
        && !(required && verified)
    {
        at.warning(
            report,
            "accepts clients without a verified certificate; `RequireAndVerifyClientCert` does not",
        );
    }
    let issued_by = match trusted {
        _ if !verified => None,
        None => Some(Trust::System),
        Some(trusted) => Some(Trust::These(trusted?)),
    };
    Some(ClientAuth {
        required,
        issued_by,
        allowed_names,
    })
}
