//! Instances and their clients.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::Path;

use reqwest::Url;

use super::super::cursor::NodeCursor;
use super::super::report::{Report, quote};
use super::super::tree::Value;
use super::super::{Address, Credentials, Instance};
use super::client::{clients, labels};
use super::client_url::client_urls;
use super::credentials;
use crate::presence::InstanceId;

const INSTANCE: [&str; 9] = [
    "id",
    "region",
    "endpoint",
    "credentials",
    "calls_per_second",
    "labels",
    "clients",
    "client_files",
    "client_urls",
];
/// The keys of an instance, of a client, and of a URL that lists clients.
#[cfg(test)]
pub(super) const KEYS: [&[&str]; 6] = [
    &INSTANCE,
    &super::client::CLIENT,
    &super::client_url::CLIENT_URL,
    &super::client_url::BASIC_AUTH,
    &super::client_url::AUTHORIZATION,
    &super::client_url::TLS_CONFIG,
];

/// A tenth of what an instance of 1,000 messages a second can bear.
const CALLS_PER_SECOND: u32 = 100;

/// The regions that the vendor lists for the service (page "Endpoints"); the list is open.
pub const KNOWN_REGIONS: [&str; 24] = [
    "ap-northeast-1",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-southeast-3",
    "ap-southeast-5",
    "ap-southeast-6",
    "cn-beijing",
    "cn-chengdu",
    "cn-guangzhou",
    "cn-hangzhou",
    "cn-hangzhou-finance",
    "cn-hongkong",
    "cn-huhehaote",
    "cn-north-2-gov-1",
    "cn-qingdao",
    "cn-shanghai",
    "cn-shanghai-finance-1",
    "cn-shenzhen",
    "cn-shenzhen-finance-1",
    "cn-wulanchabu",
    "cn-zhangjiakou",
    "eu-central-1",
    "mq-internet-access",
    "us-west-1",
];

/// All instances; those without a usable ID or address are reported and left out.
pub(super) fn instances(
    at: &NodeCursor<'_>,
    default: &Credentials,
    single_per_second: u32,
    folder: &Path,
    report: &mut Report,
) -> Vec<Instance> {
    let items: Vec<NodeCursor<'_>> = at.items(report).collect();
    if items.is_empty() && matches!(at.value(), Value::List(_)) {
        at.problem(
            report,
            "is empty; list at least one instance with its `id` and `clients`",
        );
    }
    // Files and URLs may list clients of any instance.
    let fed = items
        .iter()
        .any(|at| at.get("client_files").or(at.get("client_urls")).is_some());
    let mut seen = HashMap::new();
    let mut instances = Vec::with_capacity(items.len());
    for (n, at) in items.into_iter().enumerate() {
        if !fed && at.get("clients").is_none() {
            at.warning(
                report,
                "has no clients; list some in `clients`, `client_files` or `client_urls`",
            );
        }
        instances.extend(instance(&at, default, single_per_second, folder, report));
        // Told also where something else is wrong with the instance.
        if let Some(id) = at.get("id")
            && let Value::Scalar(_, text) = id.value()
        {
            let first = *seen.entry(text.clone()).or_insert(n);
            if first != n {
                id.problem(
                    report,
                    format!("is the ID of `instances[{first}]` too; join the two or remove one"),
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
    folder: &Path,
    report: &mut Report,
) -> Option<Instance> {
    let [
        id_at,
        region,
        endpoint_at,
        credentials_at,
        calls,
        labels_at,
        clients_at,
        files,
        urls,
    ] = at.fields(INSTANCE, report)?;
    let id = at
        .required(
            id_at,
            report,
            "`id` is missing; write the instance's ID, such as `post-cn-…`",
        )
        .and_then(|at| instance_id(&at, report));
    let address = address(at, region, endpoint_at, report);
    let credentials = match credentials_at {
        Some(at) => credentials::credentials(&at, folder, report),
        None => Some(default.clone()),
    };
    let calls_per_second = calls.and_then(|at| calls_per_second(&at, single_per_second, report));
    let labels = labels_at.map(|at| labels(&at, report)).unwrap_or_default();
    let clients = clients_at
        .map(|at| clients(&at, report))
        .unwrap_or_default();
    let client_files = files
        .map(|at| client_files(&at, folder, report))
        .unwrap_or_default();
    let client_urls = urls
        .map(|at| client_urls(&at, folder, report))
        .unwrap_or_default();
    Some(Instance {
        id: id?,
        address: address?,
        credentials: credentials?,
        calls_per_second: calls_per_second.unwrap_or(CALLS_PER_SECOND.min(single_per_second)),
        labels,
        clients,
        client_files,
        client_urls,
    })
}

/// What an instance is to bear, which is no more than all of them together get.
fn calls_per_second(
    at: &NodeCursor<'_>,
    single_per_second: u32,
    report: &mut Report,
) -> Option<u32> {
    let calls = at.integer(report, 1, 280)?;
    if calls > single_per_second {
        at.problem(report, format!("{calls} is more than `limits.single_per_second` ({single_per_second}), which is for all instances together; write {single_per_second} or less, or raise that limit"));
    }
    Some(calls)
}

fn instance_id(at: &NodeCursor<'_>, report: &mut Report) -> Option<InstanceId> {
    let text = at.text(report)?;
    if text.contains('*') {
        at.problem(
            report,
            format!(
                "{} is masked; copy the whole ID from the console",
                quote(text)
            ),
        );
        return None;
    }
    InstanceId::new(text).ok()
}

fn address(
    at: &NodeCursor<'_>,
    region_at: Option<NodeCursor<'_>>,
    endpoint_at: Option<NodeCursor<'_>>,
    report: &mut Report,
) -> Option<Address> {
    let region = region_at.and_then(|at| region(&at, endpoint_at.is_some(), report));
    match (endpoint_at, region_at) {
        (Some(at), _) => endpoint(&at, report).map(|url| Address::Endpoint { url, region }),
        (None, Some(_)) => region.map(Address::Region),
        (None, None) => {
            at.problem(
                report,
                "`region` is missing; write the instance's region, such as `cn-hangzhou`",
            );
            None
        }
    }
}

/// A region becomes part of a host name, so that it has to be fit for one.
fn region(at: &NodeCursor<'_>, has_endpoint: bool, report: &mut Report) -> Option<String> {
    let text = at.text(report)?;
    let fit = text
        .chars()
        .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    if !fit || text.starts_with('-') || text.ends_with('-') {
        at.problem(
            report,
            format!(
                "{} is not a region; write it as the console does, such as `cn-hangzhou`",
                quote(text)
            ),
        );
        return None;
    }
    if !has_endpoint && !KNOWN_REGIONS.contains(&text) {
        at.warning(
            report,
            format!(
                "{} is not among the regions known to have the service; check the spelling",
                quote(text)
            ),
        );
    }
    Some(text.to_owned())
}

pub(super) fn endpoint(at: &NodeCursor<'_>, report: &mut Report) -> Option<Url> {
    let text = at.text(report)?;
    let url = match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => url,
        _ => {
            at.problem(
                report,
                "is not a URL; write `https://HOST` or `http://HOST:PORT`",
            );
            return None;
        }
    };
    if !url.username().is_empty() || url.password().is_some() {
        at.problem(
            report,
            "has a user name or password in it; remove them, `credentials` says who calls",
        );
        return None;
    }
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        at.problem(
            report,
            "goes on after the host and port; remove that, the API is at the root",
        );
        return None;
    }
    if url.scheme() == "http" && !is_loopback(&url) {
        at.warning(
            report,
            "is not encrypted: anybody on the way can read and change the answers; use `https://`",
        );
    }
    Some(url)
}

pub(super) fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    host == "localhost"
        || host
            .trim_matches(['[', ']'])
            .parse()
            .is_ok_and(|address: IpAddr| address.is_loopback())
}

/// Globs, relative ones taken from `folder`.
fn client_files(at: &NodeCursor<'_>, folder: &Path, report: &mut Report) -> Vec<String> {
    let mut globs = Vec::new();
    for at in at.items(report) {
        let Some(text) = at.text(report) else {
            continue;
        };
        let is_kind = |kind: &&str| {
            Path::new(text)
                .extension()
                .is_some_and(|extension| extension == *kind)
        };
        if let Err(error) = glob::Pattern::new(text) {
            at.problem(
                report,
                format!(
                    "{} is not a pattern: {}; `*`, `?`, `**` and `[…]` are special",
                    quote(text),
                    error.msg
                ),
            );
        } else if !["yaml", "yml", "json"].iter().any(is_kind) {
            at.problem(
                report,
                format!(
                    "{} has to end in `.yaml`, `.yml` or `.json`, which says how to read the files",
                    quote(text)
                ),
            );
        } else if Path::new(text).is_absolute() || folder.as_os_str().is_empty() {
            globs.push(text.to_owned());
        } else {
            globs.push(format!(
                "{}/{text}",
                glob::Pattern::escape(&folder.to_string_lossy())
            ));
        }
    }
    globs
}
