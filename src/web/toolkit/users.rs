//! `basic_auth_users`: who may come in, and the hashes of their passwords.

use std::collections::HashMap;

use bcrypt::HashParts;

use crate::config::{MapEntry, NodeCursor, Report, Value};
use crate::secret::Secret;

/// Users by name.
pub(in crate::web) type Users = HashMap<String, PasswordHash>;

/// The bcrypt hash of a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::web) struct PasswordHash {
    /// As it stands in the file.
    pub(in crate::web) text: Secret,
    /// Checking a password takes 2 to the power of this many rounds.
    pub(in crate::web) cost: u32,
}

/// What a cost may be (bcrypt's own bounds).
const COSTS: std::ops::RangeInclusive<u32> = 4..=31;
/// From this cost on, a check takes a second or more.
const SLOW: u32 = 15;

pub(super) fn users(at: &NodeCursor<'_>, report: &mut Report) -> Users {
    let mut users = Users::new();
    for MapEntry { name, value, .. } in at.entries(report).unwrap_or_default() {
        let text = if matches!(value.value(), Value::Null) {
            Some("")
        } else {
            value.scalar(report)
        };
        let Some(text) = text else { continue };
        // Neither the password that stands there instead, nor a part of the hash, is shown.
        let cost = text
            .parse::<HashParts>()
            .ok()
            .map(|parts| parts.get_cost())
            .filter(|cost| COSTS.contains(cost));
        let Some(cost) = cost else {
            value.problem(
                report,
                "is not a bcrypt hash (`$2y$10$…`, 60 characters); `htpasswd -nBC 10 \"\" | tr -d ':\\n'` makes one",
            );
            continue;
        };
        if cost >= SLOW {
            value.warning(
                report,
                format!("has cost {cost}, so that checking a password takes seconds or more"),
            );
        }
        users.insert(
            name.to_owned(),
            PasswordHash {
                text: Secret::new(text),
                cost,
            },
        );
    }
    users
}
