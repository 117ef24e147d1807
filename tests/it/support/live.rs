//! An exporter in front of a simulator, in real time, with its configuration in a file.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use mqtt_presence_exporter::app::{CommandError, Environment};
use mqtt_presence_exporter::clock::Clock;
use mqtt_presence_exporter::config::Env;
use mqtt_presence_exporter::simulator::{
    Announcement, Faults, SimulatedFleet, Simulator, SimulatorOptions,
};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::exporter::TestExporter;

/// A simulator, and a folder for the files of an exporter in front of it.
pub(crate) struct Stage {
    pub(crate) simulator: Simulator,
    pub(crate) announcement: Announcement,
    folder: TempDir,
    stop: CancellationToken,
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
    pub(crate) async fn start(&self) -> Result<TestExporter, CommandError> {
        let environment = Environment::real(Env::default());
        TestExporter::start(&self.path("config.yaml"), &environment).await
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// A link at `link` that is replaced at once, as kubelet replaces the contents of a volume.
pub(crate) fn point(link: &Path, target: &str) {
    let temporary = link.with_file_name("..temporary");
    std::os::unix::fs::symlink(target, &temporary).expect("a link");
    std::fs::rename(temporary, link).expect("a link");
}
