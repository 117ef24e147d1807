//! `tls_server_config`: certificates and keys, from files or from the configuration itself, and what
//! is negotiated with clients.

use rustls::{CertificateError, Error, InconsistentKeys, ServerConfig};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use super::choices;
use super::values::{boolean, is_blank, texts};
use crate::clock::Clock;
use crate::config::{Keys, NodeCursor};
use crate::net::{ClientAuth, TlsError, TlsSettings, Trust};

/// The keys that enable TLS.
const ENABLING: [&str; 7] = [
    "cert",
    "cert_file",
    "key",
    "key_file",
    "client_ca",
    "client_ca_file",
    "client_auth_type",
];

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
) -> Option<ServerConfig> {
    let keys = Keys::of(at)?;
    let is_enabled = ENABLING
        .map(|key| field(&keys, key).is_some())
        .contains(&true);
    let allowed_names_at = field(&keys, "client_allowed_sans");
    let [min, max] = ["min_version", "max_version"].map(|key| field(&keys, key));
    let versions = choices::versions(at, min, max);
    let suites_at = field(&keys, "cipher_suites");
    let cipher_suites = suites_at
        .as_ref()
        .and_then(choices::cipher_suites)
        .unwrap_or_default();
    let prefer_server_order =
        field(&keys, "prefer_server_cipher_suites").and_then(|at| boolean(&at));
    let curves = field(&keys, "curve_preferences").and_then(|at| choices::curves(&at));
    if !is_enabled {
        at.warning("has no `cert_file` and `key_file`: connections are not secured");
        return None;
    }
    if let (Some(at), Some(versions)) = (&suites_at, versions) {
        choices::check_suites(at, &cipher_suites, versions, http2);
    }
    for [file, inline] in [CERT, KEY] {
        if field(&keys, file).or(field(&keys, inline)).is_none() {
            at.problem(format!(
                "`{file}` is missing; name the file, or write its content as `{inline}`"
            ));
        }
    }
    let [cert, key, ca] = [CERT, KEY, CLIENT_CA].map(|source| Pem::read(&keys, source, read));
    let client_auth = client_auth(&keys, allowed_names_at, ca.as_ref());
    let (cert, key) = (cert?, key?);
    let certificates = cert.certificates();
    let private_key = key.items("PRIVATE KEY", 1)?.pop();
    let settings = TlsSettings {
        certificates: certificates?,
        key: private_key?,
        client_auth,
        versions: versions?.to_vec(),
        cipher_suites,
        prefer_server_order: prefer_server_order.unwrap_or(true),
        curves: curves.unwrap_or_default(),
        http2,
    };
    match settings.build(clock) {
        Ok(config) => Some(config),
        Err(error) => {
            let ca_at = ca.as_ref().map_or(at, |ca| &ca.at);
            let (at, message) = explain(error, at, [&cert.at, &key.at, ca_at]);
            at.problem(message);
            None
        }
    }
}

/// The value of a key that has one.
fn field<'a>(keys: &Keys<'a>, key: &'static str) -> Option<NodeCursor<'a>> {
    keys.get(key).filter(|at| !is_blank(at))
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
    fn read(keys: &Keys<'a>, source: Source, read: ReadFile<'_>) -> Option<Self> {
        let [file, inline] = source.map(|key| field(keys, key));
        let is_file = file.is_some();
        if let (true, Some(inline)) = (is_file, &inline) {
            let message = format!(
                "is not used, since `{}` is given too; remove one",
                source[0]
            );
            inline.warning(message);
        }
        let at = file.or(inline)?;
        let text = at.text()?;
        let bytes = if is_file { read(text) } else { Ok(text.into()) };
        let bytes = at.accept(bytes)?;
        Some(Self { at, bytes })
    }

    fn certificates(&self) -> Option<Vec<CertificateDer<'static>>> {
        self.items("CERTIFICATE", usize::MAX)
    }

    /// At most the first `count` items with a label of PEM, and at least one.
    fn items<T: PemObject>(&self, label: &str, count: usize) -> Option<Vec<T>> {
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
        self.at.accept(items)
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
    keys: &Keys<'_>,
    allowed_names_at: Option<NodeCursor<'_>>,
    ca: Option<&Pem<'_>>,
) -> Option<ClientAuth> {
    let policy_at = field(keys, "client_auth_type");
    let policy = match &policy_at {
        Some(at) => at.choice(&POLICIES)?,
        None => None,
    };
    let trusted = ca.map(Pem::certificates);
    let allowed_names = allowed_names_at.as_ref().and_then(texts);
    if let Some(at) = allowed_names_at
        && !policy.is_some_and(|policy| policy.required)
    {
        at.problem(
            "needs `client_auth_type: RequireAndVerifyClientCert` (or `RequireAnyClientCert`): a client without a certificate has no name",
        );
    }
    let Some(Policy { required, verified }) = policy else {
        if let Some(ca) = ca {
            ca.at
                .problem("needs `client_auth_type`; write `RequireAndVerifyClientCert`");
        }
        return None;
    };
    if let Some(at) = policy_at
        && !(required && verified)
    {
        at.warning(
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
