//! URLs.

use std::fmt::Display;

use url::Url;

use super::super::cursor::NodeCursor;
use crate::net;

/// A URL with scheme `http` or `https`, a host, and no user name and password.
///
/// The messages for other values are `expected`, the form of URL to write, and `remedy`, what to do
/// with a user name or password. No message contains the URL, which may contain a secret.
pub(super) fn http_url(at: &NodeCursor<'_>, expected: impl Display, remedy: &str) -> Option<Url> {
    let url = Url::parse(at.text()?)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    at.accept(match url {
        None => Err(format!("is not a URL; write {expected}")),
        Some(url) if !url.username().is_empty() || url.password().is_some() => {
            Err(format!("contains a user name or password; {remedy}"))
        }
        Some(url) => Ok(url),
    })
}

/// What a URL with a path looks like.
pub(super) const WITH_PATH: &str = "`https://HOST/PATH` or `http://HOST:PORT/PATH`";

/// The root URL of a service.
pub(super) fn endpoint(at: &NodeCursor<'_>) -> Option<Url> {
    let url = http_url(
        at,
        "`https://HOST` or `http://HOST:PORT`",
        "remove them, `credentials` configures authentication",
    )?;
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        at.problem("must not contain a path or query; remove it, the API is at the root");
        return None;
    }
    warn_unencrypted(
        at,
        &url,
        "is not encrypted: answers can be read and changed in transit; use `https://`",
    );
    Some(url)
}

/// The root URL of a metadata service, which is link-local and has no `https`.
pub(super) fn metadata_endpoint(at: &NodeCursor<'_>) -> Option<Url> {
    let url = Url::parse(at.text()?).ok().filter(|url| {
        url.scheme() == "http" && url.has_host() && url.path() == "/" && url.query().is_none()
    });
    let error =
        "is not the address of a metadata service; write `http://HOST` or `http://HOST:PORT`";
    at.accept(url.ok_or(error))
}

/// Warns with `message` if requests to `url` leave this host unencrypted.
pub(super) fn warn_unencrypted(at: &NodeCursor<'_>, url: &Url, message: &str) {
    if url.scheme() == "http" && !net::client::is_loopback(url) {
        at.warning(message);
    }
}
