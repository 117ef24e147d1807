//! The credentials of all instances: one provider for those that are configured alike.

use std::sync::Arc;

use crate::aliyun::credentials::{CredentialProvider, ProviderDeps};
use crate::config::{self, Api, Config, Credentials, Instance};

/// The providers in use.
#[derive(Debug)]
pub(super) struct Providers {
    tools: ProviderDeps,
    made: Vec<Made>,
}

#[derive(Debug)]
struct Made {
    config: config::Provider,
    provider: Arc<CredentialProvider>,
}

impl Providers {
    pub(super) fn new(tools: ProviderDeps) -> Self {
        Self {
            tools,
            made: Vec::new(),
        }
    }

    /// The provider of each instance, in the order of the configuration.
    ///
    /// Providers that were in use before and still are stay, with what they have fetched, and read
    /// their files anew; the others leave with their series.
    pub(super) fn of(&mut self, config: &Config) -> Vec<Arc<CredentialProvider>> {
        let before = std::mem::take(&mut self.made);
        let Config {
            api: Api {
                signature, ca_file, ..
            },
            instances,
            ..
        } = config;
        let same_way = (self.tools.signature, &self.tools.ca_file) == (*signature, ca_file);
        self.tools.signature = *signature;
        self.tools.ca_file.clone_from(ca_file);
        for (name, config) in named(instances) {
            let same =
                |made: &&Made| same_way && made.config == *config && made.provider.name() == name;
            let stays = before.iter().find(same);
            let provider = match stays {
                Some(made) => {
                    made.provider.reread();
                    Arc::clone(&made.provider)
                }
                None => Arc::new(CredentialProvider::new(name, config, &self.tools)),
            };
            self.made.push(Made {
                config: config.clone(),
                provider,
            });
        }
        for Made { provider: old, .. } in before {
            if self
                .made
                .iter()
                .all(|made| made.provider.name() != old.name())
            {
                self.tools.metrics.forget_credentials(old.name());
            }
        }
        let of = |instance: &Instance| {
            self.made
                .iter()
                .find(|made| made.config == instance.credentials.provider)
        };
        instances
            .iter()
            .filter_map(of)
            .map(|made| Arc::clone(&made.provider))
            .collect()
    }
}

/// The different providers of `instances`, each with a name of its own: the account, where one is
/// named, otherwise the type, and the first instance as well where that says too little.
fn named(instances: &[Instance]) -> Vec<(String, &config::Provider)> {
    let mut different: Vec<&Instance> = Vec::new();
    for instance in instances {
        if different
            .iter()
            .all(|known| known.credentials.provider != instance.credentials.provider)
        {
            different.push(instance);
        }
    }
    let short = |Credentials { account, provider }: &Credentials| {
        account
            .clone()
            .unwrap_or_else(|| provider.kind().to_owned())
    };
    let name = |instance: &&Instance| {
        let name = short(&instance.credentials);
        let alike = different
            .iter()
            .filter(|other| short(&other.credentials) == name)
            .count();
        if alike == 1 {
            name
        } else {
            format!("{name}/{}", instance.id)
        }
    };
    different
        .iter()
        .map(|instance| (name(instance), &instance.credentials.provider))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use super::*;
    use crate::clock::Clock;
    use crate::config::{Config, Env, Signature};
    use crate::random::Random;
    use crate::telemetry::Metrics;

    fn config(credentials: &[&str]) -> Config {
        let instance = |(n, credentials): (usize, &&str)| {
            format!(
                "- {{id: post-cn-{n}, region: cn-hangzhou, clients: [GID_test@@@a], credentials: {credentials}}}\n"
            )
        };
        let list: String = credentials.iter().enumerate().map(instance).collect();
        Config::parse(format!("instances:\n{list}"), Path::new("c.yaml"))
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
    fn a_name_says_no_more_than_it_has_to() {
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
    async fn providers_stay_as_long_as_they_are_used_and_leave_with_their_series() {
        let metrics = Arc::new(Metrics::new(Duration::from_secs(5)));
        let mut providers = Providers::new(ProviderDeps {
            env: Env::default(),
            clock: Clock::system(),
            random: Random::new(|| 0),
            metrics: Arc::clone(&metrics),
            signature: Signature::V3,
            ca_file: None,
        });
        let before = providers.of(&config(&["{type: env}", "{type: profile}", "{type: env}"]));
        assert!(Arc::ptr_eq(&before[0], &before[2]) && !Arc::ptr_eq(&before[0], &before[1]));
        assert!(
            metrics.gather_text().contains(
                r#"credential_refreshes_total{credentials="profile",result="success"} 0"#
            )
        );
        let after = providers.of(&config(&["{type: ecs_ram_role}", "{type: env}"]));
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
            !Arc::ptr_eq(&providers.of(&resigned)[0], &before[0]),
            "whatever fetches is to sign in the new way"
        );
        assert!(
            !text.contains(r#"credentials="profile""#)
                && text.contains(r#"credentials="ecs_ram_role""#),
            "{text}"
        );
    }
}
