//! One look at all sources.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use super::{Discovered, SourceCache, SourceLocation, build_fleets, files, within_bounds};
use crate::config::{self, Config, Problem, Problems};
use crate::presence::Shard;

/// A place that lists clients of an instance, before it is known what it lists.
#[derive(Clone, Debug)]
pub(super) struct Item {
    /// Which instance, in the order of the configuration.
    pub(super) instance: usize,
    pub(super) name: Arc<str>,
    pub(super) place: SourceLocation,
}

/// A source that could not be read or not be understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFailure {
    /// What metrics call the source.
    pub name: Arc<str>,
    /// What is wrong with it.
    pub problems: Problems,
}

/// What all sources say.
#[derive(Debug, Default)]
pub(super) struct SourceTexts {
    /// All places, those whose labels count first in front.
    pub(super) items: Vec<Item>,
    /// What is said there; a place that is not among them says nothing.
    pub(super) texts: SourceCache,
    pub(super) failures: Vec<SourceFailure>,
    pub(super) warnings: Vec<Problem>,
}

impl SourceTexts {
    /// Reads the client files. For a file that cannot be read, and for URLs, what they said
    /// `before` stands.
    pub(super) fn at_files(config: &Config, before: &SourceCache) -> Self {
        let mut look = Self::default();
        for (n, instance) in config.instances.iter().enumerate() {
            let mut seen = BTreeSet::new();
            for (at, pattern) in instance.client_files.iter().enumerate() {
                let name: Arc<str> = pattern.as_str().into();
                for path in look.files(&name, &format!("instances[{n}].client_files[{at}]"), before)
                {
                    if seen.insert(path.clone()) {
                        let place = SourceLocation::File(path);
                        look.read(&name, &place, before);
                        look.items.push(Item {
                            instance: n,
                            name: Arc::clone(&name),
                            place,
                        });
                    }
                }
            }
            for url in &instance.client_urls {
                let place = SourceLocation::Url(url.url.clone());
                if let Some(text) = before.get(&place) {
                    look.texts.put(place.clone(), Arc::clone(text));
                }
                look.items.push(Item {
                    instance: n,
                    name: url.url.to_string().into(),
                    place,
                });
            }
        }
        look
    }

    /// The files that a pattern leads to. Those that could not be looked for are as `before`.
    fn files(&mut self, pattern: &Arc<str>, key: &str, before: &SourceCache) -> Vec<PathBuf> {
        let files::Matched {
            mut files,
            problems,
        } = files::matched(pattern);
        let known = before.places().filter_map(|place| match place {
            SourceLocation::File(path)
                if files::leads_to(pattern, path) && !files.contains(path) =>
            {
                Some(path.clone())
            }
            _ => None,
        });
        let known: Vec<_> = known.collect();
        let gone = files.is_empty() && files::is_literal(pattern);
        if !problems.is_empty() || gone {
            // Reading what is not there says so.
            files.extend(known);
        }
        if files.is_empty() && problems.is_empty() {
            self.warnings.push(Problem::of_key(
                key,
                format!("no file matches `{pattern}`; check the path"),
            ));
        }
        if !problems.is_empty() {
            self.failures.push(SourceFailure {
                name: Arc::clone(pattern),
                problems,
            });
        }
        files
    }

    /// Reads one file, unless another instance has had it read.
    fn read(&mut self, name: &Arc<str>, place: &SourceLocation, before: &SourceCache) {
        let SourceLocation::File(path) = place else {
            return;
        };
        if self.texts.get(place).is_some() {
            return;
        }
        match config::read(path) {
            Ok(bytes) => self.texts.put(place.clone(), before.text(place, &bytes)),
            Err(message) => {
                let problems = Problem::of_file(&place.as_file(), message).into();
                self.failures.push(SourceFailure {
                    name: Arc::clone(name),
                    problems,
                });
                self.fall_back(place, before);
            }
        }
    }

    /// Lets `place` say what it said `before`; nothing, where that is no help.
    fn fall_back(&mut self, place: &SourceLocation, before: &SourceCache) {
        let other = before
            .get(place)
            .filter(|text| self.texts.get(place) != Some(*text));
        match other.cloned() {
            Some(text) => self.texts.put(place.clone(), text),
            None => self.texts.remove(place),
        }
    }

    /// The names of sources that say something else than `before`.
    fn changed(&self, before: &SourceCache) -> BTreeSet<Arc<str>> {
        let changed = self
            .items
            .iter()
            .filter(|item| self.texts.get(&item.place) != before.get(&item.place));
        changed.map(|item| Arc::clone(&item.name)).collect()
    }
}

/// What a look at all sources came to.
#[derive(Debug)]
pub struct Refreshed {
    /// All clients there are now; `None` where no source says anything new.
    pub discovered: Option<Discovered>,
    /// What could not be used. Each of these still says what it said before.
    pub failures: Vec<SourceFailure>,
    /// The names of the sources that were looked at and are in order.
    pub good: BTreeSet<Arc<str>>,
    /// The names of those that say something new.
    pub changed: BTreeSet<Arc<str>>,
}

pub(super) fn refresh(
    config: &Config,
    shard: Shard,
    before: &SourceCache,
    answer: Option<(&SourceLocation, &[u8])>,
) -> Refreshed {
    if let Some((place, bytes)) = answer
        && before
            .get(place)
            .is_some_and(|text| *text == before.text(place, bytes))
    {
        let good = BTreeSet::from([place.to_string().into()]);
        return Refreshed {
            discovered: None,
            failures: Vec::new(),
            good,
            changed: BTreeSet::new(),
        };
    }
    let mut look = SourceTexts::at_files(config, before);
    if let Some((place, bytes)) = answer {
        look.texts.put(place.clone(), before.text(place, bytes));
    }
    let patterns = config
        .instances
        .iter()
        .flat_map(|instance| &instance.client_files);
    let mut good: BTreeSet<Arc<str>> = patterns.map(|pattern| pattern.as_str().into()).collect();
    let answered = look
        .items
        .iter()
        .filter(|item| answer.is_some_and(|(place, _)| item.place == *place));
    good.extend(answered.map(|item| Arc::clone(&item.name)));
    let changed = look.changed(before);
    let mut failures = std::mem::take(&mut look.failures);
    let discovered = assemble_what_is_good(config, shard, before, look, &mut failures);
    good.retain(|name| failures.iter().all(|failure| failure.name != *name));
    Refreshed {
        discovered,
        failures,
        good,
        changed,
    }
}

/// Builds the fleets; of places that cannot be understood, with what they said before.
fn assemble_what_is_good(
    config: &Config,
    shard: Shard,
    before: &SourceCache,
    mut look: SourceTexts,
    failures: &mut Vec<SourceFailure>,
) -> Option<Discovered> {
    loop {
        if look.texts == *before {
            return None;
        }
        match build_fleets::assemble(config, shard, &look) {
            Ok(discovered) => {
                let refused = |problems: Problems| {
                    // A place that is gone has no name any more, and is not to blame.
                    let blamed = look.changed(before).into_iter();
                    failures.extend(blamed.map(|name| SourceFailure {
                        name,
                        problems: problems.clone(),
                    }));
                };
                return within_bounds(config, discovered).map_err(refused).ok();
            }
            Err(wrong) => {
                for (place, failure) in wrong {
                    look.fall_back(&place, before);
                    failures.push(failure);
                }
            }
        }
    }
}
