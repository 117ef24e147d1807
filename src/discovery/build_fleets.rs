//! The content of all sources to fleets.

use super::snapshot::SourceTexts;
use super::source::{Source, SourceLocation};
use super::source_cache::SourceCache;
use super::target_document::TargetDocument;
use super::target_reader::{FleetBuilders, TargetReader};
use crate::config::{self, Config, Problem, Problems};
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

/// Builds the fleets of `shard` from all sources, or records what is wrong with the invalid ones and
/// returns where they are.
pub(super) fn build_fleets(
    config: &Config,
    shard: Shard,
    snapshot: &mut SourceTexts,
) -> Result<Discovered, Vec<SourceLocation>> {
    let mut builders = FleetBuilders::new(&config.instances, shard);
    let (mut sources, mut invalid) = (snapshot.sources.clone(), Vec::new());
    for source in &mut sources {
        let location = &source.location;
        let instance = builders.index_of(&source.instance);
        let clients = match snapshot.texts.0.get(location) {
            _ if *location == SourceLocation::Config => builders.add_configured(instance).map(Some),
            Some(text) => read(location, &text.bytes(), instance, &mut builders).map(Some),
            None => Ok(None),
        };
        match clients {
            Ok(clients) => source.clients = clients,
            // A file that several instances list is reported once.
            Err(_) if *location != SourceLocation::Config && invalid.contains(location) => {}
            Err(problems) => {
                snapshot.fail(&source.name, problems);
                invalid.push(location.clone());
            }
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
    let json = Some("json".as_ref());
    let yaml = matches!(location, SourceLocation::File(path) if path.extension() != json);
    let document = config::decode(bytes).and_then(|text| TargetDocument::read(text, yaml));
    let reader = TargetReader {
        file: &file,
        document: &document.map_err(|problem| problem.in_file(&file))?,
        builders,
        instance,
    };
    reader.read()
}
