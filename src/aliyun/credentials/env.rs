//! The vendor's environment variables.

use super::{AccessKey, Fetch, FetchError, Fetched};
use crate::config::Env;
use crate::presence::BoxFuture;
use crate::secret::Secret;

const ID: &str = "ALIBABA_CLOUD_ACCESS_KEY_ID";
const SECRET: &str = "ALIBABA_CLOUD_ACCESS_KEY_SECRET";
const TOKEN: &str = "ALIBABA_CLOUD_SECURITY_TOKEN";

#[derive(Debug)]
pub(super) struct EnvVariables {
    id: Option<String>,
    secret: Option<Secret>,
    token: Option<Secret>,
}

impl EnvVariables {
    pub(super) fn new(env: &Env) -> Self {
        Self {
            id: env.get(ID).map(str::to_owned),
            secret: env.get(SECRET).map(Secret::new),
            token: env.get(TOKEN).map(Secret::new),
        }
    }
}

impl Fetch for EnvVariables {
    fn kind(&self) -> &'static str {
        "env"
    }

    /// One variable without the other is a mistake, and worth more than a silent step to whatever
    /// else is configured.
    fn fetch(&self) -> BoxFuture<'_, Result<Fetched, FetchError>> {
        let half = |set, unset| {
            Err(FetchError::Failed(format!(
                "{set} is set, but {unset} is not"
            )))
        };
        let fetched = match (&self.id, &self.secret) {
            (Some(id), Some(secret)) => AccessKey::new(id, secret, self.token.as_ref()),
            (Some(_), None) => half(ID, SECRET),
            (None, Some(_)) => half(SECRET, ID),
            (None, None) => Err(FetchError::NotConfigured(format!(
                "{ID} and {SECRET} are not set"
            ))),
        };
        Box::pin(async move { Ok(fetched?.into()) })
    }
}
