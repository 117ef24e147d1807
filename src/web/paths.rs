//! Where endpoints are, and where links lead: not the same place behind a proxy.

use axum::http::Uri;

/// A flag that does not fit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// The value is not a path.
    #[error(
        "{flag}: `{value}` is not a path of letters, digits and `/-._~!$&'()*+,;=:@%`, beginning with `/`"
    )]
    NotAPath {
        /// The flag.
        flag: &'static str,
        /// What it was set to.
        value: String,
    },
    /// The external URL is not one.
    #[error("--web.external-url: `{0}` is neither http(s)://HOST[:PORT][/PATH] nor /PATH")]
    NotAUrl(String),
    /// The path of the metrics is that of another endpoint.
    #[error("--web.telemetry-path: `{0}` is another endpoint's; choose a different path")]
    Taken(String),
}

/// What stands before the path of every endpoint, here and as seen from outside. Neither ends
/// with `/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Prefix {
    served: String,
    linked: String,
    /// The scheme and the host of the external URL.
    origin: Option<(String, String)>,
}

impl Prefix {
    /// The prefix that `--web.external-url` and `--web.route-prefix` make. Endpoints are below
    /// the route prefix, which is the external URL's path where it is not given, as in
    /// Prometheus; links lead to the external URL's path, since that is what a browser needs.
    pub(super) fn new(
        external_url: Option<&str>,
        route_prefix: Option<&str>,
    ) -> Result<Self, PathError> {
        let external = external_url.map(external_path).transpose()?;
        let served = match route_prefix {
            Some(given) => normal("--web.route-prefix", given)?,
            None => external.clone().unwrap_or_default(),
        };
        let origin = external_url.and_then(external_origin);
        Ok(Self {
            linked: external.unwrap_or_else(|| served.clone()),
            served,
            origin,
        })
    }

    /// The scheme and the host, perhaps with a port, under which others reach the exporter, where
    /// the external URL says them.
    pub(super) fn origin(&self) -> Option<(&str, &str)> {
        self.origin
            .as_ref()
            .map(|(scheme, host)| (scheme.as_str(), host.as_str()))
    }

    /// Where this process serves `path`.
    pub(super) fn route(&self, path: &str) -> String {
        format!("{}{path}", self.served)
    }

    /// Where a browser finds `path`.
    pub(super) fn link(&self, path: &str) -> String {
        format!("{}{path}", self.linked)
    }

    /// The paths that lead to the status page without being it.
    pub(super) fn roots(&self) -> Vec<&str> {
        if self.served.is_empty() {
            Vec::new()
        } else {
            vec!["/", &self.served]
        }
    }
}

/// `path` if metrics can be served there.
pub(super) fn telemetry(path: &str) -> Result<&str, PathError> {
    if path.starts_with('/') && is_path(path) {
        Ok(path)
    } else {
        Err(PathError::NotAPath {
            flag: "--web.telemetry-path",
            value: path.to_owned(),
        })
    }
}

fn external_origin(url: &str) -> Option<(String, String)> {
    let uri: Uri = url.parse().ok()?;
    Some((uri.scheme_str()?.to_owned(), uri.authority()?.to_string()))
}

fn external_path(url: &str) -> Result<String, PathError> {
    let wrong = || PathError::NotAUrl(url.to_owned());
    let uri: Uri = url.parse().map_err(|_| wrong())?;
    // A host without a scheme parses too, as the target of a CONNECT.
    let complete = uri
        .scheme_str()
        .is_some_and(|scheme| scheme == "http" || scheme == "https");
    if (complete || uri.authority().is_none()) && uri.query().is_none() && url.contains('/') {
        normal("--web.external-url", uri.path())
    } else {
        Err(wrong())
    }
}

/// `/path` without `/` at its end, empty for the root; a missing `/` at its beginning is added,
/// as in Prometheus.
fn normal(flag: &'static str, path: &str) -> Result<String, PathError> {
    let trimmed = path.trim_matches('/');
    match is_path(trimmed) {
        false => Err(PathError::NotAPath {
            flag,
            value: path.to_owned(),
        }),
        true if trimmed.is_empty() => Ok(String::new()),
        true => Ok(format!("/{trimmed}")),
    }
}

/// Whether `path` has only characters that a path may have (RFC 3986, section 3.3); braces, which
/// the router would read as captures, are none.
fn is_path(path: &str) -> bool {
    path.bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"/-._~!$&'()*+,;=:@%".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(external_url: Option<&str>, route_prefix: Option<&str>) -> (String, String) {
        let prefix = Prefix::new(external_url, route_prefix).expect("both fit");
        (prefix.route("/metrics"), prefix.link("/metrics"))
    }

    fn both(path: &str) -> (String, String) {
        (path.to_owned(), path.to_owned())
    }

    #[test]
    fn the_route_prefix_is_the_external_path_unless_it_is_given() {
        assert_eq!(prefix(None, None), both("/metrics"));
        assert_eq!(prefix(Some("https://ops.example/"), None), both("/metrics"));
        assert_eq!(
            prefix(Some("https://ops.example/mqtt/presence/"), None),
            both("/mqtt/presence/metrics")
        );
        assert_eq!(prefix(Some("/presence"), None), both("/presence/metrics"));
        assert_eq!(prefix(None, Some("presence/")), both("/presence/metrics"));
        let stripped = ("/metrics".to_owned(), "/presence/metrics".to_owned());
        assert_eq!(
            prefix(Some("http://ops.example:8080/presence"), Some("/")),
            stripped
        );
    }

    #[test]
    fn what_is_no_path_or_url_is_refused_by_its_flag() {
        for url in [
            "ops.example",
            "ops.example:80",
            "ftp://ops.example/",
            "https://ops.example/?a=b",
            "",
            "a b",
        ] {
            assert_eq!(
                Prefix::new(Some(url), None),
                Err(PathError::NotAUrl(url.to_owned())),
                "{url}"
            );
        }
        let error = Prefix::new(None, Some("/a{b}"))
            .expect_err("braces")
            .to_string();
        assert!(error.starts_with("--web.route-prefix: `/a{b}`"), "{error}");
        for path in ["", "metrics", "/{*all}", "/metrics?x", "/mé"] {
            let error = telemetry(path).expect_err(path).to_string();
            assert!(error.starts_with("--web.telemetry-path"), "{error}");
        }
        assert_eq!(telemetry("/:odd/*but.legal"), Ok("/:odd/*but.legal"));
    }
}
