//! The fleets while they are built, and the reader that adds the clients of one source.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use super::target_document::TargetDocument;
use crate::aliyun::client_id_irregularity;
use crate::config::{
    Instance, Keys, MapEntry, NodeCursor, Problem, Problems, Report, ScalarKind, UNUSUAL_ID_HINT,
    Value, WarningGroup, label_name_problem, quote,
};
use crate::presence::{ClientId, Fleet, FleetBuilder, FleetError, InstanceId, LabelName, Shard};

type Labels = Vec<(LabelName, String)>;

/// The label that names the instance of a target group.
const INSTANCE_ID: &str = "__instance_id__";

/// The fleets of all instances.
pub(super) struct FleetBuilders<'c> {
    all: Vec<InstanceBuilder<'c>>,
    by_id: HashMap<&'c str, usize>,
    /// Groups of instances that are not configured.
    unknown_instances: WarningGroup,
}

impl<'c> FleetBuilders<'c> {
    pub(super) fn new(instances: &'c [Instance], shard: Shard) -> Self {
        let builder = |instance: &'c Instance| InstanceBuilder {
            fleet: FleetBuilder::new(instance.id.clone()),
            shard,
            instance,
            unusual: WarningGroup::default(),
            conflicts: WarningGroup::default(),
        };
        let ids = instances.iter().enumerate();
        Self {
            all: instances.iter().map(builder).collect(),
            by_id: ids.map(|(n, it)| (it.id.as_str(), n)).collect(),
            unknown_instances: WarningGroup::default(),
        }
    }

    /// The index of a configured instance.
    pub(super) fn index_of(&self, instance: &InstanceId) -> usize {
        self.by_id[instance.as_str()]
    }

    /// Adds the clients that the configuration lists for instance `n`, and returns their number.
    pub(super) fn add_configured(&mut self, n: usize) -> Result<usize, Problems> {
        let mut problems = Problems::default();
        let builder = &mut self.all[n];
        let clients = &builder.instance.clients;
        for (at, client) in clients.iter().enumerate() {
            let labels = builder.with_instance_labels(&client.labels);
            match builder.add(client.id.as_str(), &labels) {
                // The configuration lists each client once.
                Ok(()) | Err(FleetError::Duplicate { .. }) => {}
                Err(error) => {
                    let path = format!("instances[{n}].clients[{at}]");
                    problems.push(Problem::of_key(path, error.to_string()));
                }
            }
        }
        if problems.is_empty() {
            Ok(clients.len())
        } else {
            Err(problems)
        }
    }

    /// The fleets, in the order of the configuration; adds the warnings about all sources.
    pub(super) fn finish(self, warnings: &mut Vec<Problem>) -> Vec<Fleet> {
        let mut warn = |group: WarningGroup, remedy| warnings.extend(group.warning(remedy));
        let mut fleets = Vec::with_capacity(self.all.len());
        for builder in self.all {
            warn(builder.unusual, UNUSUAL_ID_HINT);
            warn(builder.conflicts, "the labels listed first count");
            fleets.push(builder.fleet.build());
        }
        warn(self.unknown_instances, "its clients are left out");
        fleets
    }
}

/// The fleet of one instance.
struct InstanceBuilder<'c> {
    fleet: FleetBuilder,
    shard: Shard,
    instance: &'c Instance,
    unusual: WarningGroup,
    conflicts: WarningGroup,
}

impl InstanceBuilder<'_> {
    /// The labels `own` of a client and the other labels of the instance, sorted, so that equal
    /// sets are equal.
    fn with_instance_labels(&self, own: &Labels) -> Labels {
        let inherited = self.instance.labels.iter();
        let inherited = inherited.filter(|(name, _)| own.iter().all(|(other, _)| other != name));
        let mut labels: Labels = own.iter().chain(inherited).cloned().collect();
        labels.sort();
        labels
    }

    /// Adds a client, if it belongs to this shard.
    fn add(&mut self, client: &str, labels: &Labels) -> Result<(), FleetError> {
        if !self.shard.owns(client) {
            return Ok(());
        }
        let labels = labels.iter().map(|(name, value)| (name, value.as_str()));
        self.fleet.push(client, labels)
    }
}

/// Adds the target groups of one source to the fleets.
pub(super) struct TargetReader<'r, 'c> {
    pub(super) file: &'r Arc<Path>,
    pub(super) document: &'r TargetDocument<'r>,
    pub(super) builders: &'r mut FleetBuilders<'c>,
    /// The instance that lists the source.
    pub(super) instance: usize,
}

impl TargetReader<'_, '_> {
    /// Adds all clients of the source and returns how many it lists, or what is wrong with it.
    pub(super) fn read(mut self) -> Result<usize, Problems> {
        let report = Report::default();
        let root = NodeCursor::root(self.document.root(), &report);
        let groups = root.items().into_iter().flatten();
        let clients = groups.filter_map(|group| self.add_group(&group)).sum();
        let position = |mark| self.document.position(mark);
        let (problems, _) = report.locate(self.file, position);
        if problems.is_empty() {
            Ok(clients)
        } else {
            Err(problems)
        }
    }

    /// Adds a group and returns the number of its clients.
    fn add_group(&mut self, group: &NodeCursor<'_>) -> Option<usize> {
        let keys = Keys::of(group)?;
        let targets = keys.required("targets", "list client IDs in it", |at| Some(*at));
        let labels = keys.get("labels");
        let targets = targets?;
        let (mut own, mut instance) = (Labels::new(), Some(self.instance));
        let labels = labels.as_ref().and_then(NodeCursor::entries);
        for MapEntry { name, key, value } in labels.into_iter().flatten() {
            let Some(value) = self.text(&value) else {
                continue;
            };
            // Other names that begin with `__` are dropped, as Prometheus does after relabelling.
            if name == INSTANCE_ID {
                instance = self.builders.by_id.get(value).copied();
                if instance.is_none() {
                    let id = quote(value);
                    let message = format!("belongs to the instance {id}, which is not configured");
                    let finding = || self.document.problem(self.file, group, message);
                    self.builders.unknown_instances.add(finding);
                }
            } else if !name.starts_with("__") {
                let name = key.accept(LabelName::new(name).map_err(label_name_problem));
                own.extend(name.map(|name| (name, value.to_owned())));
            }
        }
        if let Some(n) = instance {
            own = self.builders.all[n].with_instance_labels(&own);
        }
        let mut clients = 0;
        for target in targets.items().into_iter().flatten() {
            let Some(client) = self.text(&target) else {
                continue;
            };
            if let Err(error) = ClientId::validate(client) {
                target.problem(error.to_string());
                continue;
            }
            clients += 1;
            if let Some(n) = instance {
                self.add_client(n, client, &own, &target);
            }
        }
        Some(clients)
    }

    /// A text. In YAML this is every scalar as it is written; in JSON it has quotes.
    fn text<'a>(&self, at: &NodeCursor<'a>) -> Option<&'a str> {
        match (self.document, at.value()) {
            (TargetDocument::Json { .. }, Value::Scalar(kind, _)) if *kind != ScalarKind::Text => {
                let found = at.value().name();
                let message = format!("expected a text in double quotes, found {found}");
                at.accept(Err(message))
            }
            _ => at.scalar(),
        }
    }

    fn add_client(&mut self, instance: usize, client: &str, labels: &Labels, at: &NodeCursor<'_>) {
        let builder = &mut self.builders.all[instance];
        let warning = |why: &str| {
            let message = format!("{} {why}", quote(client));
            self.document.problem(self.file, at, message)
        };
        match builder.add(client, labels) {
            Ok(()) => {
                if let Some(why) = client_id_irregularity(client) {
                    builder.unusual.add(|| warning(why));
                }
            }
            Err(FleetError::Duplicate { same_labels: true }) => {}
            Err(FleetError::Duplicate { same_labels: false }) => {
                let why = "is listed again with other labels";
                builder.conflicts.add(|| warning(why));
            }
            Err(error @ FleetError::TooLong) => at.problem(error.to_string()),
        }
    }
}
