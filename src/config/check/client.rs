//! Clients and their labels.

use std::collections::HashMap;

use super::super::cursor::NodeCursor;
use super::super::report::{Report, quote};
use super::super::tree::Value;
use super::super::{Client, WarningGroup};
use crate::presence::{ClientId, LabelName, LabelNameError};

pub(super) const CLIENT: [&str; 2] = ["id", "labels"];

/// What to say about client IDs of an unusual form, which are possible all the same.
pub(crate) const UNUSUAL_ID_HINT: &str =
    "check the spelling, an ID that no device uses looks offline";

/// Labels whose names are allowed; the others are reported.
pub(super) fn labels(at: &NodeCursor<'_>, report: &mut Report) -> Vec<(LabelName, String)> {
    let Some(entries) = at.entries(report) else {
        return Vec::new();
    };
    let mut labels = Vec::with_capacity(entries.len());
    for entry in entries {
        let value = entry.value.scalar(report);
        match LabelName::new(entry.name) {
            Ok(name) => labels.extend(value.map(|value| (name, value.to_owned()))),
            Err(error) => entry.key.problem(report, label_name_problem(error)),
        }
    }
    labels
}

/// What to say about a label name.
pub(crate) fn label_name_problem(error: LabelNameError) -> String {
    let remedy = match error {
        LabelNameError::Malformed => "write a name such as `site`",
        LabelNameError::Reserved => "Prometheus or the exporter sets it; choose another",
    };
    format!("{error}; {remedy}")
}

/// The clients of a list, each once; what is wrong with the others is reported.
pub(super) fn clients(at: &NodeCursor<'_>, report: &mut Report) -> Vec<Client> {
    let items = at.items(report);
    let mut seen = HashMap::with_capacity(items.len());
    let mut clients = Vec::with_capacity(items.len());
    let mut unusual = WarningGroup::default();
    for (n, item) in items.enumerate() {
        let Some(client) = client(&item, report) else {
            continue;
        };
        let first = *seen.entry(client.id.clone()).or_insert(n);
        if first != n {
            item.problem(
                report,
                format!("is the client of `clients[{first}]` again; remove one of the two"),
            );
            continue;
        }
        if let Some(why) = client.id.irregularity() {
            unusual.add(|| (item, format!("{} {why}", quote(client.id.as_str()))));
        }
        clients.push(client);
    }
    if let Some((item, message)) = unusual.warning(UNUSUAL_ID_HINT) {
        item.warning(report, message);
    }
    clients
}

fn client(at: &NodeCursor<'_>, report: &mut Report) -> Option<Client> {
    if let Value::Scalar(..) = at.value() {
        return client_id(at, report).map(|id| Client {
            id,
            labels: Vec::new(),
        });
    }
    if !matches!(at.value(), Value::Map(_)) {
        let found = at.value().name();
        at.problem(report, format!("expected a client ID, or a map with `id` and `labels`, found {found}; quote an ID that YAML takes for something else"));
        return None;
    }
    let [id_at, labels_at] = at.fields(CLIENT, report)?;
    let labels = labels_at.map(|at| labels(&at, report)).unwrap_or_default();
    let id_at = at.required(
        id_at,
        report,
        "`id` is missing; write the client's ID, such as `GID_…@@@…`",
    )?;
    client_id(&id_at, report).map(|id| Client { id, labels })
}

fn client_id(at: &NodeCursor<'_>, report: &mut Report) -> Option<ClientId> {
    ClientId::new(at.text(report)?).ok()
}
