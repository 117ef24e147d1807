//! A running exporter in this process, and what its users do with it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use mqtt_presence_exporter::aliyun::RULES;
use mqtt_presence_exporter::app::{CommandError, Environment, Exporter};
use mqtt_presence_exporter::config::Config;
use mqtt_presence_exporter::web;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::exposition::Scrape;
use super::http::{Answer, Client, request};

/// A running exporter. Dropping it is a crash: nothing is drained.
pub(crate) struct TestExporter {
    pub(crate) address: SocketAddr,
    /// What SIGHUP notifies.
    pub(crate) hangup: Arc<Notify>,
    file: PathBuf,
    stop: CancellationToken,
    task: AbortOnDropHandle<()>,
}

impl TestExporter {
    /// Starts an exporter with the configuration in `file`.
    pub(crate) async fn start(
        file: &Path,
        environment: &Environment,
    ) -> Result<Self, CommandError> {
        let loaded = Config::load(file, &RULES)?;
        let hangup = Arc::new(Notify::new());
        let exporter = Exporter::new(loaded, environment.clone())
            .await?
            .reloading(file.to_owned(), Arc::clone(&hangup));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it listens");
        let options = web::WebOptions {
            enable_lifecycle: true,
            ..web::WebOptions::default()
        };
        let stop = CancellationToken::new();
        let run = exporter.run(options, None, vec![listener], stop.clone());
        let task = AbortOnDropHandle::new(tokio::spawn(async move { run.await.expect("it runs") }));
        Ok(Self {
            address,
            hangup,
            file: file.to_owned(),
            stop,
            task,
        })
    }

    pub(crate) async fn ask(&self, method: &str, path: &str) -> Answer {
        self.ask_with(method, path, &["Content-Length: 0"]).await
    }

    async fn ask_with(&self, method: &str, path: &str, headers: &[&str]) -> Answer {
        let mut client = Client::connect(self.address).await;
        client.send(&request(method, path, headers)).await;
        client.answer(method).await.expect("an answer")
    }

    /// What Prometheus reads with its default scrape timeout.
    pub(crate) async fn scrape(&self) -> Scrape {
        self.scrape_within(Duration::from_secs(10)).await
    }

    /// What Prometheus reads with this scrape timeout; panics if it would have given up.
    pub(crate) async fn scrape_within(&self, timeout: Duration) -> Scrape {
        let header = format!(
            "X-Prometheus-Scrape-Timeout-Seconds: {}",
            timeout.as_secs_f64()
        );
        let begun = Instant::now();
        let answer = self.ask_with("GET", "/metrics", &[&header]).await;
        let took = begun.elapsed();
        assert!(took < timeout, "answered after {took:?}");
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

    /// `POST /-/reload`.
    pub(crate) async fn reload(&self) -> Answer {
        self.ask("POST", "/-/reload").await
    }

    /// Replaces the configuration and sends SIGHUP; the reload is done some time later.
    pub(crate) fn reconfigure(&self, configuration: &str) {
        std::fs::write(&self.file, configuration).expect("a file");
        self.hangup.notify_one();
    }

    /// Begins to stop it as SIGTERM does.
    pub(crate) fn begin_to_stop(&self) {
        self.stop.cancel();
    }

    /// Stops it as SIGTERM does.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.task.await.expect("it ends by itself");
    }
}
