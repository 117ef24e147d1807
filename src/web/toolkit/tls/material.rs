//! Certificates and keys, from files or from the configuration itself.

use rustls_pki_types::pem::{self, PemObject as _};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::super::Reading;
use crate::config::{NodeCursor, Report};

/// PEM, and where it was named.
pub(super) struct Material<'a> {
    pub(super) at: NodeCursor<'a>,
    bytes: Vec<u8>,
}

type Field<'a> = (&'static str, Option<NodeCursor<'a>>);

impl<'a> Material<'a> {
    /// What a key names; as in the toolkit, the file's content where both are given. `None` where
    /// there is none, which is reported if it is `needed`.
    pub(super) fn read(
        tls: &NodeCursor<'_>,
        (inline_name, inline): Field<'a>,
        (file_name, file): Field<'a>,
        needed: bool,
        reading: &mut Reading<'_>,
        report: &mut Report,
    ) -> Option<Self> {
        match (file, inline) {
            (Some(at), inline) => {
                if let Some(inline) = inline {
                    inline.warning(
                        report,
                        format!("is not used, since `{file_name}` is given too; remove one"),
                    );
                }
                let path = reading.folder.join(at.text(report)?);
                match (reading.read)(&path) {
                    Ok(bytes) => Some(Self { at, bytes }),
                    Err(message) => {
                        at.problem(report, format!("{}: {message}", path.display()));
                        None
                    }
                }
            }
            (None, Some(at)) => at.text(report).map(|text| Self {
                at,
                bytes: text.into(),
            }),
            (None, None) if needed => {
                tls.problem(
                    report,
                    format!("`{file_name}` is missing; name the file, or write its content as `{inline_name}`"),
                );
                None
            }
            (None, None) => None,
        }
    }

    /// All certificates in it, of which there is at least one.
    pub(super) fn certificates(&self, report: &mut Report) -> Option<Vec<CertificateDer<'static>>> {
        match CertificateDer::pem_slice_iter(&self.bytes).collect::<Result<Vec<_>, _>>() {
            Ok(certificates) if certificates.is_empty() => {
                self.at.problem(
                    report,
                    "has no certificate in it; it has to be PEM, `-----BEGIN CERTIFICATE-----`",
                );
            }
            Ok(certificates) => return Some(certificates),
            Err(error) => self.at.problem(report, format!("is not PEM: {error}")),
        }
        None
    }

    /// The first private key in it.
    pub(super) fn private_key(&self, report: &mut Report) -> Option<PrivateKeyDer<'static>> {
        match PrivateKeyDer::from_pem_slice(&self.bytes) {
            Ok(key) => return Some(key),
            Err(pem::Error::NoItemsFound) if self.says("ENCRYPTED PRIVATE KEY") => {
                self.at.problem(
                    report,
                    "is encrypted, and nobody is here to type its password; store it decrypted",
                );
            }
            Err(pem::Error::NoItemsFound) => {
                self.at.problem(
                    report,
                    "has no private key in it; it has to be PEM, `-----BEGIN PRIVATE KEY-----`",
                );
            }
            Err(error) => self.at.problem(report, format!("is not PEM: {error}")),
        }
        None
    }

    fn says(&self, words: &str) -> bool {
        self.bytes
            .windows(words.len())
            .any(|window| window == words.as_bytes())
    }
}
