//! The profiles of a file, and the credentials that they describe.

use std::time::Duration;

use reqwest::Url;
use serde::Deserialize;

use crate::aliyun::access_key::AccessKey;
use crate::aliyun::body::presentable;
use crate::aliyun::credentials::sts;
use crate::config::{Endpoints, Env, Provider, SecretSource, Session};
use crate::secret::Secret;

const SUPPORTED: &str =
    "mode `AK`, `StsToken`, `RamRoleArn`, `ChainableRamRoleArn`, `EcsRamRole` or `OIDC`";

/// The shortest session of the security token service, in seconds.
const MIN_SESSION: u64 = 900;

/// A profile as `config.json` of the CLI contains it. An empty text counts as missing.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct ProfileEntry {
    pub(super) name: Option<String>,
    pub(super) mode: Option<String>,
    pub(super) access_key_id: Option<String>,
    pub(super) access_key_secret: Option<String>,
    pub(super) sts_token: Option<String>,
    pub(super) ram_role_name: Option<String>,
    pub(super) ram_role_arn: Option<String>,
    pub(super) ram_session_name: Option<String>,
    pub(super) role_session_name: Option<String>,
    pub(super) expired_seconds: Option<u64>,
    pub(super) policy: Option<String>,
    pub(super) external_id: Option<String>,
    pub(super) source_profile: Option<String>,
    pub(super) oidc_provider_arn: Option<String>,
    pub(super) oidc_token_file: Option<String>,
    pub(super) sts_region: Option<String>,
    pub(super) enable_vpc: Option<bool>,
}

/// The profiles of a file, with the values for what they leave open.
pub(super) struct Profiles<'a> {
    pub(super) entries: Vec<ProfileEntry>,
    pub(super) endpoints: &'a Endpoints,
    pub(super) env: &'a Env,
}

impl Profiles<'_> {
    /// The credentials that the profile `name` describes, if there is one. `path` has the names of
    /// the profiles that led here.
    pub(super) fn provider<'n>(
        &'n self,
        name: &'n str,
        path: &mut Vec<&'n str>,
    ) -> Result<Option<Provider>, String> {
        let mut entries = self.entries.iter();
        let Some(entry) = entries.find(|entry| entry.name.as_deref() == Some(name)) else {
            return Ok(None);
        };
        path.push(name);
        let provider = match entry.mode.as_deref().unwrap_or_default() {
            "AK" => entry.access_key(None)?,
            "StsToken" => {
                let token = filled(entry.sts_token.as_ref()).map(Secret::new);
                let missing = || entry.failed(" has mode `StsToken` and no `sts_token`");
                entry.access_key(Some(token.ok_or_else(missing)?))?
            }
            "EcsRamRole" => Provider::EcsRamRole {
                role: filled(entry.ram_role_name.as_ref()),
                endpoint: self.endpoints.metadata.clone(),
            },
            "RamRoleArn" => self.assume_role(entry, entry.access_key(None)?)?,
            "ChainableRamRoleArn" => {
                let source = entry.source_profile.as_deref().unwrap_or_default();
                let failed = |what| {
                    let source = shown(source);
                    entry.failed(&format!(
                        " has the `source_profile` `{source}`, which {what}"
                    ))
                };
                if path.contains(&source) {
                    return Err(failed("leads back to it"));
                }
                let provider = self.provider(source, path)?;
                self.assume_role(entry, provider.ok_or_else(|| failed("does not exist"))?)?
            }
            "OIDC" => {
                let session = entry.role_session_name.as_ref();
                Provider::Oidc {
                    role_arn: filled(entry.ram_role_arn.as_ref()),
                    provider_arn: filled(entry.oidc_provider_arn.as_ref()),
                    token_file: filled(entry.oidc_token_file.as_ref()).map(Into::into),
                    session: entry.session(session.or(entry.ram_session_name.as_ref()))?,
                    sts_endpoint: Some(self.sts_endpoint(entry)?),
                }
            }
            mode => return Err(unsupported(name, "mode", mode, SUPPORTED)),
        };
        Ok(Some(provider))
    }

    fn assume_role(&self, entry: &ProfileEntry, source: Provider) -> Result<Provider, String> {
        let role_arn = filled(entry.ram_role_arn.as_ref());
        let role_arn = role_arn.or_else(|| self.env.get(sts::ROLE).map(str::to_owned));
        Ok(Provider::AssumeRole {
            role_arn: role_arn.ok_or_else(|| entry.failed(" has no role"))?,
            external_id: filled(entry.external_id.as_ref()).map(Secret::new),
            session: entry.session(entry.ram_session_name.as_ref())?,
            sts_endpoint: Some(self.sts_endpoint(entry)?),
            source: Box::new(source),
        })
    }

    fn sts_endpoint(&self, entry: &ProfileEntry) -> Result<Url, String> {
        let region = filled(entry.sts_region.as_ref());
        let configured = self.endpoints.sts.as_ref();
        sts::endpoint(configured, region.as_deref(), entry.enable_vpc, self.env)
            .map_err(|why| entry.failed(&format!(": {why}")))
    }
}

impl ProfileEntry {
    fn access_key(&self, token: Option<Secret>) -> Result<Provider, String> {
        let id = self.access_key_id.clone().unwrap_or_default();
        let secret = Secret::new(self.access_key_secret.as_deref().unwrap_or_default());
        AccessKey::new(&id, &secret, token.as_ref())
            .map_err(|why| self.failed(&format!(": {why}")))?;
        let secret = SecretSource::Inline(secret);
        Ok(Provider::AccessKey { id, secret, token })
    }

    fn session(&self, name: Option<&String>) -> Result<Session, String> {
        let duration = match self.expired_seconds {
            None | Some(0) => Session::default().duration,
            Some(seconds) if seconds >= MIN_SESSION => Duration::from_secs(seconds),
            Some(_) => {
                let what = format!(" has `expired_seconds` below {MIN_SESSION}");
                return Err(self.failed(&what));
            }
        };
        Ok(Session {
            name: filled(name),
            duration,
            policy: filled(self.policy.as_ref()),
        })
    }

    fn failed(&self, what: &str) -> String {
        let name = shown(self.name.as_deref().unwrap_or_default());
        format!("profile `{name}`{what}")
    }
}

fn filled(text: Option<&String>) -> Option<String> {
    text.filter(|text| !text.is_empty()).cloned()
}

/// A text of a file, presentable.
pub(super) fn shown(text: &str) -> String {
    presentable(text, 64)
}

/// The error of a profile whose `key` names a kind that the exporter does not support.
pub(super) fn unsupported(name: &str, key: &str, kind: &str, supported: &str) -> String {
    let (name, kind) = (shown(name), shown(kind));
    format!("profile `{name}` has {key} `{kind}`, which is not supported; use one with {supported}")
}
