//! The clients of all instances while they are gathered, and what is read from one text meanwhile.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use super::UNUSUAL_ID_HINT;
use crate::config::{
    Instance, Position, Problem, Problems, Report, WarningGroup, label_name_problem, quote,
};
use crate::presence::{ClientId, Fleet, FleetBuilder, FleetError, LabelName, Shard};

/// Labels with their values.
pub(super) type Labels = Vec<(LabelName, String)>;

/// The label by which a source names the instance that its clients belong to.
const INSTANCE_ID: &str = "__instance_id__";

/// The labels of a group of clients.
#[derive(Default)]
pub(super) struct GroupLabels {
    labels: Labels,
    /// The instance that they belong to, if it is not the one that lists the source.
    instance: Option<String>,
}

/// The clients of all instances.
pub(super) struct FleetBuilders<'c> {
    all: Vec<InstanceBuilder<'c>>,
    by_id: HashMap<&'c str, usize>,
    /// Groups that belong to an instance that is not configured.
    foreign: WarningGroup<Problem>,
}

impl<'c> FleetBuilders<'c> {
    pub(super) fn new(instances: &'c [Instance], shard: Shard) -> Self {
        Self {
            all: instances
                .iter()
                .map(|instance| InstanceBuilder::new(instance, shard))
                .collect(),
            by_id: instances
                .iter()
                .enumerate()
                .map(|(n, instance)| (instance.id.as_str(), n))
                .collect(),
            foreign: WarningGroup::default(),
        }
    }

    /// The clients of the instance number `n`.
    pub(super) fn of(&mut self, n: usize) -> &mut InstanceBuilder<'c> {
        &mut self.all[n]
    }

    /// The fleets, in the order of the configuration, and the warnings that are about all of them.
    pub(super) fn finish(self, warnings: &mut Vec<Problem>) -> Vec<Fleet> {
        let fleets = self
            .all
            .into_iter()
            .map(|builder| builder.finish(warnings))
            .collect();
        let foreign = self.foreign.warning("its clients are left out");
        warnings.extend(foreign.map(|(place, message)| place.with_message(message)));
        fleets
    }
}

/// The clients of one instance.
pub(super) struct InstanceBuilder<'c> {
    fleet: FleetBuilder,
    shard: Shard,
    instance_labels: &'c Labels,
    unusual: WarningGroup<Problem>,
    conflicts: WarningGroup<Problem>,
}

impl<'c> InstanceBuilder<'c> {
    fn new(instance: &'c Instance, shard: Shard) -> Self {
        Self {
            fleet: FleetBuilder::new(instance.id.clone()),
            shard,
            instance_labels: &instance.labels,
            unusual: WarningGroup::default(),
            conflicts: WarningGroup::default(),
        }
    }

    /// The labels `own` of a client and, where it has none of the name, those of the instance;
    /// sorted, so that equal sets are equal.
    pub(super) fn with_instance_labels(&self, own: &Labels) -> Labels {
        let inherited = self
            .instance_labels
            .iter()
            .filter(|(name, _)| own.iter().all(|(other, _)| other != name));
        let mut labels: Labels = own.iter().chain(inherited).cloned().collect();
        labels.sort();
        labels
    }

    /// Adds a client, if it is of this shard and not there yet.
    pub(super) fn add(&mut self, client: &ClientId, labels: &Labels) -> Result<(), FleetError> {
        if !self.shard.owns(client.as_str()) {
            return Ok(());
        }
        self.fleet.push(
            client.as_str(),
            labels.iter().map(|(name, value)| (name, value.as_str())),
        )
    }

    /// The fleet, and the warnings that are about all of it.
    fn finish(self, warnings: &mut Vec<Problem>) -> Fleet {
        let unusual = self.unusual.warning(UNUSUAL_ID_HINT);
        let conflicts = self.conflicts.warning("the labels listed first count");
        let about = |(place, message): (Problem, String)| place.with_message(message);
        warnings.extend([unusual, conflicts].into_iter().flatten().map(about));
        self.fleet.build()
    }
}

/// What is read from one text, whatever its format.
pub(super) struct TargetReader<'f, 'c> {
    /// What is wrong with the text.
    pub(super) report: Report,
    file: &'f Arc<Path>,
    place: &'f dyn Fn(usize) -> Option<Position>,
    builders: &'f mut FleetBuilders<'c>,
    /// The instance that lists the text.
    home: usize,
    /// The instance of the group, if it is configured.
    instance: Option<usize>,
    labels: Labels,
    clients: usize,
}

impl<'f, 'c> TargetReader<'f, 'c> {
    /// Nothing yet of `file`, in which `place` finds marks, and which the instance number `home` lists.
    pub(super) fn new(
        file: &'f Arc<Path>,
        place: &'f dyn Fn(usize) -> Option<Position>,
        builders: &'f mut FleetBuilders<'c>,
        home: usize,
    ) -> Self {
        let (report, labels) = (Report::default(), Labels::new());
        Self {
            report,
            file,
            place,
            builders,
            home,
            instance: Some(home),
            labels,
            clients: 0,
        }
    }

    /// Adds a label to those of a group. Names that begin with `__` are dropped, as Prometheus does
    /// after relabelling, but for the one that names an instance.
    pub(super) fn label(
        &mut self,
        group: &mut GroupLabels,
        name: &str,
        value: &str,
        mark: usize,
        path: impl fmt::Display,
    ) {
        if name == INSTANCE_ID {
            group.instance = Some(value.to_owned());
        } else if !name.starts_with("__") {
            match LabelName::new(name) {
                Ok(name) => group.labels.push((name, value.to_owned())),
                Err(error) => self.report.problem(mark, path, label_name_problem(error)),
            }
        }
    }

    /// A group begins, whose clients have these labels.
    pub(super) fn group(&mut self, group: &GroupLabels, mark: usize, path: impl fmt::Display) {
        self.instance = match &group.instance {
            None => Some(self.home),
            Some(id) => self.builders.by_id.get(&**id).copied(),
        };
        if let Some(n) = self.instance {
            self.labels = self.builders.all[n].with_instance_labels(&group.labels);
        } else {
            let id = quote(group.instance.as_deref().unwrap_or_default());
            let here = Problem::of_file(self.file, "").at((self.place)(mark), path.to_string());
            self.builders.foreign.add(|| {
                (
                    here,
                    format!("belongs to the instance {id}, which is not configured"),
                )
            });
        }
    }

    /// One client of the group.
    pub(super) fn client(&mut self, id: &str, mark: usize, path: impl fmt::Display) {
        let Ok(client) = ClientId::new(id) else {
            self.report
                .problem(mark, path, "is empty; write a client ID or remove it");
            return;
        };
        self.clients += 1;
        let Some(n) = self.instance else { return };
        let builder = &mut self.builders.all[n];
        let here = |text| {
            (
                Problem::of_file(self.file, "").at((self.place)(mark), path.to_string()),
                text,
            )
        };
        match builder.add(&client, &self.labels) {
            Ok(()) => {
                if let Some(why) = client.irregularity() {
                    builder.unusual.add(|| here(format!("{} {why}", quote(id))));
                }
            }
            Err(FleetError::Duplicate { same_labels: true }) => {}
            Err(FleetError::Duplicate { same_labels: false }) => {
                builder
                    .conflicts
                    .add(|| here(format!("{} is listed again with other labels", quote(id))));
            }
            Err(error @ FleetError::TooLong) => self.report.problem(mark, path, error.to_string()),
        }
    }

    /// How many clients the text lists, or what is wrong with it.
    pub(super) fn finish(self) -> Result<usize, Problems> {
        let (problems, _) = self.report.locate(self.file, self.place);
        if problems.is_empty() {
            Ok(self.clients)
        } else {
            Err(problems)
        }
    }
}
