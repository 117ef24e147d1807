//! A role that the owner of other credentials assumes.

use std::path::PathBuf;

use super::sts::{Role, Sts};
use super::{Fetch, FetchError, Fetched};
use crate::presence::BoxFuture;

#[derive(Debug)]
pub(super) struct AssumeRole {
    caller: Box<dyn Fetch>,
    role: Role,
    sts: Sts,
}

impl AssumeRole {
    pub(super) fn new(caller: Box<dyn Fetch>, role: Role, sts: Sts) -> Self {
        Self { caller, role, sts }
    }

    /// The caller's own credentials are fetched anew each time: they are needed for one request an
    /// hour.
    async fn assume(&self) -> Result<Fetched, FetchError> {
        let caller = self
            .caller
            .fetch()
            .await
            .map_err(|error| error.of(self.caller.kind()))?;
        self.sts.assume(&self.role, &caller.credentials).await
    }
}

impl Fetch for AssumeRole {
    fn kind(&self) -> &'static str {
        "assume_role"
    }

    fn fetch(&self) -> BoxFuture<'_, Result<Fetched, FetchError>> {
        Box::pin(self.assume())
    }

    fn files(&self) -> Vec<PathBuf> {
        self.caller.files()
    }
}
