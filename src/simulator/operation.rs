//! The operations that are answered: their names and their parameters, as the vendor's records of
//! the same names have them.

use serde::Serialize;

use super::faults::Faults;
use super::request::ApiRequest;
use super::vendor_error::VendorError;
use crate::presence::Operation;

/// The version of the product's API that has them.
pub(super) const VERSION: &str = "2020-04-20";

/// The operation that the vendor calls `action`.
pub(super) fn named(action: &str) -> Option<Operation> {
    match action {
        "QuerySessionByClientId" => Some(Operation::Single),
        "BatchQuerySessionByClientIds" => Some(Operation::Batch),
        _ => None,
    }
}

/// One value for each operation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PerOperation<T> {
    /// That of [`Operation::Single`].
    #[serde(rename = "QuerySessionByClientId")]
    pub single: T,
    /// That of [`Operation::Batch`].
    #[serde(rename = "BatchQuerySessionByClientIds")]
    pub batch: T,
}

impl<T> PerOperation<T> {
    pub(super) const fn of(&mut self, operation: Operation) -> &mut T {
        match operation {
            Operation::Single => &mut self.single,
            Operation::Batch => &mut self.batch,
        }
    }
}

/// How many clients a batch may ask for.
const MAX_BATCH: usize = 10;

/// How long a client ID may be, in characters.
const MAX_CLIENT_ID: usize = 64;

/// The clients that a batch asks for: the parameters `ClientIdList.1` and so on.
pub(super) fn client_list(call: &ApiRequest) -> Result<Vec<&str>, VendorError> {
    let numbered = |name: &str| {
        name.strip_prefix("ClientIdList.")
            .is_some_and(|number| number.parse::<u32>().is_ok())
    };
    let clients: Vec<&str> = call
        .params()
        .filter(|(name, _)| numbered(name))
        .map(|(_, client)| client)
        .collect();
    match clients.len() {
        0 => Err(VendorError::missing("ClientIdList")),
        1..=MAX_BATCH => Ok(clients),
        _ => Err(VendorError::parameter_check(
            "A batch has at most 10 client IDs.",
        )),
    }
}

/// Refuses what cannot be a client ID, and what `faults` poisoned. IDs of other forms than the
/// documented one pass: the vendor's own examples have them.
pub(super) fn check_client(client: &str, faults: &Faults) -> Result<(), VendorError> {
    let possible = (1..=MAX_CLIENT_ID).contains(&client.chars().count())
        && !client.chars().any(|c| c.is_whitespace() || c.is_control());
    if possible && !faults.poison.iter().any(|poison| poison == client) {
        Ok(())
    } else {
        Err(VendorError::parameter_check("The client ID is not valid."))
    }
}
