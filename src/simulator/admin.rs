//! The admin API: JSON under `/_simulator/`, which controls a run from outside. It needs no
//! authentication and also answers blocked addresses.
//!
//! | request | answer or effect |
//! | --- | --- |
//! | `GET faults` | the faults in force |
//! | `PUT faults` | replaces all of them; a missing key means no such fault |
//! | `GET stats` | requests and their outcomes |
//! | `GET clients` | every client, its instance and its status now |
//! | `PUT clients` | `{"client_id": …, "online": true, false or null}`: overrides the status; `null` ends the override |
//! | `GET identity` | roles, identity provider with its token and credentials URI, for temporary credentials |
//! | `GET credential-faults`, `PUT credential-faults` | the same for the services that issue credentials |
//! | `GET requests` | the last 100 requests to the API, as they arrived |

use axum::body::Body;
use hyper::Response;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::answer::{self, response};
use super::faults::Faults;
use super::request::ApiRequest;
use super::state::{FaultSwitch, State};
use crate::presence::{ClientId, InstanceId};

/// The path of the admin API.
pub(super) const PREFIX: &str = "/_simulator/";

/// The body of `PUT clients`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StatusOverride {
    client_id: String,
    online: Option<bool>,
}

/// The HTTP status and the text of an error.
struct AdminError(u16, String);

impl From<serde_json::Error> for AdminError {
    fn from(error: serde_json::Error) -> Self {
        Self(400, error.to_string())
    }
}

/// Answers a request for `resource`.
pub(super) fn respond(state: &State, resource: &str, request: &ApiRequest) -> Response<Body> {
    let (status, value) = match answer(state, resource, request) {
        Ok(Value::Null) => return response(204, answer::JSON, ""),
        Ok(value) => (200, value),
        Err(AdminError(status, error)) => (status, json!({"error": error})),
    };
    response(status, answer::JSON, format!("{value}\n"))
}

fn answer(state: &State, resource: &str, request: &ApiRequest) -> Result<Value, AdminError> {
    Ok(match (request.method(), resource) {
        ("GET", "faults") => json!(*state.faults.get()),
        ("PUT", "faults") => set_faults(&state.faults, request)?,
        ("GET", "credential-faults") => json!(*state.credential_faults.get()),
        ("PUT", "credential-faults") => set_faults(&state.credential_faults, request)?,
        ("GET", "stats") => json!(state.stats()),
        ("GET", "clients") => clients(state),
        ("PUT", "clients") => set_status(state, request)?,
        ("GET", "identity") => json!(state.identity()),
        ("GET", "requests") => json!(state.records().0.captured),
        (
            method,
            "faults" | "credential-faults" | "stats" | "clients" | "identity" | "requests",
        ) => return Err(AdminError(405, format!("{method} is not for {resource}"))),
        _ => return Err(AdminError(404, format!("there is no {resource}"))),
    })
}

fn set_faults(faults: &FaultSwitch, request: &ApiRequest) -> Result<Value, AdminError> {
    // Read as a map first: a derived `Deserialize` also takes a list.
    let map: Map<String, Value> = serde_json::from_slice(&request.body)?;
    faults.set(Faults::deserialize(map)?);
    Ok(json!(*faults.get()))
}

fn set_status(state: &State, request: &ApiRequest) -> Result<Value, AdminError> {
    let StatusOverride { client_id, online } = serde_json::from_slice(&request.body)?;
    let now = state.clock.now();
    if state.devices.override_status(&client_id, online, now) {
        Ok(Value::Null)
    } else {
        Err(AdminError(404, format!("there is no client {client_id}")))
    }
}

fn clients(state: &State) -> Value {
    let (devices, now) = (&state.devices, state.clock.now());
    let entry = |(instance, client): (&InstanceId, &ClientId)| {
        let (instance, client) = (instance.as_str(), client.as_str());
        let online = devices.online_at(instance, client, now);
        json!({"client_id": client, "instance_id": instance, "online": online})
    };
    devices.fleet().clients().map(entry).collect()
}
