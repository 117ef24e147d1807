//! Client files in YAML.

use super::target_reader::{GroupLabels, TargetReader};
use crate::config::{MapEntry, NodeCursor};

/// Reads the groups of clients that stand at `root`.
pub(super) fn read(root: NodeCursor<'_>, reader: &mut TargetReader<'_, '_>) {
    for group in root.items(&mut reader.report) {
        let Some([targets, labels_at]) = group.fields(["targets", "labels"], &mut reader.report)
        else {
            continue;
        };
        let labels = labels_at.map(|at| labels(&at, reader)).unwrap_or_default();
        reader.group(&labels, group.mark(), group);
        let Some(targets) = targets else {
            group.problem(
                &mut reader.report,
                "`targets` is missing; list client IDs in it",
            );
            continue;
        };
        for target in targets.items(&mut reader.report) {
            if let Some(id) = target.scalar(&mut reader.report) {
                reader.client(id, target.mark(), target);
            }
        }
    }
}

fn labels(at: &NodeCursor<'_>, reader: &mut TargetReader<'_, '_>) -> GroupLabels {
    let mut labels = GroupLabels::default();
    for MapEntry { name, key, value } in at.entries(&mut reader.report).unwrap_or_default() {
        if let Some(value) = value.scalar(&mut reader.report) {
            reader.label(&mut labels, name, value, key.mark(), key);
        }
    }
    labels
}
