//! What all checks of one configuration need.

use std::path::{Path, PathBuf};

use super::super::cursor::NodeCursor;
use super::super::report::Report;

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
    pub(in super::super) report: &'c mut Report,
}

impl Context<'_> {
    /// A path; a relative one starts at the folder of the file.
    pub(super) fn path(&mut self, at: &NodeCursor<'_>) -> Option<PathBuf> {
        at.text(self.report).map(|path| self.folder.join(path))
    }
}
