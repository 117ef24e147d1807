//! Roles that are assumed.

use std::path::Path;
use std::time::Duration;

use super::super::super::report::quote;
use super::{
    NodeCursor, Provider, Report, Session, Within, endpoint, path, provider, vendor_chain,
};

pub(super) const OIDC: [&str; 9] = [
    "type",
    "account",
    "role_arn",
    "oidc_provider_arn",
    "oidc_token_file",
    "role_session_name",
    "duration",
    "policy",
    "sts_endpoint",
];
pub(super) const ASSUME_ROLE: [&str; 9] = [
    "type",
    "account",
    "role_arn",
    "external_id",
    "source",
    "role_session_name",
    "duration",
    "policy",
    "sts_endpoint",
];

/// What the security token service gives (page "`AssumeRole`").
const SHORTEST: Duration = Duration::from_secs(15 * 60);
const LONGEST: Duration = Duration::from_secs(12 * 3600);

pub(super) fn oidc(at: &NodeCursor<'_>, folder: &Path, report: &mut Report) -> Option<Provider> {
    let [
        _,
        _,
        role_at,
        provider_at,
        token_at,
        name_at,
        duration_at,
        policy_at,
        sts_at,
    ] = at.fields(OIDC, report)?;
    Some(Provider::Oidc {
        role_arn: role_at.and_then(|at| arn(&at, "role", report)),
        provider_arn: provider_at.and_then(|at| arn(&at, "oidc-provider", report)),
        token_file: token_at.and_then(|at| path(&at, folder, report)),
        session: session([name_at, duration_at, policy_at], report),
        sts_endpoint: sts_at.and_then(|at| endpoint(&at, report)),
    })
}

pub(super) fn assume_role(
    at: &NodeCursor<'_>,
    folder: &Path,
    report: &mut Report,
) -> Option<Provider> {
    let [
        _,
        _,
        role_at,
        id_at,
        source_at,
        name_at,
        duration_at,
        policy_at,
        sts_at,
    ] = at.fields(ASSUME_ROLE, report)?;
    let role_arn = at
        .required(
            role_at,
            report,
            "`role_arn` is missing; write the role's, such as `acs:ram::123456789:role/NAME`",
        )
        .and_then(|at| arn(&at, "role", report));
    let source = match source_at {
        Some(at) => provider(&at, folder, Within::AssumeRole, report),
        None => Some(vendor_chain()),
    };
    let external_id = id_at.and_then(|at| at.text(report)).map(str::to_owned);
    let session = session([name_at, duration_at, policy_at], report);
    let sts_endpoint = sts_at.and_then(|at| endpoint(&at, report));
    Some(Provider::AssumeRole {
        source: Box::new(source?),
        role_arn: role_arn?,
        external_id,
        session,
        sts_endpoint,
    })
}

fn session(
    [name_at, duration_at, policy_at]: [Option<NodeCursor<'_>>; 3],
    report: &mut Report,
) -> Session {
    let default = Session::default();
    Session {
        name: name_at.and_then(|at| name(&at, 2, report)),
        duration: duration_at
            .and_then(|at| duration(&at, report))
            .unwrap_or(default.duration),
        policy: policy_at.and_then(|at| policy(&at, report)),
    }
}

fn duration(at: &NodeCursor<'_>, report: &mut Report) -> Option<Duration> {
    let duration = at.duration(report, LONGEST)?;
    if duration < SHORTEST {
        at.problem(
            report,
            "is shorter than the 15m that the vendor gives at least",
        );
    }
    Some(duration)
}

/// A name as RAM has them, of `least` to 64 characters.
pub(super) fn name(at: &NodeCursor<'_>, least: usize, report: &mut Report) -> Option<String> {
    let text = at.text(report)?;
    let fits = text
        .bytes()
        .all(|c| c.is_ascii_alphanumeric() || b".@_-".contains(&c));
    if !fits || !(least..=64).contains(&text.len()) {
        at.problem(
            report,
            format!(
                "{} is not {least} to 64 letters, digits, `.`, `@`, `_` and `-`",
                quote(text)
            ),
        );
        return None;
    }
    Some(text.to_owned())
}

fn arn(at: &NodeCursor<'_>, kind: &str, report: &mut Report) -> Option<String> {
    let text = at.text(report)?;
    let ours = text
        .strip_prefix("acs:ram::")
        .and_then(|rest| rest.split_once(':'))
        .and_then(|(account, rest)| {
            let digits = account.bytes().all(|c| c.is_ascii_digit());
            rest.strip_prefix(kind)?
                .strip_prefix('/')
                .filter(|name| digits && !account.is_empty() && !name.is_empty())
        });
    if ours.is_none() {
        at.problem(
            report,
            format!(
                "{} is not an ARN of the form `acs:ram::123456789:{kind}/NAME`; copy it from the RAM console",
                quote(text)
            ),
        );
        return None;
    }
    Some(text.to_owned())
}

fn policy(at: &NodeCursor<'_>, report: &mut Report) -> Option<String> {
    let text = at.text(report)?;
    if serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(text).is_err() {
        at.problem(report, "is not a RAM policy; write it as JSON, in quotes");
        return None;
    }
    Some(text.to_owned())
}
