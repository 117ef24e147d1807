//! `/metrics` over loopback: against a socket on which the same bytes lie ready, compressed, and
//! how soon its first byte comes from a million clients.

mod support;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

use flate2::Compression;
use flate2::write::GzEncoder;
use hyper_util::service::TowerToHyperService;
use mqtt_presence_exporter::aliyun::RULES;
use mqtt_presence_exporter::clock::{Clock, Moment};
use mqtt_presence_exporter::config::{Config, Quotas};
use mqtt_presence_exporter::net::{ServeOptions, listen, serve};
use mqtt_presence_exporter::presence::{
    ApiResponse, BatchEntry, BoxFuture, CallError, FleetBuilder, InstanceId, InstanceState,
    LabelName, Observation, Operation, PresenceSource, Shard,
};
use mqtt_presence_exporter::random::Random;
use mqtt_presence_exporter::sweep::{Limiter, SweepConfig, SweepDeps, Sweeps};
use mqtt_presence_exporter::telemetry::Metrics;
use mqtt_presence_exporter::web::{self, Readiness, Web};
use support::{median, row};
use tokio::runtime::Runtime;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

const ROUNDS: usize = 21;

/// Overlapping scrapes share a snapshot that is younger than a second: this gets a fresh one.
const APART: Duration = Duration::from_millis(1100);

/// Never answers, so that no sweep is in the way.
#[derive(Debug)]
struct Silent;

impl PresenceSource for Silent {
    fn query<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<ApiResponse<bool>, CallError>> {
        Box::pin(std::future::pending())
    }

    fn query_batch<'a>(
        &'a self,
        _: &'a [&'a str],
    ) -> BoxFuture<'a, Result<ApiResponse<Vec<BatchEntry>>, CallError>> {
        Box::pin(std::future::pending())
    }

    fn refresh_credentials(&self) -> BoxFuture<'_, bool> {
        Box::pin(async { false })
    }

    fn clock_offset_millis(&self) -> i64 {
        0
    }
}

/// An instance with so many clients, of which all is known; one in seven is offline.
fn state(clients: usize) -> InstanceState {
    let site = LabelName::new("site").expect("a name");
    let mut fleet = FleetBuilder::new(InstanceId::new("post-cn-0pp12gl4x0b").expect("an ID"));
    let id = |n| format!("GID_pumps_{}@@@pump-{n:07}", n % 20);
    for n in 0..clients {
        fleet
            .push(&id(n), [(&site, "hangzhou")])
            .expect("each once");
    }
    let state = InstanceState::new(fleet.build(), Duration::from_secs(86_400));
    let now = Clock::system().moment().as_micros();
    for n in 0..clients {
        let at = Moment::from_micros(now - (n % 60_000) as u64 * 1000);
        state.publish(
            &id(n),
            Observation {
                online: n % 7 != 0,
                at,
                answered: at,
                operation: Operation::Single,
            },
        );
    }
    state
}

/// The HTTP edge in front of `state`, as `serve` puts it together; where it listens.
fn exporter(runtime: &Runtime, state: InstanceState) -> SocketAddr {
    let text =
        "instances: [{id: post-cn-0pp12gl4x0b, region: cn-hangzhou, clients: [GID_pumps@@@a]}]";
    let config = Config::parse(text, "bench.yaml".as_ref(), &RULES)
        .expect("a valid configuration")
        .config;
    let metrics = Arc::new(Metrics::new(config.collect.call_timeout));
    runtime.block_on(async {
        let subject = SweepConfig {
            state: Arc::new(state),
            source: Arc::new(Silent),
            account: None,
            place: "http://127.0.0.1".to_owned(),
            calls_per_second: 1,
        };
        let deps = SweepDeps {
            limiter: Arc::new(Limiter::new(
                Quotas::serve(&config, Shard::WHOLE),
                &Random::new(|| 0),
            )),
            metrics: Arc::clone(&metrics),
            clock: Clock::system(),
            random: Random::new(|| 0),
        };
        let web = Web {
            options: web::WebOptions::default(),
            sweeps: Arc::new(Sweeps::new(vec![subject], &config.collect, deps)),
            metrics,
            readiness: Readiness::starting(),
            config: Arc::new(ArcSwap::from_pointee(config)),
            reload: None,
        };
        let listener = listen("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it listens");
        let service = TowerToHyperService::new(web.router().expect("valid paths"));
        tokio::spawn(serve(
            vec![listener],
            None,
            service,
            ServeOptions::default(),
            CancellationToken::new(),
        ));
        address
    })
}

/// Writes the same `bytes` to everyone; where it listens.
fn raw(bytes: Vec<u8>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it listens");
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let _ = stream.read(&mut [0; 4096]).expect("a request");
            stream.write_all(&bytes).expect("the reader is connected");
        }
    });
    address
}

/// A scrape, as far as its client sees it.
struct Scraped {
    bytes: f64,
    first_byte: f64,
    seconds: f64,
}

fn ask(address: SocketAddr, accept: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).expect("it listens");
    let request = format!(
        "GET /metrics HTTP/1.1\r\nHost: x\r\nAccept-Encoding: {accept}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).expect("it reads");
    stream
}

/// Reads all that `address` has to say, and keeps nothing of it.
fn scrape(address: SocketAddr, accept: &str) -> Scraped {
    let mut buf = vec![0; 256 * 1024];
    let start = Instant::now();
    let mut stream = ask(address, accept);
    let mut len = 0;
    // The head may come before the text.
    while buf[..len]
        .windows(4)
        .position(|end| end == b"\r\n\r\n")
        .is_none_or(|at| at + 4 == len)
    {
        let read = stream.read(&mut buf[len..]).expect("an answer");
        assert!(read > 0, "the answer has a text");
        len += read;
    }
    let first_byte = start.elapsed().as_secs_f64();
    let mut bytes = len as f64;
    while len > 0 {
        len = stream.read(&mut buf).expect("it goes on");
        bytes += len as f64;
    }
    Scraped {
        bytes,
        first_byte,
        seconds: start.elapsed().as_secs_f64(),
    }
}

fn main() {
    let runtime = Runtime::new().expect("a runtime");
    over_loopback(&runtime);
    first_byte(&runtime);
}

fn over_loopback(runtime: &Runtime) {
    let ours = exporter(runtime, state(100_000));
    let mut text = Vec::new();
    ask(ours, "identity")
        .read_to_end(&mut text)
        .expect("an answer");
    let theirs = raw(text.clone());
    let (mut plain, mut ready, mut gzip, mut gzip_ready) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        plain.push(scrape(ours, "identity").seconds);
        ready.push(scrape(theirs, "identity").seconds);
        gzip.push(scrape(ours, "gzip").seconds);
        let start = Instant::now();
        let mut encoder = GzEncoder::new(Vec::new(), Compression::new(1));
        encoder.write_all(&text).expect("memory takes every byte");
        encoder.finish().expect("memory takes every byte");
        gzip_ready.push(start.elapsed().as_secs_f64());
    }
    let (bytes, compressed) = (text.len() as f64, scrape(ours, "gzip").bytes);
    let rates = [plain, ready, gzip, gzip_ready].map(|times| bytes / median(times) / 1e6);
    let [plain, ready, gzip, gzip_ready] = rates;
    row(
        &format!(
            "`/metrics` over loopback, 100,000 clients ({:.0} MB)",
            bytes / 1e6
        ),
        "≥ 0.5 × a raw socket",
        &format!("{:.2} × ({plain:.0} MB/s)", plain / ready),
        &format!("a raw socket writing the same bytes: {ready:.0} MB/s"),
        plain >= 0.5 * ready,
    );
    row(
        &format!("the same with gzip (1 : {:.0})", bytes / compressed),
        "≥ 400 MB/s of text",
        &format!("{gzip:.0} MB/s"),
        &format!("`flate2` at the same level, from memory to memory: {gzip_ready:.0} MB/s"),
        gzip >= 400.0,
    );
}

fn first_byte(runtime: &Runtime) {
    let ours = exporter(runtime, state(1_000_000));
    let bytes = scrape(ours, "identity").bytes;
    let (mut first, mut copy) = (Vec::new(), Vec::new());
    let words = vec![1_u64; 2_000_000];
    let mut copied = words.clone();
    for _ in 0..ROUNDS / 2 {
        std::thread::sleep(APART);
        first.push(scrape(ours, "identity").first_byte * 1e3);
        let start = Instant::now();
        copied.copy_from_slice(&words);
        std::hint::black_box(&copied);
        copy.push(start.elapsed().as_secs_f64() * 1e3);
    }
    let (first, copy) = (median(first), median(copy));
    row(
        &format!(
            "first byte of `/metrics`, 1,000,000 clients ({:.0} MB)",
            bytes / 1e6
        ),
        "≤ 50 ms",
        &format!("{first:.1} ms"),
        &format!("a copy of the 16 MB of its snapshot: {copy:.1} ms"),
        first <= 50.0,
    );
}
