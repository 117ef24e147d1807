//! How many devices have which status: of all, of each instance, of each group.

use super::format::{When, number, percent, rate, span};
use crate::presence::{InstanceSnapshot, Snapshot, Status, StatusCounts, SweepResult};

/// How many groups of an instance are shown; those with most offline devices come first.
const GROUPS: usize = 100;

/// The devices of one status among all.
pub(super) struct StatusTotal {
    pub(super) status: &'static str,
    pub(super) count: String,
    pub(super) share: String,
}

/// How many devices have which status.
pub(super) struct StatusCells {
    pub(super) online: String,
    pub(super) offline: String,
    pub(super) unknown: String,
    /// For the bar: how many of `all` are online.
    pub(super) part: u64,
    pub(super) all: u64,
    pub(super) share: String,
}

/// One instance.
pub(super) struct InstanceSummary<'a> {
    pub(super) id: &'a str,
    pub(super) counts: StatusCells,
    pub(super) groups: Vec<GroupSummary<'a>>,
    /// How many groups are not shown.
    pub(super) left_out: usize,
    /// Whether the API works, in a word, which is a class of the style too.
    pub(super) api: &'static str,
    pub(super) sweep: Option<LastSweep>,
    pub(super) sweeps: String,
    pub(super) stale_after: String,
    pub(super) error: Option<(When, &'a str)>,
}

/// One group of devices.
pub(super) struct GroupSummary<'a> {
    pub(super) name: &'a str,
    pub(super) counts: StatusCells,
}

/// The sweep that ended last.
pub(super) struct LastSweep {
    pub(super) end: When,
    pub(super) took: String,
    pub(super) coverage: String,
}

pub(super) fn totals(frozen: &Snapshot) -> Vec<StatusTotal> {
    let all = frozen
        .instances
        .iter()
        .flat_map(InstanceSnapshot::groups)
        .fold(StatusCounts::default(), add);
    let whole = size(&all);
    let total = |status: Status| StatusTotal {
        status: status.as_str(),
        count: number(all.of(status)),
        share: percent(all.of(status), whole),
    };
    Status::ALL.map(total).into()
}

pub(super) fn instances(frozen: &Snapshot) -> Vec<InstanceSummary<'_>> {
    frozen
        .instances
        .iter()
        .map(|instance| InstanceSummary::new(instance, frozen))
        .collect()
}

impl<'a> InstanceSummary<'a> {
    fn new(instance: &'a InstanceSnapshot, frozen: &Snapshot) -> Self {
        let mut groups: Vec<_> = instance
            .fleet()
            .groups()
            .iter()
            .zip(instance.groups())
            .collect();
        let left_out = groups.len().saturating_sub(GROUPS);
        groups.sort_by(|(a, of_a), (b, of_b)| {
            of_b.offline
                .cmp(&of_a.offline)
                .then_with(|| a.name.cmp(&b.name))
        });
        groups.truncate(GROUPS);
        let facts = instance.stats();
        let sweeps = SweepResult::ALL
            .map(|result| format!("{} {}", number(facts.sweeps_ended(result)), result.as_str()));
        Self {
            id: instance.id().as_str(),
            counts: StatusCells::new(&instance.groups().iter().fold(StatusCounts::default(), add)),
            groups: groups
                .iter()
                .map(|(group, of)| GroupSummary {
                    name: &group.name,
                    counts: StatusCells::new(of),
                })
                .collect(),
            left_out,
            api: match facts.api_up {
                Some(true) => "up",
                Some(false) => "down",
                None => "not asked",
            },
            sweep: facts.last_sweep.map(|sweep| LastSweep {
                end: When::new(sweep.end, frozen.at),
                took: format!("{} s", rate(sweep.duration.as_secs_f64())),
                coverage: format!("{} %", rate((sweep.coverage * 1000.0).floor() / 10.0)),
            }),
            sweeps: sweeps.join(", "),
            stale_after: span(facts.stale_after),
            error: facts
                .last_error
                .as_deref()
                .map(|error| (When::new(error.at, frozen.at), &*error.text)),
        }
    }
}

impl StatusCells {
    fn new(counts: &StatusCounts) -> Self {
        let all = size(counts);
        Self {
            online: number(counts.online),
            offline: number(counts.offline),
            unknown: number(counts.unknown),
            part: counts.online,
            all,
            share: percent(counts.online, all),
        }
    }
}

fn size(counts: &StatusCounts) -> u64 {
    Status::ALL
        .into_iter()
        .map(|status| counts.of(status))
        .sum()
}

fn add(mut sum: StatusCounts, counts: &StatusCounts) -> StatusCounts {
    sum.online += counts.online;
    sum.offline += counts.offline;
    sum.unknown += counts.unknown;
    sum
}
