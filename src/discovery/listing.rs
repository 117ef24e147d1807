//! The clients of one instance while they are gathered, and what is read from one file meanwhile.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use super::UNUSUAL;
use crate::config::{Instance, Place, Problem, Problems, Report, Tally, label_name_problem, shown};
use crate::presence::{ClientId, Fleet, FleetBuilder, FleetError, LabelName};

/// Labels with their values.
pub(super) type Labels = Vec<(LabelName, String)>;

/// The clients of one instance.
pub(super) struct Roster<'c> {
    fleet: FleetBuilder,
    instance_labels: &'c Labels,
    unusual: Tally<Problem>,
    conflicts: Tally<Problem>,
}

impl<'c> Roster<'c> {
    pub(super) fn new(instance: &'c Instance) -> Self {
        Self {
            fleet: FleetBuilder::new(instance.id.clone()),
            instance_labels: &instance.labels,
            unusual: Tally::default(),
            conflicts: Tally::default(),
        }
    }

    /// The labels `own` of a client and, where it has none of the name, those of the instance;
    /// sorted, so that equal sets are equal.
    pub(super) fn with_instance_labels(&self, own: &Labels) -> Labels {
        let inherited = self.instance_labels.iter().filter(|(name, _)| own.iter().all(|(other, _)| other != name));
        let mut labels: Labels = own.iter().chain(inherited).cloned().collect();
        labels.sort();
        labels
    }

    /// Adds a client, if it is not there yet.
    pub(super) fn add(&mut self, client: &ClientId, labels: &Labels) -> Result<(), FleetError> {
        self.fleet.push(client.as_str(), labels.iter().map(|(name, value)| (name, value.as_str())))
    }

    /// The fleet, and the warnings that are about all of it.
    pub(super) fn finish(self, warnings: &mut Vec<Problem>) -> Fleet {
        let unusual = self.unusual.warning(UNUSUAL);
        let conflicts = self.conflicts.warning("the labels listed first count");
        let about = |(place, message): (Problem, String)| place.saying(message);
        warnings.extend([unusual, conflicts].into_iter().flatten().map(about));
        self.fleet.build()
    }
}

/// What is read from one file, whatever its format.
pub(super) struct Listing<'f, 'c> {
    /// What is wrong with the file.
    pub(super) report: Report,
    file: &'f Arc<Path>,
    place: &'f dyn Fn(usize) -> Option<Place>,
    roster: &'f mut Roster<'c>,
    labels: Labels,
    clients: usize,
}

impl<'f, 'c> Listing<'f, 'c> {
    /// Nothing yet of `file`, in which `place` finds marks.
    pub(super) fn new(
        file: &'f Arc<Path>,
        place: &'f dyn Fn(usize) -> Option<Place>,
        roster: &'f mut Roster<'c>,
    ) -> Self {
        Self { report: Report::default(), file, place, roster, labels: Labels::new(), clients: 0 }
    }

    /// One label of a group. Names that begin with `__` are dropped, as Prometheus does after
    /// relabelling.
    pub(super) fn label(
        &mut self,
        name: &str,
        value: &str,
        mark: usize,
        path: impl fmt::Display,
    ) -> Option<(LabelName, String)> {
        if name.starts_with("__") {
            return None;
        }
        match LabelName::new(name) {
            Ok(name) => Some((name, value.to_owned())),
            Err(error) => {
                self.report.problem(mark, path, label_name_problem(error));
                None
            }
        }
    }

    /// A group begins, whose clients have these labels.
    pub(super) fn group(&mut self, labels: &Labels) {
        self.labels = self.roster.with_instance_labels(labels);
    }

    /// One client of the group.
    pub(super) fn client(&mut self, id: &str, mark: usize, path: impl fmt::Display) {
        let Ok(client) = ClientId::new(id) else {
            self.report.problem(mark, path, "is empty; write a client ID or remove it");
            return;
        };
        self.clients += 1;
        let here = |text| (Problem::of_file(self.file, "").at((self.place)(mark), path.to_string()), text);
        match self.roster.add(&client, &self.labels) {
            Ok(()) => {
                if let Some(why) = client.irregularity() {
                    self.roster.unusual.add(|| here(format!("{} {why}", shown(id))));
                }
            }
            Err(FleetError::Duplicate { same_labels: true }) => {}
            Err(FleetError::Duplicate { same_labels: false }) => {
                self.roster.conflicts.add(|| here(format!("{} is listed again with other labels", shown(id))));
            }
            Err(error @ FleetError::TooLong) => self.report.problem(mark, path, error.to_string()),
        }
    }

    /// How many clients the file lists, or what is wrong with it.
    pub(super) fn finish(self) -> Result<usize, Problems> {
        let (problems, _) = self.report.locate(self.file, self.place);
        if problems.is_empty() { Ok(self.clients) } else { Err(problems) }
    }
}
