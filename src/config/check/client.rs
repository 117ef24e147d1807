//! Clients and their labels.

use std::collections::HashMap;

use super::super::cursor::{NodeCursor, keys};
use super::super::report::{Report, WarningGroup, quote};
use super::super::tree::Value;
use super::super::values::Client;
use super::context::Context;
use crate::presence::{ClientId, LabelName, LabelNameError};

keys!(ClientKeys [id, labels]);

/// The remedy for client IDs of an unusual form, which are valid.
pub(crate) const UNUSUAL_ID_HINT: &str =
    "check the spelling: an ID that no device uses is reported as offline";

/// The labels with valid names; others are reported.
pub(super) fn labels(at: &NodeCursor<'_>, report: &mut Report) -> Vec<(LabelName, String)> {
    let mut labels = Vec::new();
    for entry in at.entries(report).unwrap_or_default() {
        let value = entry.value.scalar(report);
        match LabelName::new(entry.name) {
            Ok(name) => labels.extend(value.map(|value| (name, value.to_owned()))),
            Err(error) => entry.key.problem(report, label_name_problem(error)),
        }
    }
    labels
}

/// The message about an invalid label name.
pub(crate) fn label_name_problem(error: LabelNameError) -> String {
    let remedy = match error {
        LabelNameError::Malformed => "write a name such as `site`",
        LabelNameError::Reserved => "it is set by Prometheus or the exporter; choose another name",
    };
    format!("{error}; {remedy}")
}

/// The clients of a list; invalid clients and duplicates are reported and left out.
pub(super) fn clients(at: &NodeCursor<'_>, cx: &mut Context<'_>) -> Vec<Client> {
    let items = at.items(cx.report);
    let mut seen = HashMap::with_capacity(items.len());
    let mut clients = Vec::with_capacity(items.len());
    let mut unusual = WarningGroup::default();
    for (n, item) in items.enumerate() {
        let Some(client) = client(&item, cx.report) else {
            continue;
        };
        let first = *seen.entry(client.id.clone()).or_insert(n);
        if first != n {
            item.problem(
                cx.report,
                format!("duplicates `clients[{first}]`; remove one of the two"),
            );
            continue;
        }
        if let Some(why) = (cx.rules.client_id_irregularity)(client.id.as_str()) {
            unusual.add(|| (item, format!("{} {why}", quote(client.id.as_str()))));
        }
        clients.push(client);
    }
    if let Some((item, message)) = unusual.warning(UNUSUAL_ID_HINT) {
        item.warning(cx.report, message);
    }
    clients
}

fn client(at: &NodeCursor<'_>, report: &mut Report) -> Option<Client> {
    let (id, labels) = match at.value() {
        Value::Scalar(..) => (Some(*at), Vec::new()),
        Value::Map(_) => {
            let keys = ClientKeys::read(at, report)?;
            let missing = "`id` is missing; write the client ID, such as `GID_…@@@…`";
            let labels = keys.labels.map(|at| labels(&at, report));
            (
                at.required(keys.id, report, missing),
                labels.unwrap_or_default(),
            )
        }
        other => {
            at.problem(report, format!("expected a client ID, or a map with `id` and `labels`, found {}; put quotes around an ID that is not a text in YAML", other.name()));
            return None;
        }
    };
    let id = ClientId::new(id?.text(report)?).ok()?;
    Some(Client { id, labels })
}
