//! Where credentials come from.

use std::path::Path;

use super::super::at::At;
use super::super::report::Report;
use super::super::tree::Value;
use super::super::{Credentials, Provider, SecretSource};
use super::{not_yet, path};
use crate::secret::Secret;

const ACCESS_KEY: [&str; 5] = ["type", "account", "access_key_id", "access_key_secret", "access_key_secret_file"];
const ENV: [&str; 2] = ["type", "account"];
const PROFILE: [&str; 4] = ["type", "account", "profile", "file"];
const CHAIN: [&str; 3] = ["type", "account", "providers"];

/// The keys of every type.
#[cfg(test)]
pub(super) const KEYS: [&[&str]; 4] = [&ACCESS_KEY, &ENV, &PROFILE, &CHAIN];

#[derive(Clone, Copy)]
enum Type {
    AccessKey,
    Env,
    Profile,
    Chain,
    Later,
}

/// The types; those that fetch short-lived credentials come later.
const TYPES: [(&str, Type); 8] = [
    ("access_key", Type::AccessKey),
    ("env", Type::Env),
    ("profile", Type::Profile),
    ("chain", Type::Chain),
    ("ecs_ram_role", Type::Later),
    ("oidc", Type::Later),
    ("assume_role", Type::Later),
    ("uri", Type::Later),
];

/// What is used where the configuration names no credentials: the vendor's own order, as far as
/// it is supported.
pub(super) fn default() -> Credentials {
    Credentials { provider: vendor_chain(), account: None }
}

fn vendor_chain() -> Provider {
    Provider::Chain(vec![Provider::Env, Provider::Profile { name: None, file: None }])
}

/// The credentials that `at` names.
pub(super) fn credentials(at: &At<'_>, folder: &Path, report: &mut Report) -> Option<Credentials> {
    let account = at.peek("account").and_then(|account| account.text(report)).map(str::to_owned);
    let provider = provider(at, folder, true, report)?;
    Some(Credentials { provider, account })
}

/// One provider; `outermost` when it is not part of a chain.
fn provider(at: &At<'_>, folder: &Path, outermost: bool, report: &mut Report) -> Option<Provider> {
    let Some(type_at) = at.peek("type") else {
        // Says what is wrong with something that is not a map.
        at.entries(report)?;
        at.problem(report, "`type` is missing; write `type: access_key`, `env`, `profile` or `chain`");
        return None;
    };
    if let Some(account) = at.peek("account").filter(|_| !outermost) {
        account.problem(report, "belongs beside `providers`, since a chain is one account; move it there");
    }
    match type_at.choice(report, &TYPES)? {
        Type::AccessKey => access_key(at, folder, report),
        Type::Env => at.fields(ENV, report).map(|_| Provider::Env),
        Type::Profile => at.fields(PROFILE, report).map(|[_, _, name, file]| Provider::Profile {
            name: name.and_then(|at| at.text(report)).map(str::to_owned),
            file: file.and_then(|at| path(&at, folder, report)),
        }),
        Type::Chain if outermost => {
            let [_, _, providers] = at.fields(CHAIN, report)?;
            providers.map_or_else(|| Some(vendor_chain()), |at| chain(&at, folder, report))
        }
        Type::Chain => {
            type_at.problem(report, "a chain within a chain; list its providers in the outer one");
            None
        }
        Type::Later => {
            let what = type_at.scalar(report).map(|text| format!("`type: {text}`")).unwrap_or_default();
            not_yet(&type_at, &what, "use `access_key`, `env`, `profile` or `chain`", report);
            None
        }
    }
}

fn chain(at: &At<'_>, folder: &Path, report: &mut Report) -> Option<Provider> {
    let items = at.items(report);
    if items.len() == 0 && matches!(at.found(), Value::List(_)) {
        at.problem(report, "names no provider; list at least one, or remove the key for the vendor's own order");
    }
    let providers: Vec<_> = items.filter_map(|at| provider(&at, folder, false, report)).collect();
    (!providers.is_empty()).then_some(Provider::Chain(providers))
}

/// An access key; the texts of IDs and secrets stay out of every message.
fn access_key(at: &At<'_>, folder: &Path, report: &mut Report) -> Option<Provider> {
    let [_, _, id_at, secret_at, file_at] = at.fields(ACCESS_KEY, report)?;
    let id = at
        .required(id_at, report, "`access_key_id` is missing; write the ID of the access key")
        .and_then(|at| real(&at, report).map(str::to_owned));
    let secret = match (secret_at, file_at) {
        (Some(at), None) => real(&at, report).map(|text| SecretSource::Inline(Secret::new(text))),
        (None, Some(at)) => path(&at, folder, report).map(SecretSource::File),
        (Some(_), Some(at)) => {
            at.problem(report, "stands beside `access_key_secret`; keep one of the two");
            None
        }
        (None, None) => {
            at.problem(report, "`access_key_secret_file` or `access_key_secret` is missing; write one of them");
            None
        }
    };
    Some(Provider::AccessKey { id: id?, secret: secret? })
}

/// A text that is not what a manual or a masked screen shows in place of a key.
fn real<'a>(at: &At<'a>, report: &mut Report) -> Option<&'a str> {
    let text = at.text(report)?;
    let lower = text.to_lowercase();
    let masked = text.contains(['*', '…', '<', '>']) || text.contains("...");
    let sample = lower.starts_with("your") || lower.trim_matches('x').is_empty();
    if masked || sample {
        at.problem(report, "is a placeholder or masked, not a key; write the real one");
        return None;
    }
    Some(text)
}
