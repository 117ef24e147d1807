//! Credentials. The access key ID and secret appear in no message.

use std::time::Duration;

use super::super::client_url::HiddenUrl;
use super::super::credentials::{
    Credentials, Endpoints, Provider, ProviderType, SecretSource, Session,
};
use super::super::cursor::NodeCursor;
use super::super::keys::Keys;
use super::context::Context;
use super::url::{WITH_PATH, endpoint, http_url, metadata_endpoint, warn_unencrypted};
use crate::secret::Secret;

/// The lifetime of an STS session (page "`AssumeRole`").
const SHORTEST_SESSION: Duration = Duration::from_secs(15 * 60);
const LONGEST_SESSION: Duration = Duration::from_secs(12 * 3600);

/// What contains a provider.
#[derive(Clone, Copy, PartialEq)]
enum Parent {
    Credentials,
    Chain,
    AssumeRole,
}

/// The credentials at `at`.
pub(super) fn credentials(at: &NodeCursor<'_>, cx: &Context<'_>) -> Option<Credentials> {
    let account = at.get("account").and_then(|account| account.string());
    let provider = provider(at, Parent::Credentials, cx)?;
    Some(Credentials { account, provider })
}

fn provider(at: &NodeCursor<'_>, parent: Parent, cx: &Context<'_>) -> Option<Provider> {
    let keys = Keys::of(at)?;
    let types: Vec<_> = ProviderType::ALL.iter().map(|(name, _)| *name).collect();
    let remedy = format!("write `type:` and one of `{}`", types.join("`, `"));
    let kind = keys.required("type", &remedy, |at| at.choice(ProviderType::ALL));
    if let Some(account) = keys.get("account")
        && parent != Parent::Credentials
    {
        account.problem(
            "applies to `credentials` as a whole, which belong to one account; move it there",
        );
    }
    let Some(kind) = kind else {
        keys.ignore_others();
        return None;
    };
    match kind {
        ProviderType::AccessKey => access_key(at, &keys, cx),
        ProviderType::Env => Some(Provider::Env),
        ProviderType::Profile => Some(Provider::Profile {
            name: keys.read("profile", NodeCursor::string),
            file: keys.read("file", |at| cx.path(at)),
            endpoints: Endpoints {
                sts: keys.read("sts_endpoint", endpoint),
                metadata: keys.read("metadata_endpoint", metadata_endpoint),
            },
        }),
        ProviderType::EcsRamRole => Some(Provider::EcsRamRole {
            role: keys.read("role", |at| ram_name(at, 1)),
            endpoint: keys.read("metadata_endpoint", metadata_endpoint),
        }),
        ProviderType::Oidc => Some(Provider::Oidc {
            role_arn: keys.read("role_arn", |at| arn(at, "role", cx)),
            provider_arn: keys.read("oidc_provider_arn", |at| arn(at, "oidc-provider", cx)),
            token_file: keys.read("oidc_token_file", |at| cx.path(at)),
            session: session(&keys),
            sts_endpoint: keys.read("sts_endpoint", endpoint),
        }),
        ProviderType::AssumeRole => {
            let remedy = "write the ARN of the role, such as `acs:ram::123456789:role/NAME`";
            let role_arn = keys.required("role_arn", remedy, |at| arn(at, "role", cx));
            let external_id = keys
                .read("external_id", NodeCursor::string)
                .map(Secret::new);
            let source = match keys.get("source") {
                Some(at) => provider(&at, Parent::AssumeRole, cx),
                None => Some(Provider::default()),
            };
            Some(Provider::AssumeRole {
                external_id,
                session: session(&keys),
                sts_endpoint: keys.read("sts_endpoint", endpoint),
                role_arn: role_arn?,
                source: Box::new(source?),
            })
        }
        ProviderType::Uri => Some(Provider::Uri {
            uri: keys.read("uri", uri),
        }),
        ProviderType::Chain => match keys.get("providers") {
            _ if parent == Parent::Chain => {
                let message = "a chain within a chain; list its providers in the outer one";
                keys.get("type").and_then(|at| at.accept(Err(message)))
            }
            Some(at) => chain(&at, cx),
            None => Some(Provider::default()),
        },
    }
}

fn chain(at: &NodeCursor<'_>, cx: &Context<'_>) -> Option<Provider> {
    let items = at.items()?;
    if items.len() == 0 {
        at.problem(
            "is empty; list at least one provider, or remove the key to use the default chain",
        );
    }
    let providers: Vec<_> = items
        .filter_map(|at| provider(&at, Parent::Chain, cx))
        .collect();
    (!providers.is_empty()).then_some(Provider::Chain { providers })
}

fn access_key(at: &NodeCursor<'_>, keys: &Keys<'_>, cx: &Context<'_>) -> Option<Provider> {
    let remedy = "write the ID of the access key";
    let id = keys.required("access_key_id", remedy, |at| at.checked(placeholder));
    let inline = keys.get("access_key_secret");
    let secret = match (inline, keys.get("access_key_secret_file")) {
        (Some(at), None) => at
            .checked(placeholder)
            .map(|text| SecretSource::Inline(Secret::new(text))),
        (None, Some(at)) => cx.path(&at).map(SecretSource::File),
        (Some(_), Some(at)) => at.accept(Err(
            "cannot be combined with `access_key_secret`; keep one of the two",
        )),
        (None, None) => at.accept(Err(
            "`access_key_secret_file` or `access_key_secret` is missing; write one of them",
        )),
    };
    Some(Provider::AccessKey {
        id: id?,
        secret: secret?,
        token: None,
    })
}

/// The problem of a text that is a sample from a manual, or masked.
fn placeholder(text: &str) -> Option<String> {
    let lower = text.to_lowercase();
    let masked = text.contains(['*', '…', '<', '>']) || text.contains("...");
    let sample = lower.starts_with("your") || lower.trim_matches('x').is_empty();
    (masked || sample).then(|| "is a placeholder or masked; write the real key".to_owned())
}

fn session(keys: &Keys<'_>) -> Session {
    let lifetime = |at: &NodeCursor<'_>| at.duration(SHORTEST_SESSION, LONGEST_SESSION);
    Session {
        name: keys.read("role_session_name", |at| ram_name(at, 2)),
        duration: keys
            .read("duration", lifetime)
            .unwrap_or(Session::default().duration),
        policy: keys.read("policy", |at| at.checked(policy_problem)),
    }
}

fn policy_problem(text: &str) -> Option<String> {
    serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(text)
        .is_err()
        .then(|| "is not a RAM policy; write it as JSON, in quotes".to_owned())
}

/// The name of a RAM resource, `least` to 64 characters.
fn ram_name(at: &NodeCursor<'_>, least: usize) -> Option<String> {
    let allowed = |c: u8| c.is_ascii_alphanumeric() || b".@_-".contains(&c);
    at.valid(
        |text| text.bytes().all(allowed) && (least..=64).contains(&text.len()),
        format_args!("is not {least} to 64 letters, digits, `.`, `@`, `_` and `-`"),
    )
}

fn arn(at: &NodeCursor<'_>, kind: &str, cx: &Context<'_>) -> Option<String> {
    at.valid(
        |text| (cx.rules.is_ram_arn)(text, kind),
        format_args!("is not an ARN of the form `acs:ram::123456789:{kind}/NAME`; copy it from the RAM console"),
    )
}

/// A URI that may contain a secret, so that it appears in no message.
fn uri(at: &NodeCursor<'_>) -> Option<HiddenUrl> {
    let url = http_url(at, WITH_PATH, "they are never sent, remove them")?;
    warn_unencrypted(
        at,
        &url,
        "is not encrypted: the credentials can be read in transit; use `https://`",
    );
    Some(HiddenUrl::new(url))
}
