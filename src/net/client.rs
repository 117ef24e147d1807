//! The one place that builds HTTP clients, so that all of them have the same manners: a request
//! is sent once, redirects are not followed, connections are not kept for long.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, ClientBuilder, Url};
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::{self, PemObject as _};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// How long a connection may lie idle. The vendor's gateway closes it after 25 s (its
/// `Keep-Alive` header says so), and a request sent into that close would be lost.
const IDLE_TIMEOUT: Duration = Duration::from_secs(15);

/// How often a silent connection is probed, so that a dead peer is noticed.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// Why a client could not be built.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The CA file could not be read, or what is in it is not PEM.
    #[error("cannot read the CA certificates in {}", path.display())]
    CaFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: pem::Error,
    },
    /// There is no certificate in the CA file.
    #[error("{} has no CA certificate in it; it has to be PEM, `-----BEGIN CERTIFICATE-----`", .0.display())]
    EmptyCaFile(PathBuf),
    /// A certificate in the CA file is not one to trust.
    #[error("{} has a certificate that cannot be trusted", path.display())]
    BadCertificate {
        /// The file.
        path: PathBuf,
        /// What is wrong with the certificate.
        source: rustls::Error,
    },
    /// The client certificate or its key could not be read, or what is in the file is not PEM.
    #[error("cannot read {}", path.display())]
    Identity {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: pem::Error,
    },
    /// The client certificate and its key do not fit together, or are of no use.
    #[error("the client certificate in {} cannot be used with its key", path.display())]
    BadIdentity {
        /// The file of the certificate.
        path: PathBuf,
        /// What is wrong.
        source: rustls::Error,
    },
    /// `https` is wanted, and the system has no CA certificates.
    #[error(
        "this system has no CA certificates to check https endpoints with{}; install its package `ca-certificates`, \
         or name a file with them as `ca_file`",
        .0.as_ref().map(|error| format!(" ({error})")).unwrap_or_default()
    )]
    NoSystemRoots(Option<rustls_native_certs::Error>),
    /// The TLS library refused its own defaults.
    #[error("cannot set up TLS")]
    Tls(#[from] rustls::Error),
    /// The HTTP library refused.
    #[error("cannot build an HTTP client")]
    Http(#[from] reqwest::Error),
}

/// Builds the client for requests to all `endpoints`.
///
/// Certificates are loaded from `ca_file`, or from the system, only if one of the endpoints is
/// `https`: plain `http` has to work in an image that has none. The proxy is that of the
/// environment (`HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY`, upper or lower case), but
/// never for endpoints that are all on this host, as in Go's `net/http`.
///
/// The client adds no timeout of its own but `connect_timeout`, and never sends a request twice.
/// (The HTTP library gives a request that it had not begun to send, because the idle connection
/// was found closed, to another connection: that is still one request on the wire.)
pub fn client<'a>(
    endpoints: impl IntoIterator<Item = &'a Url>,
    ca_file: Option<&Path>,
    connect_timeout: Duration,
) -> Result<Client, ClientError> {
    client_with_identity(endpoints, ca_file, None, connect_timeout)
}

/// The same as [`client`], that shows a certificate where the server asks for one: the files of
/// the certificate, with those that lead to its authority, and of its key.
pub fn client_with_identity<'a>(
    endpoints: impl IntoIterator<Item = &'a Url>,
    ca_file: Option<&Path>,
    identity: Option<(&Path, &Path)>,
    connect_timeout: Duration,
) -> Result<Client, ClientError> {
    let (mut https, mut only_loopback) = (false, true);
    for endpoint in endpoints {
        https |= endpoint.scheme() == "https";
        only_loopback &= is_loopback(endpoint);
    }
    let roots = match ca_file {
        _ if !https => RootCertStore::empty(),
        Some(path) => roots_of(path)?,
        None => system_roots().map_err(ClientError::NoSystemRoots)?,
    };
    let builder = base_builder(roots, identity.filter(|_| https), connect_timeout)?;
    let builder = if only_loopback {
        builder.no_proxy()
    } else {
        builder
    };
    Ok(builder.build()?)
}

/// Builds the client for services on this host or on its link: plain `http`, and never through a
/// proxy, which would ask a service of its own host's.
pub fn client_without_proxy(connect_timeout: Duration) -> Result<Client, ClientError> {
    Ok(base_builder(RootCertStore::empty(), None, connect_timeout)?
        .no_proxy()
        .build()?)
}

fn base_builder(
    roots: RootCertStore,
    identity: Option<(&Path, &Path)>,
    connect_timeout: Duration,
) -> Result<ClientBuilder, ClientError> {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that may build a client"
    )]
    let builder = Client::builder();
    Ok(builder
        .tls_backend_preconfigured(tls(roots, identity)?)
        .http1_only()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .connect_timeout(connect_timeout)
        .pool_idle_timeout(IDLE_TIMEOUT)
        .tcp_keepalive(KEEPALIVE)
        .tcp_nodelay(true))
}

/// Whether `url` leads to this very host.
fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || address
            .parse()
            .is_ok_and(|address: std::net::IpAddr| address.is_loopback())
}

/// TLS as every client has it; the provider is named, because none is installed for the process.
fn tls(
    roots: RootCertStore,
    identity: Option<(&Path, &Path)>,
) -> Result<ClientConfig, ClientError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let config = config.with_root_certificates(roots);
    let Some((cert_file, key_file)) = identity else {
        return Ok(config.with_no_client_auth());
    };
    let unreadable = |path: &Path| {
        let path = path.to_owned();
        move |source| ClientError::Identity { path, source }
    };
    let chain = CertificateDer::pem_file_iter(cert_file).map_err(unreadable(cert_file))?;
    let chain = chain
        .collect::<Result<Vec<_>, _>>()
        .map_err(unreadable(cert_file))?;
    let key = PrivateKeyDer::from_pem_file(key_file).map_err(unreadable(key_file))?;
    let fit = |source| ClientError::BadIdentity {
        path: cert_file.to_owned(),
        source,
    };
    config.with_client_auth_cert(chain, key).map_err(fit)
}

fn roots_of(path: &Path) -> Result<RootCertStore, ClientError> {
    let unreadable = |source| ClientError::CaFile {
        path: path.to_owned(),
        source,
    };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(unreadable)? {
        let certificate = certificate.map_err(unreadable)?;
        roots
            .add(certificate)
            .map_err(|source| ClientError::BadCertificate {
                path: path.to_owned(),
                source,
            })?;
    }
    if roots.is_empty() {
        Err(ClientError::EmptyCaFile(path.to_owned()))
    } else {
        Ok(roots)
    }
}

/// The certificates that the system trusts. Those that the library does not take are left out: a
/// store of a hundred has an odd one now and then. Where none is left, what went wrong, if that is
/// known.
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

/// What the TLS library said, if it is at the bottom of a transport error.
#[must_use]
pub fn tls_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    causes(error).find_map(unwrapped)
}

/// An I/O error that wraps another one does not name it as its cause, so that one has to look
/// inside, and inside again.
fn unwrapped<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    match error.downcast_ref::<io::Error>() {
        Some(io) => unwrapped(io.get_ref()?),
        None => error.downcast_ref(),
    }
}

/// `error` and what caused it, outermost first.
pub fn causes<'a>(
    error: &'a (dyn Error + 'static),
) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}
