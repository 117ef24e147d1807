//! What a signed call costs in CPU time: in a sweep of the exporter, in its API client, in a bare
//! `hyper` client that sends the same bytes, and in the vendor's SDK for Python.
//!
//! All of them call the same server over loopback, on connections that are kept alive. Each is a
//! process of its own, so that nothing is counted but what it does itself; the kernel's part of
//! sending and receiving is in it.

mod callers;
mod server;
#[path = "../support/mod.rs"]
mod support;

use std::fs;
use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use callers::{WARM_UP, call_as};
use server::Server;
use support::{median, row};

/// The default rate of the egress address, in calls a second.
const RATE: u32 = 220;

const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_secs(3);

/// More than can be asked for in all rounds.
const CLIENTS: usize = 10_000;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [caller, address, pace] = &args[..] {
        call_as(caller, address, pace);
    } else {
        compare();
    }
}

/// The CPU time of a process so far, in microseconds: of its threads, user and kernel together.
fn cpu_time(process: &str) -> f64 {
    let threads = fs::read_dir(format!("/proc/{process}/task")).expect("the process runs");
    let spent = |thread: fs::DirEntry| {
        let text = fs::read_to_string(thread.path().join("schedstat")).unwrap_or_default();
        text.split(' ')
            .next()
            .and_then(|nanos| nanos.parse::<f64>().ok())
            .unwrap_or_default()
            / 1e3
    };
    threads
        .map(|thread| spent(thread.expect("the process runs")))
        .sum()
}

fn configuration(address: impl std::fmt::Display) -> String {
    format!(
        "credentials: {{type: access_key, access_key_id: LTAIbench, access_key_secret: none}}\n\
         instances:\n\
         - id: post-cn-0pp12gl4x0b\n\
         \x20 region: cn-hangzhou\n\
         \x20 endpoint: http://{address}\n\
         \x20 calls_per_second: {RATE}\n\
         \x20 client_files: [clients.json]\n"
    )
}

/// What a call of `caller` costs in a process of its own, in microseconds.
fn child(caller: &str, pace: &str, server: &Server) -> f64 {
    let mut child = Command::new(std::env::current_exe().expect("this bench is a file"))
        .args([caller, &server.address.to_string(), pace])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("this bench can be run");
    let head = server.first.get().expect("the exporter has called");
    child
        .stdin
        .take()
        .expect("piped")
        .write_all(head)
        .expect("it reads");
    cost(child)
}

/// The figure that a child prints.
fn cost(child: Child) -> f64 {
    let output = child.wait_with_output().expect("it ends");
    String::from_utf8(output.stdout)
        .expect("a number")
        .trim()
        .parse()
        .expect("a number")
}

/// Ends a process with its owner.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What a call of the exporter costs in the middle of a sweep, in microseconds, several times.
fn sweep(server: &Server) -> Vec<f64> {
    let folder = tempfile::tempdir().expect("a folder");
    let clients: Vec<_> = (0..CLIENTS)
        .map(|n| format!("GID_pumps@@@pump-{n:05}"))
        .collect();
    let listing = serde_json::json!([{"targets": clients}]).to_string();
    fs::write(folder.path().join("clients.json"), listing).expect("there is room");
    let file = folder.path().join("config.yaml");
    fs::write(&file, configuration(server.address)).expect("there is room");
    let exporter = Command::new(env!("CARGO_BIN_EXE_mqtt-presence-exporter"))
        .arg(format!("--config.file={}", file.display()))
        .args(["--web.listen-address=127.0.0.1:0", "--log.level=error"])
        .spawn()
        .expect("the exporter runs");
    let exporter = Killed(exporter);
    let process = exporter.0.id().to_string();
    let calls = || server.calls.load(Ordering::Relaxed);
    while calls() < WARM_UP.into() {
        thread::sleep(Duration::from_millis(10));
    }
    let round = || {
        let (calls_before, cpu_before) = (calls(), cpu_time(&process));
        thread::sleep(ROUND);
        (cpu_time(&process) - cpu_before) / (calls() - calls_before) as f64
    };
    (0..ROUNDS).map(|_| round()).collect()
}

/// What a call costs the vendor's SDK, in microseconds; `benches/run.sh` installs it.
fn sdk(server: &Server) -> f64 {
    let python = concat!(env!("CARGO_MANIFEST_DIR"), "/.venv/bin/python");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/sdk.py");
    let script = Command::new(python)
        .args([script, &server.address.to_string()])
        .stdout(Stdio::piped())
        .spawn();
    cost(script.expect("tests/venv.sh has made the Python environment"))
}

/// What a call of the bare client costs; it has to have sent as much as the exporter does.
fn bare(pace: &str, server: &Server) -> f64 {
    let sent = || {
        (
            server.calls.load(Ordering::Relaxed),
            server.bytes.load(Ordering::Relaxed),
        )
    };
    let (calls_before, bytes_before) = sent();
    let cost = child("hyper", pace, server);
    let (calls, bytes) = sent();
    let length = server.first.get().map_or(0, Vec::len) as u64;
    assert_eq!(
        bytes - bytes_before,
        (calls - calls_before) * length,
        "the same bytes"
    );
    cost
}

fn compare() {
    let server = Server::start();
    let sweep = median(sweep(&server));
    let (mut hyper_evenly, mut hyper, mut ours) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        hyper_evenly.push(bare("evenly", &server));
        hyper.push(bare("at-once", &server));
        ours.push(child("client", "at-once", &server));
    }
    let [hyper_evenly, hyper, ours] = [hyper_evenly, hyper, ours].map(median);
    let sdk = sdk(&server);
    let reach = "≤ 2.5 × a plain client";
    row(
        &format!("CPU per signed call: the exporter in a sweep, {RATE} calls/s"),
        reach,
        &format!("{:.2} × ({sweep:.0} µs)", sweep / hyper_evenly),
        &format!("a plain `hyper` client, same bytes and pace: {hyper_evenly:.0} µs"),
        sweep <= 2.5 * hyper_evenly,
    );
    row(
        "CPU per signed call: its API client, one call after the other",
        reach,
        &format!("{:.2} × ({ours:.0} µs)", ours / hyper),
        &format!(
            "a plain `hyper` client, same bytes: {hyper:.0} µs; Alibaba Cloud SDK for Python: {sdk:.0} µs"
        ),
        ours <= 2.5 * hyper,
    );
}
