//! The devices by status: of all instances, of each instance, of each group.

use crate::presence::{InstanceSnapshot, StatusCounts, SweepResult};
use crate::web::page::format::number;

/// The number of groups shown for an instance; those with most offline devices come first.
const MAX_GROUPS: usize = 100;

/// One instance.
pub(super) struct InstanceSummary<'a> {
    pub(super) snapshot: &'a InstanceSnapshot,
    pub(super) counts: StatusCounts,
    /// Names and counts.
    pub(super) groups: Vec<(&'a str, &'a StatusCounts)>,
    pub(super) hidden_groups: usize,
}

impl<'a> InstanceSummary<'a> {
    pub(super) fn new(snapshot: &'a InstanceSnapshot) -> Self {
        let names = snapshot.fleet().groups().iter().map(|group| &*group.name);
        let mut groups: Vec<_> = names.zip(snapshot.groups()).collect();
        groups.sort_by_key(|(name, counts)| (std::cmp::Reverse(counts.offline), *name));
        let hidden_groups = groups.len().saturating_sub(MAX_GROUPS);
        groups.truncate(MAX_GROUPS);
        Self {
            snapshot,
            counts: sum(snapshot.groups()),
            groups,
            hidden_groups,
        }
    }

    /// Whether the API works, in a word that is also a class of the style sheet.
    pub(super) fn api(&self) -> &'static str {
        match self.snapshot.stats().api_up {
            Some(true) => "up",
            Some(false) => "down",
            None => "unknown",
        }
    }

    /// The number of sweeps by result.
    pub(super) fn sweeps(&self) -> String {
        let stats = self.snapshot.stats();
        SweepResult::ALL
            .map(|result| format!("{} {}", number(stats.sweeps_ended(result)), result.as_str()))
            .join(", ")
    }
}

/// The number of clients by status in all groups.
pub(super) fn sum<'a>(counts: impl IntoIterator<Item = &'a StatusCounts>) -> StatusCounts {
    let mut sum = StatusCounts::default();
    for counts in counts {
        sum.online += counts.online;
        sum.offline += counts.offline;
        sum.unknown += counts.unknown;
    }
    sum
}
