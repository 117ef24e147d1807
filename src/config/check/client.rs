//! Clients and their labels.

use super::super::cursor::NodeCursor;
use super::super::keys::Keys;
use super::super::report::{WarningGroup, quote};
use super::super::tree::Value;
use super::super::values::Client;
use super::context::{Context, unique_items};
use crate::presence::{ClientId, LabelName, LabelNameError};

/// The remedy for client IDs of an unusual form, which are valid.
pub(crate) const UNUSUAL_ID_HINT: &str =
    "check the spelling: an ID that no device uses is reported as offline";

/// The labels with valid names; others are reported.
pub(super) fn labels(at: &NodeCursor<'_>) -> Option<Vec<(LabelName, String)>> {
    let mut labels = Vec::new();
    for entry in at.entries()? {
        let value = entry.value.scalar();
        let name = LabelName::new(entry.name).map_err(label_name_problem);
        let name = entry.key.accept(name);
        labels.extend(name.zip(value.map(str::to_owned)));
    }
    Some(labels)
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
pub(super) fn clients(at: &NodeCursor<'_>, cx: &Context<'_>) -> Option<Vec<Client>> {
    let mut unusual = WarningGroup::default();
    let clients = unique_items(
        at,
        "clients",
        |client: &Client| client.id.clone(),
        |at| {
            let client = client(at)?;
            let id = client.id.as_str();
            if let Some(why) = (cx.rules.client_id_irregularity)(id) {
                unusual.add(|| at.finding(format!("{} {why}", quote(id))));
            }
            Some(client)
        },
    );
    if let Some(warning) = unusual.warning(UNUSUAL_ID_HINT) {
        at.report.warn(warning);
    }
    clients
}

fn client(at: &NodeCursor<'_>) -> Option<Client> {
    let (id, labels) = match at.value() {
        Value::Scalar(..) => (client_id(at), None),
        Value::Map(_) => {
            let keys = Keys::of(at)?;
            let remedy = "write the client ID, such as `GID_…@@@…`";
            let id = keys.required("id", remedy, client_id);
            (id, keys.read("labels", labels))
        }
        other => {
            return at.accept(Err(format!("expected a client ID, or a map with `id` and `labels`, found {}; put quotes around an ID that is not a text in YAML", other.name())));
        }
    };
    Some(Client {
        id: id?,
        labels: labels.unwrap_or_default(),
    })
}

fn client_id(at: &NodeCursor<'_>) -> Option<ClientId> {
    at.accept(ClientId::new(at.text()?).map_err(|error| error.to_string()))
}
