//! The text of one probe: a few lines, and nothing of the exporter's own.

use std::fmt::Write as _;
use std::time::Duration;

use crate::presence::{ClientId, Fleet, escape};
use crate::telemetry::table::{PROBE, STATE};

/// What a probe found out.
#[derive(Clone, Debug)]
pub struct ProbeResult<'a> {
    /// Whether the client is online, or why that could not be found out.
    pub online: Result<bool, String>,
    /// How long it took.
    pub duration: Duration,
    /// The fleet of its instance.
    pub fleet: &'a Fleet,
    /// The client, which need not be in the fleet.
    pub client: &'a str,
}

/// The text of `probe` in the text format 0.0.4. Why a probe failed stands in a comment, which
/// Prometheus passes over and a person reads.
#[must_use]
pub fn probe_text(probe: &ProbeResult<'_>) -> String {
    let mut text = String::new();
    if let Err(why) = &probe.online {
        // On one line, or the rest would be read as samples.
        text.extend(["# failed: ", &why.replace(char::is_control, " "), "\n"]);
    }
    for (metric, value) in [
        (&PROBE.success, f64::from(u8::from(probe.online.is_ok()))),
        (&PROBE.duration_seconds, probe.duration.as_secs_f64()),
    ] {
        writeln!(text, "{}{} {value}", metric.header(), metric.name)
            .expect("a String takes everything");
    }
    if let Ok(online) = probe.online {
        let metric = &STATE.client_online;
        let (header, name, labels) = (
            metric.header(),
            metric.name,
            labels(probe.fleet, probe.client),
        );
        writeln!(
            text,
            "{header}{name}{{client_id=\"{labels}}} {}",
            u8::from(online)
        )
        .expect("a String takes everything");
    }
    text
}

/// The labels that `/metrics` gives the client, or would give it.
fn labels(fleet: &Fleet, client: &str) -> String {
    if let Some(index) = fleet.position(client) {
        return fleet.label_text(index).to_owned();
    }
    let [client, group, instance] = [
        client,
        ClientId::group_of(client),
        fleet.instance().as_str(),
    ]
    .map(escape);
    format!("{client}\",group_id=\"{group}\",instance_id=\"{instance}\"")
}
