//! The files with secrets that a configuration names.

use std::collections::BTreeSet;
use std::path::Path;

use super::client_url::Authorization;
use super::credentials::{Provider, SecretSource};
use super::values::Config;

impl Config {
    /// The files with access keys, passwords, tokens and private keys, existing or not.
    #[must_use]
    pub fn secret_files(&self) -> BTreeSet<&Path> {
        let mut files = BTreeSet::new();
        for instance in &self.instances {
            of_provider(&instance.credentials.provider, &mut files);
            for url in &instance.client_urls {
                files.extend(url.tls.identity.iter().map(|identity| &*identity.key_file));
                files.extend(url.authorization.iter().map(|with| match with {
                    Authorization::Basic { password_file, .. } => &**password_file,
                    Authorization::Token {
                        credentials_file, ..
                    } => credentials_file,
                }));
            }
        }
        files
    }
}

/// An OIDC token is not among them: it is valid for a short time, and the platform sets its mode.
fn of_provider<'a>(provider: &'a Provider, files: &mut BTreeSet<&'a Path>) {
    match provider {
        Provider::AccessKey {
            secret: SecretSource::File(file),
            ..
        }
        | Provider::Profile {
            file: Some(file), ..
        } => {
            files.insert(file);
        }
        Provider::AssumeRole { source, .. } => of_provider(source, files),
        Provider::Chain { providers } => {
            for provider in providers {
                of_provider(provider, files);
            }
        }
        _ => {}
    }
}
