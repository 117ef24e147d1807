//! The credential providers: instances with the same credentials share one.

use std::sync::Arc;

use crate::aliyun::credentials::{CredentialProvider, ProviderDeps};
use crate::config::{self, Config, Credentials, Instance};

/// The providers in use.
#[derive(Debug)]
pub(super) struct Providers {
    deps: ProviderDeps,
    providers: Vec<(config::Provider, Arc<CredentialProvider>)>,
}

impl Providers {
    pub(super) fn new(deps: ProviderDeps) -> Self {
        let providers = Vec::new();
        Self { deps, providers }
    }

    /// Sets the providers of `config`, and returns that of each instance, in the order of the
    /// configuration.
    ///
    /// Providers that stay in use keep their credentials and read their files again; the series of
    /// the others are removed.
    pub(super) fn set(&mut self, config: &Config) -> Vec<Arc<CredentialProvider>> {
        let (api, deps) = (&config.api, &mut self.deps);
        let keep = (deps.signature, &deps.ca_file) == (api.signature, &api.ca_file);
        deps.signature = api.signature;
        deps.ca_file.clone_from(&api.ca_file);
        let before = std::mem::take(&mut self.providers);
        for (name, config) in named(&config.instances) {
            let mut before = before.iter().filter(|_| keep);
            let same = before.find(|(old, provider)| old == config && provider.name() == name);
            let provider = if let Some((_, provider)) = same {
                provider.reread();
                Arc::clone(provider)
            } else {
                Arc::new(CredentialProvider::new(name, config, deps))
            };
            self.providers.push((config.clone(), provider));
        }
        for (_, old) in before {
            if self
                .providers
                .iter()
                .all(|(_, provider)| provider.name() != old.name())
            {
                self.deps.metrics.remove_series("credentials", old.name());
            }
        }
        let provider_of = |instance: &Instance| {
            let mut providers = self.providers.iter();
            let found = providers.find(|(config, _)| *config == instance.credentials.provider);
            found.map(|(_, provider)| Arc::clone(provider))
        };
        config.instances.iter().filter_map(provider_of).collect()
    }
}

/// The distinct providers of `instances` with unique names: the account if it is configured, else
/// the type; followed by the first instance if another provider has the same name.
fn named(instances: &[Instance]) -> Vec<(String, &config::Provider)> {
    let mut distinct: Vec<(String, &Instance)> = Vec::new();
    for instance in instances {
        let Credentials { account, provider } = &instance.credentials;
        if distinct
            .iter()
            .all(|(_, known)| known.credentials.provider != *provider)
        {
            let name = account.as_deref().unwrap_or(provider.kind());
            distinct.push((name.to_owned(), instance));
        }
    }
    let unique = |(name, instance): &(String, &Instance)| {
        let alike = distinct.iter().filter(|(other, _)| other == name);
        if alike.count() == 1 {
            name.clone()
        } else {
            format!("{name}/{}", instance.id)
        }
    };
    distinct
        .iter()
        .map(|entry| (unique(entry), &entry.1.credentials.provider))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use super::*;
    use crate::aliyun::RULES;
    use crate::clock::Clock;
    use crate::config::{Api, Config, Env, Signature};
    use crate::random::Random;
    use crate::telemetry::Metrics;

    fn config(credentials: &[&str]) -> Config {
        let instance = |(n, credentials): (usize, &&str)| {
            format!(
                "- {{id: post-cn-{n}, region: cn-hangzhou, clients: [GID_test@@@a], credentials: {credentials}}}\n"
            )
        };
        let list: String = credentials.iter().enumerate().map(instance).collect();
        Config::parse(format!("instances:\n{list}"), Path::new("c.yaml"), &RULES)
            .expect("valid")
            .config
    }

    fn names(credentials: &[&str]) -> Vec<String> {
        named(&config(credentials).instances)
            .into_iter()
            .map(|(name, _)| name)
            .collect()
    }

    #[test]
    fn names_are_as_short_as_they_can_be() {
        assert_eq!(names(&["{type: env}", "{type: env}"]), ["env"]);
        assert_eq!(
            names(&["{type: env}", "{type: ecs_ram_role, account: main}"]),
            ["env", "main"]
        );
        assert_eq!(
            names(&[
                "{type: profile, profile: a}",
                "{type: env}",
                "{type: profile, profile: b}"
            ]),
            ["profile/post-cn-0", "env", "profile/post-cn-2"]
        );
        assert_eq!(names(&["{type: chain}", "~"]), ["chain"], "the default");
    }

    #[tokio::test]
    async fn unused_providers_are_removed_with_their_series() {
        let metrics = Arc::new(Metrics::new(Duration::from_secs(5)));
        let mut providers = Providers::new(ProviderDeps {
            env: Env::default(),
            clock: Clock::system(),
            random: Random::new(|| 0),
            metrics: Arc::clone(&metrics),
            signature: Signature::V3,
            ca_file: None,
            resolver: crate::net::Resolver::system(),
        });
        let before = providers.set(&config(&["{type: env}", "{type: profile}", "{type: env}"]));
        assert!(Arc::ptr_eq(&before[0], &before[2]) && !Arc::ptr_eq(&before[0], &before[1]));
        assert!(
            metrics.gather_text().contains(
                r#"credential_refreshes_total{credentials="profile",result="success"} 0"#
            )
        );
        let after = providers.set(&config(&["{type: ecs_ram_role}", "{type: env}"]));
        assert!(Arc::ptr_eq(&after[1], &before[0]));
        let text = metrics.gather_text();
        let resigned = Config {
            api: Api {
                signature: Signature::V2,
                ..Api::default()
            },
            ..config(&["{type: env}"])
        };
        assert!(
            !Arc::ptr_eq(&providers.set(&resigned)[0], &before[0]),
            "a provider signs as configured"
        );
        assert!(
            !text.contains(r#"credentials="profile""#)
                && text.contains(r#"credentials="ecs_ram_role""#),
            "{text}"
        );
    }
}
