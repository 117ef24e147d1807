//! Client files in YAML.

use super::listing::{GroupLabels, Listing};
use crate::config::{MapEntry, NodeCursor};

/// Reads the groups of clients that stand at `root`.
pub(super) fn read(root: NodeCursor<'_>, listing: &mut Listing<'_, '_>) {
    for group in root.items(&mut listing.report) {
        let Some([targets, labels_at]) = group.fields(["targets", "labels"], &mut listing.report)
        else {
            continue;
        };
        let labels = labels_at.map(|at| labels(&at, listing)).unwrap_or_default();
        listing.group(&labels, group.mark(), group);
        let Some(targets) = targets else {
            group.problem(
                &mut listing.report,
                "`targets` is missing; list client IDs in it",
            );
            continue;
        };
        for target in targets.items(&mut listing.report) {
            if let Some(id) = target.scalar(&mut listing.report) {
                listing.client(id, target.mark(), target);
            }
        }
    }
}

fn labels(at: &NodeCursor<'_>, listing: &mut Listing<'_, '_>) -> GroupLabels {
    let mut labels = GroupLabels::default();
    for MapEntry { name, key, value } in at.entries(&mut listing.report).unwrap_or_default() {
        if let Some(value) = value.scalar(&mut listing.report) {
            listing.label(&mut labels, name, value, key.mark(), key);
        }
    }
    labels
}
