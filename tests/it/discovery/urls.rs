//! Client URLs: what is sent to an inventory, and what its answers lead to.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse as _;
use axum::routing::get;
use mqtt_presence_exporter::net::ServeOptions;
use mqtt_presence_exporter::simulator::Faults;
use rustls::server::WebPkiClientVerifier;

use crate::support::exposition::Scrape;
use crate::support::http::Server;
use crate::support::live::Stage;

const OFTEN: &str = "collect: {max_age: 1ms}";
const INFO: &str = "mqtt_presence_client_info";
const FAILURES: &str = "mqtt_presence_discovery_failures_total";
const READ_AT: &str = "mqtt_presence_discovery_last_success_timestamp_seconds";

/// An inventory that says what it is told to, and remembers who asked.
#[derive(Clone, Default)]
struct Inventory(Arc<Mutex<Told>>);

#[derive(Default)]
struct Told {
    status: StatusCode,
    kind: &'static str,
    body: String,
    asked: Vec<HeaderMap>,
}

impl Inventory {
    async fn serve(&self) -> Server {
        let answer = async |State(Self(told)): State<Self>, headers: HeaderMap| {
            let mut told = told.lock().expect("no panic");
            told.asked.push(headers);
            (
                told.status,
                [("content-type", told.kind)],
                told.body.clone(),
            )
                .into_response()
        };
        let router = Router::new()
            .route("/clients", get(answer))
            .with_state(self.clone());
        Server::start(router, ServeOptions::default()).await
    }

    fn says(&self, body: &str) {
        self.answers(StatusCode::OK, "application/json; charset=utf-8", body);
    }

    fn answers(&self, status: StatusCode, kind: &'static str, body: &str) {
        let mut told = self.0.lock().expect("no panic");
        (told.status, told.kind, told.body) = (status, kind, body.to_owned());
    }

    /// The headers of the last request.
    fn last(&self) -> HeaderMap {
        self.0
            .lock()
            .expect("no panic")
            .asked
            .last()
            .cloned()
            .unwrap_or_default()
    }
}

async fn stage() -> Stage {
    Stage::new(1, 6, Faults::default()).await
}

fn listed(scrape: &Scrape) -> usize {
    scrape.series(INFO).len()
}

#[tokio::test]
async fn an_inventory_is_followed_and_its_last_good_answer_is_kept() {
    let (stage, inventory) = (stage().await, Inventory::default());
    let server = inventory.serve().await;
    let url = format!("http://{}/clients", server.address);
    stage.configure(
        OFTEN,
        &[&format!(
            "client_urls: [{{url: '{url}?token=not-a-secret', refresh_interval: 1s}}]"
        )],
    );
    inventory.says(&stage.listing(0, 0, 3));
    let exporter = stage.start().await.expect("it starts");
    let source = format!("{url}?<secret>");
    let value = |scrape: &Scrape, name: &str| scrape.value(name, &[("source", &source)]);
    let scrape = exporter
        .until("the first answer", |scrape| listed(scrape) == 3)
        .await;
    assert_eq!(value(&scrape, "mqtt_presence_discovery_clients"), Some(3.0));
    assert_eq!(scrape.matching(INFO, &[("site", "a")]).len(), 3);
    let headers = inventory.last();
    assert_eq!(headers["accept"], "application/json");
    assert_eq!(headers["x-prometheus-refresh-interval-seconds"], "1");
    assert!(
        headers["user-agent"]
            .to_str()
            .expect("text")
            .starts_with("mqtt-presence-exporter/")
    );
    assert!(!headers.contains_key("authorization"));

    inventory.says(&stage.listing(0, 1, 6));
    exporter
        .until("another answer", |scrape| listed(scrape) == 5)
        .await;
    let listing = stage.listing(0, 0, 1);
    let too_long = serde_json::json!([{"targets": ["x".repeat(257)]}]).to_string();
    for (status, kind, body) in [
        (StatusCode::OK, "application/json", &*too_long),
        (
            StatusCode::INTERNAL_SERVER_ERROR,
            "application/json",
            &*listing,
        ),
        (StatusCode::NO_CONTENT, "application/json", ""),
        (StatusCode::FOUND, "application/json", &*listing),
        (StatusCode::OK, "text/html", &*listing),
        (StatusCode::OK, "application/json", "[{"),
        (StatusCode::OK, "application/json", "[{\"target\": []}]"),
    ] {
        let before = value(&exporter.scrape().await, FAILURES);
        inventory.answers(status, kind, body);
        let scrape = exporter
            .until("a failure", |scrape| value(scrape, FAILURES) > before)
            .await;
        assert_eq!(listed(&scrape), 5, "after {status} {kind} {body}");
    }
    inventory.says("[]");
    let scrape = exporter
        .until("nothing", |scrape| listed(scrape) == 0)
        .await;
    assert!(value(&scrape, READ_AT) > Some(1e9));
    let shown = exporter.ask("GET", "/config").await;
    assert!(
        shown.text().contains(&format!("- url: {source}\n")),
        "{}",
        shown.text()
    );
    assert!(!shown.text().contains("not-a-secret"));
}

#[tokio::test]
async fn an_inventory_that_cannot_be_reached_keeps_nobody_from_starting_or_reloading() {
    let (stage, inventory) = (stage().await, Inventory::default());
    let free = TcpListener::bind("127.0.0.1:0")
        .expect("a port")
        .local_addr()
        .expect("bound");
    let clients = serde_json::to_string(stage.clients(0, 0, 1)).expect("strings");
    let server = inventory.serve().await;
    inventory.says(&stage.listing(0, 1, 4));
    let both = format!(
        "clients: {clients}, client_urls: [{{url: 'http://{free}/', refresh_interval: 1s}}, {{url: 'http://{}/clients'}}]",
        server.address
    );
    stage.configure(OFTEN, &[&both]);
    let exporter = stage.start().await.expect("it starts");
    let dead = format!("http://{free}/");
    let scrape = exporter
        .until("a failure", |scrape| {
            scrape.value(FAILURES, &[("source", &dead)]) > Some(0.0)
        })
        .await;
    assert_eq!(scrape.value(READ_AT, &[("source", &dead)]), Some(0.0));
    exporter
        .until("the other one", |scrape| listed(scrape) == 4)
        .await;
    drop(server);
    assert_eq!(exporter.reload().await.status, 200);
    let scrape = exporter.scrape().await;
    assert_eq!(
        listed(&scrape),
        4,
        "what an inventory said is kept over a reload"
    );
    stage.configure(OFTEN, &[&format!("clients: {clients}")]);
    assert_eq!(exporter.reload().await.status, 200);
    let scrape = exporter.scrape().await;
    assert_eq!(
        (
            listed(&scrape),
            scrape.matching(FAILURES, &[("source", &dead)]).len()
        ),
        (1, 0)
    );
}

#[tokio::test]
async fn passwords_and_tokens_come_from_files_that_are_read_each_time() {
    let (stage, inventory) = (stage().await, Inventory::default());
    let server = inventory.serve().await;
    inventory.says("[]");
    let url = format!(
        "url: 'http://{}/clients', refresh_interval: 1s",
        server.address
    );
    stage.configure(
        OFTEN,
        &[&format!(
            "client_urls: [{{{url}, authorization: {{credentials_file: token}}}}]"
        )],
    );
    stage.write("token", "not-a-secret\n");
    let exporter = stage.start().await.expect("it starts");
    let sends = |header: &'static str| {
        let inventory = inventory.clone();
        move |_: &Scrape| {
            inventory
                .last()
                .get("authorization")
                .is_some_and(|value| value == header)
        }
    };
    exporter
        .until("the token", sends("Bearer not-a-secret"))
        .await;
    stage.write("token", "another");
    exporter
        .until("the new token", sends("Bearer another"))
        .await;
    stage.write("token", " \n");
    exporter
        .until("a failure", |scrape| scrape.sum(FAILURES, &[]) > 0.0)
        .await;
    stage.write("password", "pass:word\n");
    let basic =
        format!("client_urls: [{{{url}, basic_auth: {{username: me, password_file: password}}}}]");
    stage.configure(OFTEN, &[&basic]);
    assert_eq!(exporter.reload().await.status, 200);
    exporter
        .until("the password", sends("Basic bWU6cGFzczp3b3Jk"))
        .await;
}

/// Serves `body` over TLS to whoever shows a certificate of `client_ca`.
fn https_inventory(config: Arc<rustls::ServerConfig>, body: String) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        while let Ok((socket, _)) = listener.accept() {
            let connection =
                rustls::ServerConnection::new(Arc::clone(&config)).expect("a connection");
            let mut stream = rustls::StreamOwned::new(connection, socket);
            if stream.read(&mut [0; 4096]).is_ok() {
                let head =
                    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n";
                let _ = write!(stream, "{head}Content-Length: {}\r\n\r\n{body}", body.len());
                stream.conn.send_close_notify();
                let _ = stream.flush();
            }
        }
    });
    address
}

#[tokio::test]
async fn an_inventory_may_ask_for_a_certificate_of_a_private_authority() {
    let stage = stage().await;
    let authority = {
        let mut params = rcgen::CertificateParams::new(Vec::new()).expect("valid");
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = rcgen::KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        (certificate, rcgen::Issuer::new(params, key))
    };
    let issue = |name: &str| {
        let key = rcgen::KeyPair::generate().expect("a key");
        let params = rcgen::CertificateParams::new([name.to_owned()]).expect("valid");
        (
            params.signed_by(&key, &authority.1).expect("a certificate"),
            key,
        )
    };
    let ((server, server_key), (client, client_key)) = (issue("127.0.0.1"), issue("exporter"));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut roots = rustls::RootCertStore::empty();
    roots.add(authority.0.der().clone()).expect("an authority");
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build();
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_client_cert_verifier(verifier.expect("an authority"))
        .with_single_cert(
            vec![server.der().clone()],
            rustls_pki_types::PrivateKeyDer::try_from(server_key.serialize_der()).expect("a key"),
        )
        .expect("they belong together");
    let address = https_inventory(Arc::new(config), stage.listing(0, 0, 4));
    stage.write("ca.pem", &authority.0.pem());
    let url = |tls: &str| {
        format!(
            "client_urls: [{{url: 'https://{address}/clients', refresh_interval: 1s, tls_config: {{{tls}}}}}]"
        )
    };
    stage.configure(OFTEN, &[&url("ca_file: ca.pem")]);
    let exporter = stage.start().await.expect("it starts");
    exporter
        .until("it is refused", |scrape| scrape.sum(FAILURES, &[]) > 0.0)
        .await;
    // The certificate comes later: files are read each time.
    stage.configure(
        OFTEN,
        &[&url(
            "ca_file: ca.pem, cert_file: exporter.pem, key_file: exporter-key.pem",
        )],
    );
    assert_eq!(exporter.reload().await.status, 200);
    let failures = |scrape: &Scrape| scrape.sum(FAILURES, &[]);
    let before = failures(&exporter.scrape().await);
    exporter
        .until("there is none", |scrape| failures(scrape) > before)
        .await;
    stage.write("exporter.pem", &client.pem());
    stage.write("exporter-key.pem", &client_key.serialize_pem());
    exporter
        .until("it is let in", |scrape| listed(scrape) == 4)
        .await;
}
