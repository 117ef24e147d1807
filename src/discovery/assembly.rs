//! What all sources said, made into fleets.

use std::path::Path;
use std::sync::Arc;

use super::listing::{Listing, Rosters};
use super::look::{Failure, Look};
use super::source::CONFIG;
use super::{Discovered, Place, Source, json, yaml};
use crate::config::{self, Config, Document, NodeCursor, Problem, Problems};
use crate::presence::{FleetError, MAX_GROUPS, Shard};

/// The fleets of everything of `shard` that was seen at a `look`, or the places whose texts make no sense.
pub(super) fn assemble(
    config: &Config,
    shard: Shard,
    look: &Look,
) -> Result<Discovered, Vec<(Place, Failure)>> {
    let mut rosters = Rosters::new(&config.instances, shard);
    let mut sources = Vec::new();
    let mut wrong = Vec::new();
    for (n, instance) in config.instances.iter().enumerate() {
        let problems = configured(&mut rosters, config, n);
        if !problems.is_empty() {
            wrong.push((
                Place::Config,
                Failure {
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
                place: Place::Config,
                clients,
            });
        }
    }
    for item in &look.items {
        let (name, place) = (&item.name, &item.place);
        let clients = look
            .texts
            .get(place)
            .map(|text| read(place, &text.bytes(), item.instance, &mut rosters));
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
                Failure {
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
    let fleets = rosters.finish(&mut warnings);
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
    let (texts, directories) = (look.texts.clone(), look.directories.clone());
    Ok(Discovered {
        fleets,
        sources,
        warnings,
        texts,
        directories,
    })
}

/// Adds the clients that stand in the configuration.
fn configured(rosters: &mut Rosters<'_>, config: &Config, n: usize) -> Problems {
    let mut problems = Problems::default();
    let roster = rosters.of(n);
    for (at, client) in config.instances[n].clients.iter().enumerate() {
        let labels = roster.with_instance_labels(&client.labels);
        match roster.add(&client.id, &labels) {
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
    place: &Place,
    bytes: &[u8],
    instance: usize,
    rosters: &mut Rosters<'_>,
) -> Result<usize, Problems> {
    let name: Arc<Path> = place.as_file();
    let unreadable = |wrong: config::DocumentError| {
        Problem::of_file(&name, wrong.message).at(wrong.position, "")
    };
    let text = config::decode(bytes).map_err(unreadable)?;
    let is_json = match place {
        Place::File(path) => path
            .extension()
            .is_some_and(|extension| extension == "json"),
        Place::Url(_) => true,
        Place::Config => false,
    };
    if is_json {
        let found = |mark| Some(config::Position::of_offset(text.as_bytes(), mark));
        let mut listing = Listing::new(&name, &found, rosters, instance);
        json::read(text, &mut listing).map_err(unreadable)?;
        listing.finish()
    } else {
        let document = Document::read(text).map_err(unreadable)?;
        let found = |mark| document.position(mark);
        let mut listing = Listing::new(&name, &found, rosters, instance);
        yaml::read(NodeCursor::root(&document.root), &mut listing);
        listing.finish()
    }
}
