//! `~/.alibabacloud/credentials.ini`, as Alibaba Cloud's SDKs read it: sections, `key = value`,
//! comments after `#`, and lines that begin with `;`.

use super::entry::{ProfileEntry, unsupported};

const SUPPORTED: &str = "type `access_key`, `ram_role_arn`, `oidc_role_arn` or `ecs_ram_role`";

/// The section `name`, as the equal profile of the CLI. Of equal keys the last one counts.
pub(super) fn find(text: &str, name: &str) -> Result<Option<ProfileEntry>, String> {
    let mut section = None;
    let mut found: Option<ProfileEntry> = None;
    for (line, number) in text.lines().zip(1..) {
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.is_empty() || line.starts_with(';') {
            continue;
        }
        let header = line.strip_prefix('[');
        if let Some(header) = header.and_then(|header| header.strip_suffix(']')) {
            section = Some(header.trim());
            if section == Some(name) {
                found.get_or_insert_default();
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
        if let Some(entry) = found.as_mut().filter(|_| section == Some(name)) {
            set(entry, key.trim(), value.trim());
        }
    }
    let Some(mut entry) = found else {
        return Ok(None);
    };
    let mode = match entry.mode.as_deref().unwrap_or_default() {
        "access_key" => "AK",
        "ram_role_arn" => "RamRoleArn",
        "oidc_role_arn" => "OIDC",
        "ecs_ram_role" => "EcsRamRole",
        kind => return Err(unsupported(name, "type", kind, SUPPORTED)),
    };
    entry.mode = Some(mode.to_owned());
    entry.name = Some(name.to_owned());
    Ok(Some(entry))
}

fn set(entry: &mut ProfileEntry, key: &str, value: &str) {
    let field = match key.to_ascii_lowercase().as_str() {
        "type" => &mut entry.mode,
        "access_key_id" => &mut entry.access_key_id,
        "access_key_secret" => &mut entry.access_key_secret,
        "role_name" => &mut entry.ram_role_name,
        "role_arn" => &mut entry.ram_role_arn,
        "role_session_name" => &mut entry.ram_session_name,
        "policy" => &mut entry.policy,
        "oidc_provider_arn" => &mut entry.oidc_provider_arn,
        "oidc_token_file_path" => &mut entry.oidc_token_file,
        _ => return,
    };
    *field = Some(value.to_owned());
}
