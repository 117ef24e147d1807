//! Several sources, of which the first that is configured counts.

use super::{Credentials, Fetch, FetchError};
use crate::presence::BoxFuture;

#[derive(Debug)]
pub(super) struct Chain(Vec<Box<dyn Fetch>>);

impl Chain {
    pub(super) fn new(links: Vec<Box<dyn Fetch>>) -> Self {
        Self(links)
    }
}

impl Fetch for Chain {
    fn kind(&self) -> &'static str {
        "chain"
    }

    /// A source that is configured and fails ends the chain: the next one might be another
    /// account's, and its answers would be taken for this one's.
    fn fetch(&self) -> BoxFuture<'_, Result<Credentials, FetchError>> {
        Box::pin(async move {
            let mut attempts = Vec::new();
            for link in &self.0 {
                match link.fetch().await {
                    Ok(credentials) => return Ok(credentials),
                    Err(FetchError::NotConfigured(why)) => attempts.push(format!("{}: {why}", link.kind())),
                    Err(FetchError::Failed(why)) => {
                        attempts.push(format!("{}: {why}", link.kind()));
                        return Err(FetchError::Failed(attempts.join("; ")));
                    }
                }
            }
            Err(FetchError::NotConfigured(attempts.join("; ")))
        })
    }
}
