//! What all sources said, made into fleets.

use std::path::Path;
use std::sync::Arc;

use super::snapshot::{SourceFailure, SourceTexts};
use super::source::CONFIG;
use super::target_reader::{FleetBuilders, TargetReader};
use super::{Discovered, Source, SourceLocation, json, yaml};
use crate::config::{self, Config, Document, NodeCursor, Problem, Problems};
use crate::net::WatchedFiles;
use crate::presence::{FleetError, MAX_GROUPS, Shard};

/// The fleets of everything of `shard` that was seen at a `look`, or the places whose texts make no sense.
pub(super) fn assemble(
    config: &Config,
    shard: Shard,
    look: &SourceTexts,
) -> Result<Discovered, Vec<(SourceLocation, SourceFailure)>> {
    let mut builders = FleetBuilders::new(&config.instances, shard);
    let mut sources = Vec::new();
    let mut wrong = Vec::new();
    for (n, instance) in config.instances.iter().enumerate() {
        let problems = configured(&mut builders, config, n);
        if !problems.is_empty() {
            wrong.push((
                SourceLocation::Config,
                SourceFailure {
                    name: CONFIG.into(),
                    problems,
                },
            ));
        }
        if !instance.clients.is_empty() {
            let clients = Some(instance.clients.len());
            sources.push(Source {
                instance: instance.id.clone(),
                name: CONFIG.into(),
                place: SourceLocation::Config,
                clients,
            });
        }
    }
    for item in &look.items {
        let (name, place) = (&item.name, &item.place);
        let clients = look
            .texts
            .get(place)
            .map(|text| read(place, &text.bytes(), item.instance, &mut builders));
        match clients.transpose() {
            Ok(clients) => {
                let instance = config.instances[item.instance].id.clone();
                sources.push(Source {
                    instance,
                    name: Arc::clone(name),
                    place: place.clone(),
                    clients,
                });
            }
            // Where several instances list it, once.
            Err(_) if wrong.iter().any(|(other, _)| other == place) => {}
            Err(problems) => wrong.push((
                place.clone(),
                SourceFailure {
                    name: Arc::clone(name),
                    problems,
                },
            )),
        }
    }
    if !wrong.is_empty() {
        return Err(wrong);
    }
    let mut warnings = look.warnings.clone();
    let fleets = builders.finish(&mut warnings);
    for (n, fleet) in fleets
        .iter()
        .enumerate()
        .filter(|(_, fleet)| fleet.folded_groups() > 0)
    {
        let message = format!(
            "the clients are of more than {MAX_GROUPS} groups; the rest, {} groups, counts to the group with the empty name",
            fleet.folded_groups(),
        );
        warnings.push(Problem::of_key(format!("instances[{n}]"), message));
    }
    Ok(Discovered {
        fleets,
        sources,
        warnings,
        texts: look.texts.clone(),
        files: WatchedFiles::default(),
    })
}

/// Adds the clients that stand in the configuration.
fn configured(builders: &mut FleetBuilders<'_>, config: &Config, n: usize) -> Problems {
    let mut problems = Problems::default();
    let builder = builders.of(n);
    for (at, client) in config.instances[n].clients.iter().enumerate() {
        let labels = builder.with_instance_labels(&client.labels);
        match builder.add(&client.id, &labels) {
            // The configuration has each client once.
            Ok(()) | Err(FleetError::Duplicate { .. }) => {}
            Err(error) => problems.push(Problem::of_key(
                format!("instances[{n}].clients[{at}]"),
                error.to_string(),
            )),
        }
    }
    problems
}

/// Adds the clients of one text, which `place` lists for an instance; says how many it lists.
fn read(
    place: &SourceLocation,
    bytes: &[u8],
    instance: usize,
    builders: &mut FleetBuilders<'_>,
) -> Result<usize, Problems> {
    let name: Arc<Path> = place.as_file();
    let unreadable = |wrong: config::DocumentError| {
        Problem::of_file(&name, wrong.message).at(wrong.position, "")
    };
    let text = config::decode(bytes).map_err(unreadable)?;
    let is_json = match place {
        SourceLocation::File(path) => path
            .extension()
            .is_some_and(|extension| extension == "json"),
        SourceLocation::Url(_) => true,
        SourceLocation::Config => false,
    };
    if is_json {
        let found = |mark| Some(config::Position::of_offset(text.as_bytes(), mark));
        let mut reader = TargetReader::new(&name, &found, builders, instance);
        json::read(text, &mut reader).map_err(unreadable)?;
        reader.finish()
    } else {
        let document = Document::read(text).map_err(unreadable)?;
        let found = |mark| document.position(mark);
        let mut reader = TargetReader::new(&name, &found, builders, instance);
        yaml::read(NodeCursor::root(&document.root), &mut reader);
        reader.finish()
    }
}
