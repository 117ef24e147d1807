//! What all checks of one configuration need.

use std::collections::HashMap;
use std::hash::Hash;
use std::path::{Path, PathBuf};

use super::super::cursor::NodeCursor;

/// What the checks need to know about the cloud vendor.
#[derive(Clone, Copy, Debug)]
pub struct VendorRules {
    /// The known regions of the service; the list may be incomplete.
    pub regions: &'static [&'static str],
    /// Whether a text has the form of a region, so that it is safe in a host name.
    pub is_region: fn(text: &str) -> bool,
    /// Whether a text is an ARN of this kind of RAM resource.
    pub is_ram_arn: fn(text: &str, kind: &str) -> bool,
    /// How a client ID differs from the rules for new IDs, if it does.
    pub client_id_irregularity: fn(id: &str) -> Option<&'static str>,
}

/// What all checks of one configuration need.
pub(in super::super) struct Context<'c> {
    /// The folder at which relative paths start.
    pub(in super::super) folder: &'c Path,
    pub(in super::super) rules: &'c VendorRules,
}

impl Context<'_> {
    /// A path; a relative one starts at the folder of the file.
    pub(super) fn path(&self, at: &NodeCursor<'_>) -> Option<PathBuf> {
        at.text().map(|path| self.folder.join(path))
    }
}

/// The items of the list `at`, which is named `name`, as read by `read`. Items with the same `key`
/// are reported, and all but the first are left out.
pub(super) fn unique_items<T, K: Eq + Hash>(
    at: &NodeCursor<'_>,
    name: &str,
    key: impl Fn(&T) -> K,
    mut read: impl FnMut(&NodeCursor<'_>) -> Option<T>,
) -> Option<Vec<T>> {
    let items = at.items()?;
    let mut seen = HashMap::with_capacity(items.len());
    let mut unique = Vec::with_capacity(items.len());
    for (n, at) in items.enumerate() {
        let Some(item) = read(&at) else {
            continue;
        };
        let first = *seen.entry(key(&item)).or_insert(n);
        if first == n {
            unique.push(item);
        } else {
            at.problem(format!(
                "duplicates `{name}[{first}]`; remove one of the two"
            ));
        }
    }
    Some(unique)
}
