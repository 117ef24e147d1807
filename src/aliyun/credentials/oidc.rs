//! A role that a workload of a cluster assumes with the token that the cluster gave it (RRSA on
//! ACK): no long-lived key anywhere.

use std::path::{Path, PathBuf};

use secrecy::zeroize::Zeroizing;

use super::sts::{Role, Sts};
use super::{Fetch, FetchError, Fetched};
use crate::config::{Env, Session};
use crate::presence::BoxFuture;
use crate::secret::Secret;

pub(super) const ROLE: &str = "ALIBABA_CLOUD_ROLE_ARN";
const PROVIDER: &str = "ALIBABA_CLOUD_OIDC_PROVIDER_ARN";
const TOKEN: &str = "ALIBABA_CLOUD_OIDC_TOKEN_FILE";

/// What the configuration says; the environment, where the cluster puts it, says the rest.
#[derive(Debug)]
pub(super) struct Given {
    pub(super) role_arn: Option<String>,
    pub(super) provider_arn: Option<String>,
    pub(super) token_file: Option<PathBuf>,
}

#[derive(Debug)]
pub(super) struct Oidc {
    identity: Result<Identity, FetchError>,
    sts: Sts,
}

#[derive(Debug)]
struct Identity {
    role: Role,
    provider_arn: String,
    token_file: PathBuf,
}

impl Oidc {
    pub(super) fn new(given: Given, session: &Session, sts: Sts, env: &Env) -> Self {
        let in_env = |name| env.get(name).map(str::to_owned);
        let role_arn = given.role_arn.or_else(|| in_env(ROLE));
        let provider_arn = given.provider_arn.or_else(|| in_env(PROVIDER));
        let token_file = given
            .token_file
            .or_else(|| in_env(TOKEN).map(PathBuf::from));
        let identity = match (role_arn, provider_arn, token_file) {
            (Some(arn), Some(provider_arn), Some(token_file)) => Ok(Identity {
                role: Role::new(&arn, session, env),
                provider_arn,
                token_file,
            }),
            (role, provider, token) => {
                let missing = [
                    (ROLE, role.is_none()),
                    (PROVIDER, provider.is_none()),
                    (TOKEN, token.is_none()),
                ];
                let missing: Vec<_> = missing
                    .iter()
                    .filter(|(_, missing)| *missing)
                    .map(|(name, _)| *name)
                    .collect();
                let are = if missing.len() == 1 { "is" } else { "are" };
                Err(FetchError::NotConfigured(format!(
                    "{} {are} not set",
                    missing.join(" and ")
                )))
            }
        };
        Self { identity, sts }
    }

    /// The cluster writes a new token long before the old one expires, so it is read each time.
    async fn assume(&self) -> Result<Fetched, FetchError> {
        let Identity {
            role,
            provider_arn,
            token_file,
        } = self.identity.as_ref().map_err(Clone::clone)?;
        let token = read(token_file).await?;
        self.sts.assume_with_oidc(role, provider_arn, &token).await
    }
}

impl Fetch for Oidc {
    fn kind(&self) -> &'static str {
        "oidc"
    }

    fn fetch(&self) -> BoxFuture<'_, Result<Fetched, FetchError>> {
        Box::pin(self.assume())
    }
}

async fn read(file: &Path) -> Result<Secret, FetchError> {
    let shown = file.display();
    let text = tokio::fs::read_to_string(file)
        .await
        .map(Zeroizing::new)
        .map_err(|error| {
            FetchError::Failed(format!("cannot read the token in {shown}: {error}"))
        })?;
    match text.trim() {
        "" => Err(FetchError::Failed(format!("{shown} is empty"))),
        token => Ok(Secret::new(token)),
    }
}
