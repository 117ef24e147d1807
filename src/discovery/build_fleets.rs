//! The content of all sources to fleets.

use std::sync::Arc;

use super::snapshot::SourceTexts;
use super::source::{CONFIG, Source, SourceFailure, SourceLocation};
use super::source_cache::SourceCache;
use super::target_group::TargetDocument;
use super::target_reader::{FleetBuilders, TargetReader};
use crate::config::{self, Config, Problem, Problems, Report};
use crate::net::WatchedFiles;
use crate::presence::{Fleet, MAX_GROUPS, Shard};

/// All clients of a configuration.
#[derive(Debug)]
pub struct Discovered {
    /// The clients of each instance, in the order of the configuration.
    pub fleets: Vec<Fleet>,
    /// Their sources.
    pub sources: Vec<Source>,
    /// What is unusual, but possible.
    pub warnings: Vec<Problem>,
    /// The content of all files and URLs.
    pub texts: SourceCache,
    /// The client files before they were read; empty after a [`refresh`](super::refresh).
    pub files: WatchedFiles,
}

/// Builds the fleets of `shard` from all sources, or returns the invalid sources.
pub(super) fn build_fleets(
    config: &Config,
    shard: Shard,
    snapshot: &SourceTexts,
) -> Result<Discovered, Vec<(SourceLocation, SourceFailure)>> {
    let mut builders = FleetBuilders::new(&config.instances, shard);
    let (mut sources, mut invalid) = (Vec::new(), Vec::new());
    for (n, instance) in config.instances.iter().enumerate() {
        let (name, location) = (Arc::from(CONFIG), SourceLocation::Config);
        let problems = builders.add_configured(n, instance);
        if !problems.is_empty() {
            let name = Arc::clone(&name);
            invalid.push((location.clone(), SourceFailure { name, problems }));
        }
        if !instance.clients.is_empty() {
            sources.push(Source {
                instance: instance.id.clone(),
                name,
                location,
                clients: Some(instance.clients.len()),
            });
        }
    }
    for item in &snapshot.items {
        let (name, location) = (Arc::clone(&item.name), item.location.clone());
        let text = snapshot.texts.get(&location);
        let clients = text.map(|text| read(&location, &text.bytes(), item.instance, &mut builders));
        match clients.transpose() {
            Ok(clients) => sources.push(Source {
                instance: config.instances[item.instance].id.clone(),
                name,
                location,
                clients,
            }),
            // Where several instances list it, once.
            Err(_) if invalid.iter().any(|(other, _)| *other == location) => {}
            Err(problems) => invalid.push((location, SourceFailure { name, problems })),
        }
    }
    if !invalid.is_empty() {
        return Err(invalid);
    }
    let mut warnings = snapshot.warnings.clone();
    let fleets = builders.finish(&mut warnings);
    for (n, fleet) in fleets.iter().enumerate() {
        let folded = fleet.folded_groups();
        if folded > 0 {
            let message = format!(
                "the clients belong to more than {MAX_GROUPS} groups; the other {folded} groups count as the group with the empty name"
            );
            warnings.push(Problem::of_key(format!("instances[{n}]"), message));
        }
    }
    Ok(Discovered {
        fleets,
        sources,
        warnings,
        texts: snapshot.texts.clone(),
        files: WatchedFiles::default(),
    })
}

/// Adds the clients of one file or response that `instance` lists, and returns how many it lists.
fn read(
    location: &SourceLocation,
    bytes: &[u8],
    instance: usize,
    builders: &mut FleetBuilders<'_>,
) -> Result<usize, Problems> {
    let file = location.as_file();
    let invalid = |problem: Problem| problem.in_file(&file);
    let text = config::decode(bytes).map_err(invalid)?;
    let yaml = match location {
        SourceLocation::File(path) => path.extension().is_none_or(|it| it != "json"),
        _ => false,
    };
    let document = if yaml {
        TargetDocument::yaml(text)
    } else {
        TargetDocument::json(text)
    };
    let reader = TargetReader {
        file: &file,
        document: &document.map_err(invalid)?,
        builders,
        instance,
        report: Report::default(),
    };
    reader.read()
}
