//! What the tests of credentials share.

use std::path::Path;
use std::time::Duration;

use mqtt_presence_exporter::aliyun::RULES;
use mqtt_presence_exporter::aliyun::credentials::CredentialProvider;
use mqtt_presence_exporter::config::{Config, Env};
use mqtt_presence_exporter::simulator::{
    Faults, IdentityInfo, Probability, SimulatedFleet, SimulatorOptions,
};
use tempfile::TempDir;

use crate::support::rig::Rig;
use crate::support::tools::tools;

pub(super) fn always() -> Probability {
    Probability::try_from(1.0).expect("a probability")
}

/// A simulator of a few devices whose temporary credentials live so long.
pub(super) async fn rig(clients: usize, lifetime: Duration) -> Rig {
    let fleet = SimulatedFleet::generate(1, clients);
    Rig::with(SimulatorOptions {
        fleet,
        credential_lifetime: Some(lifetime),
        ..SimulatorOptions::default()
    })
    .await
}

/// What the files and variables of a configuration are filled in with.
pub(super) struct Place {
    pub(super) folder: TempDir,
    pub(super) identity: IdentityInfo,
    endpoint: String,
    key: (String, String),
}

impl Place {
    pub(super) fn new(rig: &Rig) -> Self {
        let announced = &rig.announcement;
        Self {
            folder: tempfile::tempdir().expect("a directory"),
            identity: rig.simulator.identity(),
            endpoint: announced.endpoint.clone(),
            key: (
                announced.access_key_id.clone(),
                announced.access_key_secret.clone(),
            ),
        }
    }

    /// `text` with what stands in it for the simulator's address, key, roles and files.
    pub(super) fn fill(&self, text: &str) -> String {
        let IdentityInfo {
            role_arns,
            oidc_provider_arn,
            credentials_uri,
            ..
        } = &self.identity;
        let [reader, hop] = &role_arns[..] else {
            panic!("two roles")
        };
        [
            ("ENDPOINT", self.endpoint.as_str()),
            ("KEY_ID", &self.key.0),
            ("KEY_SECRET", &self.key.1),
            ("READER", reader),
            ("HOP", hop),
            ("IDENTITY_PROVIDER", oidc_provider_arn),
            ("URI", credentials_uri),
            ("FOLDER", self.folder.path().to_str().expect("UTF-8")),
        ]
        .iter()
        .fold(text.to_owned(), |text, (name, value)| {
            text.replace(&format!("${name}"), value)
        })
    }

    /// Writes a file whose text is filled in.
    pub(super) fn file(&self, name: &str, text: &str) {
        let path = self.folder.path().join(name);
        std::fs::create_dir_all(path.parent().expect("in a directory")).expect("a directory");
        std::fs::write(path, self.fill(text)).expect("a file");
    }

    pub(super) fn env(&self, variables: &[(&str, &str)]) -> Env {
        variables
            .iter()
            .map(|(name, value)| (*name, self.fill(value)))
            .collect()
    }

    /// The provider of these credentials, which read as in a configuration.
    pub(super) fn provider(&self, rig: &Rig, credentials: &str, env: &Env) -> CredentialProvider {
        let text =
            rig.configuration_with(&format!("credentials: {}", self.fill(credentials)), "", "");
        let config = Config::parse(&text, Path::new("rig.yaml"), &RULES)
            .expect("a valid configuration")
            .config;
        CredentialProvider::new(
            "test",
            &config.instances[0].credentials.provider,
            &tools(rig.clock.clone(), env),
        )
    }
}

/// How many requests of this action, or to this path, have come.
pub(super) fn requests(rig: &Rig, what: &str) -> usize {
    let asks = |text: &str| text.contains(what);
    let of = |request: &mqtt_presence_exporter::simulator::CapturedRequest| {
        asks(&request.target)
            || request
                .headers
                .iter()
                .any(|(name, value)| name == "x-acs-action" && asks(value))
    };
    rig.simulator
        .requests()
        .iter()
        .filter(|request| of(request))
        .count()
}

/// Faults of the services that give credentials, all the time.
pub(super) fn down() -> Faults {
    Faults {
        internal_error: always(),
        ..Faults::default()
    }
}
