//! The binary as a person at a terminal sees it: words, exit codes, what is logged.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};

use assert_cmd::cargo::CommandCargoExt as _;
use serde_json::Value;

use crate::support::http::{secured, soon};
use crate::support::pki::{Authority, TlsClient};

/// A running command, which is killed when it is dropped.
struct Running {
    child: Child,
    out: BufReader<ChildStdout>,
    log: BufReader<ChildStderr>,
}

fn command(args: &[&str]) -> Command {
    let mut command = Command::cargo_bin("mqtt-presence-exporter").expect("it is built");
    command.args(args).env_clear();
    command
}

impl Running {
    fn start(args: &[&str]) -> Self {
        let mut child = command(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let out = BufReader::new(child.stdout.take().expect("piped"));
        let log = BufReader::new(child.stderr.take().expect("piped"));
        Self { child, out, log }
    }

    /// The next line of the log that has `part` in it; the lines before it go to `seen`.
    fn log_line(&mut self, part: &str, seen: &mut String) -> String {
        loop {
            let mut line = String::new();
            assert_ne!(
                self.log.read_line(&mut line).expect("text"),
                0,
                "the log ended before {part:?}: {seen}"
            );
            seen.push_str(&line);
            if line.contains(part) {
                return line;
            }
        }
    }

    /// Ends it as a service manager does, and gives its exit code and the rest of its log.
    fn terminate(mut self) -> (Option<i32>, String) {
        let status = Command::new("kill")
            .args(["-TERM", &self.child.id().to_string()])
            .status();
        assert!(status.expect("kill runs").success());
        let mut rest = String::new();
        self.log.read_to_string(&mut rest).expect("text");
        (self.child.wait().expect("it ends").code(), rest)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the server at `address` answers to a `GET` of `path`.
fn get(address: &str, path: &str) -> String {
    let mut stream = std::net::TcpStream::connect(address).expect("it listens");
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    )
    .expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("text");
    answer
}

/// What the server at `address` answers to a `PUT` of `text`.
fn put(address: &str, path: &str, text: &str) -> String {
    let mut stream = std::net::TcpStream::connect(address).expect("it listens");
    let length = text.len();
    write!(stream, "PUT {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{text}")
        .expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("text");
    answer
}

/// The value of a field of a logfmt line.
fn field<'a>(line: &'a str, name: &str) -> &'a str {
    let rest = line.split_once(&format!("{name}=")).expect("the field").1;
    rest.split([' ', '\n'])
        .next()
        .unwrap_or(rest)
        .trim_matches('"')
}

#[test]
fn five_mistakes_are_named_at_once_with_their_lines() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("config.yaml");
    let text = "\
collect:
  max_agee: 10s
  call_timeout: soon
limits: {share: 2}
instances:
  - id: post-cn-1
    region: cn-hangzhou
    calls_per_second: 0
    labels: {job: x}
";
    std::fs::write(&file, text).expect("a file");
    let args = [
        "check-config",
        "--config.file",
        file.to_str().expect("a path"),
    ];
    let output = command(&args).output().expect("it runs");
    assert_eq!(output.status.code(), Some(64));
    let said =
        String::from_utf8(output.stdout).expect("text") + &String::from_utf8_lossy(&output.stderr);
    for place in [
        "config.yaml:2:",
        "config.yaml:3:",
        "config.yaml:4:",
        "config.yaml:8:",
        "config.yaml:9:",
    ] {
        assert!(said.contains(place), "{place} is in {said}");
    }
    let output = command(&["--config.file", file.to_str().expect("a path")])
        .output()
        .expect("it runs");
    assert_eq!(output.status.code(), Some(64), "serve refuses it too");
}

#[test]
fn flags_that_are_wrong_end_with_64_and_help_with_0() {
    let code = |args: &[&str]| command(args).output().expect("it runs").status.code();
    assert_eq!(code(&["--help"]), Some(0));
    assert_eq!(code(&["--version"]), Some(0));
    assert_eq!(code(&["--no.such.flag"]), Some(64));
    assert_eq!(code(&["--timeout-offset=-1"]), Some(64));
    assert_eq!(code(&["demo", "--web.listen-address=nonsense"]), Some(64));
    let output = command(&["--web.allowed-hosts=https://ops.example"]).output();
    assert_eq!(output.expect("it runs").status.code(), Some(64));
    assert_eq!(
        code(&["simulate", "--web.listen-address=nonsense"]),
        Some(64)
    );
}

#[test]
fn an_exporter_configured_from_what_simulate_prints_agrees_with_it() {
    let mut simulate = Running::start(&["simulate", "--clients=40", "--instances=1", "--seed=1"]);
    let announced = announcement(&mut simulate);
    let folder = tempfile::tempdir().expect("a folder");
    let secret = announced["access_key_secret"].as_str().expect("a secret");
    let file = configure(folder.path(), &announced, secret);
    let mut serve = Running::start(&[
        "--config.file",
        &file,
        "--web.listen-address=127.0.0.1:0",
        "--log.level=debug",
    ]);
    let mut log = String::new();
    let address = field(&serve.log_line("listening", &mut log), "address").to_owned();
    serve.log_line("sweep ended", &mut log);
    let metrics = get(&address, "/metrics");
    let statuses = metrics
        .lines()
        .filter(|line| line.starts_with("mqtt_presence_client_online{"))
        .count();
    assert_eq!(statuses, 40);
    let pages = ["/", "/config", "/-/healthy", "/-/ready"].map(|path| get(&address, path));
    assert!(
        pages.iter().all(|page| page.starts_with("HTTP/1.1 200")),
        "{pages:?}"
    );
    let (code, rest) = serve.terminate();
    assert_eq!(code, Some(0), "{rest}");
    for text in [&log, &rest, &metrics, &pages.concat()] {
        assert!(!text.contains(secret));
    }
}

#[test]
fn a_wrong_secret_is_told_once_with_what_to_do_and_shown_nowhere() {
    let mut simulate = Running::start(&["simulate", "--clients=200", "--instances=1"]);
    let announced = announcement(&mut simulate);
    let folder = tempfile::tempdir().expect("a folder");
    let secret = "not-the-right-one-at-all";
    let file = configure(folder.path(), &announced, secret);
    let mut serve = Running::start(&[
        "--config.file",
        &file,
        "--web.listen-address=127.0.0.1:0",
        "--log.level=debug",
    ]);
    let mut log = String::new();
    let address = field(&serve.log_line("listening", &mut log), "address").to_owned();
    let told = serve.log_line("SignatureDoesNotMatch", &mut log);
    for part in [
        "level=error",
        announced["instance_ids"][0].as_str().expect("an ID"),
        "QuerySessionByClientId",
        "access key secret",
    ] {
        assert!(told.contains(part), "{part} is in {told}");
    }
    let metrics = get(&address, "/metrics");
    assert!(
        metrics
            .lines()
            .any(|line| line.starts_with("mqtt_presence_api_up{") && line.ends_with(" 0"))
    );
    let pages = get(&address, "/config") + &get(&address, "/");
    let (code, rest) = serve.terminate();
    assert_eq!(code, Some(0));
    log += &rest;
    assert_eq!(
        log.matches("SignatureDoesNotMatch").count(),
        told.matches("SignatureDoesNotMatch").count(),
        "{log}"
    );
    let key = announced["access_key_id"].as_str().expect("an ID");
    assert!(
        !log.contains(key),
        "the server's string to sign is not logged: {log}"
    );
    for text in [&log, &metrics, &pages] {
        assert!(!text.contains(secret));
    }
}

#[test]
fn the_exit_code_of_a_query_is_the_worst_status() {
    let mut simulate = Running::start(&["simulate", "--clients=2", "--instances=1"]);
    let announced = announcement(&mut simulate);
    let folder = tempfile::tempdir().expect("a folder");
    let file = configure(
        folder.path(),
        &announced,
        announced["access_key_secret"].as_str().expect("a secret"),
    );
    let clients: Vec<_> = announced["clients"]
        .as_object()
        .and_then(|instances| instances.values().next())
        .expect("one")
        .as_array()
        .expect("a list")
        .iter()
        .map(|client| client.as_str().expect("text"))
        .collect();
    let impose = |client: &str, online: bool| {
        let imposed = serde_json::json!({"client_id": client, "online": online}).to_string();
        let endpoint = announced["endpoint"]
            .as_str()
            .expect("a URL")
            .trim_start_matches("http://");
        assert!(put(endpoint, "/_simulator/clients", &imposed).starts_with("HTTP/1.1 204"));
    };
    let query = |args: &[&str], stdin: &str| {
        let mut query = command(&[&["query", "--config.file", &file], args].concat());
        let mut query = query
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it runs");
        query
            .stdin
            .take()
            .expect("piped")
            .write_all(stdin.as_bytes())
            .expect("it reads");
        let output = query.wait_with_output().expect("it ends");
        (
            output.status.code(),
            String::from_utf8(output.stdout).expect("text"),
        )
    };
    impose(clients[0], true);
    impose(clients[1], false);
    assert_eq!(query(&[clients[0]], "").0, Some(0));
    let (code, listed) = query(&["--output=json", "-"], &clients.join("\n"));
    assert_eq!((code, listed.lines().count()), (Some(2), 2), "{listed}");
    assert_eq!(
        query(&["--instance=post-cn-none", clients[0]], "").0,
        Some(64)
    );
    assert_eq!(query(&[], "").0, Some(64));
    assert_eq!(query(&["--watch=1ms", clients[0]], "").0, Some(64));
    drop(simulate);
    assert_eq!(query(&clients, "").0, Some(3), "nobody answers");
}

#[test]
fn the_demo_says_where_to_look() {
    let mut demo = Running::start(&["demo", "--web.listen-address=127.0.0.1:0"]);
    let mut said = String::new();
    while !said.contains("/metrics") {
        assert_ne!(
            demo.out.read_line(&mut said).expect("text"),
            0,
            "the demo ended: {said}"
        );
    }
    let url = said.split_once("http://").expect("a URL").1.trim();
    let (address, _) = url.split_once('/').expect("a path");
    assert!(get(address, "/metrics").contains("mqtt_presence_client_info{"));
    assert_eq!(demo.terminate().0, Some(0));
}

fn announcement(simulate: &mut Running) -> Value {
    let mut line = String::new();
    simulate.out.read_line(&mut line).expect("text");
    serde_json::from_str(&line).expect("one line of JSON")
}

/// Writes a configuration of everything that was announced; where it is.
fn configure(folder: &std::path::Path, announced: &Value, secret: &str) -> String {
    let secret_file = folder.join("secret");
    std::fs::write(&secret_file, secret).expect("a file");
    let clients = announced["clients"]
        .as_object()
        .expect("clients by instance");
    let instances: Vec<_> = clients
        .iter()
        .map(|(id, clients)| serde_json::json!({"id": id, "endpoint": announced["endpoint"], "calls_per_second": 220, "clients": clients}))
        .collect();
    let configuration = serde_json::json!({
        "credentials": {"type": "access_key", "access_key_id": announced["access_key_id"], "access_key_secret_file": "secret"},
        "instances": instances,
    });
    let file = folder.join("config.yaml");
    std::fs::write(&file, configuration.to_string()).expect("a file");
    file.to_str().expect("a path").to_owned()
}

#[test]
fn an_environment_variable_that_is_not_utf8_is_ignored() {
    let text = OsStr::from_bytes(b"\xFF");
    let output = command(&["check-config", "--config.file=config.yaml"])
        .env("LC_TEST", text)
        .env(text, "1")
        .output()
        .expect("the binary starts");
    assert!(output.status.success(), "{output:?}");
}

#[tokio::test]
async fn frames_that_a_stranger_sends_are_not_logged() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    let mut simulate = Running::start(&["simulate", "--clients=1", "--instances=1"]);
    let announced = announcement(&mut simulate);
    let folder = tempfile::tempdir().expect("a folder");
    let secret = announced["access_key_secret"].as_str().expect("a secret");
    let file = configure(folder.path(), &announced, secret);
    let authority = Authority::new();
    authority.server().write(folder.path(), "server");
    let web = folder.path().join("web.yml");
    let text = "tls_server_config: {cert_file: server.pem, key_file: server.key}\n";
    std::fs::write(&web, text).expect("written");
    let web = format!("--web.config.file={}", web.display());
    let listen = "--web.listen-address=127.0.0.1:0";
    let mut serve = Running::start(&["--config.file", &file, &web, listen, "--log.level=debug"]);
    let mut log = String::new();
    let address = field(&serve.log_line("listening", &mut log), "address").to_owned();

    let tls = TlsClient {
        protocols: vec!["h2"],
        ..TlsClient::trusting(&authority)
    };
    let address = address.parse().expect("an address");
    let mut stream = secured(address, &tls).await.expect("let in");
    // The preface, empty settings, answers to pings that were never sent, and a ping.
    let ping =
        |flags: u8, content: &[u8; 8]| [&[0, 0, 8, 6, flags, 0, 0, 0, 0], &content[..]].concat();
    let frames = [
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
        vec![0, 0, 0, 4, 0, 0, 0, 0, 0],
        ping(1, b"unasked.").repeat(50),
        ping(0, b"the last"),
    ];
    stream.write_all(&frames.concat()).await.expect("it reads");
    let mut answer = Vec::new();
    while !answer.ends_with(&ping(1, b"the last")) {
        let read = soon(stream.read_buf(&mut answer)).await.expect("an answer");
        assert_ne!(read, 0, "the connection ended");
    }
    let (code, rest) = serve.terminate();
    assert_eq!(code, Some(0), "{rest}");
    assert!(!(log + &rest).contains("target=h2"));
}
