//! An access key that stands in the configuration, its secret perhaps in a file.

use std::path::PathBuf;

use secrecy::zeroize::Zeroizing;

use super::{AccessKey, Fetch, FetchError, Fetched};
use crate::config::SecretSource;
use crate::presence::BoxFuture;
use crate::secret::Secret;

#[derive(Debug)]
pub(super) struct ConfiguredKey {
    id: String,
    secret: SecretSource,
}

impl ConfiguredKey {
    pub(super) fn new(id: &str, secret: &SecretSource) -> Self {
        Self {
            id: id.to_owned(),
            secret: secret.clone(),
        }
    }

    async fn secret(&self) -> Result<Secret, FetchError> {
        match &self.secret {
            SecretSource::Inline(secret) => Ok(secret.clone()),
            SecretSource::File(path) => {
                let text = tokio::fs::read_to_string(path)
                    .await
                    .map(Zeroizing::new)
                    .map_err(|error| {
                        FetchError::Failed(format!(
                            "cannot read the access key secret in {}: {error}",
                            path.display()
                        ))
                    })?;
                if text.trim().is_empty() {
                    return Err(FetchError::Failed(format!("{} is empty", path.display())));
                }
                Ok(Secret::new(text.as_str()))
            }
        }
    }
}

impl Fetch for ConfiguredKey {
    fn kind(&self) -> &'static str {
        "access_key"
    }

    fn fetch(&self) -> BoxFuture<'_, Result<Fetched, FetchError>> {
        Box::pin(async move { Ok(AccessKey::new(&self.id, &self.secret().await?, None)?.into()) })
    }

    fn files(&self) -> Vec<PathBuf> {
        match &self.secret {
            SecretSource::Inline(_) => Vec::new(),
            SecretSource::File(path) => vec![path.clone()],
        }
    }
}
