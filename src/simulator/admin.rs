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

use std::sync::Arc;

use arc_swap::ArcSwap;
use hyper::Response;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::answer::{self, Body, response};
use super::faults::Faults;
use super::request::ApiRequest;
use super::state::State;

/// The path of the admin API.
pub(super) const PREFIX: &str = "/_simulator/";

/// The body of `PUT clients`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StatusOverride {
    client_id: String,
    online: Option<bool>,
}

/// Answers a request for `resource`.
pub(super) fn respond(state: &State, resource: &str, request: &ApiRequest) -> Response<Body> {
    match (request.method(), resource) {
        ("GET", "faults") => ok(&**state.faults.load()),
        ("PUT", "faults") => set_faults(&state.faults, request),
        ("GET", "credential-faults") => ok(&**state.credential_faults.load()),
        ("PUT", "credential-faults") => set_faults(&state.credential_faults, request),
        ("GET", "stats") => ok(&state.stats()),
        ("GET", "clients") => ok(&clients(state)),
        ("PUT", "clients") => set_status(state, request),
        ("GET", "identity") => ok(&state.identity()),
        ("GET", "requests") => ok(&state.records().0.captured()),
        (
            method,
            "faults" | "credential-faults" | "stats" | "clients" | "identity" | "requests",
        ) => failed(405, &format!("{method} is not for {resource}")),
        _ => failed(404, &format!("there is no {resource}")),
    }
}

fn set_faults(faults: &ArcSwap<Faults>, request: &ApiRequest) -> Response<Body> {
    // Read as a map first: a derived `Deserialize` also takes a list.
    let map = serde_json::from_slice::<Map<String, Value>>(request.body());
    match map.and_then(Faults::deserialize) {
        Ok(set) => {
            faults.store(Arc::new(set));
            ok(&**faults.load())
        }
        Err(error) => failed(400, &error.to_string()),
    }
}

fn set_status(state: &State, request: &ApiRequest) -> Response<Body> {
    let (client, online) = match serde_json::from_slice(request.body()) {
        Ok(StatusOverride { client_id, online }) => (client_id, online),
        Err(error) => return failed(400, &error.to_string()),
    };
    let now = state.clock.now();
    if state.devices.override_status(&client, online, now) {
        response(204, answer::JSON, "")
    } else {
        failed(404, &format!("there is no client {client}"))
    }
}

fn clients(state: &State) -> Vec<Value> {
    let (devices, now) = (&state.devices, state.clock.now());
    let instances = devices.fleet().instances().iter();
    let pairs = instances
        .flat_map(|(instance, clients)| clients.iter().map(move |client| (instance, client)));
    pairs
        .map(|(instance, client)| {
            let (instance, client) = (instance.as_str(), client.as_str());
            let online = devices.online_at(instance, client, now);
            json!({"client_id": client, "instance_id": instance, "online": online})
        })
        .collect()
}

fn ok(value: &impl Serialize) -> Response<Body> {
    json_response(200, value)
}

fn failed(status: u16, error: &str) -> Response<Body> {
    json_response(status, &json!({"error": error}))
}

fn json_response(status: u16, value: &impl Serialize) -> Response<Body> {
    let text = serde_json::to_string(value).expect("every key is a text");
    response(status, answer::JSON, text + "\n")
}
