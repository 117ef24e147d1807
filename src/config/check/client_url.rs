//! URLs that list clients.

use std::time::Duration;

use super::super::client_url::{Authorization, ClientUrl, HiddenUrl, Identity, UrlTls};
use super::super::cursor::NodeCursor;
use super::super::duration::DAY;
use super::super::keys::Keys;
use super::super::report::quote;
use super::context::{Context, unique_items};
use super::url::{WITH_PATH, http_url, warn_unencrypted};

/// Minimum of `refresh_interval`, to protect the server.
const SHORTEST_REFRESH: Duration = Duration::from_secs(1);

/// The URLs of an instance; duplicates are reported.
pub(super) fn client_urls(at: &NodeCursor<'_>, cx: &Context<'_>) -> Option<Vec<ClientUrl>> {
    let key = |url: &ClientUrl| url.url.clone();
    unique_items(at, "client_urls", key, |at| client_url(at, cx))
}

fn client_url(at: &NodeCursor<'_>, cx: &Context<'_>) -> Option<ClientUrl> {
    let keys = Keys::of(at)?;
    let url = keys.required("url", "write the URL that lists clients", url);
    let refresh_interval = keys.read("refresh_interval", |at| at.duration(SHORTEST_REFRESH, DAY));
    if let (Some(_), Some(at)) = (keys.get("basic_auth"), keys.get("authorization")) {
        at.problem("cannot be combined with `basic_auth`; keep one of the two");
    }
    let basic = keys.read("basic_auth", |at| basic_auth(at, cx));
    let token = keys.read("authorization", |at| authorization(at, cx));
    let authorization = basic.or(token);
    let tls = keys.read("tls_config", |at| tls_config(at, cx));
    let url = url?;
    if let Some(at) = keys.get("url")
        && authorization.is_some()
    {
        let message = "sends the password or token unencrypted; use `https://`";
        warn_unencrypted(&at, &url, message);
    }
    Some(ClientUrl {
        url: HiddenUrl::new(url),
        refresh_interval: refresh_interval.unwrap_or(ClientUrl::REFRESH_INTERVAL),
        authorization,
        tls: tls.unwrap_or_default(),
    })
}

fn url(at: &NodeCursor<'_>) -> Option<url::Url> {
    let url = http_url(at, WITH_PATH, "write them under `basic_auth`")?;
    if url.fragment().is_some() {
        return at.accept(Err(
            "contains a fragment (`#…`), which is never sent; remove it",
        ));
    }
    Some(url)
}

fn basic_auth(at: &NodeCursor<'_>, cx: &Context<'_>) -> Option<Authorization> {
    let keys = Keys::of(at)?;
    let username = keys.required("username", "write the user name", |at| {
        let error = "contains a `:`, which basic authentication does not allow in a user name";
        at.valid(|name| !name.contains(':'), error)
    });
    let remedy = "name the file that contains the password";
    let password_file = keys.required("password_file", remedy, |at| cx.path(at));
    Some(Authorization::Basic {
        username: username?,
        password_file: password_file?,
    })
}

fn authorization(at: &NodeCursor<'_>, cx: &Context<'_>) -> Option<Authorization> {
    let keys = Keys::of(at)?;
    let scheme = match keys.get("type") {
        None => Some("Bearer".to_owned()),
        Some(at) => at.checked(scheme_problem),
    };
    let remedy = "name the file that contains the token";
    let credentials_file = keys.required("credentials_file", remedy, |at| cx.path(at));
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

fn tls_config(at: &NodeCursor<'_>, cx: &Context<'_>) -> Option<UrlTls> {
    let keys = Keys::of(at)?;
    let [ca_file, cert_file, key_file] =
        ["ca_file", "cert_file", "key_file"].map(|key| keys.read(key, |at| cx.path(at)));
    if keys.get("cert_file").is_some() != keys.get("key_file").is_some() {
        at.problem("`cert_file` and `key_file` require each other; write both or neither");
    }
    let identity = cert_file
        .zip(key_file)
        .map(|(cert_file, key_file)| Identity {
            cert_file,
            key_file,
        });
    Some(UrlTls { ca_file, identity })
}
