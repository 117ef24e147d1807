//! Where client IDs come from: configuration, client files and client URLs to fleets.
//!
//! A client file has the format of `file_sd_configs` (Prometheus documentation, page
//! "Configuration"): a list of groups `{targets: [CLIENT_ID…], labels: {…}}`, in YAML or JSON. A
//! client URL returns the same in JSON, as for `http_sd_configs`.
//!
//! Fleets are always built from the content of all sources: [`read`] accepts all files or none,
//! [`refresh`] keeps the previous content of a file that became invalid. The content is in
//! [`SourceCache`], which the caller keeps. When to read again is decided by the caller, except for
//! the tasks that request the URLs.

mod build_fleets;
mod snapshot;
mod source;
mod source_cache;
mod target_document;
mod target_reader;
mod urls;

use std::collections::BTreeSet;
use std::sync::Arc;

pub use build_fleets::Discovered;
pub use source::{Source, SourceFailure, SourceLocation};
pub use source_cache::SourceCache;
pub use urls::{UrlPoller, UrlUpdate};

use crate::config::{Config, Problem, Problems};
use crate::net::WatchedFiles;
use crate::presence::{Fleet, Shard};
use build_fleets::build_fleets;
use snapshot::SourceTexts;

/// Reads all client files and builds the fleets of `shard`; URLs have the content that they had
/// `before`.
///
/// A client that is listed more than once is one client; the labels listed first count, those of
/// the configuration before all others. Every invalid file is reported, also if its previous content
/// is valid.
pub fn read(config: &Config, shard: Shard, before: &SourceCache) -> Result<Discovered, Problems> {
    let files = WatchedFiles::matching(patterns(config).map(|it| it.to_string()));
    let mut snapshot = SourceTexts::read(config, before);
    let built = build_fleets(config, shard, &mut snapshot);
    let mut problems = Problems::default();
    for failure in snapshot.failures {
        problems.append(failure.problems);
    }
    match built {
        Ok(discovered) if problems.is_empty() => {
            check_size(config, &discovered)?;
            Ok(Discovered {
                files,
                ..discovered
            })
        }
        _ => Err(problems),
    }
}

/// The result of [`refresh`]; `P` is the result of its check.
#[derive(Debug)]
pub struct Refreshed<P> {
    /// All clients; `None` if no source has changed, or the changed ones cannot be used.
    pub discovered: Option<(Discovered, P)>,
    /// The sources that could not be used. Their previous content stays in use.
    pub failures: Vec<SourceFailure>,
    /// The names of the sources that were read and are valid.
    pub good: BTreeSet<Arc<str>>,
}

/// Reads all client files, takes the `response` of a URL if there is one, and builds the fleets if
/// anything has changed since `before`. The previous content of invalid sources stays in use. If
/// `check` rejects the fleets, that of all changed sources does.
#[must_use]
pub fn refresh<P>(
    config: &Config,
    shard: Shard,
    before: &SourceCache,
    response: Option<(&SourceLocation, &[u8])>,
    check: impl FnOnce(&Discovered) -> Result<P, Problems>,
) -> Refreshed<P> {
    let (mut good, mut changed) = (BTreeSet::new(), None);
    if let Some((location, bytes)) = response {
        let text = before.text(location, bytes);
        good.insert(location.to_string().into());
        if before.0.get(location) == Some(&text) {
            return Refreshed {
                discovered: None,
                failures: Vec::new(),
                good,
            };
        }
        changed = Some((location.clone(), text));
    }
    let mut snapshot = SourceTexts::read(config, before);
    snapshot.texts.0.extend(changed);
    good.extend(patterns(config));
    let discovered = loop {
        if snapshot.texts == *before {
            break None;
        }
        match build_fleets(config, shard, &mut snapshot) {
            Ok(discovered) => break Some(discovered),
            Err(invalid) => {
                for location in &invalid {
                    snapshot.fall_back(location, before);
                }
            }
        }
    };
    let discovered = discovered.and_then(|discovered| {
        let checked = check_size(config, &discovered).and_then(|()| check(&discovered));
        // A source that was removed has no name, and is not the cause.
        let reject = |problems: &Problems| {
            for name in snapshot.changed(before) {
                snapshot.fail(&name, problems.clone());
            }
        };
        let checked = checked.inspect_err(reject).ok()?;
        Some((discovered, checked))
    });
    let failures = snapshot.failures;
    good.retain(|name| failures.iter().all(|failure| failure.name != *name));
    Refreshed {
        discovered,
        failures,
        good,
    }
}

/// The names of the sources that are files: the patterns of `config`.
pub fn patterns(config: &Config) -> impl Iterator<Item = Arc<str>> {
    config
        .instances
        .iter()
        .flat_map(|it| &it.client_files)
        .map(|pattern| pattern.as_str().into())
}

/// Rejects more clients than `max_clients`.
fn check_size(config: &Config, discovered: &Discovered) -> Result<(), Problems> {
    let (clients, most) = (
        discovered.fleets.iter().map(Fleet::len).sum::<usize>(),
        config.max_clients,
    );
    if clients <= most {
        return Ok(());
    }
    let message = format!(
        "there are {clients} clients, more than {most}; list fewer, or raise `max_clients` once Prometheus can hold their series"
    );
    Err(Problem::of_key("max_clients", message).into())
}
