//! The families that are rendered from frozen state, and how their samples are written.

use std::time::Duration;

use super::samples::{Opening, SampleWriter};
use crate::presence::{InstanceSnapshot, InstanceStats, Status, StatusCounts, SweepResult, escape};
use crate::telemetry::Metric;
use crate::telemetry::table::STATE;

/// One family.
pub(super) struct Family {
    metric: &'static Metric,
    opening: Opening,
    samples: Samples,
}

/// What a family has a sample of, and where its value is.
enum Samples {
    /// Each client. They are many, so that the function writes as many as fit; see
    /// [`Family::write`].
    Clients(fn(&InstanceSnapshot, usize, &mut SampleWriter<'_>) -> Option<usize>),
    /// Each status of each group.
    Statuses,
    /// Each group.
    Groups(fn(&StatusCounts) -> u64),
    /// Each way in which a sweep can end.
    Sweeps,
    /// Each instance of which this is known.
    Instances(fn(&InstanceStats) -> Option<f64>),
}

const fn family(metric: &'static Metric, samples: Samples) -> Family {
    Family {
        metric,
        opening: Opening::new(metric.name),
        samples,
    }
}

/// All of them, in the order in which they are written.
pub(super) static FAMILIES: [Family; 14] = [
    family(&STATE.client_info, Samples::Clients(client_info)),
    family(&STATE.client_online, Samples::Clients(client_online)),
    family(
        &STATE.client_last_observation_timestamp_seconds,
        Samples::Clients(client_last_observation),
    ),
    family(
        &STATE.client_status_since_timestamp_seconds,
        Samples::Clients(client_status_since),
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
        matches!(self.samples, Samples::Clients(_))
    }

    /// Its lines, to be appended to `buf` until that holds `full` bytes. The first one brings the
    /// header with it, unless the family has `begun`.
    pub(super) fn lines<'a>(
        &'static self,
        begun: &'a mut bool,
        buf: &'a mut Vec<u8>,
        full: usize,
    ) -> SampleWriter<'a> {
        SampleWriter::new(self.metric, &self.opening, begun, buf, full)
    }

    /// Writes the samples of `instance` from its item `from` on, until `lines` is full. Gives
    /// back the item to go on with, or `None` when the instance is done.
    pub(super) fn write(
        &self,
        instance: &InstanceSnapshot,
        from: usize,
        lines: &mut SampleWriter<'_>,
    ) -> Option<usize> {
        match self.samples {
            Samples::Clients(write) => write(instance, from, lines),
            Samples::Statuses => each(instance.groups().len(), from, lines, |group, lines| {
                let (labels, counts) = (
                    &instance.fleet().groups()[group].label_text,
                    instance.groups()[group],
                );
                for status in Status::ALL {
                    lines.sample(
                        format_args!("{labels},status=\"{}\"", status.as_str()),
                        counts.of(status),
                    );
                }
            }),
            Samples::Groups(value) => each(instance.groups().len(), from, lines, |group, lines| {
                let labels = &instance.fleet().groups()[group].label_text;
                lines.sample(labels, value(&instance.groups()[group]));
            }),
            Samples::Sweeps => each(1, from, lines, |_, lines| {
                let id = escape(instance.id().as_str());
                for (result, times) in SweepResult::ALL.into_iter().zip(instance.stats().sweeps) {
                    lines.sample(
                        format_args!("instance_id=\"{id}\",result=\"{}\"", result.as_str()),
                        times,
                    );
                }
            }),
            Samples::Instances(value) => each(1, from, lines, |_, lines| {
                if let Some(value) = value(instance.stats()) {
                    lines.sample(
                        format_args!("instance_id=\"{}\"", escape(instance.id().as_str())),
                        value,
                    );
                }
            }),
        }
    }
}

/// `Duration::as_secs_f64` adds two rounded numbers, and makes 7.8149999999999995 of 7.815.
fn seconds(duration: Duration) -> f64 {
    duration.as_nanos() as f64 / 1e9
}

/// Writes the items from `from` to `count`, until `lines` is full.
fn each(
    count: usize,
    from: usize,
    lines: &mut SampleWriter<'_>,
    write: impl Fn(usize, &mut SampleWriter<'_>),
) -> Option<usize> {
    for item in from..count {
        if lines.is_full() {
            return Some(item);
        }
        write(item, lines);
    }
    None
}

fn client_info(
    instance: &InstanceSnapshot,
    from: usize,
    lines: &mut SampleWriter<'_>,
) -> Option<usize> {
    let fleet = instance.fleet();
    each(fleet.len(), from, lines, |client, lines| {
        lines.client_flag(fleet.label_text(client), true);
    })
}

fn client_online(
    instance: &InstanceSnapshot,
    from: usize,
    lines: &mut SampleWriter<'_>,
) -> Option<usize> {
    let fleet = instance.fleet();
    each(fleet.len(), from, lines, |client, lines| {
        if let Some((seen, _)) = instance.client(client) {
            lines.client_flag(fleet.label_text(client), seen.online);
        }
    })
}

fn client_last_observation(
    instance: &InstanceSnapshot,
    from: usize,
    lines: &mut SampleWriter<'_>,
) -> Option<usize> {
    let fleet = instance.fleet();
    each(fleet.len(), from, lines, |client, lines| {
        if let Some((seen, _)) = instance.client(client) {
            lines.client_time(fleet.ids_text(client), seen.at);
        }
    })
}

fn client_status_since(
    instance: &InstanceSnapshot,
    from: usize,
    lines: &mut SampleWriter<'_>,
) -> Option<usize> {
    let fleet = instance.fleet();
    each(fleet.len(), from, lines, |client, lines| {
        if let Some((_, run)) = instance.client(client) {
            lines.client_time(fleet.ids_text(client), run.since);
        }
    })
}
