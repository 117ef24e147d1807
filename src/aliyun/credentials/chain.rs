//! Several sources, of which the first that is configured counts.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{Fetch, FetchError, Fetched};
use crate::presence::BoxFuture;

#[derive(Debug)]
pub(super) struct Chain {
    links: Vec<Box<dyn Fetch>>,
    /// Which link gave credentials last; past the end before one has.
    worked: AtomicUsize,
}

impl Chain {
    pub(super) fn new(links: Vec<Box<dyn Fetch>>) -> Self {
        Self {
            links,
            worked: AtomicUsize::new(usize::MAX),
        }
    }

    /// A source that is configured and fails ends the chain: the next one might be another
    /// account's, and its answers would be taken for this one's. One that has given credentials
    /// before is configured, whatever it says now.
    async fn follow(&self) -> Result<Fetched, FetchError> {
        let mut attempts = Vec::new();
        for (index, link) in self.links.iter().enumerate() {
            let why = match link.fetch().await {
                Ok(fetched) => {
                    self.worked.store(index, Ordering::Relaxed);
                    return Ok(fetched);
                }
                Err(why) => why,
            };
            attempts.push(format!("{}: {why}", link.kind()));
            if matches!(why, FetchError::Failed(_)) || self.worked.load(Ordering::Relaxed) == index
            {
                return Err(FetchError::Failed(attempts.join("; ")));
            }
        }
        Err(FetchError::NotConfigured(attempts.join("; ")))
    }
}

impl Fetch for Chain {
    fn kind(&self) -> &'static str {
        "chain"
    }

    fn fetch(&self) -> BoxFuture<'_, Result<Fetched, FetchError>> {
        Box::pin(self.follow())
    }

    fn files(&self) -> Vec<PathBuf> {
        self.links.iter().flat_map(|link| link.files()).collect()
    }
}
