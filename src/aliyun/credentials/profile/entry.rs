//! A profile, and how it leads to an access key.

use std::time::Duration;

use serde::Deserialize;

use crate::aliyun::access_key::AccessKey;
use crate::aliyun::body::presentable;
use crate::aliyun::credentials::sts::{OidcIdentity, StsRegion};
use crate::config::Session;
use crate::secret::Secret;

const SUPPORTED: &str =
    "mode `AK`, `StsToken`, `RamRoleArn`, `ChainableRamRoleArn`, `EcsRamRole` or `OIDC`";

/// The shortest session of the security token service, in seconds.
const MIN_SESSION: u64 = 900;

/// How a profile leads to an access key.
#[derive(Debug)]
pub enum ProfileKind {
    /// The profile contains the access key.
    AccessKey(AccessKey),
    /// A role of the ECS instance; by default the only one.
    EcsRamRole(Option<String>),
    /// A role, assumed with the token of an identity provider.
    Oidc {
        /// The role and the token.
        identity: OidcIdentity,
        /// The session.
        session: Session,
        /// The region of the security token service.
        region: StsRegion,
    },
    /// A role, assumed with other credentials.
    AssumeRole {
        /// The other credentials.
        source: Box<ProfileKind>,
        /// The role.
        role_arn: Option<String>,
        /// The external ID required by the trust policy of the role.
        external_id: Option<String>,
        /// The session.
        session: Session,
        /// The region of the security token service.
        region: StsRegion,
    },
}

impl ProfileKind {
    /// The type of credentials, as a configuration names it.
    pub(in crate::aliyun::credentials) const fn name(&self) -> &'static str {
        match self {
            Self::AccessKey(_) => "access_key",
            Self::EcsRamRole(_) => "ecs_ram_role",
            Self::Oidc { .. } => "oidc",
            Self::AssumeRole { .. } => "assume_role",
        }
    }
}

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

impl ProfileEntry {
    /// Whether this is the profile `name`.
    pub(super) fn is(&self, name: &str) -> bool {
        self.name.as_deref() == Some(name)
    }

    /// How the profile leads to an access key. `entries` are all profiles of the file, `path` the
    /// names of those that led here.
    pub(super) fn kind<'a>(
        &'a self,
        entries: &'a [Self],
        path: &mut Vec<&'a str>,
    ) -> Result<ProfileKind, String> {
        let name = shown(self.name.as_deref().unwrap_or_default());
        match self.mode.as_deref().unwrap_or_default() {
            "AK" => self.access_key(None),
            "StsToken" => match filled(self.sts_token.as_ref()) {
                Some(token) => self.access_key(Some(&Secret::new(token))),
                None => Err(format!(
                    "profile `{name}` has mode `StsToken` and no `sts_token`"
                )),
            },
            "EcsRamRole" => Ok(ProfileKind::EcsRamRole(filled(self.ram_role_name.as_ref()))),
            "RamRoleArn" => self.assume_role(self.access_key(None)?),
            "ChainableRamRoleArn" => {
                let source = self.source_profile.as_deref().unwrap_or_default();
                let failed = |what| {
                    let source = shown(source);
                    format!("profile `{name}` has the `source_profile` `{source}`, which {what}")
                };
                let entry = entries.iter().find(|entry| entry.is(source));
                let entry = entry.ok_or_else(|| failed("does not exist"))?;
                if path.contains(&source) {
                    return Err(failed("leads back to it"));
                }
                path.push(source);
                self.assume_role(entry.kind(entries, path)?)
            }
            "OIDC" => Ok(ProfileKind::Oidc {
                identity: OidcIdentity {
                    role_arn: filled(self.ram_role_arn.as_ref()),
                    provider_arn: filled(self.oidc_provider_arn.as_ref()),
                    token_file: filled(self.oidc_token_file.as_ref()).map(Into::into),
                },
                session: self.session(
                    self.role_session_name
                        .as_ref()
                        .or(self.ram_session_name.as_ref()),
                )?,
                region: self.region(),
            }),
            mode => Err(unsupported(&name, "mode", mode, SUPPORTED)),
        }
    }

    fn access_key(&self, token: Option<&Secret>) -> Result<ProfileKind, String> {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let secret = Secret::new(text(&self.access_key_secret));
        let key = AccessKey::new(&text(&self.access_key_id), &secret, token);
        key.map(ProfileKind::AccessKey).map_err(|why| {
            let name = shown(self.name.as_deref().unwrap_or_default());
            format!("profile `{name}`: {why}")
        })
    }

    fn assume_role(&self, source: ProfileKind) -> Result<ProfileKind, String> {
        Ok(ProfileKind::AssumeRole {
            source: Box::new(source),
            role_arn: filled(self.ram_role_arn.as_ref()),
            external_id: filled(self.external_id.as_ref()),
            session: self.session(self.ram_session_name.as_ref())?,
            region: self.region(),
        })
    }

    fn session(&self, name: Option<&String>) -> Result<Session, String> {
        let duration = match self.expired_seconds {
            None | Some(0) => Session::default().duration,
            Some(seconds) if seconds >= MIN_SESSION => Duration::from_secs(seconds),
            Some(_) => {
                let name = shown(self.name.as_deref().unwrap_or_default());
                return Err(format!(
                    "profile `{name}` has `expired_seconds` below {MIN_SESSION}"
                ));
            }
        };
        Ok(Session {
            name: filled(name),
            duration,
            policy: filled(self.policy.as_ref()),
        })
    }

    fn region(&self) -> StsRegion {
        StsRegion {
            name: filled(self.sts_region.as_ref()),
            vpc: self.enable_vpc,
        }
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
