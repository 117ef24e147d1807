//! Where client IDs come from: configuration and client files to fleets.
//!
//! A client file is what Prometheus calls a file of `file_sd_configs` (page "Configuration"): a
//! list of groups `{targets: [CLIENT_ID…], labels: {…}}`, in YAML or JSON. Files are read once.

mod json;
mod listing;
mod yaml;

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use listing::{Listing, Roster};

use crate::config::{self, Config, Instance, Problem, Problems, UNUSUAL};
use crate::presence::{Fleet, InstanceId};

/// All clients that a configuration leads to.
#[derive(Debug)]
pub struct Discovered {
    /// The clients of each instance, in the order of the configuration.
    pub fleets: Vec<Fleet>,
    /// Where they come from.
    pub sources: Vec<Source>,
    /// What is odd, but possible.
    pub warnings: Vec<Problem>,
}

/// One place that lists clients of one instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The instance.
    pub instance: InstanceId,
    /// The client file; `None` is the configuration itself.
    pub file: Option<PathBuf>,
    /// How many clients it lists, those that are listed elsewhere too included.
    pub clients: usize,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.file {
            Some(file) => file.display().fmt(f),
            None => f.write_str("the configuration"),
        }
    }
}

/// Reads all client files and builds the fleets.
///
/// A client that is listed more than once is one client; the labels listed first count, those in
/// the configuration being the first of all. Every file that cannot be used is reported.
pub fn fleets(config: &Config) -> Result<Discovered, Problems> {
    let mut found = Discovered { fleets: Vec::new(), sources: Vec::new(), warnings: Vec::new() };
    let mut problems = Problems::default();
    for (n, instance) in config.instances.iter().enumerate() {
        let fleet = fleet(n, instance, &mut found, &mut problems);
        found.fleets.push(fleet);
    }
    let clients: usize = found.fleets.iter().map(Fleet::len).sum();
    if clients > config.max_clients {
        let most = config.max_clients;
        let message = format!(
            "there are {clients} clients, more than {most}; list fewer, or raise `max_clients` once Prometheus can hold their series"
        );
        problems.push(Problem::of_key("max_clients", message));
    }
    if problems.is_empty() { Ok(found) } else { Err(problems) }
}

fn fleet(n: usize, instance: &Instance, found: &mut Discovered, problems: &mut Problems) -> Fleet {
    let mut roster = Roster::new(instance);
    if !instance.clients.is_empty() {
        let (id, clients) = (instance.id.clone(), instance.clients.len());
        found.sources.push(Source { instance: id, file: None, clients });
    }
    for (at, client) in instance.clients.iter().enumerate() {
        let labels = roster.with_instance_labels(&client.labels);
        if let Err(error) = roster.add(&client.id, &labels) {
            problems.push(Problem::of_key(format!("instances[{n}].clients[{at}]"), error.to_string()));
        }
    }
    for path in client_files(n, instance, &mut found.warnings, problems) {
        match read_file(&path, &mut roster) {
            Ok(clients) => found.sources.push(Source { instance: instance.id.clone(), file: Some(path), clients }),
            Err(wrong) => problems.append(wrong),
        }
    }
    let fleet = roster.finish(&mut found.warnings);
    if fleet.folded_groups() > 0 {
        let message = format!(
            "the clients are of more than {} groups; the rest, {} groups, counts to the group with the empty name",
            crate::presence::MAX_GROUPS,
            fleet.folded_groups(),
        );
        found.warnings.push(Problem::of_key(format!("instances[{n}]"), message));
    }
    fleet
}

/// The files that the globs of an instance match, each once, those of an earlier glob first.
fn client_files(n: usize, instance: &Instance, warnings: &mut Vec<Problem>, problems: &mut Problems) -> Vec<PathBuf> {
    let (mut seen, mut files) = (BTreeSet::new(), Vec::new());
    for (at, pattern) in instance.client_files.iter().enumerate() {
        let key = || format!("instances[{n}].client_files[{at}]");
        let paths = match glob::glob(pattern) {
            Ok(paths) => paths,
            Err(error) => {
                problems.push(Problem::of_key(key(), format!("not a pattern: {error}")));
                continue;
            }
        };
        let mut matched = false;
        for path in paths {
            match path {
                Ok(path) if path.is_dir() => {}
                Ok(path) => {
                    matched = true;
                    if seen.insert(path.clone()) {
                        files.push(path);
                    }
                }
                Err(error) => {
                    let file: Arc<Path> = error.path().into();
                    problems.push(Problem::of_file(&file, format!("cannot be looked into: {}", error.error())));
                }
            }
        }
        if !matched {
            warnings.push(Problem::of_key(key(), format!("no file matches `{pattern}`; check the path")));
        }
    }
    files
}

/// Adds the clients of one file to the roster; says how many it lists.
fn read_file(path: &Path, roster: &mut Roster<'_>) -> Result<usize, Problems> {
    let name: Arc<Path> = path.into();
    let bytes = config::read(path).map_err(|message| Problem::of_file(&name, message))?;
    let unreadable = |wrong: config::Unreadable| Problem::of_file(&name, wrong.message).at(wrong.place, "");
    let text = config::decode(&bytes).map_err(unreadable)?;
    if path.extension().is_some_and(|extension| extension == "json") {
        let place = |mark| Some(config::Place::of_offset(text.as_bytes(), mark));
        let mut listing = Listing::new(&name, &place, roster);
        json::read(text, &mut listing).map_err(unreadable)?;
        listing.finish()
    } else {
        let document = config::Document::read(text).map_err(unreadable)?;
        let place = |mark| document.place(mark);
        let mut listing = Listing::new(&name, &place, roster);
        yaml::read(config::At::root(&document.root), &mut listing);
        listing.finish()
    }
}
