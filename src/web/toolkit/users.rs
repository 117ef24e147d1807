//! `basic_auth_users`: the permitted users and the hashes of their passwords.

use std::collections::HashMap;

use bcrypt::HashParts;

use super::values::text;
use crate::config::{MapEntry, NodeCursor, Report};
use crate::secret::Secret;

/// Users by name.
pub(in crate::web) type Users = HashMap<String, PasswordHash>;

/// The bcrypt hash of a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::web) struct PasswordHash {
    /// The hash as in the file.
    pub(in crate::web) text: Secret,
    /// Checking a password takes 2 to the power of this many rounds.
    pub(in crate::web) cost: u32,
}

/// The valid costs (bcrypt's own bounds).
const COSTS: std::ops::RangeInclusive<u32> = 4..=31;
/// From this cost on, a check takes a second or more.
const SLOW: u32 = 15;

pub(super) fn users(at: &NodeCursor<'_>, report: &mut Report) -> Users {
    let mut users = Users::new();
    for MapEntry { name, value, .. } in at.entries(report).unwrap_or_default() {
        let Some(text) = text(&value, report) else {
            continue;
        };
        let cost = text.parse::<HashParts>().map(|parts| parts.get_cost());
        let Some(cost) = cost.ok().filter(|cost| COSTS.contains(cost)) else {
            // The message contains neither a part of a hash nor a password written in its place.
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
        let text = Secret::new(text);
        users.insert(name.to_owned(), PasswordHash { text, cost });
    }
    users
}
