//! Who calls: a bare `hyper` client and the exporter's client of the API, each in a process of its
//! own, which says what a call has cost.

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{HeaderMap, Method, Request, Uri};
use hyper_util::rt::TokioIo;
use mqtt_presence_exporter::aliyun::RULES;
use mqtt_presence_exporter::aliyun::credentials::{CredentialProvider, ProviderDeps};
use mqtt_presence_exporter::aliyun::{ApiClient, ApiClientOptions};
use mqtt_presence_exporter::clock::Clock;
use mqtt_presence_exporter::config::{Config, Env};
use mqtt_presence_exporter::net;
use mqtt_presence_exporter::presence::PresenceSource;
use mqtt_presence_exporter::random::Random;
use mqtt_presence_exporter::telemetry::Metrics;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::time::interval;

use crate::server::ANSWER;
use crate::{RATE, configuration, cpu_time};

/// Calls before any is counted.
pub(crate) const WARM_UP: u32 = 200;

const CALLS: u32 = 20_000;
const CALLS_AT_RATE: u32 = 3 * RATE;

/// Somebody who makes calls, one after the other.
trait Caller: Send + 'static {
    fn call(&mut self) -> impl Future<Output = ()> + Send;
}

/// Calls, and says what that cost. `pace` is `evenly` or `at-once`.
#[expect(clippy::print_stdout, reason = "the parent reads it")]
pub(crate) fn call_as(caller: &str, address: &str, pace: &str) {
    let evenly = pace == "evenly";
    // As in the exporter, where callers are tasks of the runtime.
    let cost = Runtime::new().expect("a runtime").block_on(async {
        match caller {
            "hyper" => tokio::spawn(measure(Bare::new(address).await, evenly)).await,
            _ => tokio::spawn(measure(Ours::new(address), evenly)).await,
        }
    });
    println!("{}", cost.expect("no panic"));
}

/// What a call costs, in microseconds.
async fn measure(mut caller: impl Caller, evenly: bool) -> f64 {
    let mut ticks = evenly.then(|| interval(Duration::from_secs(1) / RATE));
    let calls = if evenly { CALLS_AT_RATE } else { CALLS };
    let mut before = 0.0;
    for n in 0..WARM_UP + calls {
        if n == WARM_UP {
            before = cpu_time("self");
        }
        if let Some(ticks) = &mut ticks {
            ticks.tick().await;
        }
        caller.call().await;
    }
    (cpu_time("self") - before) / f64::from(calls)
}

/// A bare `hyper` client, which sends what is read from standard input.
struct Bare {
    sender: SendRequest<Empty<Bytes>>,
    method: Method,
    target: Uri,
    headers: HeaderMap,
}

impl Bare {
    async fn new(address: &str) -> Self {
        let mut head = String::new();
        std::io::stdin()
            .read_to_string(&mut head)
            .expect("a request");
        let mut lines = head.lines();
        let mut start = lines.next().expect("a request line").split(' ');
        let mut word = || start.next().expect("a method and a target");
        let (method, target) = (
            word().parse().expect("a method"),
            word().parse().expect("a target"),
        );
        let header = |(name, value): (&str, &str)| {
            (
                name.parse().expect("a name"),
                value.parse().expect("a value"),
            )
        };
        let headers = lines
            .filter_map(|line| line.split_once(": "))
            .map(header)
            .collect();
        let stream = TcpStream::connect(address).await.expect("it listens");
        stream.set_nodelay(true).expect("a TCP connection");
        let (sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .expect("HTTP/1.1");
        tokio::spawn(connection);
        Self {
            sender,
            method,
            target,
            headers,
        }
    }
}

impl Caller for Bare {
    async fn call(&mut self) {
        let mut request = Request::new(Empty::new());
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.target.clone();
        *request.headers_mut() = self.headers.clone();
        self.sender.ready().await.expect("the connection is kept");
        let answer = self.sender.send_request(request).await.expect("an answer");
        let body = answer
            .into_body()
            .collect()
            .await
            .expect("a body")
            .to_bytes();
        assert_eq!(body, ANSWER);
    }
}

/// The exporter's client of the API: signs, sends, reads, understands.
struct Ours(ApiClient);

impl Ours {
    fn new(address: &str) -> Self {
        let config = Config::parse(configuration(address), "bench.yaml".as_ref(), &RULES)
            .expect("a valid configuration");
        let config = config.config;
        let instance = &config.instances[0];
        let endpoint = format!("http://{address}").parse().expect("a URL");
        let (limit, resolver) = (config.collect.call_timeout, net::Resolver::system());
        let http = net::client::client(&endpoint, None, limit, &resolver).expect("a client");
        let options = ApiClientOptions {
            instance: instance.id.clone(),
            endpoint,
            signature: config.api.signature,
            call_timeout: config.collect.call_timeout,
        };
        let deps = ProviderDeps {
            env: Env::default(),
            clock: Clock::system(),
            random: Random::new(|| 0),
            metrics: Arc::new(Metrics::new(config.collect.call_timeout)),
            signature: config.api.signature,
            ca_file: None,
            resolver: resolver.clone(),
        };
        let credentials = Arc::new(CredentialProvider::new(
            "bench",
            &instance.credentials.provider,
            &deps,
        ));
        Self(ApiClient::new(http, credentials, Clock::system(), options))
    }
}

impl Caller for Ours {
    async fn call(&mut self) {
        assert!(
            self.0
                .query("GID_pumps@@@pump-00000")
                .await
                .expect("an answer")
                .value
        );
    }
}
