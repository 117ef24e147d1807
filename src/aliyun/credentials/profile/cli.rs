//! `~/.aliyun/config.json`, as the vendor's command line writes it.

use serde::Deserialize;

use super::{Found, unsupported};
use crate::secret::Secret;

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    current: String,
    #[serde(default)]
    profiles: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    name: String,
    #[serde(default)]
    mode: String,
    #[serde(default)]
    access_key_id: String,
    #[serde(default)]
    access_key_secret: String,
    #[serde(default)]
    sts_token: String,
}

/// The profile `name`, or the one that is current.
pub(super) fn find(text: &str, name: Option<&str>) -> Result<Option<Found>, String> {
    // The place is enough: what stands there may be a secret.
    let file: File = serde_json::from_str(text).map_err(|error| {
        format!("not the JSON that the vendor's CLI writes (line {}, column {})", error.line(), error.column())
    })?;
    let name = name.unwrap_or(&file.current);
    let Some(entry) = file.profiles.into_iter().find(|entry| entry.name == name) else { return Ok(None) };
    let token = match entry.mode.as_str() {
        "AK" => None,
        "StsToken" if entry.sts_token.is_empty() => {
            return Err(format!("profile `{name}` has mode `StsToken` and no `sts_token`"));
        }
        "StsToken" => Some(Secret::new(entry.sts_token)),
        mode => return Err(unsupported(name, "mode", mode, "mode `AK` or `StsToken`")),
    };
    Ok(Some(Found { name: entry.name, id: entry.access_key_id, secret: Secret::new(entry.access_key_secret), token }))
}
