//! Instances.

use std::collections::HashMap;
use std::path::Path;

use super::super::credentials::Credentials;
use super::super::cursor::{NodeCursor, keys};
use super::super::report::quote;
use super::super::tree::Value;
use super::super::values::{Address, Instance};
use super::client::{clients, labels};
use super::client_url::client_urls;
use super::context::Context;
use super::credentials::credentials;
use super::url::endpoint;
use crate::presence::InstanceId;

keys!(InstanceKeys [
    id, region, endpoint, credentials, calls_per_second, labels, clients, client_files,
    client_urls
]);

/// Ten percent of the quota of an instance with 1,000 TPS.
const CALLS_PER_SECOND: u32 = 100;

/// All instances; those without valid ID, address or credentials are reported and left out.
pub(super) fn instances(
    at: &NodeCursor<'_>,
    default: &Credentials,
    single_per_second: u32,
    cx: &mut Context<'_>,
) -> Vec<Instance> {
    let items: Vec<NodeCursor<'_>> = at.items(cx.report).collect();
    if items.is_empty() && matches!(at.value(), Value::List(_)) {
        at.problem(
            cx.report,
            "is empty; list at least one instance with its `id` and `clients`",
        );
    }
    // Files and URLs may list clients of any instance.
    let has_sources = items
        .iter()
        .any(|at| at.get("client_files").or(at.get("client_urls")).is_some());
    let mut seen = HashMap::new();
    let mut instances = Vec::with_capacity(items.len());
    for (n, at) in items.into_iter().enumerate() {
        if !has_sources && at.get("clients").is_none() {
            at.warning(
                cx.report,
                "has no clients; list some in `clients`, `client_files` or `client_urls`",
            );
        }
        instances.extend(instance(&at, default, single_per_second, cx));
        // Reported even if the instance has other problems.
        if let Some(id) = at.get("id")
            && let Value::Scalar(_, text) = id.value()
        {
            let first = *seen.entry(text.to_string()).or_insert(n);
            if first != n {
                id.problem(
                    cx.report,
                    format!(
                        "duplicates the ID of `instances[{first}]`; merge the two or remove one"
                    ),
                );
            }
        }
    }
    instances
}

fn instance(
    at: &NodeCursor<'_>,
    default: &Credentials,
    single_per_second: u32,
    cx: &mut Context<'_>,
) -> Option<Instance> {
    let keys = InstanceKeys::read(at, cx.report)?;
    let missing = "`id` is missing; write the instance ID, such as `post-cn-…`";
    let id = at
        .required(keys.id, cx.report, missing)
        .and_then(|at| at.checked(cx.report, masked))
        .and_then(|id| InstanceId::new(&id).ok());
    let address = address(at, keys.region, keys.endpoint, cx);
    let credentials = match keys.credentials {
        Some(at) => credentials(&at, cx),
        None => Some(default.clone()),
    };
    Some(Instance {
        calls_per_second: keys
            .calls_per_second
            .and_then(|at| calls_per_second(&at, single_per_second, cx))
            .unwrap_or(CALLS_PER_SECOND.min(single_per_second)),
        labels: keys
            .labels
            .map_or_else(Vec::new, |at| labels(&at, cx.report)),
        clients: keys.clients.map_or_else(Vec::new, |at| clients(&at, cx)),
        client_files: keys
            .client_files
            .map_or_else(Vec::new, |at| client_files(&at, cx)),
        client_urls: keys
            .client_urls
            .map_or_else(Vec::new, |at| client_urls(&at, cx)),
        // Last, so that all other values are checked without them.
        id: id?,
        address: address?,
        credentials: credentials?,
    })
}

fn masked(id: &str) -> Option<String> {
    id.contains('*').then(|| {
        format!(
            "{} is masked; copy the whole ID from the console",
            quote(id)
        )
    })
}

/// The limit of an instance, at most the limit of all instances together.
fn calls_per_second(
    at: &NodeCursor<'_>,
    single_per_second: u32,
    cx: &mut Context<'_>,
) -> Option<u32> {
    let calls = at.integer(cx.report, 1, 280)?;
    if calls > single_per_second {
        at.problem(cx.report, format!("{calls} is more than `limits.single_per_second` ({single_per_second}), which applies to all instances together; write {single_per_second} or less, or raise that limit"));
    }
    Some(calls)
}

fn address(
    at: &NodeCursor<'_>,
    region_at: Option<NodeCursor<'_>>,
    endpoint_at: Option<NodeCursor<'_>>,
    cx: &mut Context<'_>,
) -> Option<Address> {
    let region = region_at.and_then(|at| {
        let is_region = cx.rules.is_region;
        at.checked(cx.report, |text| {
            (!is_region(text)).then(|| {
                format!(
                    "{} is not a region; write it as in the console, such as `cn-hangzhou`",
                    quote(text)
                )
            })
        })
    });
    if let Some(at) = endpoint_at {
        return endpoint(&at, cx.report).map(|url| Address::Endpoint { url, region });
    }
    let missing = "`region` is missing; write the region of the instance, such as `cn-hangzhou`";
    let at = at.required(region_at, cx.report, missing)?;
    let region = region?;
    if !cx.rules.regions.contains(&&*region) {
        at.warning(
            cx.report,
            format!(
                "{} is not a known region of the service; check the spelling",
                quote(&region)
            ),
        );
    }
    Some(Address::Region { region })
}

/// Globs; relative ones start at the folder of the file.
fn client_files(at: &NodeCursor<'_>, cx: &mut Context<'_>) -> Vec<String> {
    let globs = at
        .items(cx.report)
        .filter_map(|at| at.checked(cx.report, glob_problem));
    let absolute = |text: String| {
        if Path::new(&text).is_absolute() || cx.folder.as_os_str().is_empty() {
            text
        } else {
            let folder = cx.folder.to_string_lossy();
            format!("{}/{text}", glob::Pattern::escape(&folder))
        }
    };
    globs.map(absolute).collect()
}

fn glob_problem(text: &str) -> Option<String> {
    let extension = Path::new(text).extension();
    let known = |kind: &&str| extension.is_some_and(|extension| extension == *kind);
    if let Err(error) = glob::Pattern::new(text) {
        Some(format!(
            "{} is not a valid pattern: {}; `*`, `?`, `**` and `[…]` are special",
            quote(text),
            error.msg
        ))
    } else if !["yaml", "yml", "json"].iter().any(known) {
        Some(format!(
            "{} must end in `.yaml`, `.yml` or `.json`, which determines the file format",
            quote(text)
        ))
    } else {
        None
    }
}
