//! Builds HTTP clients, all with the same behaviour: a request is sent once, redirects are not
//! followed, connections are not kept for long.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io};

use reqwest::Url;
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::{self, PemObject as _};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::http_client::HttpClient;
use super::resolver::Resolver;

/// Why a client could not be built, with the name of the file or a fix.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ClientError(String);

impl ClientError {
    fn new(message: impl fmt::Display, cause: &(dyn Error + 'static)) -> Self {
        Self(format!("{message}: {}", with_causes(cause)))
    }

    /// A file cannot be read, or is not PEM.
    fn pem(path: &Path, cause: &pem::Error) -> Self {
        let path = path.display();
        Self::new(format_args!("cannot read the PEM file {path}"), cause)
    }

    /// A certificate in the CA file, or the client certificate with its key, is invalid.
    fn certificate(path: &Path, cause: &rustls::Error) -> Self {
        let path = path.display();
        let message = format_args!("the certificate in {path} cannot be used");
        Self::new(message, cause)
    }
}

/// Builds the client for requests to `endpoint`.
///
/// Certificates are loaded, from `ca_file` or from the system, only if the endpoint is `https`:
/// plain `http` must work in an image without any. The proxy is that of the environment
/// (`HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY`, upper or lower case), but, as in Go's
/// `net/http`, never for an endpoint on this host.
///
/// The client has no timeout except `connect_timeout`, which does not include the DNS lookup, and
/// never sends a request twice. (If the HTTP library finds an idle connection closed before it sent
/// a byte of the request, it uses another connection: that is still one request.)
pub fn client(
    endpoint: &Url,
    ca_file: Option<&Path>,
    connect_timeout: Duration,
    resolver: &Resolver,
) -> Result<HttpClient, ClientError> {
    client_with_identity(endpoint, ca_file, None, connect_timeout, resolver)
}

/// Builds a [`client`] that presents a certificate if the server requests one. `identity` is the
/// file of the certificate and its intermediate certificates, and the file of its key.
pub fn client_with_identity(
    endpoint: &Url,
    ca_file: Option<&Path>,
    identity: Option<(&Path, &Path)>,
    connect_timeout: Duration,
    resolver: &Resolver,
) -> Result<HttpClient, ClientError> {
    let https = endpoint.scheme() == "https";
    let roots = match ca_file {
        _ if !https => RootCertStore::empty(),
        Some(path) => roots_of(path)?,
        None => system_roots().map_err(|cause| {
            let cause = cause.map(|cause| format!(" ({cause})")).unwrap_or_default();
            ClientError(format!(
                "this system has no CA certificates to verify https endpoints{cause}; \
                 install the package `ca-certificates`, or set `ca_file`"
            ))
        })?,
    };
    let tls = tls(roots, identity.filter(|_| https))?;
    let proxy = !is_loopback(endpoint);
    HttpClient::new(endpoint, tls, connect_timeout, proxy, resolver)
        .map_err(|error| unbuildable(&error))
}

/// Builds the client for a service on this host or its link: plain `http`, and never through a
/// proxy, which would reach the services of the host of the proxy.
pub fn client_without_proxy(
    endpoint: &Url,
    connect_timeout: Duration,
    resolver: &Resolver,
) -> Result<HttpClient, ClientError> {
    let tls = tls(RootCertStore::empty(), None)?;
    HttpClient::new(endpoint, tls, connect_timeout, false, resolver)
        .map_err(|error| unbuildable(&error))
}

fn unbuildable(error: &reqwest::Error) -> ClientError {
    ClientError::new("cannot build an HTTP client", error)
}

/// Whether `url` is on this host.
pub(crate) fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || address
            .parse()
            .is_ok_and(|address: std::net::IpAddr| address.is_loopback())
}

/// The TLS settings of all clients. The provider is named, because the process has no default.
fn tls(
    roots: RootCertStore,
    identity: Option<(&Path, &Path)>,
) -> Result<ClientConfig, ClientError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| ClientError::new("cannot set up TLS", &error))?
        .with_root_certificates(roots);
    let Some((cert_file, key_file)) = identity else {
        return Ok(config.with_no_client_auth());
    };
    let chain = certificates(cert_file)?;
    let key = PrivateKeyDer::from_pem_file(key_file)
        .map_err(|error| ClientError::pem(key_file, &error))?;
    config
        .with_client_auth_cert(chain, key)
        .map_err(|error| ClientError::certificate(cert_file, &error))
}

fn roots_of(path: &Path) -> Result<RootCertStore, ClientError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots
            .add(certificate)
            .map_err(|error| ClientError::certificate(path, &error))?;
    }
    if roots.is_empty() {
        return Err(ClientError(format!(
            "{} contains no CA certificate; it must be PEM, `-----BEGIN CERTIFICATE-----`",
            path.display()
        )));
    }
    Ok(roots)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, ClientError> {
    CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|error| ClientError::pem(path, &error))
}

/// The certificates that the system trusts, without those that the library rejects: stores of a
/// hundred sometimes contain an invalid one. If none is left, the error, if it is known.
pub(super) fn system_roots() -> Result<RootCertStore, Option<rustls_native_certs::Error>> {
    let mut found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        Err(found.errors.pop())
    } else {
        Ok(roots)
    }
}

/// The error of the TLS library that caused a transport error, if there is one.
#[must_use]
pub fn tls_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    causes(error).find_map(unwrapped)
}

/// Why a TLS handshake failed.
#[must_use]
pub fn tls_message(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InvalidMessage(_) => "the server does not use TLS on this port".to_owned(),
        error => error.to_string(),
    }
}

/// An I/O error that wraps another error does not name it as its source.
fn unwrapped<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    match error.downcast_ref::<io::Error>() {
        Some(io) => unwrapped(io.get_ref()?),
        None => error.downcast_ref(),
    }
}

/// `error` and its causes, outermost first.
pub fn causes<'a>(
    error: &'a (dyn Error + 'static),
) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

/// The message of the innermost cause of a transport error. The text of the error itself contains
/// the URL, which may contain a secret.
pub(crate) fn innermost(error: &reqwest::Error) -> String {
    causes(error)
        .skip(1)
        .last()
        .map(ToString::to_string)
        .unwrap_or_default()
}

/// The messages of `error` and its causes, outermost first, separated by colons.
fn with_causes(error: &(dyn Error + 'static)) -> String {
    let messages: Vec<_> = causes(error).map(ToString::to_string).collect();
    messages.join(": ")
}
