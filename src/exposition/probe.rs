//! The text of one probe, without the exporter's own metrics.

use std::fmt::Display;
use std::time::Duration;

use crate::presence::{ClientId, Fleet, escape};
use crate::telemetry::table::{PROBE, STATE};

/// The text of a probe of `client`, which may be missing from the fleet, in the text format 0.0.4:
/// whether the client is online, or why its status is unknown, and the duration of the probe. The
/// cause of a failure is in a comment, which Prometheus ignores.
#[must_use]
pub fn probe_text(
    online: &Result<bool, impl Display>,
    duration: Duration,
    fleet: &Fleet,
    client: &str,
) -> String {
    let mut text = String::new();
    if let Err(why) = online {
        // On one line: a second one would count as samples.
        let why = why.to_string().replace(char::is_control, " ");
        text.extend(["# failed: ", &why, "\n"]);
    }
    text += &PROBE.success.text(u8::from(online.is_ok()));
    text += &PROBE.duration_seconds.text(duration.as_secs_f64());
    if let Ok(online) = online {
        let (name, value) = (STATE.client_online.name, u8::from(*online));
        let labels = labels(fleet, client);
        let sample = format!("{name}{{client_id=\"{labels}}} {value}\n");
        text += &STATE.client_online.header();
        text += &sample;
    }
    text
}

/// The labels of the client in `/metrics`, also if it is missing from the fleet.
fn labels(fleet: &Fleet, client: &str) -> String {
    if let Some(index) = fleet.position(client) {
        return fleet.label_text(index).to_owned();
    }
    let (group, instance) = (ClientId::group_of(client), fleet.instance().as_str());
    let [client, group, instance] = [client, group, instance].map(escape);
    format!("{client}\",group_id=\"{group}\",instance_id=\"{instance}\"")
}
