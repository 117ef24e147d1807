//! Where credentials come from.

mod role;

use std::path::Path;

use super::super::cursor::NodeCursor;
use super::super::report::Report;
use super::super::tree::Value;
use super::super::{Credentials, Endpoints, HiddenUrl, Provider, SecretSource, Session};
use super::instance::{endpoint, is_loopback};
use super::path;
use crate::secret::Secret;

const ACCESS_KEY: [&str; 5] = [
    "type",
    "account",
    "access_key_id",
    "access_key_secret",
    "access_key_secret_file",
];
const ENV: [&str; 2] = ["type", "account"];
const PROFILE: [&str; 6] = [
    "type",
    "account",
    "profile",
    "file",
    "sts_endpoint",
    "metadata_endpoint",
];
const ECS_RAM_ROLE: [&str; 4] = ["type", "account", "role", "metadata_endpoint"];
const URI: [&str; 3] = ["type", "account", "uri"];
const CHAIN: [&str; 3] = ["type", "account", "providers"];

/// The keys of every type.
#[cfg(test)]
pub(super) const KEYS: [&[&str]; 8] = [
    &ACCESS_KEY,
    &ENV,
    &PROFILE,
    &ECS_RAM_ROLE,
    &role::OIDC,
    &role::ASSUME_ROLE,
    &URI,
    &CHAIN,
];

#[derive(Clone, Copy)]
enum Type {
    AccessKey,
    Env,
    Profile,
    EcsRamRole,
    Oidc,
    AssumeRole,
    Uri,
    Chain,
}

const TYPES: [(&str, Type); 8] = [
    ("access_key", Type::AccessKey),
    ("env", Type::Env),
    ("profile", Type::Profile),
    ("ecs_ram_role", Type::EcsRamRole),
    ("oidc", Type::Oidc),
    ("assume_role", Type::AssumeRole),
    ("uri", Type::Uri),
    ("chain", Type::Chain),
];

/// What a provider is a part of.
#[derive(Clone, Copy, PartialEq)]
enum Within {
    Nothing,
    Chain,
    AssumeRole,
}

/// What is used where the configuration names no credentials: the vendor's own order.
pub(super) fn default() -> Credentials {
    Credentials {
        provider: vendor_chain(),
        account: None,
    }
}

fn vendor_chain() -> Provider {
    Provider::Chain(vec![
        Provider::Env,
        Provider::Oidc {
            role_arn: None,
            provider_arn: None,
            token_file: None,
            session: Session::default(),
            sts_endpoint: None,
        },
        Provider::Profile {
            name: None,
            file: None,
            endpoints: Endpoints::default(),
        },
        Provider::EcsRamRole {
            role: None,
            endpoint: None,
        },
        Provider::Uri(None),
    ])
}

/// The credentials that `at` names.
pub(super) fn credentials(
    at: &NodeCursor<'_>,
    folder: &Path,
    report: &mut Report,
) -> Option<Credentials> {
    let account = at
        .get("account")
        .and_then(|account| account.text(report))
        .map(str::to_owned);
    let provider = provider(at, folder, Within::Nothing, report)?;
    Some(Credentials { provider, account })
}

fn provider(
    at: &NodeCursor<'_>,
    folder: &Path,
    within: Within,
    report: &mut Report,
) -> Option<Provider> {
    let Some(type_at) = at.get("type") else {
        // Says what is wrong with something that is not a map.
        at.entries(report)?;
        let types: Vec<_> = TYPES.iter().map(|(name, _)| format!("`{name}`")).collect();
        at.problem(
            report,
            format!(
                "`type` is missing; write `type:` and one of {}",
                types.join(", ")
            ),
        );
        return None;
    };
    if let Some(account) = at.get("account").filter(|_| within != Within::Nothing) {
        account.problem(
            report,
            "belongs to `credentials` as a whole, which are those of one account; move it there",
        );
    }
    match type_at.choice(report, &TYPES)? {
        Type::AccessKey => access_key(at, folder, report),
        Type::Env => at.fields(ENV, report).map(|_| Provider::Env),
        Type::Profile => at
            .fields(PROFILE, report)
            .map(|[_, _, name, file, sts, metadata]| Provider::Profile {
                name: name.and_then(|at| at.text(report)).map(str::to_owned),
                file: file.and_then(|at| path(&at, folder, report)),
                endpoints: Endpoints {
                    sts: sts.and_then(|at| endpoint(&at, report)),
                    metadata: metadata.and_then(|at| metadata_endpoint(&at, report)),
                },
            }),
        Type::EcsRamRole => at
            .fields(ECS_RAM_ROLE, report)
            .map(|[_, _, role, metadata]| Provider::EcsRamRole {
                role: role.and_then(|at| role::name(&at, 1, report)),
                endpoint: metadata.and_then(|at| metadata_endpoint(&at, report)),
            }),
        Type::Oidc => role::oidc(at, folder, report),
        Type::AssumeRole => role::assume_role(at, folder, report),
        Type::Uri => {
            let [_, _, uri_at] = at.fields(URI, report)?;
            Some(Provider::Uri(uri_at.and_then(|at| uri(&at, report))))
        }
        Type::Chain if within == Within::Chain => {
            type_at.problem(
                report,
                "a chain within a chain; list its providers in the outer one",
            );
            None
        }
        Type::Chain => {
            let [_, _, providers] = at.fields(CHAIN, report)?;
            providers.map_or_else(|| Some(vendor_chain()), |at| chain(&at, folder, report))
        }
    }
}

fn chain(at: &NodeCursor<'_>, folder: &Path, report: &mut Report) -> Option<Provider> {
    let items = at.items(report);
    if items.len() == 0 && matches!(at.value(), Value::List(_)) {
        at.problem(
            report,
            "names no provider; list at least one, or remove the key for the vendor's own order",
        );
    }
    let providers: Vec<_> = items
        .filter_map(|at| provider(&at, folder, Within::Chain, report))
        .collect();
    (!providers.is_empty()).then_some(Provider::Chain(providers))
}

/// An access key; the texts of IDs and secrets stay out of every message.
fn access_key(at: &NodeCursor<'_>, folder: &Path, report: &mut Report) -> Option<Provider> {
    let [_, _, id_at, secret_at, file_at] = at.fields(ACCESS_KEY, report)?;
    let id = at
        .required(
            id_at,
            report,
            "`access_key_id` is missing; write the ID of the access key",
        )
        .and_then(|at| real(&at, report).map(str::to_owned));
    let secret = match (secret_at, file_at) {
        (Some(at), None) => real(&at, report).map(|text| SecretSource::Inline(Secret::new(text))),
        (None, Some(at)) => path(&at, folder, report).map(SecretSource::File),
        (Some(_), Some(at)) => {
            at.problem(
                report,
                "stands beside `access_key_secret`; keep one of the two",
            );
            None
        }
        (None, None) => {
            at.problem(
                report,
                "`access_key_secret_file` or `access_key_secret` is missing; write one of them",
            );
            None
        }
    };
    Some(Provider::AccessKey {
        id: id?,
        secret: secret?,
    })
}

/// A text that is not what a manual or a masked screen shows in place of a key.
fn real<'a>(at: &NodeCursor<'a>, report: &mut Report) -> Option<&'a str> {
    let text = at.text(report)?;
    let lower = text.to_lowercase();
    let masked = text.contains(['*', '…', '<', '>']) || text.contains("...");
    let sample = lower.starts_with("your") || lower.trim_matches('x').is_empty();
    if masked || sample {
        at.problem(
            report,
            "is a placeholder or masked, not a key; write the real one",
        );
        return None;
    }
    Some(text)
}

/// The metadata service speaks no `https`: it is on the link.
fn metadata_endpoint(at: &NodeCursor<'_>, report: &mut Report) -> Option<reqwest::Url> {
    match reqwest::Url::parse(at.text(report)?) {
        Ok(url)
            if url.scheme() == "http"
                && url.has_host()
                && url.path() == "/"
                && url.query().is_none() =>
        {
            Some(url)
        }
        _ => {
            at.problem(report, "is not the address of a metadata service; write `http://HOST` or `http://HOST:PORT`");
            None
        }
    }
}

/// A URI whose text may be a secret, and stays out of every message.
fn uri(at: &NodeCursor<'_>, report: &mut Report) -> Option<HiddenUrl> {
    let url = match reqwest::Url::parse(at.text(report)?) {
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
            "has a user name or password in it, which nobody would send; remove them",
        );
        return None;
    }
    if url.scheme() == "http" && !is_loopback(&url) {
        at.warning(
            report,
            "is not encrypted: anybody on the way can read the credentials; use `https://`",
        );
    }
    Some(HiddenUrl::new(url))
}
