//! The admin API: JSON under `/_simulator/`, for the one who steers a run from outside. It is open
//! to whoever reaches the port, also from an address that is blocked.
//!
//! | request | what it does |
//! | --- | --- |
//! | `GET faults` | the faults in force |
//! | `PUT faults` | replaces all of them; a key that is not there means no such fault |
//! | `GET stats` | what arrived and what became of it |
//! | `GET clients` | every client, its instance, and whether it is online now |
//! | `PUT clients` | `{"client_id": …, "online": true, false or null}`: imposes a status, or gives the client back to the script |
//! | `GET identity` | how to get temporary credentials: roles, identity provider and its token, credentials URI |
//! | `GET credential-faults`, `PUT credential-faults` | as `faults`, for the services that give those |
//! | `GET requests` | the last 100 requests to the API, as they came |

use std::sync::Arc;

use arc_swap::ArcSwap;
use hyper::{Method, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::body::{Body, response};
use super::faults::Faults;
use super::reply;
use super::request::ApiRequest;
use super::service::ApiService;

/// Where it is.
pub(super) const PREFIX: &str = "/_simulator/";

/// A client, as `GET clients` shows it.
#[derive(Serialize)]
struct ClientView<'a> {
    #[serde(rename = "client_id")]
    id: &'a str,
    instance_id: &'a str,
    online: bool,
}

/// What `PUT clients` takes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StatusOverride {
    client_id: String,
    online: Option<bool>,
}

#[derive(Serialize)]
struct ErrorBody {
    error: String,
}

/// Answers a request for `resource`.
pub(super) fn answer(service: &ApiService, resource: &str, call: &ApiRequest) -> Response<Body> {
    let method = call.method();
    match resource {
        "faults" => faults(&service.faults, call),
        "credential-faults" => faults(&service.credential_faults, call),
        "identity" if method == Method::GET => ok(&service.identity()),
        "stats" if method == Method::GET => ok(&service.recorder.stats()),
        "clients" if method == Method::GET => ok(&clients(service)),
        "clients" if method == Method::PUT => {
            match serde_json::from_slice::<StatusOverride>(call.body()) {
                Ok(StatusOverride { client_id, online }) => {
                    if service
                        .devices
                        .override_status(&client_id, online, service.clock.now())
                    {
                        response(204, reply::JSON, "")
                    } else {
                        failed(404, format!("there is no client {client_id}"))
                    }
                }
                Err(error) => failed(400, error.to_string()),
            }
        }
        "requests" if method == Method::GET => ok(&service.recorder.captured()),
        "identity" | "stats" | "clients" | "requests" => {
            failed(405, format!("{method} is not for {resource}"))
        }
        _ => failed(404, format!("there is no {resource}")),
    }
}

fn faults(faults: &ArcSwap<Faults>, call: &ApiRequest) -> Response<Body> {
    match call.method() {
        "GET" => ok(&**faults.load()),
        // Read as a map first: a derived `Deserialize` also takes a list.
        "PUT" => match serde_json::from_slice::<Map<String, Value>>(call.body())
            .and_then(Faults::deserialize)
        {
            Ok(set) => {
                faults.store(Arc::new(set));
                ok(&**faults.load())
            }
            Err(error) => failed(400, error.to_string()),
        },
        method => failed(405, format!("{method} is not for faults")),
    }
}

fn clients(service: &ApiService) -> Vec<ClientView<'_>> {
    let (devices, now) = (&service.devices, service.clock.now());
    let instances = devices.fleet().instances().iter();
    let pairs = instances
        .flat_map(|(instance, clients)| clients.iter().map(move |client| (instance, client)));
    pairs
        .map(|(instance, client)| ClientView {
            id: client.as_str(),
            instance_id: instance.as_str(),
            online: devices.online_at(instance.as_str(), client.as_str(), now),
        })
        .collect()
}

fn ok(value: &impl Serialize) -> Response<Body> {
    json(200, value)
}

fn failed(status: u16, error: String) -> Response<Body> {
    json(status, &ErrorBody { error })
}

fn json(status: u16, value: &impl Serialize) -> Response<Body> {
    let text = serde_json::to_string(value).expect("every key is a text");
    response(status, reply::JSON, text + "\n")
}
