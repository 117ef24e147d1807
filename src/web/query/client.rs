//! One client of a snapshot.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::clock::{Timestamp, WallOffset};
use crate::presence::{InstanceSnapshot, Status};

/// One client of a snapshot.
#[derive(Clone, Copy, Debug)]
pub(in crate::web) struct ClientRef<'a> {
    pub(in crate::web) offset: WallOffset,
    pub(in crate::web) instance: &'a InstanceSnapshot,
    pub(in crate::web) index: usize,
}

impl<'a> ClientRef<'a> {
    pub(in crate::web) fn instance_id(&self) -> &'a str {
        self.instance.id().as_str()
    }

    pub(in crate::web) fn client_id(&self) -> Cow<'a, str> {
        self.instance.fleet().client(self.index)
    }

    /// The group, as the exposition names it.
    pub(in crate::web) fn group_id(&self) -> &'a str {
        let fleet = self.instance.fleet();
        &fleet.groups()[fleet.group_of(self.index)].name
    }

    pub(in crate::web) fn labels(&self) -> BTreeMap<&'a str, Cow<'a, str>> {
        self.instance.fleet().labels(self.index).collect()
    }

    pub(in crate::web) fn status(&self) -> Status {
        self.instance.status(self.index)
    }

    /// When the status became what it is; `None` while it is unknown.
    pub(in crate::web) fn since(&self) -> Option<Timestamp> {
        let (_, since) = self.instance.client(self.index)?;
        Some(self.offset.wall(since))
    }

    /// When the client was last observed; `None` while its status is unknown.
    pub(in crate::web) fn observed(&self) -> Option<Timestamp> {
        let (seen, _) = self.instance.client(self.index)?;
        Some(self.offset.wall(seen.at))
    }
}
