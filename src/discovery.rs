//! Where client IDs come from: configuration, client files and client URLs to fleets.
//!
//! A client file is what Prometheus calls a file of `file_sd_configs` (page "Configuration"): a
//! list of groups `{targets: [CLIENT_ID…], labels: {…}}`, in YAML or JSON; a client URL answers
//! with the same, as for `http_sd_configs`.
//!
//! Fleets are always made whole, of everything that all sources said: [`read`] takes files as they
//! are or not at all, [`refresh`] keeps what a file that became bad said before. What the sources
//! said is in [`SourceCache`], which the caller keeps from one time to the next. When to look again
//! does not belong here, but for the tasks that ask the URLs.

mod build_fleets;
mod files;
mod json;
mod snapshot;
mod source;
mod source_cache;
mod target_reader;
mod urls;
mod yaml;

pub use snapshot::{Refreshed, SourceFailure};
pub use source::{Source, SourceLocation};
pub use source_cache::SourceCache;
pub use urls::{UrlPoller, UrlUpdate};

use crate::config::{Config, Problem, Problems, UNUSUAL_ID_HINT};
use crate::net::WatchedFiles;
use crate::presence::{Fleet, Shard};
use snapshot::SourceTexts;

/// All clients that a configuration leads to.
#[derive(Debug)]
pub struct Discovered {
    /// The clients of each instance, in the order of the configuration.
    pub fleets: Vec<Fleet>,
    /// Where they come from.
    pub sources: Vec<Source>,
    /// What is odd, but possible.
    pub warnings: Vec<Problem>,
    /// What all files and URLs said.
    pub texts: SourceCache,
    /// The client files as they were before they were read; empty after a [`refresh`].
    pub files: WatchedFiles,
}

/// Reads all client files and builds the fleets, as they are when nothing was asked over HTTP yet:
/// of the clients that are listed, those of `shard`.
///
/// A client that is listed more than once is one client; the labels listed first count, those in
/// the configuration being the first of all. Every file that cannot be used is reported.
pub fn fleets(config: &Config, shard: Shard) -> Result<Discovered, Problems> {
    read(config, shard, &SourceCache::default())
}

/// Reads all client files and builds the fleets; what URLs list is as `before`.
///
/// Every file that cannot be used is reported, whatever it said before.
pub fn read(config: &Config, shard: Shard, before: &SourceCache) -> Result<Discovered, Problems> {
    let patterns = config
        .instances
        .iter()
        .flat_map(|instance| &instance.client_files);
    let files = WatchedFiles::matching(patterns.cloned());
    let look = SourceTexts::at_files(config, before);
    let mut problems = Problems::default();
    look.failures
        .iter()
        .for_each(|failure| problems.append(failure.problems.clone()));
    match build_fleets::assemble(config, shard, &look) {
        Ok(discovered) if problems.is_empty() => within_bounds(
            config,
            Discovered {
                files,
                ..discovered
            },
        ),
        Ok(_) => Err(problems),
        Err(wrong) => {
            for (_, failure) in wrong {
                problems.append(failure.problems);
            }
            Err(problems)
        }
    }
}

/// Reads all client files, takes note of the `answer` of a URL if there is one, and builds the
/// fleets if anything is other than `before`. Where something cannot be used, what it said before
/// stays in use.
#[must_use]
pub fn refresh(
    config: &Config,
    shard: Shard,
    before: &SourceCache,
    answer: Option<(&SourceLocation, &[u8])>,
) -> Refreshed {
    snapshot::refresh(config, shard, before, answer)
}

/// Refuses more clients than Prometheus is to hold.
fn within_bounds(config: &Config, discovered: Discovered) -> Result<Discovered, Problems> {
    let (clients, most) = (
        discovered.fleets.iter().map(Fleet::len).sum::<usize>(),
        config.max_clients,
    );
    if clients <= most {
        return Ok(discovered);
    }
    let message = format!(
        "there are {clients} clients, more than {most}; list fewer, or raise `max_clients` once Prometheus can hold their series"
    );
    Err(Problem::of_key("max_clients", message).into())
}
