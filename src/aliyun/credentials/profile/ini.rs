//! `~/.alibabacloud/credentials.ini`, as the vendor's SDKs read it: sections, `key = value`,
//! comments after `#`, and lines that begin with `;`.

use super::{Found, unsupported};
use crate::secret::Secret;

const DEFAULT: &str = "default";

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
        if let Some(header) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
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
            Some(section) if section == name => wanted.get_or_insert_default().set(key.trim(), value.trim()),
            Some(_) => {}
        }
    }
    wanted.map(|section| section.into_found(name)).transpose()
}

#[derive(Default)]
struct Section<'a> {
    kind: &'a str,
    id: &'a str,
    secret: &'a str,
}

impl<'a> Section<'a> {
    /// The keys of other types are none of ours.
    fn set(&mut self, key: &str, value: &'a str) {
        match key.to_ascii_lowercase().as_str() {
            "type" => self.kind = value,
            "access_key_id" => self.id = value,
            "access_key_secret" => self.secret = value,
            _ => {}
        }
    }

    fn into_found(self, name: &str) -> Result<Found, String> {
        if self.kind != "access_key" {
            return Err(unsupported(name, "type", self.kind, "type `access_key`"));
        }
        Ok(Found { name: name.to_owned(), id: self.id.to_owned(), secret: Secret::new(self.secret), token: None })
    }
}
