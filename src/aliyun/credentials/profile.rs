//! A profile in one of the files that the vendor's tools write: the CLI's `config.json`, or the
//! SDKs' `credentials.ini`.

mod cli;
mod ini;

use std::io;
use std::path::{Path, PathBuf};

use secrecy::zeroize::Zeroizing;

use super::{Credentials, Fetch, FetchError};
use crate::config::Env;
use crate::presence::BoxFuture;
use crate::secret::Secret;

#[derive(Debug)]
pub(super) struct Profile {
    /// The profile that the configuration or the environment names.
    name: Option<String>,
    places: Vec<Place>,
}

/// A file that may have the profile.
#[derive(Debug)]
struct Place {
    file: PathBuf,
    /// Somebody named this very file: that it does not exist is then a mistake.
    named: bool,
}

/// A profile as its file has it, whatever the file.
struct Found {
    name: String,
    id: String,
    secret: Secret,
    token: Option<Secret>,
}

impl Profile {
    /// Looks where the vendor's SDKs look, in their order, unless `file` says where.
    pub(super) fn new(name: Option<&str>, file: Option<&Path>, env: &Env) -> Self {
        let named = |file: PathBuf| Place { file, named: true };
        let places = if let Some(file) = file {
            vec![named(file.to_owned())]
        } else {
            let home = env.get("HOME").map(Path::new);
            let in_home = |file: &str| home.map(|home| Place { file: home.join(file), named: false });
            let cli_disabled =
                env.get("ALIBABA_CLOUD_CLI_PROFILE_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"));
            let cli = if cli_disabled { None } else { in_home(".aliyun/config.json") };
            let sdk = match env.get("ALIBABA_CLOUD_CREDENTIALS_FILE") {
                Some(file) => [Some(named(file.into())), None],
                None => [in_home(".alibabacloud/credentials.ini"), in_home(".alibabacloud/credentials")],
            };
            cli.into_iter().chain(sdk.into_iter().flatten()).collect()
        };
        let name = name.or_else(|| env.get("ALIBABA_CLOUD_PROFILE")).map(str::to_owned);
        Self { name, places }
    }

    async fn search(&self) -> Result<Credentials, FetchError> {
        let mut looked = Vec::new();
        let mut any_file = false;
        for Place { file, named } in &self.places {
            let shown = file.display();
            let text = match tokio::fs::read_to_string(file).await.map(Zeroizing::new) {
                Ok(text) => text,
                Err(error) if error.kind() == io::ErrorKind::NotFound && !named => {
                    looked.push(format!("{shown} does not exist"));
                    continue;
                }
                Err(error) => return Err(FetchError::Failed(format!("cannot read {shown}: {error}"))),
            };
            any_file = true;
            let found = find(&text, self.name.as_deref());
            match found.map_err(|why| FetchError::Failed(format!("{shown}: {why}")))? {
                Some(found) => return found.into_credentials(file),
                None => looked.push(match &self.name {
                    Some(name) => format!("{shown} has no profile `{name}`"),
                    None => format!("{shown} has no profile to use by default"),
                }),
            }
        }
        if looked.is_empty() {
            looked.push("no file is named and HOME is not set".to_owned());
        }
        let looked = looked.join(", ");
        // Somebody wants this very profile, and has files with others.
        let failed = self.name.is_some() && any_file;
        Err(if failed { FetchError::Failed(looked) } else { FetchError::NotConfigured(looked) })
    }
}

impl Fetch for Profile {
    fn kind(&self) -> &'static str {
        "profile"
    }

    fn fetch(&self) -> BoxFuture<'_, Result<Credentials, FetchError>> {
        Box::pin(self.search())
    }
}

impl Found {
    fn into_credentials(self, file: &Path) -> Result<Credentials, FetchError> {
        Credentials::new(&self.id, &self.secret, self.token.as_ref())
            .map_err(|error| FetchError::Failed(format!("{}: profile `{}`: {error}", file.display(), self.name)))
    }
}

/// Looks for a profile in the text of a file, which shows by its first character which kind it is.
fn find(text: &str, name: Option<&str>) -> Result<Option<Found>, String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.trim_start().starts_with('{') { cli::find(text, name) } else { ini::find(text, name) }
}

/// A kind of profile that the vendor has and we do not.
fn unsupported(name: &str, key: &str, kind: &str, supported: &str) -> String {
    let kind: String = kind.chars().filter(|c| !c.is_control()).take(40).collect();
    format!("profile `{name}` has {key} `{kind}`, which is not supported yet; use one with {supported}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::find;

    proptest! {
        /// The files are written by people: whatever is in them, there is no panic, and an error
        /// says where the fault is and not what stands there.
        #[test]
        fn no_text_panics_or_is_shown(before in "[\\[\\]={}:#\"\n a-z]{0,40}", after in "[\\[\\]={}:#\"\n a-z]{0,40}") {
            for text in [
                format!("{before}SECRETTEXT{after}"),
                format!("{{{before}SECRETTEXT{after}"),
                format!("[default]\ntype = access_key\naccess_key_secret = SECRETTEXT\n{before}"),
                format!("[default]\n{before}\naccess_key_secret SECRETTEXT {after}"),
            ] {
                if let Err(error) = find(&text, None) {
                    prop_assert!(!error.contains("SECRETTEXT"), "{}", error);
                }
            }
        }
    }
}
