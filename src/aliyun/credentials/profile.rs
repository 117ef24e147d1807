//! A profile in one of the files that the vendor's deps write: the CLI's `config.json`, or the
//! SDKs' `credentials.ini`.
//!
//! A profile holds an access key, or says how to get one: then it leads to another kind of source.

mod cli;
mod ini;

use std::io;
use std::path::{Path, PathBuf};

use secrecy::zeroize::Zeroizing;

use super::assume_role::AssumeRole;
use super::ecs_ram_role::EcsRamRole;
use super::oidc::{self, Oidc};
use super::sts::{Place, Role, Sts};
use super::{AccessKey, Fetch, FetchError, Fetched, ProviderDeps};
use crate::aliyun::failure::text::presentable;
use crate::config::{Endpoints, Session};
use crate::presence::BoxFuture;
use crate::secret::Secret;

#[derive(Debug)]
pub(super) struct Profile {
    /// The profile that the configuration or the environment names.
    name: Option<String>,
    files: Vec<File>,
    endpoints: Endpoints,
    deps: ProviderDeps,
}

/// A file that may have the profile.
#[derive(Debug)]
struct File {
    path: PathBuf,
    /// Somebody named this very file: that it does not exist is then a mistake.
    named: bool,
}

/// A profile as its file has it, whatever the file.
#[derive(Debug)]
pub struct Found {
    name: String,
    way: ProfileKind,
}

/// How a profile leads to an access key.
#[derive(Debug)]
enum ProfileKind {
    Key {
        id: String,
        secret: Secret,
        token: Option<Secret>,
    },
    EcsRamRole {
        role: Option<String>,
    },
    Oidc {
        identity: oidc::Given,
        session: Session,
        place: Place,
    },
    AssumeRole {
        caller: Box<ProfileKind>,
        role_arn: Option<String>,
        external_id: Option<String>,
        session: Session,
        place: Place,
    },
}

impl Profile {
    /// Looks where the vendor's SDKs look, in their order, unless `file` says where.
    pub(super) fn new(
        name: Option<&str>,
        file: Option<&Path>,
        endpoints: &Endpoints,
        deps: &ProviderDeps,
    ) -> Self {
        let env = &deps.env;
        let named = |path: PathBuf| File { path, named: true };
        let files = if let Some(file) = file {
            vec![named(file.to_owned())]
        } else {
            let home = env.get("HOME").map(Path::new);
            let in_home = |file: &str| {
                home.map(|home| File {
                    path: home.join(file),
                    named: false,
                })
            };
            let cli_disabled = env
                .get("ALIBABA_CLOUD_CLI_PROFILE_DISABLED")
                .is_some_and(|value| value.eq_ignore_ascii_case("true"));
            let cli = if cli_disabled {
                None
            } else {
                in_home(".aliyun/config.json")
            };
            let sdk = match env.get("ALIBABA_CLOUD_CREDENTIALS_FILE") {
                Some(file) => [Some(named(file.into())), None],
                None => [
                    in_home(".alibabacloud/credentials.ini"),
                    in_home(".alibabacloud/credentials"),
                ],
            };
            cli.into_iter().chain(sdk.into_iter().flatten()).collect()
        };
        let name = name
            .or_else(|| env.get("ALIBABA_CLOUD_PROFILE"))
            .map(str::to_owned);
        Self {
            name,
            files,
            endpoints: endpoints.clone(),
            deps: deps.clone(),
        }
    }

    async fn search(&self) -> Result<Fetched, FetchError> {
        let mut looked = Vec::new();
        let mut any_file = false;
        for File { path, named } in &self.files {
            let shown = path.display();
            let text = match tokio::fs::read_to_string(path).await.map(Zeroizing::new) {
                Ok(text) => text,
                Err(error) if error.kind() == io::ErrorKind::NotFound && !named => {
                    looked.push(format!("{shown} does not exist"));
                    continue;
                }
                Err(error) => {
                    return Err(FetchError::Failed(format!("cannot read {shown}: {error}")));
                }
            };
            any_file = true;
            let found = find(&text, self.name.as_deref());
            match found.map_err(|why| FetchError::Failed(format!("{shown}: {why}")))? {
                Some(Found { name, way }) => {
                    return self
                        .go(way)
                        .await
                        .map_err(|why| why.of(format_args!("{shown}: profile `{name}`")));
                }
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
        Err(if failed {
            FetchError::Failed(looked)
        } else {
            FetchError::NotConfigured(looked)
        })
    }

    async fn go(&self, way: ProfileKind) -> Result<Fetched, FetchError> {
        self.source(way)?.fetch().await
    }

    /// The kind of source that a profile leads to.
    fn source(&self, way: ProfileKind) -> Result<Box<dyn Fetch>, FetchError> {
        let sts = |place: Place| {
            let endpoint = self.endpoints.sts.clone().or(place.endpoint);
            Sts::new(Place { endpoint, ..place }, &self.deps)
        };
        Ok(match way {
            ProfileKind::Key { id, secret, token } => {
                Box::new(Fixed(AccessKey::new(&id, &secret, token.as_ref())?))
            }
            ProfileKind::EcsRamRole { role } => Box::new(EcsRamRole::new(
                role.as_deref(),
                self.endpoints.metadata.as_ref(),
                &self.deps,
            )),
            ProfileKind::Oidc {
                identity,
                session,
                place,
            } => Box::new(Oidc::new(identity, &session, sts(place), &self.deps.env)),
            ProfileKind::AssumeRole {
                caller,
                role_arn,
                external_id,
                session,
                place,
            } => {
                let in_env = || self.deps.env.get(oidc::ROLE).map(str::to_owned);
                let role_arn = role_arn
                    .or_else(in_env)
                    .ok_or_else(|| FetchError::Failed("it names no role".to_owned()))?;
                let role = Role::new(&role_arn, &session, &self.deps.env)
                    .external_id(external_id.as_deref());
                Box::new(AssumeRole::new(self.source(*caller)?, role, sts(place)))
            }
        })
    }
}

impl Fetch for Profile {
    fn kind(&self) -> &'static str {
        "profile"
    }

    fn fetch(&self) -> BoxFuture<'_, Result<Fetched, FetchError>> {
        Box::pin(self.search())
    }

    fn files(&self) -> Vec<PathBuf> {
        self.files.iter().map(|file| file.path.clone()).collect()
    }
}

/// An access key that stands in the profile itself.
#[derive(Debug)]
struct Fixed(AccessKey);

impl Fetch for Fixed {
    fn kind(&self) -> &'static str {
        "access_key"
    }

    fn fetch(&self) -> BoxFuture<'_, Result<Fetched, FetchError>> {
        Box::pin(async { Ok(self.0.clone().into()) })
    }
}

/// Looks for a profile in the text of a file, which shows by its first character which kind it is:
/// the one of this name, or the one to use by default. An error says what is wrong and where, and
/// nothing of what stands there that may be secret.
pub fn find(text: &str, name: Option<&str>) -> Result<Option<Found>, String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.trim_start().starts_with('{') {
        cli::find(text, name)
    } else {
        ini::find(text, name)
    }
}

/// A name or a kind as it stands in a file, fit to be seen.
fn shown(text: &str) -> String {
    presentable(text, 64)
}

/// A kind of profile that the vendor has and we do not.
fn unsupported(name: &str, key: &str, kind: &str, supported: &str) -> String {
    let (name, kind) = (shown(name), shown(kind));
    format!("profile `{name}` has {key} `{kind}`, which is not supported; use one with {supported}")
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
