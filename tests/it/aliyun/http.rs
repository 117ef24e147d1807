//! HTTP clients: which certificates they trust, and when they look for any.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use mqtt_presence_exporter::net::Resolver;
use mqtt_presence_exporter::net::client::{client, tls_error};
use reqwest::Url;
use tempfile::TempDir;

const TIMEOUT: Duration = Duration::from_secs(60);

/// A server that secures one connection with a certificate of its own and answers one request.
fn https_server() -> (SocketAddr, String) {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
    let key =
        rustls_pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("a key");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .expect("they belong together");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        let (socket, _) = listener.accept().expect("a connection");
        let connection = rustls::ServerConnection::new(Arc::new(config)).expect("a connection");
        let mut stream = rustls::StreamOwned::new(connection, socket);
        // A client that does not trust the certificate ends the connection here.
        if stream.read(&mut [0; 4096]).is_ok() {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
            stream.conn.send_close_notify();
            let _ = stream.flush();
        }
    });
    (address, made.cert.pem())
}

fn file(directory: &TempDir, text: &str) -> PathBuf {
    let path = directory.path().join("ca.pem");
    std::fs::write(&path, text).expect("a file");
    path
}

#[tokio::test]
async fn https_trusts_the_file_and_nothing_else() {
    let directory = tempfile::tempdir().expect("a directory");
    let dns = Resolver::system();
    let (address, pem) = https_server();
    let url: Url = format!("https://{address}/").parse().expect("a URL");
    let http = client(&url, Some(&file(&directory, &pem)), TIMEOUT, &dns).expect("a client");
    let answer = http
        .get(url)
        .send()
        .await
        .expect("trusted")
        .text()
        .await
        .expect("a body");
    assert_eq!(answer, "hi");

    let (address, _) = https_server();
    let url: Url = format!("https://{address}/").parse().expect("a URL");
    let http = client(&url, Some(&file(&directory, &pem)), TIMEOUT, &dns).expect("a client");
    let error = http.get(url).send().await.expect_err("another server");
    assert!(error.is_connect());
    assert!(
        matches!(
            tls_error(&error),
            Some(rustls::Error::InvalidCertificate(_))
        ),
        "{error:?}"
    );
}

#[test]
fn certificates_are_looked_for_only_where_https_is_used() {
    let directory = tempfile::tempdir().expect("a directory");
    let dns = Resolver::system();
    let absent = directory.path().join("absent.pem");
    let plain: Url = "http://127.0.0.1:9/".parse().expect("a URL");
    let secured: Url = "https://onsmqtt.example/".parse().expect("a URL");
    assert!(client(&plain, Some(&absent), TIMEOUT, &dns).is_ok());
    let error = client(&secured, Some(&absent), TIMEOUT, &dns).expect_err("no file");
    let (error, absent) = (error.to_string(), absent.display());
    let expected = format!("cannot read the PEM file {absent}: ");
    assert!(error.starts_with(&expected), "{error}");

    let error = |text| {
        let path = file(&directory, text);
        let error = client(&secured, Some(&path), TIMEOUT, &dns).expect_err("invalid");
        error
            .to_string()
            .replace(&path.display().to_string(), "FILE")
    };
    assert_eq!(
        error("no certificate\n"),
        "FILE contains no CA certificate; it must be PEM, `-----BEGIN CERTIFICATE-----`"
    );
    let bad = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let error = error(bad);
    let expected = "the certificate in FILE cannot be used: ";
    assert!(error.starts_with(expected), "{error}");
}
