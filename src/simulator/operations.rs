//! The operations of the API, with the parameters that the pages of the same names document.

use serde_json::{Value, json};

use super::answer::Content;
use super::request::ApiRequest;
use super::state::Exchange;
use super::vendor_error::VendorError;

/// The version of the API that has these operations.
const VERSION: &str = "2020-04-20";

/// Clients in a batch, at most.
const MAX_BATCH: usize = 10;

/// Characters in a client ID, at most.
const MAX_CLIENT_ID: usize = 64;

/// One operation of the API.
pub(super) struct ApiOperation {
    /// Its name.
    pub(super) name: &'static str,
    /// Calls per second of an account.
    quota: u64,
    /// Answers an authenticated request.
    handler: fn(&Exchange<'_>) -> Result<Value, VendorError>,
}

/// All operations.
static OPERATIONS: [ApiOperation; 2] = [
    ApiOperation {
        name: "QuerySessionByClientId",
        quota: 500,
        handler: single,
    },
    ApiOperation {
        name: "BatchQuerySessionByClientIds",
        quota: 100,
        handler: batch,
    },
];

impl ApiOperation {
    /// The operation that `request` names, if there is one.
    pub(super) fn of(request: &ApiRequest) -> Option<&'static Self> {
        let action = request.action()?;
        OPERATIONS.iter().find(|operation| operation.name == action)
    }
}

/// The result of the operation, without faults that decide the outcome.
pub(super) fn answer(exchange: &Exchange<'_>) -> Result<Content, VendorError> {
    let (request, state) = (exchange.request, exchange.state);
    if !matches!(request.method(), "GET" | "POST") {
        return Err(VendorError::METHOD);
    }
    if request.path() != "/" {
        return Err(VendorError::NO_SUCH_API);
    }
    if request.action().is_none() {
        return Err(VendorError::missing("Action"));
    }
    let version = exchange.authenticate()?;
    let operation = ApiOperation::of(request).filter(|_| version == VERSION);
    let operation = operation.ok_or(VendorError::NO_SUCH_API)?;
    {
        let (mut records, now) = state.records();
        let traffic = &mut records.traffic;
        let changed = exchange.faults.quota(operation.name);
        traffic.charge(operation.name, operation.quota, changed, now)?;
    }
    (operation.handler)(exchange).map(Content::Result)
}

/// The instance that a request is about.
fn instance<'a>(exchange: &Exchange<'a>) -> Result<&'a str, VendorError> {
    let instance = exchange.request.required("InstanceId")?;
    if exchange.state.devices.fleet().has_instance(instance) {
        Ok(instance)
    } else {
        Err(VendorError::FOREIGN_INSTANCE)
    }
}

fn single(exchange: &Exchange<'_>) -> Result<Value, VendorError> {
    let instance = instance(exchange)?;
    let client = exchange.request.required("ClientId")?;
    check_client(exchange, client)?;
    let now = exchange.state.clock.now();
    let online = exchange.state.devices.online_at(instance, client, now);
    Ok(json!({"OnlineStatus": online}))
}

fn batch(exchange: &Exchange<'_>) -> Result<Value, VendorError> {
    let instance = instance(exchange)?;
    let Exchange {
        state,
        number,
        faults,
        ..
    } = *exchange;
    let staleness = faults.batch_staleness.0;
    let as_of = state.devices.cached_as_of(state.clock.now(), staleness);
    let mut clients: Vec<&str> = exchange.request.batch().collect();
    match clients.len() {
        0 => return Err(VendorError::missing("ClientIdList")),
        1..=MAX_BATCH => {}
        _ => return Err(VendorError::BATCH_TOO_LONG),
    }
    for client in &clients {
        check_client(exchange, client)?;
    }
    clients.retain(|client| !faults.omits(state.seed, number, client));
    // The API returns clients in any order.
    let order = state.random("order").nth(number);
    clients.sort_by_key(|client| order.derive(client).bits());
    let entry = |client: &str| {
        let online = state.devices.online_at(instance, client, as_of);
        json!({"ClientId": client, "OnlineStatus": online})
    };
    let entries: Vec<_> = clients.into_iter().map(entry).collect();
    Ok(json!({"OnlineStatusList": entries}))
}

/// Rejects what cannot be a client ID, and the clients that a fault refuses. IDs that do not have the
/// documented form pass: there are some in the examples of Alibaba Cloud.
fn check_client(exchange: &Exchange<'_>, client: &str) -> Result<(), VendorError> {
    let possible = (1..=MAX_CLIENT_ID).contains(&client.chars().count())
        && !client.chars().any(|c| c.is_whitespace() || c.is_control());
    match exchange.faults.refused(client) {
        Some(error) => Err(error),
        None if possible => Ok(()),
        None => Err(VendorError::CLIENT_ID),
    }
}
