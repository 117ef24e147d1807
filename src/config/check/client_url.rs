//! URLs that list clients.

use std::collections::HashMap;
use std::time::Duration;

use super::super::client_url::{Authorization, ClientUrl, HiddenUrl, Identity, UrlTls};
use super::super::cursor::{NodeCursor, keys};
use super::super::duration::DAY;
use super::super::report::{Report, quote};
use super::context::Context;
use super::url::{WITH_PATH, http_url, warn_unencrypted};

keys!(ClientUrlKeys [url, refresh_interval, basic_auth, authorization, tls_config]);
keys!(BasicAuthKeys [username, password_file]);
keys!(AuthorizationKeys [scheme = "type", credentials_file]);
keys!(
    #[expect(clippy::struct_field_names, reason = "fields have the names of the keys")]
    TlsKeys [ca_file, cert_file, key_file]
);

/// Minimum of `refresh_interval`, to protect the server.
const SHORTEST_REFRESH: Duration = Duration::from_secs(1);

/// The URLs of an instance; duplicates are reported.
pub(super) fn client_urls(at: &NodeCursor<'_>, cx: &mut Context<'_>) -> Vec<ClientUrl> {
    let mut seen = HashMap::new();
    let mut urls = Vec::new();
    for (n, at) in at.items(cx.report).enumerate() {
        let Some(url) = client_url(&at, cx) else {
            continue;
        };
        let first = *seen.entry(url.url.clone()).or_insert(n);
        if first != n {
            at.problem(
                cx.report,
                format!("duplicates `client_urls[{first}]`; remove one of the two"),
            );
        }
        urls.push(url);
    }
    urls
}

fn client_url(at: &NodeCursor<'_>, cx: &mut Context<'_>) -> Option<ClientUrl> {
    let keys = ClientUrlKeys::read(at, cx.report)?;
    let missing = "`url` is missing; write the URL that lists clients";
    let url = at
        .required(keys.url, cx.report, missing)
        .and_then(|at| url(&at, cx.report));
    let refresh_interval = keys
        .refresh_interval
        .and_then(|at| at.duration(cx.report, SHORTEST_REFRESH, DAY))
        .unwrap_or(ClientUrl::REFRESH_INTERVAL);
    if let (Some(_), Some(token)) = (keys.basic_auth, keys.authorization) {
        token.problem(
            cx.report,
            "cannot be combined with `basic_auth`; keep one of the two",
        );
    }
    let basic = keys.basic_auth.and_then(|at| basic_auth(&at, cx));
    let authorization = basic.or_else(|| authorization(&keys.authorization?, cx));
    let tls = keys
        .tls_config
        .and_then(|at| tls_config(&at, cx))
        .unwrap_or_default();
    let url = url?;
    if let Some(at) = keys.url
        && authorization.is_some()
    {
        let message = "sends the password or token unencrypted; use `https://`";
        warn_unencrypted(&at, &url, message, cx.report);
    }
    Some(ClientUrl {
        url: HiddenUrl::new(url),
        refresh_interval,
        authorization,
        tls,
    })
}

fn url(at: &NodeCursor<'_>, report: &mut Report) -> Option<url::Url> {
    let url = http_url(at, WITH_PATH, "write them under `basic_auth`", report)?;
    if url.fragment().is_some() {
        at.problem(
            report,
            "contains a fragment (`#…`), which is never sent; remove it",
        );
        return None;
    }
    Some(url)
}

fn basic_auth(at: &NodeCursor<'_>, cx: &mut Context<'_>) -> Option<Authorization> {
    let keys = BasicAuthKeys::read(at, cx.report)?;
    let username = at.required(
        keys.username,
        cx.report,
        "`username` is missing; write the user name",
    );
    let file = at.required(
        keys.password_file,
        cx.report,
        "`password_file` is missing; name the file that contains the password",
    );
    let username = username.and_then(|at| {
        at.checked(cx.report, |name| {
            name.contains(':').then(|| {
                format!(
                    "{} contains a `:`, which basic authentication does not allow in a user name",
                    quote(name)
                )
            })
        })
    });
    let password_file = file.and_then(|at| cx.path(&at));
    Some(Authorization::Basic {
        username: username?,
        password_file: password_file?,
    })
}

fn authorization(at: &NodeCursor<'_>, cx: &mut Context<'_>) -> Option<Authorization> {
    let keys = AuthorizationKeys::read(at, cx.report)?;
    let file = at.required(
        keys.credentials_file,
        cx.report,
        "`credentials_file` is missing; name the file that contains the token",
    );
    let scheme = match keys.scheme {
        None => Some("Bearer".to_owned()),
        Some(at) => at.checked(cx.report, scheme_problem),
    };
    let credentials_file = file.and_then(|at| cx.path(&at));
    Some(Authorization::Token {
        scheme: scheme?,
        credentials_file: credentials_file?,
    })
}

fn scheme_problem(text: &str) -> Option<String> {
    if text.eq_ignore_ascii_case("basic") {
        return Some("write `basic_auth` with `username` and `password_file` instead".into());
    }
    let valid = text
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte));
    (!valid).then(|| {
        format!(
            "{} is not an authentication scheme; the usual one is `Bearer`",
            quote(text)
        )
    })
}

fn tls_config(at: &NodeCursor<'_>, cx: &mut Context<'_>) -> Option<UrlTls> {
    let keys = TlsKeys::read(at, cx.report)?;
    let ca_file = keys.ca_file.and_then(|at| cx.path(&at));
    if keys.cert_file.is_some() != keys.key_file.is_some() {
        at.problem(
            cx.report,
            "`cert_file` and `key_file` require each other; write both or neither",
        );
    }
    let [cert_file, key_file] = [keys.cert_file, keys.key_file].map(|at| cx.path(&at?));
    let identity = cert_file
        .zip(key_file)
        .map(|(cert_file, key_file)| Identity {
            cert_file,
            key_file,
        });
    Some(UrlTls { ca_file, identity })
}
