//! The names that a certificate gives its owner.

use std::net::IpAddr;

use x509_cert::Certificate;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

/// The subject alternative names as text: host names, e-mail addresses, URIs as they stand there,
/// and IP addresses as they are usually written. `None` where they cannot be read.
pub(super) fn alternative_names(certificate: &Certificate) -> Option<Vec<String>> {
    let Some((_, SubjectAltName(names))) = certificate.tbs_certificate().get_extension().ok()?
    else {
        return Some(Vec::new());
    };
    Some(names.iter().filter_map(text).collect())
}

fn text(name: &GeneralName) -> Option<String> {
    match name {
        GeneralName::DnsName(text)
        | GeneralName::Rfc822Name(text)
        | GeneralName::UniformResourceIdentifier(text) => Some(text.as_str().to_owned()),
        GeneralName::IpAddress(bytes) => {
            address(bytes.as_bytes()).map(|address| address.to_canonical().to_string())
        }
        _ => None,
    }
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    <[u8; 4]>::try_from(bytes)
        .map(IpAddr::from)
        .or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from))
        .ok()
}
