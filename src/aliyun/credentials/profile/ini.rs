//! `~/.alibabacloud/credentials.ini`, as the vendor's SDKs read it: sections, `key = value`,
//! comments after `#`, and lines that begin with `;`.

use std::collections::HashMap;

use super::{Found, Place, ProfileKind, oidc, shown, unsupported};
use crate::config::Session;
use crate::secret::Secret;

const DEFAULT: &str = "default";

const SUPPORTED: &str = "type `access_key`, `ram_role_arn`, `oidc_role_arn` or `ecs_ram_role`";

/// The section `name`, or the one called `default`.
pub(super) fn find(text: &str, name: Option<&str>) -> Result<Option<Found>, String> {
    let name = name.unwrap_or(DEFAULT);
    let mut section = None;
    let mut wanted: Option<Section<'_>> = None;
    for (line, number) in text.lines().zip(1..) {
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.is_empty() || line.starts_with(';') {
            continue;
        }
        if let Some(header) = line
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
        {
            section = Some(header.trim());
            if section == Some(name) {
                wanted.get_or_insert_default();
            }
            continue;
        }
        // What stands in the line may be a secret: its number is enough.
        let (key, value) = line
            .split_once(['=', ':'])
            .ok_or_else(|| format!("line {number} is neither a section nor `key = value`"))?;
        match section {
            None => return Err(format!("line {number} stands before the first section")),
            Some(section) if section == name => {
                wanted
                    .get_or_insert_default()
                    .0
                    .insert(key.trim().to_ascii_lowercase(), value.trim());
            }
            Some(_) => {}
        }
    }
    wanted.map(|section| section.found(name)).transpose()
}

/// The keys of a section; a later one of the same name wins.
#[derive(Default)]
struct Section<'a>(HashMap<String, &'a str>);

impl Section<'_> {
    /// What `key` has, unless that is nothing.
    fn get(&self, key: &str) -> Option<String> {
        self.0
            .get(key)
            .filter(|value| !value.is_empty())
            .map(|value| (*value).to_owned())
    }

    fn found(&self, name: &str) -> Result<Found, String> {
        let way = match self.get("type").unwrap_or_default().as_str() {
            "access_key" => self.key(),
            "ram_role_arn" => ProfileKind::AssumeRole {
                caller: Box::new(self.key()),
                role_arn: self.get("role_arn"),
                external_id: None,
                session: self.session(),
                place: Place::default(),
            },
            "oidc_role_arn" => ProfileKind::Oidc {
                identity: oidc::Given {
                    role_arn: self.get("role_arn"),
                    provider_arn: self.get("oidc_provider_arn"),
                    token_file: self.get("oidc_token_file_path").map(Into::into),
                },
                session: self.session(),
                place: Place::default(),
            },
            "ecs_ram_role" => ProfileKind::EcsRamRole {
                role: self.get("role_name"),
            },
            kind => return Err(unsupported(name, "type", kind, SUPPORTED)),
        };
        Ok(Found {
            name: shown(name),
            way,
        })
    }

    fn key(&self) -> ProfileKind {
        ProfileKind::Key {
            id: self.get("access_key_id").unwrap_or_default(),
            secret: Secret::new(self.get("access_key_secret").unwrap_or_default()),
            token: None,
        }
    }

    fn session(&self) -> Session {
        Session {
            name: self.get("role_session_name"),
            policy: self.get("policy"),
            ..Session::default()
        }
    }
}
