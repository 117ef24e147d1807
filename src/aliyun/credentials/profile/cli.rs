//! `~/.aliyun/config.json`, as the vendor's command line writes it.

use std::time::Duration;

use serde::Deserialize;

use super::{Found, Place, ProfileKind, oidc, shown, unsupported};
use crate::config::Session;
use crate::secret::Secret;

const SUPPORTED: &str =
    "mode `AK`, `StsToken`, `RamRoleArn`, `ChainableRamRoleArn`, `EcsRamRole` or `OIDC`";

/// The shortest session that the security token service gives.
const SHORTEST: u64 = 900;

#[derive(Deserialize)]
struct File {
    current: Option<String>,
    #[serde(default)]
    profiles: Vec<Entry>,
}

#[derive(Clone, Deserialize)]
struct Entry {
    name: Option<String>,
    mode: Option<String>,
    access_key_id: Option<String>,
    access_key_secret: Option<String>,
    sts_token: Option<String>,
    ram_role_name: Option<String>,
    ram_role_arn: Option<String>,
    ram_session_name: Option<String>,
    role_session_name: Option<String>,
    expired_seconds: Option<u64>,
    policy: Option<String>,
    external_id: Option<String>,
    source_profile: Option<String>,
    oidc_provider_arn: Option<String>,
    oidc_token_file: Option<String>,
    sts_region: Option<String>,
    enable_vpc: Option<bool>,
}

/// The profile `name`, or the one that is current.
pub(super) fn find(text: &str, name: Option<&str>) -> Result<Option<Found>, String> {
    // The place is enough: what stands there may be a secret.
    let file: File = serde_json::from_str(text).map_err(|error| {
        format!(
            "not the JSON that the vendor's CLI writes (line {}, column {})",
            error.line(),
            error.column()
        )
    })?;
    let Some(name) = name.or(file.current.as_deref()) else {
        return Ok(None);
    };
    let Some(entry) = file.entry(name) else {
        return Ok(None);
    };
    let way = file.way(entry, &mut vec![name])?;
    Ok(Some(Found {
        name: shown(name),
        way,
    }))
}

/// A text that is not there and one that is empty are the same to the vendor.
fn filled(text: Option<&String>) -> Option<String> {
    text.filter(|text| !text.is_empty()).cloned()
}

impl File {
    fn entry(&self, name: &str) -> Option<&Entry> {
        self.profiles
            .iter()
            .find(|entry| entry.name.as_deref() == Some(name))
    }

    /// How `entry` leads to an access key; `path` has the names of the profiles that led to it.
    fn way<'a>(&'a self, entry: &'a Entry, path: &mut Vec<&'a str>) -> Result<ProfileKind, String> {
        let name = entry.name.as_deref().unwrap_or_default();
        match entry.mode.as_deref().unwrap_or_default() {
            "AK" => Ok(entry.key(None)),
            "StsToken" => match filled(entry.sts_token.as_ref()) {
                Some(token) => Ok(entry.key(Some(Secret::new(token)))),
                None => Err(format!(
                    "profile `{}` has mode `StsToken` and no `sts_token`",
                    shown(name)
                )),
            },
            "EcsRamRole" => Ok(ProfileKind::EcsRamRole {
                role: filled(entry.ram_role_name.as_ref()),
            }),
            "RamRoleArn" => entry.assume_role(entry.key(None)),
            "ChainableRamRoleArn" => {
                let source = entry.source_profile.as_deref().unwrap_or_default();
                let told = |what: &str| {
                    let (name, source) = (shown(name), shown(source));
                    format!("profile `{name}` has the `source_profile` `{source}`, which {what}")
                };
                let caller = self.entry(source).ok_or_else(|| told("does not exist"))?;
                if path.contains(&source) {
                    return Err(told("leads back to it"));
                }
                path.push(source);
                entry.assume_role(self.way(caller, path)?)
            }
            "OIDC" => Ok(ProfileKind::Oidc {
                identity: oidc::Given {
                    role_arn: filled(entry.ram_role_arn.as_ref()),
                    provider_arn: filled(entry.oidc_provider_arn.as_ref()),
                    token_file: filled(entry.oidc_token_file.as_ref()).map(Into::into),
                },
                session: entry.session(
                    entry
                        .role_session_name
                        .as_ref()
                        .or(entry.ram_session_name.as_ref()),
                )?,
                place: entry.place(),
            }),
            mode => Err(unsupported(name, "mode", mode, SUPPORTED)),
        }
    }
}

impl Entry {
    fn key(&self, token: Option<Secret>) -> ProfileKind {
        ProfileKind::Key {
            id: self.access_key_id.clone().unwrap_or_default(),
            secret: Secret::new(self.access_key_secret.clone().unwrap_or_default()),
            token,
        }
    }

    fn assume_role(&self, caller: ProfileKind) -> Result<ProfileKind, String> {
        Ok(ProfileKind::AssumeRole {
            caller: Box::new(caller),
            role_arn: filled(self.ram_role_arn.as_ref()),
            external_id: filled(self.external_id.as_ref()),
            session: self.session(self.ram_session_name.as_ref())?,
            place: self.place(),
        })
    }

    fn session(&self, name: Option<&String>) -> Result<Session, String> {
        let default = Session::default();
        let duration = match self.expired_seconds {
            None | Some(0) => default.duration,
            Some(seconds) if seconds >= SHORTEST => Duration::from_secs(seconds),
            Some(_) => {
                let name = shown(self.name.as_deref().unwrap_or_default());
                return Err(format!(
                    "profile `{name}` has `expired_seconds` below {SHORTEST}"
                ));
            }
        };
        Ok(Session {
            name: filled(name),
            duration,
            policy: filled(self.policy.as_ref()),
        })
    }

    fn place(&self) -> Place {
        Place {
            endpoint: None,
            region: filled(self.sts_region.as_ref()),
            vpc: self.enable_vpc,
        }
    }
}
