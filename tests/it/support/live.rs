//! An exporter in front of a simulator, in real time, with its configuration in a file.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use mqtt_presence_exporter::app::{CommandError, Environment, Exporter};
use mqtt_presence_exporter::clock::Clock;
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
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::exposition::Scrape;
use super::http::{Answer, Client, request};

/// A simulator, and a folder for the files of an exporter in front of it.
pub(crate) struct Stage {
    pub(crate) simulator: Simulator,
    pub(crate) announcement: Announcement,
    folder: TempDir,
    stop: CancellationToken,
}

/// A running exporter. Dropping it is a crash.
pub(crate) struct Live {
    address: SocketAddr,
    /// What SIGHUP notifies.
    pub(crate) hangup: Arc<Notify>,
    _task: AbortOnDropHandle<()>,
}

impl Stage {
    /// A simulator of `clients` devices or more on each of `instances` instances, all of them online.
    pub(crate) async fn new(instances: usize, clients: usize, faults: Faults) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let stop = CancellationToken::new();
        let options = SimulatorOptions {
            fleet: SimulatedFleet::generate(instances, 2 * instances * clients),
            faults,
            ..SimulatorOptions::default()
        };
        let simulator =
            Simulator::start(options, listener, Clock::system(), stop.clone()).expect("it listens");
        let announcement = simulator.announcement();
        announcement
            .clients
            .values()
            .flatten()
            .for_each(|client| assert!(simulator.set_online(client, true)));
        Self {
            simulator,
            announcement,
            folder: tempfile::tempdir().expect("a folder"),
            stop,
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file as a whole, as careful programs do.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let (path, temporary) = (self.path(name), self.path(&format!("{name}.tmp")));
        std::fs::create_dir_all(path.parent().expect("in a folder")).expect("a folder");
        std::fs::write(&temporary, text).expect("a file");
        std::fs::rename(temporary, path).expect("a file");
    }

    /// Writes `config.yaml`: what the simulator announced, and the lines of YAML in `more` at the
    /// top level; `of_instance` says what else each instance has, by its number.
    pub(crate) fn configure(&self, more: &str, of_instance: &[&str]) {
        let Announcement {
            endpoint,
            access_key_id,
            access_key_secret,
            instance_ids,
            ..
        } = &self.announcement;
        let mut text = format!(
            "{more}\ncredentials: {{type: access_key, access_key_id: {access_key_id}, access_key_secret: {access_key_secret}}}\ninstances:\n"
        );
        for (id, of_instance) in instance_ids.iter().zip(of_instance) {
            writeln!(
                text,
                "- {{id: {id}, endpoint: '{endpoint}', {of_instance}}}"
            )
            .expect("a String");
        }
        self.write("config.yaml", &text);
    }

    /// The clients of the instance number `n`, those from number `from` to `to`.
    pub(crate) fn clients(&self, n: usize, from: usize, to: usize) -> &[String] {
        &self.announcement.clients[&self.announcement.instance_ids[n]][from..to]
    }

    /// Those clients as a client file in JSON.
    pub(crate) fn listing(&self, n: usize, from: usize, to: usize) -> String {
        serde_json::json!([{ "targets": self.clients(n, from, to), "labels": {"site": "a"} }])
            .to_string()
    }

    /// Starts an exporter with `config.yaml`.
    pub(crate) async fn start(&self) -> Result<Live, CommandError> {
        let file = self.path("config.yaml");
        let refused = |problems: mqtt_presence_exporter::config::Problems| {
            CommandError::Usage(problems.to_string())
        };
        let loaded = Config::load(&file).map_err(refused)?;
        let discovered = discovery::fleets(&loaded.config, Shard::WHOLE).map_err(refused)?;
        let random = Random::new(|| getrandom::u64().expect("the system has random numbers"));
        let environment = Environment {
            env: Env::default(),
            clock: Clock::system(),
            random,
            shard: Shard::WHOLE,
        };
        let hangup = Arc::new(Notify::new());
        let exporter = Exporter::new(loaded.config, discovered, &environment)?
            .reloading(file, Arc::clone(&hangup));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it listens");
        let options = web::WebOptions {
            enable_lifecycle: true,
            ..web::WebOptions::default()
        };
        let run = exporter.run(options, vec![listener], CancellationToken::new());
        let task = AbortOnDropHandle::new(tokio::spawn(async move { run.await.expect("it runs") }));
        Ok(Live {
            address,
            hangup,
            _task: task,
        })
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Live {
    pub(crate) async fn ask(&self, method: &str, path: &str) -> Answer {
        let mut client = Client::connect(self.address).await;
        client
            .send(&request(method, path, &["Content-Length: 0"]))
            .await;
        client.answer(method).await.expect("an answer")
    }

    pub(crate) async fn scrape(&self) -> Scrape {
        let answer = self.ask("GET", "/metrics").await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        Scrape::parse(answer.text()).expect("valid text")
    }

    /// Scrapes until something holds; what the first such scrape saw.
    pub(crate) async fn until(&self, what: &str, holds: impl Fn(&Scrape) -> bool) -> Scrape {
        for _ in 0..1200 {
            let scrape = self.scrape().await;
            if holds(&scrape) {
                return scrape;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("waited in vain: {what}");
    }

    pub(crate) async fn reload(&self) -> Answer {
        self.ask("POST", "/-/reload").await
    }
}

/// A link at `link` that is replaced at once, as kubelet replaces the contents of a volume.
pub(crate) fn point(link: &Path, target: &str) {
    let temporary = link.with_file_name("..temporary");
    std::os::unix::fs::symlink(target, &temporary).expect("a link");
    std::fs::rename(temporary, link).expect("a link");
}
