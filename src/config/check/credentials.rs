//! Credentials. The access key ID and secret appear in no message.

use std::time::Duration;

use super::super::client_url::HiddenUrl;
use super::super::credentials::{
    Credentials, Endpoints, Provider, ProviderType, SecretSource, Session,
};
use super::super::cursor::{NodeCursor, keys};
use super::super::report::{Report, quote};
use super::super::tree::Value;
use super::context::Context;
use super::url::{WITH_PATH, endpoint, http_url, metadata_endpoint, warn_unencrypted};
use crate::secret::Secret;

keys!(
    #[expect(clippy::struct_field_names, reason = "fields have the names of the keys")]
    AccessKeyKeys [access_key_id, access_key_secret, access_key_secret_file] + ["type", "account"]
);
keys!(ProfileKeys [profile, file, sts_endpoint, metadata_endpoint] + ["type", "account"]);
keys!(EcsRamRoleKeys [role, metadata_endpoint] + ["type", "account"]);
keys!(OidcKeys [
    role_arn, oidc_provider_arn, oidc_token_file, role_session_name, duration, policy,
    sts_endpoint
] + ["type", "account"]);
keys!(AssumeRoleKeys [
    role_arn, external_id, source, role_session_name, duration, policy, sts_endpoint
] + ["type", "account"]);
keys!(UriKeys[uri] + ["type", "account"]);
keys!(ChainKeys[providers] + ["type", "account"]);

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
pub(super) fn credentials(at: &NodeCursor<'_>, cx: &mut Context<'_>) -> Option<Credentials> {
    let account = at
        .get("account")
        .and_then(|account| account.string(cx.report));
    let provider = provider(at, Parent::Credentials, cx)?;
    Some(Credentials { account, provider })
}

fn provider(at: &NodeCursor<'_>, parent: Parent, cx: &mut Context<'_>) -> Option<Provider> {
    let Some(type_at) = at.get("type") else {
        // Reports a value that is not a map.
        at.entries(cx.report)?;
        let types = ProviderType::ALL.iter().map(|(name, _)| *name);
        let types = types.collect::<Vec<_>>().join("`, `");
        at.problem(
            cx.report,
            format!("`type` is missing; write `type:` and one of `{types}`"),
        );
        return None;
    };
    if parent != Parent::Credentials
        && let Some(account) = at.get("account")
    {
        account.problem(
            cx.report,
            "applies to `credentials` as a whole, which belong to one account; move it there",
        );
    }
    match type_at.choice(cx.report, ProviderType::ALL)? {
        ProviderType::AccessKey => access_key(at, cx),
        ProviderType::Env => at
            .fields(["type", "account"], cx.report)
            .map(|_| Provider::Env),
        ProviderType::Profile => {
            let keys = ProfileKeys::read(at, cx.report)?;
            Some(Provider::Profile {
                name: keys.profile.and_then(|at| at.string(cx.report)),
                file: keys.file.and_then(|at| cx.path(&at)),
                endpoints: Endpoints {
                    sts: keys.sts_endpoint.and_then(|at| endpoint(&at, cx.report)),
                    metadata: keys
                        .metadata_endpoint
                        .and_then(|at| metadata_endpoint(&at, cx.report)),
                },
            })
        }
        ProviderType::EcsRamRole => {
            let keys = EcsRamRoleKeys::read(at, cx.report)?;
            Some(Provider::EcsRamRole {
                role: keys.role.and_then(|at| ram_name(&at, 1, cx.report)),
                endpoint: keys
                    .metadata_endpoint
                    .and_then(|at| metadata_endpoint(&at, cx.report)),
            })
        }
        ProviderType::Oidc => {
            let keys = OidcKeys::read(at, cx.report)?;
            Some(Provider::Oidc {
                role_arn: keys.role_arn.and_then(|at| arn(&at, "role", cx)),
                provider_arn: keys
                    .oidc_provider_arn
                    .and_then(|at| arn(&at, "oidc-provider", cx)),
                token_file: keys.oidc_token_file.and_then(|at| cx.path(&at)),
                session: session(
                    keys.role_session_name,
                    keys.duration,
                    keys.policy,
                    cx.report,
                ),
                sts_endpoint: keys.sts_endpoint.and_then(|at| endpoint(&at, cx.report)),
            })
        }
        ProviderType::AssumeRole => assume_role(at, cx),
        ProviderType::Uri => {
            let keys = UriKeys::read(at, cx.report)?;
            Some(Provider::Uri {
                uri: keys.uri.and_then(|at| uri(&at, cx.report)),
            })
        }
        ProviderType::Chain if parent == Parent::Chain => {
            type_at.problem(
                cx.report,
                "a chain within a chain; list its providers in the outer one",
            );
            None
        }
        ProviderType::Chain => {
            let keys = ChainKeys::read(at, cx.report)?;
            keys.providers
                .map_or_else(|| Some(Provider::default()), |at| chain(&at, cx))
        }
    }
}

fn chain(at: &NodeCursor<'_>, cx: &mut Context<'_>) -> Option<Provider> {
    let items = at.items(cx.report);
    if items.len() == 0 && matches!(at.value(), Value::List(_)) {
        at.problem(
            cx.report,
            "is empty; list at least one provider, or remove the key to use the default chain",
        );
    }
    let providers: Vec<_> = items
        .filter_map(|at| provider(&at, Parent::Chain, cx))
        .collect();
    (!providers.is_empty()).then_some(Provider::Chain { providers })
}

fn access_key(at: &NodeCursor<'_>, cx: &mut Context<'_>) -> Option<Provider> {
    let keys = AccessKeyKeys::read(at, cx.report)?;
    let missing = "`access_key_id` is missing; write the ID of the access key";
    let id = at
        .required(keys.access_key_id, cx.report, missing)
        .and_then(|at| at.checked(cx.report, placeholder));
    let secret = match (keys.access_key_secret, keys.access_key_secret_file) {
        (Some(at), None) => at
            .checked(cx.report, placeholder)
            .map(|text| SecretSource::Inline(Secret::new(text))),
        (None, Some(at)) => cx.path(&at).map(SecretSource::File),
        (Some(_), Some(at)) => {
            at.problem(
                cx.report,
                "cannot be combined with `access_key_secret`; keep one of the two",
            );
            None
        }
        (None, None) => {
            at.problem(
                cx.report,
                "`access_key_secret_file` or `access_key_secret` is missing; write one of them",
            );
            None
        }
    };
    Some(Provider::AccessKey {
        id: id?,
        secret: secret?,
        token: None,
    })
}

/// The problem of a text that stands for a key in a manual or on a masked screen.
fn placeholder(text: &str) -> Option<String> {
    let lower = text.to_lowercase();
    let masked = text.contains(['*', '…', '<', '>']) || text.contains("...");
    let sample = lower.starts_with("your") || lower.trim_matches('x').is_empty();
    (masked || sample).then(|| "is a placeholder or masked; write the real key".to_owned())
}

fn assume_role(at: &NodeCursor<'_>, cx: &mut Context<'_>) -> Option<Provider> {
    let keys = AssumeRoleKeys::read(at, cx.report)?;
    let missing =
        "`role_arn` is missing; write the ARN of the role, such as `acs:ram::123456789:role/NAME`";
    let role_arn = at
        .required(keys.role_arn, cx.report, missing)
        .and_then(|at| arn(&at, "role", cx));
    let source = match keys.source {
        Some(at) => provider(&at, Parent::AssumeRole, cx),
        None => Some(Provider::default()),
    };
    Some(Provider::AssumeRole {
        external_id: keys.external_id.and_then(|at| at.string(cx.report)),
        session: session(
            keys.role_session_name,
            keys.duration,
            keys.policy,
            cx.report,
        ),
        sts_endpoint: keys.sts_endpoint.and_then(|at| endpoint(&at, cx.report)),
        role_arn: role_arn?,
        source: Box::new(source?),
    })
}

fn session(
    name: Option<NodeCursor<'_>>,
    duration: Option<NodeCursor<'_>>,
    policy: Option<NodeCursor<'_>>,
    report: &mut Report,
) -> Session {
    Session {
        name: name.and_then(|at| ram_name(&at, 2, report)),
        duration: duration
            .and_then(|at| at.duration(report, SHORTEST_SESSION, LONGEST_SESSION))
            .unwrap_or(Session::default().duration),
        policy: policy.and_then(|at| at.checked(report, policy_problem)),
    }
}

fn policy_problem(text: &str) -> Option<String> {
    serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(text)
        .is_err()
        .then(|| "is not a RAM policy; write it as JSON, in quotes".to_owned())
}

/// The name of a RAM resource, `least` to 64 characters.
fn ram_name(at: &NodeCursor<'_>, least: usize, report: &mut Report) -> Option<String> {
    at.checked(report, |text| {
        let allowed = |c: u8| c.is_ascii_alphanumeric() || b".@_-".contains(&c);
        let valid = text.bytes().all(allowed) && (least..=64).contains(&text.len());
        (!valid).then(|| {
            format!(
                "{} is not {least} to 64 letters, digits, `.`, `@`, `_` and `-`",
                quote(text)
            )
        })
    })
}

fn arn(at: &NodeCursor<'_>, kind: &str, cx: &mut Context<'_>) -> Option<String> {
    let is_ram_arn = cx.rules.is_ram_arn;
    at.checked(cx.report, |text| {
        (!is_ram_arn(text, kind)).then(|| {
            format!(
                "{} is not an ARN of the form `acs:ram::123456789:{kind}/NAME`; copy it from the RAM console",
                quote(text)
            )
        })
    })
}

/// A URI that may contain a secret, so that it appears in no message.
fn uri(at: &NodeCursor<'_>, report: &mut Report) -> Option<HiddenUrl> {
    let url = http_url(at, WITH_PATH, "they are never sent, remove them", report)?;
    warn_unencrypted(
        at,
        &url,
        "is not encrypted: the credentials can be read in transit; use `https://`",
        report,
    );
    Some(HiddenUrl::new(url))
}
