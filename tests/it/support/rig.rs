//! An exporter in front of a simulator, both in this process and in time that goes on quickly.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

use mqtt_presence_exporter::app::Environment;
use mqtt_presence_exporter::clock::{Clock, Timestamp};
use mqtt_presence_exporter::config::Env;
use mqtt_presence_exporter::net::Resolver;
use mqtt_presence_exporter::presence::Shard;
use mqtt_presence_exporter::random::Random;
use mqtt_presence_exporter::simulator::{
    Announcement, Faults, SimulatedFleet, Simulator, SimulatorOptions,
};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::exporter::TestExporter;
use super::pump::pump;

/// A simulator, and what is needed to put exporters in front of it.
pub(crate) struct Rig {
    pub(crate) simulator: Simulator,
    pub(crate) announcement: Announcement,
    pub(crate) clock: Clock,
    /// Where the configurations of the exporters are, and how many there are.
    folder: TempDir,
    started: AtomicU64,
    stop: CancellationToken,
    _pump: AbortOnDropHandle<()>,
}

impl Rig {
    /// A simulator of `clients` devices on one instance, under the vendor's quotas.
    pub(crate) async fn new(clients: usize, faults: Faults) -> Self {
        Self::with(SimulatorOptions {
            fleet: SimulatedFleet::generate(1, clients),
            faults,
            ..SimulatorOptions::default()
        })
        .await
    }

    pub(crate) async fn with(options: SimulatorOptions) -> Self {
        let pump = pump();
        let clock = Clock::manual(Timestamp::from_millis(1_700_000_000_000));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let stop = CancellationToken::new();
        let simulator =
            Simulator::start(options, listener, clock.clone(), stop.clone()).expect("it listens");
        let announcement = simulator.announcement();
        Self {
            simulator,
            announcement,
            clock,
            folder: tempfile::tempdir().expect("a folder"),
            started: AtomicU64::new(0),
            stop,
            _pump: pump,
        }
    }

    /// The clients of all instances.
    pub(crate) fn clients(&self) -> impl Iterator<Item = &String> {
        self.announcement.clients.values().flatten()
    }

    /// A configuration of everything that the simulator announced. `more` are lines of YAML at the
    /// top level, `of_instance` such of each instance.
    pub(crate) fn configuration(&self, more: &str, of_instance: &str) -> String {
        let Announcement {
            access_key_id,
            access_key_secret,
            ..
        } = &self.announcement;
        let credentials = format!(
            "credentials: {{type: access_key, access_key_id: {access_key_id}, access_key_secret: {access_key_secret}}}"
        );
        self.configuration_with(&credentials, more, of_instance)
    }

    /// The same with other credentials.
    pub(crate) fn configuration_with(
        &self,
        credentials: &str,
        more: &str,
        of_instance: &str,
    ) -> String {
        let Announcement {
            endpoint, clients, ..
        } = &self.announcement;
        let mut text = format!("{more}\n{credentials}\ninstances:\n");
        for (id, clients) in clients {
            let clients = serde_json::to_string(clients).expect("strings");
            writeln!(
                text,
                "- {{id: {id}, endpoint: '{endpoint}', {of_instance} clients: {clients}}}"
            )
            .expect("a string");
        }
        text
    }

    /// Starts an exporter with this configuration.
    pub(crate) async fn start(&self, configuration: &str) -> TestExporter {
        self.start_at(&self.clock, configuration).await
    }

    /// Starts an exporter with a wall clock of its own.
    pub(crate) async fn start_at(&self, clock: &Clock, configuration: &str) -> TestExporter {
        self.start_as(clock, configuration, Env::default(), Shard::WHOLE)
            .await
    }

    /// Starts one of several exporters with this configuration.
    pub(crate) async fn start_shard(&self, configuration: &str, shard: Shard) -> TestExporter {
        self.start_as(&self.clock, configuration, Env::default(), shard)
            .await
    }

    /// Starts an exporter that finds these environment variables.
    pub(crate) async fn start_in(&self, env: Env, configuration: &str) -> TestExporter {
        self.start_as(&self.clock, configuration, env, Shard::WHOLE)
            .await
    }

    async fn start_as(
        &self,
        clock: &Clock,
        configuration: &str,
        env: Env,
        shard: Shard,
    ) -> TestExporter {
        let random = AtomicU64::new(1);
        let random = move || random.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        let environment = Environment {
            env,
            clock: clock.clone(),
            random: Random::new(random),
            resolver: Resolver::system(),
            shard,
        };
        let number = self.started.fetch_add(1, Ordering::Relaxed);
        let file = self.folder.path().join(format!("config-{number}.yaml"));
        std::fs::write(&file, configuration).expect("a file");
        let exporter = TestExporter::start(&file, &environment).await;
        exporter.unwrap_or_else(|error| panic!("{error}"))
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
