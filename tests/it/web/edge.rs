//! What `--web.config.file` turns on, through real sockets: TLS, who comes in, and how files that
//! change are taken over.

mod clients;
mod guard;
mod hostile;
mod reload;
mod tls;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use mqtt_presence_exporter::clock::Clock;
use mqtt_presence_exporter::net::ServeOptions;
use mqtt_presence_exporter::telemetry::Metrics;
use mqtt_presence_exporter::web::ActiveWebConfig;
use tempfile::TempDir;
use tokio_util::task::AbortOnDropHandle;

use crate::support::http::{Answer, Client, Server, request};
use crate::support::pki::{Authority, TlsClient};

/// The certificate and key that a test has.
const PAIR: &str = "tls_server_config:\n  cert_file: server.pem\n  key_file: server.key\n";

/// A server behind a web configuration, in a folder with `server.pem`, `server.key` and `ca.pem`.
struct Guarded {
    server: Server,
    authority: Authority,
    folder: TempDir,
    metrics: Arc<Metrics>,
    _follow: AbortOnDropHandle<()>,
}

impl Guarded {
    async fn start(config: &str) -> Self {
        Self::serve(
            config,
            Router::new().route("/", get(async || "hello")),
            ServeOptions::default(),
        )
        .await
    }

    async fn serve(config: &str, router: Router, options: ServeOptions) -> Self {
        let (folder, authority) = (tempfile::tempdir().expect("a directory"), Authority::new());
        authority.server().write(folder.path(), "server");
        authority.identity.write(folder.path(), "ca");
        let file = folder.path().join("web.yml");
        std::fs::write(&file, config).expect("written");
        let (edge, _) = ActiveWebConfig::load(&file, Clock::system())
            .unwrap_or_else(|problems| panic!("{problems}"));
        let server = Server::start_secured(edge.protect(router), edge.tls(), options).await;
        let metrics = Arc::new(Metrics::new(Duration::from_secs(5)));
        let follow = AbortOnDropHandle::new(tokio::spawn(edge.follow(Arc::clone(&metrics))));
        Self {
            server,
            authority,
            folder,
            metrics,
            _follow: follow,
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, config: &str) {
        std::fs::write(self.file("web.yml"), config).expect("written");
    }

    /// A client that trusts it.
    fn client(&self) -> TlsClient {
        TlsClient::trusting(&self.authority)
    }

    /// What a client is told on a connection of its own; `None` where it is not let in.
    async fn ask(&self, client: &TlsClient) -> Option<Answer> {
        let mut client = Client::secured(self.server.address, client).await.ok()?;
        client.try_send(&request("GET", "/", &[])).await.ok()?;
        client.answer("GET").await
    }

    async fn lets_in(&self, client: &TlsClient) -> bool {
        self.ask(client)
            .await
            .is_some_and(|answer| answer.text() == "hello")
    }
}
