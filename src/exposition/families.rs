//! The families that are rendered from a snapshot, and their samples.

use std::time::Duration;

use super::samples::{Opening, SampleWriter};
use crate::clock::WallOffset;
use crate::presence::{InstanceSnapshot, InstanceStats, Status, StatusCounts, SweepResult, escape};
use crate::telemetry::Metric;
use crate::telemetry::table::STATE;

/// One family.
pub(super) struct Family {
    pub(super) opening: Opening,
    samples: Samples,
}

/// What has a sample in a family, and the values.
enum Samples {
    /// Each client.
    ClientInfo,
    /// Each client with a known status, as do the next two.
    ClientOnline,
    LastObservation,
    StatusSince,
    /// Each status of each group.
    Statuses,
    /// Each group.
    Groups(fn(&StatusCounts) -> u64),
    /// Each result of a sweep.
    Sweeps,
    /// Each instance with a sweep that ended.
    SweepEnd,
    /// Each instance with a value.
    Instances(fn(&InstanceStats) -> Option<f64>),
}

const fn family(metric: &'static Metric, samples: Samples) -> Family {
    let opening = Opening::new(metric);
    Family { opening, samples }
}

/// All families, in the order in which they are written.
pub(super) static FAMILIES: [Family; 14] = [
    family(&STATE.client_info, Samples::ClientInfo),
    family(&STATE.client_online, Samples::ClientOnline),
    family(
        &STATE.client_last_observation_timestamp_seconds,
        Samples::LastObservation,
    ),
    family(
        &STATE.client_status_since_timestamp_seconds,
        Samples::StatusSince,
    ),
    family(&STATE.clients, Samples::Statuses),
    family(
        &STATE.connects_total,
        Samples::Groups(|counts| counts.connects),
    ),
    family(
        &STATE.disconnects_total,
        Samples::Groups(|counts| counts.disconnects),
    ),
    family(
        &STATE.api_up,
        Samples::Instances(|stats| Some(u8::from(stats.api_up?).into())),
    ),
    family(&STATE.sweeps_total, Samples::Sweeps),
    family(
        &STATE.sweep_duration_seconds,
        Samples::Instances(|stats| Some(seconds(stats.last_sweep?.duration))),
    ),
    family(&STATE.sweep_last_end_timestamp_seconds, Samples::SweepEnd),
    family(
        &STATE.sweep_coverage_ratio,
        Samples::Instances(|stats| Some(stats.last_sweep?.coverage)),
    ),
    family(
        &STATE.stale_after_seconds,
        Samples::Instances(|stats| Some(seconds(stats.stale_after))),
    ),
    family(
        &STATE.clock_offset_seconds,
        Samples::Instances(|stats| Some(stats.clock_offset_millis as f64 / 1000.0)),
    ),
];

impl Family {
    /// Whether each client has a series in it.
    pub(super) fn is_per_client(&self) -> bool {
        self.opening.metric.labels.contains(&"client_id")
    }

    /// Writes the samples of `instance` from its item `from` on, until `out` is full. Returns the
    /// next item, or `None` at the end of the instance.
    pub(super) fn write(
        &self,
        instance: &InstanceSnapshot,
        offset: WallOffset,
        from: usize,
        out: &mut SampleWriter<'_>,
    ) -> Option<usize> {
        let items = match self.samples {
            Samples::Sweeps | Samples::SweepEnd | Samples::Instances(_) => 1,
            Samples::Statuses | Samples::Groups(_) => instance.groups().len(),
            _ => instance.fleet().len(),
        };
        for item in from..items {
            if out.is_full() {
                return Some(item);
            }
            self.write_item(instance, offset, item, out);
        }
        None
    }

    /// Writes the samples of a client, a group or the instance; `None` if it has none.
    fn write_item(
        &self,
        instance: &InstanceSnapshot,
        offset: WallOffset,
        item: usize,
        out: &mut SampleWriter<'_>,
    ) -> Option<()> {
        let (fleet, stats) = (instance.fleet(), instance.stats());
        let id = || format!("instance_id=\"{}\"", escape(instance.id().as_str()));
        match self.samples {
            Samples::ClientInfo => out.client_flag(fleet.label_text(item), true),
            Samples::ClientOnline => {
                let (seen, _) = instance.client(item)?;
                out.client_flag(fleet.label_text(item), seen.online);
            }
            Samples::LastObservation => {
                let (seen, _) = instance.client(item)?;
                out.client_time(fleet.ids_text(item), offset.wall(seen.at));
            }
            Samples::StatusSince => {
                let (_, since) = instance.client(item)?;
                out.client_time(fleet.ids_text(item), offset.wall(since));
            }
            Samples::Statuses => {
                let labels = &fleet.groups()[item].label_text;
                for status in Status::ALL {
                    let labels = format_args!("{labels},status=\"{}\"", status.as_str());
                    out.sample(labels, instance.groups()[item].of(status));
                }
            }
            Samples::Groups(value) => {
                let labels = &fleet.groups()[item].label_text;
                out.sample(labels, value(&instance.groups()[item]));
            }
            Samples::Sweeps => {
                for (result, times) in SweepResult::ALL.into_iter().zip(stats.sweeps) {
                    let labels = format!("{},result=\"{}\"", id(), result.as_str());
                    out.sample(labels, times);
                }
            }
            Samples::SweepEnd => {
                let end = offset.wall(stats.last_sweep?.end);
                out.sample(id(), end.as_seconds());
            }
            Samples::Instances(value) => out.sample(id(), value(stats)?),
        }
        Some(())
    }
}

/// `Duration::as_secs_f64` adds two rounded numbers: it makes 7.8149999999999995 of 7.815.
fn seconds(duration: Duration) -> f64 {
    duration.as_nanos() as f64 / 1e9
}
