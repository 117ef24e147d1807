//! Instances.

use std::collections::HashMap;
use std::path::Path;

use super::super::credentials::Credentials;
use super::super::cursor::NodeCursor;
use super::super::keys::Keys;
use super::super::report::quote;
use super::super::tree::Value;
use super::super::values::{Address, Instance};
use super::client::{clients, labels};
use super::client_url::client_urls;
use super::context::Context;
use super::credentials::credentials;
use super::url::endpoint;
use crate::presence::InstanceId;

/// Ten percent of the quota of an instance with 1,000 TPS.
const CALLS_PER_SECOND: u32 = 100;

/// All instances; those without valid ID, address or credentials are reported and left out.
pub(super) fn instances(
    at: &NodeCursor<'_>,
    default: &Credentials,
    single_per_second: u32,
    cx: &Context<'_>,
) -> Option<Vec<Instance>> {
    let items: Vec<NodeCursor<'_>> = at.items()?.collect();
    if items.is_empty() {
        at.problem("is empty; list at least one instance with its `id` and `clients`");
    }
    // Files and URLs may list clients of any instance.
    let has_sources = items
        .iter()
        .any(|at| at.get("client_files").or(at.get("client_urls")).is_some());
    let mut seen = HashMap::new();
    let mut instances = Vec::with_capacity(items.len());
    for (n, at) in items.iter().enumerate() {
        if !has_sources && at.get("clients").is_none() {
            at.warning("has no clients; list some in `clients`, `client_files` or `client_urls`");
        }
        instances.extend(instance(at, default, single_per_second, cx));
        // Reported even if the instance has other problems.
        if let Some(id) = at.get("id")
            && let Value::Scalar(_, text) = id.value()
        {
            let first = *seen.entry(text).or_insert(n);
            if first != n {
                id.problem(format!(
                    "duplicates the ID of `instances[{first}]`; merge the two or remove one"
                ));
            }
        }
    }
    Some(instances)
}

fn instance(
    at: &NodeCursor<'_>,
    default: &Credentials,
    single_per_second: u32,
    cx: &Context<'_>,
) -> Option<Instance> {
    let keys = Keys::of(at)?;
    let remedy = "write the instance ID, such as `post-cn-…`";
    let id = keys.required("id", remedy, |at| {
        at.valid(
            |id| !id.contains('*'),
            "is masked; copy the whole ID from the console",
        )
    });
    let address = address(&keys, cx);
    let credentials = match keys.get("credentials") {
        Some(at) => credentials(&at, cx),
        None => Some(default.clone()),
    };
    let calls = keys.read("calls_per_second", |at| {
        calls_per_second(at, single_per_second)
    });
    Some(Instance {
        calls_per_second: calls.unwrap_or(CALLS_PER_SECOND.min(single_per_second)),
        labels: keys.read("labels", labels).unwrap_or_default(),
        clients: keys
            .read("clients", |at| clients(at, cx))
            .unwrap_or_default(),
        client_files: keys
            .read("client_files", |at| client_files(at, cx))
            .unwrap_or_default(),
        client_urls: keys
            .read("client_urls", |at| client_urls(at, cx))
            .unwrap_or_default(),
        // Last, so that all other values are checked without them.
        id: InstanceId::new(&id?).ok()?,
        address: address?,
        credentials: credentials?,
    })
}

/// The limit of an instance, at most the limit of all instances together.
fn calls_per_second(at: &NodeCursor<'_>, single_per_second: u32) -> Option<u32> {
    let calls = at.number(1, 280)?;
    if calls > single_per_second {
        at.problem(format!("{calls} is more than `limits.single_per_second` ({single_per_second}), which applies to all instances together; write {single_per_second} or less, or raise that limit"));
    }
    Some(calls)
}

fn address(keys: &Keys<'_>, cx: &Context<'_>) -> Option<Address> {
    let read_region = |at: &NodeCursor<'_>| {
        let error = "is not a region; write it as in the console, such as `cn-hangzhou`";
        at.valid(cx.rules.is_region, error)
    };
    if let Some(at) = keys.get("endpoint") {
        let region = keys.read("region", read_region);
        return endpoint(&at).map(|url| Address::Endpoint { url, region });
    }
    let remedy = "write the region of the instance, such as `cn-hangzhou`";
    keys.required("region", remedy, |at| {
        let region = read_region(at)?;
        if !cx.rules.regions.contains(&&*region) {
            at.warning(format!(
                "{} is not a known region of the service; check the spelling",
                quote(&region)
            ));
        }
        Some(Address::Region { region })
    })
}

/// Globs; relative ones start at the folder of the file.
fn client_files(at: &NodeCursor<'_>, cx: &Context<'_>) -> Option<Vec<String>> {
    let globs = at.items()?.filter_map(|at| at.checked(glob_problem));
    let absolute = |text: String| {
        if Path::new(&text).is_absolute() || cx.folder.as_os_str().is_empty() {
            text
        } else {
            let folder = cx.folder.to_string_lossy();
            format!("{}/{text}", glob::Pattern::escape(&folder))
        }
    };
    Some(globs.map(absolute).collect())
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
