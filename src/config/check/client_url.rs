//! Inventories that are asked over HTTP for clients.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use reqwest::Url;

use super::super::cursor::NodeCursor;
use super::super::duration;
use super::super::report::{Report, quote};
use super::super::{Authorization, ClientUrl, HiddenUrl, Identity, UrlTls};
use super::instance::is_loopback;
use super::{DAY, path};

pub(super) const CLIENT_URL: [&str; 5] = [
    "url",
    "refresh_interval",
    "basic_auth",
    "authorization",
    "tls_config",
];
pub(super) const BASIC_AUTH: [&str; 2] = ["username", "password_file"];
pub(super) const AUTHORIZATION: [&str; 2] = ["type", "credentials_file"];
pub(super) const TLS_CONFIG: [&str; 3] = ["ca_file", "cert_file", "key_file"];

/// An inventory is no service for real-time questions.
const SHORTEST_REFRESH: Duration = Duration::from_secs(1);

/// The URLs of an instance, each once.
pub(super) fn client_urls(
    at: &NodeCursor<'_>,
    folder: &Path,
    report: &mut Report,
) -> Vec<ClientUrl> {
    let mut seen = HashMap::new();
    let mut urls = Vec::new();
    for (n, at) in at.items(report).enumerate() {
        let Some(url) = client_url(&at, folder, report) else {
            continue;
        };
        let first = *seen.entry(url.url.clone()).or_insert(n);
        if first != n {
            at.problem(
                report,
                format!("is the URL of `client_urls[{first}]` again; remove one of the two"),
            );
        }
        urls.push(url);
    }
    urls
}

fn client_url(at: &NodeCursor<'_>, folder: &Path, report: &mut Report) -> Option<ClientUrl> {
    let [url_at, interval, basic, token, tls] = at.fields(CLIENT_URL, report)?;
    let url = at
        .required(
            url_at,
            report,
            "`url` is missing; write the URL that lists clients",
        )
        .and_then(|at| url(&at, report));
    let refresh_interval = interval
        .and_then(|at| refresh(&at, report))
        .unwrap_or(ClientUrl::REFRESH_INTERVAL);
    if let (Some(_), Some(token)) = (basic, token) {
        token.problem(report, "stands beside `basic_auth`; keep one of the two");
    }
    let basic = basic.and_then(|at| basic_auth(&at, folder, report));
    let authorization = basic.or_else(|| authorization(&token?, folder, report));
    let tls = tls
        .and_then(|at| tls_config(&at, folder, report))
        .unwrap_or_default();
    let url = url?;
    if let Some(at) = url_at
        && url.scheme() == "http"
        && !is_loopback(&url)
        && authorization.is_some()
    {
        at.warning(
            report,
            "sends its password or token to whoever listens on the way; use `https://`",
        );
    }
    Some(ClientUrl {
        url: HiddenUrl::new(url),
        refresh_interval,
        authorization,
        tls,
    })
}

fn url(at: &NodeCursor<'_>, report: &mut Report) -> Option<Url> {
    let url = match Url::parse(at.text(report)?) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => url,
        _ => {
            at.problem(
                report,
                "is not a URL; write `https://HOST/PATH` or `http://HOST:PORT/PATH`",
            );
            return None;
        }
    };
    if !url.username().is_empty() || url.password().is_some() {
        at.problem(
            report,
            "has a user name or password in it; write them under `basic_auth`",
        );
        return None;
    }
    if url.fragment().is_some() {
        at.problem(
            report,
            "has a `#`, and what follows it is never sent; remove that",
        );
        return None;
    }
    Some(url)
}

fn refresh(at: &NodeCursor<'_>, report: &mut Report) -> Option<Duration> {
    let interval = at.duration(report, DAY)?;
    if interval < SHORTEST_REFRESH {
        let (interval, least) = (
            duration::display(interval),
            duration::display(SHORTEST_REFRESH),
        );
        at.problem(report, format!("{interval} is too short; at least {least}"));
        return None;
    }
    Some(interval)
}

fn basic_auth(at: &NodeCursor<'_>, folder: &Path, report: &mut Report) -> Option<Authorization> {
    let [username, password_file] = at.fields(BASIC_AUTH, report)?;
    let username = at.required(
        username,
        report,
        "`username` is missing; write the name that goes with the password",
    );
    let file = at.required(
        password_file,
        report,
        "`password_file` is missing; name the file with the password",
    );
    let username = username.and_then(|at| {
        let name = at.text(report)?;
        if name.contains(':') {
            at.problem(
                report,
                format!(
                    "{} has a `:`, which ends a user name in this scheme",
                    quote(name)
                ),
            );
            return None;
        }
        Some(name.to_owned())
    });
    let password_file = file.and_then(|at| path(&at, folder, report));
    Some(Authorization::Basic {
        username: username?,
        password_file: password_file?,
    })
}

fn authorization(at: &NodeCursor<'_>, folder: &Path, report: &mut Report) -> Option<Authorization> {
    let [scheme_at, file] = at.fields(AUTHORIZATION, report)?;
    let file = at.required(
        file,
        report,
        "`credentials_file` is missing; name the file with the token",
    );
    let scheme = match scheme_at {
        None => Some("Bearer".to_owned()),
        Some(at) => scheme(&at, report),
    };
    let credentials_file = file.and_then(|at| path(&at, folder, report));
    Some(Authorization::Token {
        scheme: scheme?,
        credentials_file: credentials_file?,
    })
}

fn scheme(at: &NodeCursor<'_>, report: &mut Report) -> Option<String> {
    let text = at.text(report)?;
    if text.eq_ignore_ascii_case("basic") {
        at.problem(
            report,
            "write `basic_auth` with `username` and `password_file` instead",
        );
        return None;
    }
    if !text
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
    {
        at.problem(
            report,
            format!(
                "{} is not the name of a scheme; `Bearer` is the usual one",
                quote(text)
            ),
        );
        return None;
    }
    Some(text.to_owned())
}

fn tls_config(at: &NodeCursor<'_>, folder: &Path, report: &mut Report) -> Option<UrlTls> {
    let [ca_file, cert_file, key_file] = at.fields(TLS_CONFIG, report)?;
    let ca_file = ca_file.and_then(|at| path(&at, folder, report));
    if cert_file.is_some() != key_file.is_some() {
        at.problem(
            report,
            "`cert_file` and `key_file` belong together; write both or none",
        );
    }
    let [cert_file, key_file] = [cert_file, key_file].map(|at| path(&at?, folder, report));
    let identity = cert_file
        .zip(key_file)
        .map(|(cert_file, key_file)| Identity {
            cert_file,
            key_file,
        });
    Some(UrlTls { ca_file, identity })
}
