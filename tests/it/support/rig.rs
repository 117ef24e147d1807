//! An exporter in front of a simulator, both in this process and in time that goes on quickly.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use mqtt_presence_exporter::app::{Environment, Exporter};
use mqtt_presence_exporter::clock::{Clock, Timestamp};
use mqtt_presence_exporter::config::{Config, Env};
use mqtt_presence_exporter::discovery;
use mqtt_presence_exporter::presence::Shard;
use mqtt_presence_exporter::random::Random;
use mqtt_presence_exporter::simulator::{
    Announcement, Faults, SimulatedFleet, Simulator, SimulatorOptions,
};
use mqtt_presence_exporter::web;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::exposition::Scrape;
use super::http::{Client, request};
use super::pump::pump;

/// The file that a configuration is reloaded from.
const CONFIG: &str = "config.yaml";

/// A simulator, and what is needed to put exporters in front of it.
pub(crate) struct Rig {
    pub(crate) simulator: Simulator,
    pub(crate) announcement: Announcement,
    pub(crate) clock: Clock,
    stop: CancellationToken,
    _pump: AbortOnDropHandle<()>,
}

/// A running exporter. Dropping it is a crash: nothing is drained.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    stop: CancellationToken,
    task: AbortOnDropHandle<()>,
    /// Where its configuration is reloaded from, and what SIGHUP notifies.
    folder: TempDir,
    hangup: Arc<Notify>,
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
        let clock = Clock::steered(Timestamp::from_millis(1_700_000_000_000));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let stop = CancellationToken::new();
        let simulator =
            Simulator::start(options, listener, clock, stop.clone()).expect("it listens");
        let announcement = simulator.announcement();
        Self {
            simulator,
            announcement,
            clock,
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
    pub(crate) async fn start(&self, configuration: &str) -> Running {
        self.start_as(configuration, Env::default(), Shard::WHOLE)
            .await
    }

    /// Starts one of several exporters with this configuration.
    pub(crate) async fn start_shard(&self, configuration: &str, shard: Shard) -> Running {
        self.start_as(configuration, Env::default(), shard).await
    }

    /// Starts an exporter that finds these environment variables.
    pub(crate) async fn start_in(&self, env: Env, configuration: &str) -> Running {
        self.start_as(configuration, env, Shard::WHOLE).await
    }

    async fn start_as(&self, configuration: &str, env: Env, shard: Shard) -> Running {
        let loaded =
            Config::parse(configuration, Path::new("rig.yaml")).expect("a valid configuration");
        let discovered = discovery::fleets(&loaded.config, shard).expect("valid clients");
        let random = std::sync::atomic::AtomicU64::new(1);
        let random =
            move || random.fetch_add(0x9e37_79b9_7f4a_7c15, std::sync::atomic::Ordering::Relaxed);
        let environment = Environment {
            env,
            clock: self.clock,
            random: Random::new(random),
            shard,
        };
        let exporter =
            Exporter::new(loaded.config, discovered, &environment).expect("it fits together");
        let (folder, hangup) = (
            tempfile::tempdir().expect("a folder"),
            Arc::new(Notify::new()),
        );
        let exporter = exporter.reloading(folder.path().join(CONFIG), Arc::clone(&hangup));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it listens");
        let stop = CancellationToken::new();
        let run = exporter.run(web::WebOptions::default(), vec![listener], stop.clone());
        let task = AbortOnDropHandle::new(tokio::spawn(async move { run.await.expect("it runs") }));
        Running {
            address,
            stop,
            task,
            folder,
            hangup,
        }
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Running {
    /// What Prometheus would read with this scrape timeout; panics if it would have given up.
    pub(crate) async fn scrape(&self, timeout: Duration) -> Scrape {
        let header = format!(
            "X-Prometheus-Scrape-Timeout-Seconds: {}",
            timeout.as_secs_f64()
        );
        let begun = Instant::now();
        let mut client = Client::connect(self.address).await;
        client.send(&request("GET", "/metrics", &[&header])).await;
        let answer = client.answer("GET").await.expect("an answer");
        assert!(
            begun.elapsed() < timeout,
            "answered after {:?}",
            begun.elapsed()
        );
        assert_eq!(answer.status, 200, "{}", answer.text());
        Scrape::parse(answer.text()).expect("valid text")
    }

    /// Has it load another configuration, which it will have done some time later.
    pub(crate) fn reload(&self, configuration: &str) {
        std::fs::write(self.folder.path().join(CONFIG), configuration).expect("a file");
        self.hangup.notify_one();
    }

    /// A scrape as Prometheus makes it by default.
    pub(crate) async fn scrape_as_usual(&self) -> Scrape {
        self.scrape(Duration::from_secs(10)).await
    }

    /// Stops it as SIGTERM does.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.task.await.expect("it ends by itself");
    }
}
