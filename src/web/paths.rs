//! The paths of endpoints, and those of links, which differ behind a proxy.

use axum::http::Uri;

/// An invalid flag.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// The value is not a path.
    #[error(
        "{flag}: `{value}` is not a path: it must begin with `/` and contain only letters, digits and `/-._~!$&'()*+,;=:@%`"
    )]
    NotAPath {
        /// The flag.
        flag: &'static str,
        /// Its value.
        value: String,
    },
    /// The external URL is invalid.
    #[error("--web.external-url: `{0}` is neither http(s)://HOST[:PORT][/PATH] nor /PATH")]
    NotAUrl(String),
    /// The external URL has a user name or a password, which are not shown.
    #[error("--web.external-url: remove the user name and password; `/sd` would publish them")]
    UserInfo,
    /// The path of the metrics is that of another endpoint.
    #[error("--web.telemetry-path: `{0}` is the path of another endpoint; choose a different path")]
    Taken(String),
}

/// The prefixes of the paths of all endpoints, here and as seen from outside. Neither ends with
/// `/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Prefix {
    served: String,
    linked: String,
    /// The external URL, or its path; `/` without one.
    pub(super) external: Uri,
}

impl Prefix {
    /// The prefix for `--web.external-url` and `--web.route-prefix`. As in Prometheus, endpoints
    /// are served below the route prefix, which defaults to the path of the external URL. Links
    /// lead to the path of the external URL, because that is what a browser needs.
    pub(super) fn new(
        external_url: Option<&str>,
        route_prefix: Option<&str>,
    ) -> Result<Self, PathError> {
        let external = external_url.map_or_else(|| Ok(Uri::default()), parse_external)?;
        let path = normalize("--web.external-url", external.path())?;
        let served = match route_prefix {
            Some(given) => normalize("--web.route-prefix", given)?,
            None => path.clone(),
        };
        let linked = external_url.map_or_else(|| served.clone(), |_| path);
        Ok(Self {
            served,
            linked,
            external,
        })
    }

    /// Where this process serves `path`.
    pub(super) fn route(&self, path: &str) -> String {
        format!("{}{path}", self.served)
    }

    /// Where a browser finds `path`.
    pub(super) fn link(&self, path: &str) -> String {
        format!("{}{path}", self.linked)
    }

    /// The paths that redirect to the status page.
    pub(super) fn roots(&self) -> impl Iterator<Item = &str> {
        let roots = (!self.served.is_empty()).then_some(["/", &self.served]);
        roots.into_iter().flatten()
    }
}

/// `path` if metrics can be served there.
pub(super) fn telemetry(path: &str) -> Result<&str, PathError> {
    check("--web.telemetry-path", path, path.starts_with('/'))
}

/// An absolute URL, or only a path.
fn parse_external(url: &str) -> Result<Uri, PathError> {
    let uri = url.parse::<Uri>().ok().filter(|uri| {
        let is_external = match uri.scheme_str() {
            Some(scheme) => ["http", "https"].contains(&scheme),
            // A host without a scheme parses too, as the target of a CONNECT.
            None => uri.authority().is_none(),
        };
        is_external && uri.query().is_none() && url.contains('/')
    });
    // The message must not contain a password, even of a URL with other errors.
    if url.contains('@') {
        return Err(PathError::UserInfo);
    }
    uri.ok_or_else(|| PathError::NotAUrl(url.to_owned()))
}

/// `/path` without `/` at its end, empty for the root; a missing `/` at its beginning is added,
/// as in Prometheus.
fn normalize(flag: &'static str, path: &str) -> Result<String, PathError> {
    let trimmed = check(flag, path, true)?.trim_matches('/');
    let slash = if trimmed.is_empty() { "" } else { "/" };
    Ok(format!("{slash}{trimmed}"))
}

/// `path` if it `begins_well` and has only the characters of a path (RFC 3986, section 3.3).
/// Braces, which the router would read as captures, are not among them.
fn check<'a>(flag: &'static str, path: &'a str, begins_well: bool) -> Result<&'a str, PathError> {
    let is_valid =
        |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~!$&'()*+,;=:@%".contains(&byte);
    let value = (begins_well && path.bytes().all(is_valid)).then_some(path);
    value.ok_or_else(|| PathError::NotAPath {
        flag,
        value: path.to_owned(),
    })
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
    fn the_route_prefix_defaults_to_the_external_path() {
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
    fn errors_name_the_flag() {
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
        for url in [
            "https://user:password@ops.example/",
            "https://user@ops.example",
            "u:p@ops",
        ] {
            assert_eq!(Prefix::new(Some(url), None), Err(PathError::UserInfo));
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
