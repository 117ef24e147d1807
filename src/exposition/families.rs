//! The families that are rendered from a snapshot, and their samples.

use std::time::Duration;

use super::samples::{Opening, SampleWriter};
use crate::presence::{
    InstanceSnapshot, InstanceStats, Observation, Run, Status, StatusCounts, SweepResult, escape,
};
use crate::telemetry::Metric;
use crate::telemetry::table::STATE;

/// One family.
pub(super) struct Family {
    metric: &'static Metric,
    opening: Opening,
    samples: Samples,
}

/// What the samples of a family stand for, and their values.
enum Samples {
    /// Each client.
    ClientInfo,
    /// Each client with a known status, as are the next two.
    ClientOnline,
    LastObservation,
    StatusSince,
    /// Each status of each group.
    Statuses,
    /// Each group.
    Groups(fn(&StatusCounts) -> u64),
    /// Each result of a sweep.
    Sweeps,
    /// Each instance with a value.
    Instances(fn(&InstanceStats) -> Option<f64>),
}

const fn family(metric: &'static Metric, samples: Samples) -> Family {
    Family {
        metric,
        opening: Opening::new(metric.name),
        samples,
    }
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
    family(
        &STATE.sweep_last_end_timestamp_seconds,
        Samples::Instances(|stats| Some(stats.last_sweep?.end.as_seconds())),
    ),
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
        use Samples::{ClientInfo, ClientOnline, LastObservation, StatusSince};
        matches!(
            self.samples,
            ClientInfo | ClientOnline | LastObservation | StatusSince
        )
    }

    /// Writes the samples of `instance` from its item `from` on to `buf`, until that has `full`
    /// bytes. The first sample writes the header, unless the family has `begun`. Returns the next
    /// item, or `None` at the end of the instance.
    pub(super) fn write(
        &'static self,
        instance: &InstanceSnapshot,
        from: usize,
        begun: &mut bool,
        buf: &mut Vec<u8>,
        full: usize,
    ) -> Option<usize> {
        let mut out = SampleWriter {
            metric: self.metric,
            opening: &self.opening,
            begun,
            buf,
            full,
        };
        let out = &mut out;
        let id = format!("instance_id=\"{}\"", escape(instance.id().as_str()));
        let fleet = instance.fleet();
        let labels = |group: usize| &fleet.groups()[group].label_text;
        match self.samples {
            Samples::ClientInfo => each(fleet.len(), from, out, |client, out| {
                out.client_flag(fleet.label_text(client), true);
            }),
            Samples::ClientOnline => observed(instance, from, out, |client, (seen, _), out| {
                out.client_flag(fleet.label_text(client), seen.online);
            }),
            Samples::LastObservation => observed(instance, from, out, |client, (seen, _), out| {
                out.client_time(fleet.ids_text(client), seen.at);
            }),
            Samples::StatusSince => observed(instance, from, out, |client, (_, run), out| {
                out.client_time(fleet.ids_text(client), run.since);
            }),
            Samples::Statuses => each(instance.groups().len(), from, out, |group, out| {
                for status in Status::ALL {
                    let labels = format_args!("{},status=\"{}\"", labels(group), status.as_str());
                    out.sample(labels, instance.groups()[group].of(status));
                }
            }),
            Samples::Groups(value) => each(instance.groups().len(), from, out, |group, out| {
                out.sample(labels(group), value(&instance.groups()[group]));
            }),
            Samples::Sweeps => each(1, from, out, |_, out| {
                for (result, times) in SweepResult::ALL.into_iter().zip(instance.stats().sweeps) {
                    out.sample(format_args!("{id},result=\"{}\"", result.as_str()), times);
                }
            }),
            Samples::Instances(value) => each(1, from, out, |_, out| {
                if let Some(value) = value(instance.stats()) {
                    out.sample(&id, value);
                }
            }),
        }
    }
}

/// `Duration::as_secs_f64` adds two rounded numbers: it makes 7.8149999999999995 of 7.815.
fn seconds(duration: Duration) -> f64 {
    duration.as_nanos() as f64 / 1e9
}

/// Writes the items from `from` to `count`, until `out` is full.
fn each(
    count: usize,
    from: usize,
    out: &mut SampleWriter<'_>,
    write: impl Fn(usize, &mut SampleWriter<'_>),
) -> Option<usize> {
    for item in from..count {
        if out.is_full() {
            return Some(item);
        }
        write(item, out);
    }
    None
}

/// Writes the clients with a known status, from `from` on, until `out` is full.
fn observed(
    instance: &InstanceSnapshot,
    from: usize,
    out: &mut SampleWriter<'_>,
    write: impl Fn(usize, (Observation, Run), &mut SampleWriter<'_>),
) -> Option<usize> {
    each(instance.fleet().len(), from, out, |client, out| {
        if let Some(seen) = instance.client(client) {
            write(client, seen, out);
        }
    })
}
