//! `~/.alibabacloud/credentials.ini`, as Alibaba Cloud's SDKs read it: sections, `key = value`,
//! comments after `#`, and lines that begin with `;`.

use std::collections::HashMap;

use super::entry::{ProfileEntry, unsupported};

const SUPPORTED: &str = "type `access_key`, `ram_role_arn`, `oidc_role_arn` or `ecs_ram_role`";

/// The section `name`, as the equal profile of the CLI.
pub(super) fn find(text: &str, name: &str) -> Result<Option<ProfileEntry>, String> {
    let mut section = None;
    // The keys of the wanted section; of equal keys the last one counts.
    let mut keys: Option<HashMap<String, &str>> = None;
    for (line, number) in text.lines().zip(1..) {
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.is_empty() || line.starts_with(';') {
            continue;
        }
        let header = line.strip_prefix('[');
        if let Some(header) = header.and_then(|header| header.strip_suffix(']')) {
            section = Some(header.trim());
            if section == Some(name) {
                keys.get_or_insert_default();
            }
            continue;
        }
        // The error has only the number of the line: its content may be a secret.
        let (key, value) = line
            .split_once(['=', ':'])
            .ok_or_else(|| format!("line {number} is neither a section nor `key = value`"))?;
        if section.is_none() {
            return Err(format!("line {number} comes before the first section"));
        }
        if let Some(keys) = keys.as_mut().filter(|_| section == Some(name)) {
            keys.insert(key.trim().to_ascii_lowercase(), value.trim());
        }
    }
    keys.map(|keys| entry(name, &keys)).transpose()
}

fn entry(name: &str, keys: &HashMap<String, &str>) -> Result<ProfileEntry, String> {
    let get = |key: &str| keys.get(key).map(|value| (*value).to_owned());
    let mode = match keys.get("type").copied().unwrap_or_default() {
        "access_key" => "AK",
        "ram_role_arn" => "RamRoleArn",
        "oidc_role_arn" => "OIDC",
        "ecs_ram_role" => "EcsRamRole",
        kind => return Err(unsupported(name, "type", kind, SUPPORTED)),
    };
    Ok(ProfileEntry {
        name: Some(name.to_owned()),
        mode: Some(mode.to_owned()),
        access_key_id: get("access_key_id"),
        access_key_secret: get("access_key_secret"),
        ram_role_name: get("role_name"),
        ram_role_arn: get("role_arn"),
        ram_session_name: get("role_session_name"),
        policy: get("policy"),
        oidc_provider_arn: get("oidc_provider_arn"),
        oidc_token_file: get("oidc_token_file_path"),
        ..ProfileEntry::default()
    })
}
