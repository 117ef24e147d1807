//! A profile in one of the files of Alibaba Cloud's tools: `config.json` of the CLI, or
//! `credentials.ini` of the SDKs.

mod entry;
mod ini;

use std::io;
use std::path::{Path, PathBuf};

use secrecy::zeroize::Zeroizing;
use serde::Deserialize;

use entry::{ProfileEntry, Profiles, shown};

use super::fetch::FetchError;
use crate::config::{Endpoints, Env, Provider};

/// `file`, or the files that Alibaba Cloud's SDKs read, in their order; with each, whether it is
/// named explicitly and so must exist.
pub(super) fn files(file: Option<&Path>, env: &Env) -> Vec<(PathBuf, bool)> {
    if let Some(file) = file {
        return vec![(file.to_owned(), true)];
    }
    let in_home = |file| Some((Path::new(env.get("HOME")?).join(file), false));
    let mut files = Vec::new();
    if !env.is_true("ALIBABA_CLOUD_CLI_PROFILE_DISABLED") {
        files.extend(in_home(".aliyun/config.json"));
    }
    if let Some(file) = env.get("ALIBABA_CLOUD_CREDENTIALS_FILE") {
        files.push((file.into(), true));
    } else {
        files.extend(in_home(".alibabacloud/credentials.ini"));
        files.extend(in_home(".alibabacloud/credentials"));
    }
    files
}

/// The credentials that the profile `name` describes, by default the one that the environment or
/// a file names, and its place for errors.
pub(super) async fn search(
    name: Option<&str>,
    file: Option<&Path>,
    endpoints: &Endpoints,
    env: &Env,
) -> Result<(Provider, String), FetchError> {
    let name = name.or_else(|| env.get("ALIBABA_CLOUD_PROFILE"));
    let mut missing = Vec::new();
    let mut any_file = false;
    for (path, explicit) in files(file, env) {
        let place = path.display();
        let text = match tokio::fs::read_to_string(&path).await.map(Zeroizing::new) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound && !explicit => {
                missing.push(format!("{place} does not exist"));
                continue;
            }
            Err(error) => return Err(format!("cannot read {place}: {error}").into()),
        };
        any_file = true;
        let found = find(&text, name, endpoints, env);
        match found.map_err(|why| format!("{place}: {why}"))? {
            Some((name, found)) => return Ok((found, format!("{place}: profile `{name}`"))),
            None => missing.push(match name {
                Some(name) => format!("{place} has no profile `{name}`"),
                None => format!("{place} has no default profile"),
            }),
        }
    }
    if missing.is_empty() {
        missing.push("no file is named and HOME is not set".to_owned());
    }
    let missing = missing.join(", ");
    // A profile that is named is configured, unless there is no file at all.
    Err(if name.is_some() && any_file {
        FetchError::Failed(missing)
    } else {
        FetchError::NotConfigured(missing)
    })
}

/// `config.json` of the CLI.
#[derive(Deserialize)]
struct CliConfig {
    current: Option<String>,
    #[serde(default)]
    profiles: Vec<ProfileEntry>,
}

/// Finds the profile `name`, or the default one, in the text of a file; returns its presentable
/// name and the credentials that it describes, with those of `endpoints` and `env` that it leaves
/// open. The first character shows the format of the file. An error contains nothing that may be
/// a secret.
pub fn find(
    text: &str,
    name: Option<&str>,
    endpoints: &Endpoints,
    env: &Env,
) -> Result<Option<(String, Provider)>, String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let (name, entries) = if text.trim_start().starts_with('{') {
        let config: CliConfig = serde_json::from_str(text).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            format!("not the JSON of Alibaba Cloud's CLI (line {line}, column {column})")
        })?;
        (name.map(str::to_owned).or(config.current), config.profiles)
    } else {
        let name = name.unwrap_or("default");
        let entry = ini::find(text, name)?;
        (Some(name.to_owned()), entry.into_iter().collect())
    };
    let Some(name) = name else {
        return Ok(None);
    };
    let profiles = Profiles {
        entries,
        endpoints,
        env,
    };
    let found = profiles.provider(&name, &mut Vec::new())?;
    Ok(found.map(|provider| (shown(&name), provider)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::find;
    use crate::config::{Endpoints, Env};

    proptest! {
        /// People write the files: no text panics, and an error has the place of the fault, not
        /// its content.
        #[test]
        fn no_text_panics_or_is_shown(before in "[\\[\\]={}:#\"\n a-z]{0,40}", after in "[\\[\\]={}:#\"\n a-z]{0,40}") {
            for text in [
                format!("{before}SECRETTEXT{after}"),
                format!("{{{before}SECRETTEXT{after}"),
                format!("[default]\ntype = access_key\naccess_key_secret = SECRETTEXT\n{before}"),
                format!("[default]\n{before}\naccess_key_secret SECRETTEXT {after}"),
            ] {
                if let Err(error) = find(&text, None, &Endpoints::default(), &Env::default()) {
                    prop_assert!(!error.contains("SECRETTEXT"), "{}", error);
                }
            }
        }
    }
}
