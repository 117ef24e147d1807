//! The HTTP edge, through real sockets.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use mqtt_presence_exporter::aliyun::RULES;
use mqtt_presence_exporter::clock::{Clock, Timestamp};
use mqtt_presence_exporter::config::{Collect, Config, Quotas};
use mqtt_presence_exporter::net::ServeOptions;
use mqtt_presence_exporter::presence::{FleetBuilder, InstanceId, InstanceState, LabelName};
use mqtt_presence_exporter::random::Random;
use mqtt_presence_exporter::sweep::{Limiter, SweepConfig, SweepDeps, Sweeps};
use mqtt_presence_exporter::telemetry::Metrics;
use mqtt_presence_exporter::web::{PathError, Readiness, Web, WebOptions};
use tokio::sync::watch;

use crate::support::http::{Answer, Server, request, soon};
use crate::support::source::Gated;

/// An exporter of `clients` clients whose sweeps end when the gate opens.
fn exporter(clients: usize, options: WebOptions) -> (Web, watch::Sender<bool>) {
    let mut fleet = FleetBuilder::new(InstanceId::new("post-cn-1").expect("not empty"));
    let note = (LabelName::new("note").expect("a name"), "x".repeat(200));
    for n in 0..clients {
        fleet
            .push(&format!("GID_pumps@@@pump-{n}"), [(&note.0, &*note.1)])
            .expect("new");
    }
    let (open, gate) = watch::channel(true);
    let subject = SweepConfig {
        state: Arc::new(InstanceState::new(fleet.build(), Duration::from_secs(300))),
        source: Arc::new(Gated(gate)),
        account: None,
        place: "http://127.0.0.1".to_owned(),
        calls_per_second: 100,
    };
    let metrics = Arc::new(Metrics::new(Duration::from_secs(5)));
    let deps = SweepDeps {
        limiter: Arc::new(Limiter::new(Quotas::query(), &Random::new(|| 0))),
        metrics: Arc::clone(&metrics),
        clock: Clock::manual(Timestamp::from_millis(1_700_000_000_000)),
        random: Random::new(|| 0),
    };
    let config = "instances: [{id: post-cn-1, region: cn-hangzhou, clients: [GID_pumps@@@pump-0]}]";
    let config = Config::parse(config, Path::new("config.yaml"), &RULES)
        .expect("valid")
        .config;
    let web = Web {
        options,
        sweeps: Arc::new(Sweeps::new(vec![subject], &Collect::default(), deps)),
        metrics,
        readiness: Readiness::starting(),
        config: Arc::new(ArcSwap::from_pointee(config)),
        reload: None,
    };
    (web, open)
}

async fn start(web: Web) -> Server {
    Server::start(
        web.router().expect("the flags fit"),
        ServeOptions::default(),
    )
    .await
}

async fn plain_exporter() -> Server {
    start(exporter(2, WebOptions::default()).0).await
}

const ENDPOINTS: [&str; 7] = [
    "/",
    "/metrics",
    "/api/v1/clients",
    "/sd",
    "/config",
    "/-/healthy",
    "/-/ready",
];

#[tokio::test]
async fn a_scrape_says_what_is_known_in_the_text_format() {
    let answer = plain_exporter().await.get("/metrics").await;
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.header("content-type"),
        Some("text/plain; version=0.0.4; charset=utf-8")
    );
    assert_eq!(answer.header("vary"), Some("Accept-Encoding"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("content-encoding"), None);
    assert!(
        answer
            .text()
            .contains("mqtt_presence_client_info{client_id=\"GID_pumps@@@pump-1\""),
        "{}",
        answer.text()
    );
    assert!(answer.text().ends_with('\n'));
}

#[tokio::test]
async fn gzip_is_the_same_text() {
    let server = start(exporter(20_000, WebOptions::default()).0).await;
    let plain = server.get("/metrics").await;
    let zipped = server
        .request("GET", "/metrics", &["Accept-Encoding: br;q=1, gzip;q=0.5"])
        .await;
    assert_eq!(zipped.header("content-encoding"), Some("gzip"));
    assert_eq!(zipped.header("content-type"), plain.header("content-type"));
    assert!(zipped.body.len() * 10 < plain.body.len());
    assert_eq!(
        lines_of_clients(&zipped.gunzip()),
        lines_of_clients(plain.text())
    );
    assert_eq!(lines_of_clients(plain.text()).len(), 20_000);

    for refusal in [
        "Accept-Encoding: gzip;q=0, *",
        "Accept-Encoding: identity",
        "Accept-Encoding: not-gzip",
    ] {
        assert_eq!(
            server
                .request("GET", "/metrics", &[refusal])
                .await
                .header("content-encoding"),
            None,
            "{refusal}"
        );
    }
}

/// The part that must not differ between two scrapes of the same snapshot; the series of the process do.
fn lines_of_clients(text: &str) -> Vec<&str> {
    text.lines()
        .filter(|line| line.starts_with("mqtt_presence_client_info{"))
        .collect()
}

#[tokio::test]
async fn head_shows_the_headers_of_get() {
    let server = plain_exporter().await;
    for path in ENDPOINTS {
        for accept in ["Accept-Encoding: gzip", "Accept-Encoding: identity"] {
            let get = server.request("GET", path, &[accept]).await;
            let head = server.request("HEAD", path, &[accept]).await;
            assert_eq!(head.status, get.status, "{path}");
            // An answer that says what time it is has not always the same length.
            let framing = [
                "date",
                "transfer-encoding",
                if path == "/api/v1/clients" {
                    "content-length"
                } else {
                    ""
                },
            ];
            assert_eq!(
                head.headers_without(&framing),
                get.headers_without(&framing),
                "{path}"
            );
        }
    }
}

#[tokio::test]
async fn head_starts_nothing_and_takes_no_place() {
    let (web, open) = exporter(
        1,
        WebOptions {
            max_requests: 1,
            ..WebOptions::default()
        },
    );
    open.send_replace(false);
    let server = start(web).await;
    let mut scraper = server.client().await;
    scraper.send(&request("GET", "/metrics", &[])).await;
    wait_until_full(&server).await;
    assert_eq!(server.request("HEAD", "/metrics", &[]).await.status, 200);
}

#[tokio::test]
async fn other_methods_and_paths_are_told_what_there_is() {
    let server = plain_exporter().await;
    for path in ENDPOINTS {
        for method in ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "BREW"] {
            let answer = server.request(method, path, &[]).await;
            assert_eq!(
                (answer.status, answer.header("allow")),
                (405, Some("GET,HEAD")),
                "{method} {path}"
            );
        }
    }
    for path in [
        "/metric",
        "/metrics/",
        "/METRICS",
        "/-/",
        "//",
        "/metrics%00",
        "*",
    ] {
        let answer = server.get(path).await;
        assert_eq!(answer.status, 404, "{path}");
        assert!(
            ENDPOINTS[1..]
                .iter()
                .all(|endpoint| answer.text().contains(endpoint)),
            "{}",
            answer.text()
        );
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    }
}

#[tokio::test]
async fn health_and_readiness() {
    let (web, _open) = exporter(1, WebOptions::default());
    let readiness = web.readiness.clone();
    let server = start(web).await;
    let status = async |path| server.get(path).await.status;
    assert_eq!(
        (status("/-/healthy").await, status("/-/ready").await),
        (200, 503)
    );
    readiness.ready();
    assert_eq!(
        (status("/-/healthy").await, status("/-/ready").await),
        (200, 200)
    );
    assert_eq!(
        server.get("/-/healthy").await.text(),
        "mqtt-presence-exporter is Healthy.\n"
    );
    readiness.draining();
    readiness.ready();
    assert_eq!(
        (status("/-/healthy").await, status("/-/ready").await),
        (200, 503)
    );
    assert!(server.get("/-/ready").await.text().contains("stopping"));
}

#[tokio::test]
async fn the_configuration_is_shown_as_text() {
    let answer = plain_exporter().await.get("/config").await;
    assert!(
        answer.text().contains("\n- id: post-cn-1\n"),
        "{}",
        answer.text()
    );
    assert_eq!(
        answer.header("content-type"),
        Some("text/plain; charset=utf-8")
    );
    assert_eq!(answer.header("cache-control"), Some("no-store"));
}

#[tokio::test]
async fn the_status_page_leads_everywhere_and_lets_nothing_in() {
    let (web, _open) = exporter(
        1,
        WebOptions {
            external_url: Some("https://ops.example/mqtt/".into()),
            ..WebOptions::default()
        },
    );
    web.readiness.ready();
    let server = start(web).await;
    let page = server.get("/mqtt/").await;
    assert_eq!(
        page.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    let policy = page.header("content-security-policy").expect("a policy");
    assert!(
        policy.starts_with("default-src 'none'; ") && !policy.contains("unsafe"),
        "{policy}"
    );
    let (shown, footer) = page
        .text()
        .split_once("<footer>")
        .expect("endpoints at the end");
    let links: Vec<_> = footer
        .split("href=\"")
        .skip(1)
        .filter_map(|rest| Some(rest.split_once('"')?.0))
        .collect();
    assert_eq!(
        links,
        [
            "/mqtt/metrics",
            "/mqtt/api/v1/clients",
            "/mqtt/probe",
            "/mqtt/sd",
            "/mqtt/config",
            "/mqtt/-/healthy",
            "/mqtt/-/ready"
        ]
    );
    for link in links {
        // Without a question, `/probe` has no answer.
        let expected = if link == "/mqtt/probe" { 400 } else { 200 };
        assert_eq!(server.get(link).await.status, expected, "{link}");
    }
    assert!(page.text().contains(env!("CARGO_PKG_VERSION")));
    // But for the name of what an icon is written in.
    let shown = shown.replace("http://www.w3.org/2000/svg", "");
    assert!(
        !shown.contains("src=") && !shown.contains("http"),
        "{shown}"
    );
}

#[tokio::test]
async fn a_prefix_moves_every_endpoint() {
    let options = WebOptions {
        route_prefix: Some("/presence".into()),
        telemetry_path: "/m".into(),
        ..WebOptions::default()
    };
    let server = start(exporter(1, options).0).await;
    for root in ["/", "/presence"] {
        let answer = server.get(root).await;
        assert_eq!(
            (answer.status, answer.header("location")),
            (302, Some("/presence/")),
            "{root}"
        );
    }
    assert_eq!(server.get("/presence/").await.status, 200);
    assert_eq!(server.get("/presence/m").await.status, 200);
    let lost = server.get("/metrics").await;
    assert_eq!(lost.status, 404);
    assert!(lost.text().contains("/presence/m: "), "{}", lost.text());
}

#[tokio::test]
async fn behind_a_proxy_that_strips_the_prefix_links_still_lead_out() {
    let external_url = Some("https://ops.example/presence".into());
    let options = WebOptions {
        external_url,
        route_prefix: Some("/".into()),
        ..WebOptions::default()
    };
    let server = start(exporter(1, options).0).await;
    assert_eq!(server.get("/metrics").await.status, 200);
    assert!(
        server
            .get("/")
            .await
            .text()
            .contains("href=\"/presence/metrics\"")
    );
}

#[tokio::test]
async fn metrics_may_be_at_the_root_but_not_at_another_endpoint() {
    let at = |path: &str| {
        exporter(
            1,
            WebOptions {
                telemetry_path: path.into(),
                ..WebOptions::default()
            },
        )
        .0
        .router()
    };
    let server = Server::start(at("/").expect("free"), ServeOptions::default()).await;
    assert!(server.get("/").await.text().contains("mqtt_presence_"));
    assert_eq!(
        at("/-/ready").err(),
        Some(PathError::Taken("/-/ready".into()))
    );
    assert!(at("metrics").is_err() && at("/{*path}").is_err());
}

#[tokio::test]
async fn scrapes_past_the_limit_are_refused_and_health_is_not() {
    let (web, open) = exporter(
        1,
        WebOptions {
            max_requests: 2,
            ..WebOptions::default()
        },
    );
    open.send_replace(false);
    let server = start(web).await;
    let mut scrapers = [server.client().await, server.client().await];
    for scraper in &mut scrapers {
        scraper.send(&request("GET", "/metrics", &[])).await;
    }
    let refused = wait_until_full(&server).await;
    assert!(
        refused.text().contains("--web.max-requests"),
        "{}",
        refused.text()
    );
    assert_eq!(server.get("/-/healthy").await.status, 200);
    assert_eq!(server.get("/config").await.status, 200);
    open.send_replace(true);
    for scraper in &mut scrapers {
        assert_eq!(scraper.answer("GET").await.expect("an answer").status, 200);
    }
    assert_eq!(server.get("/metrics").await.status, 200);
}

#[tokio::test]
async fn a_scraper_that_hangs_up_gives_its_place_back() {
    let (web, open) = exporter(
        1,
        WebOptions {
            max_requests: 1,
            ..WebOptions::default()
        },
    );
    open.send_replace(false);
    let server = start(web).await;
    let mut scraper = server.client().await;
    scraper.send(&request("GET", "/metrics", &[])).await;
    wait_until_full(&server).await;
    drop(scraper);
    let hurried = ["X-Prometheus-Scrape-Timeout-Seconds: 0.001"];
    soon(async { while server.request("GET", "/metrics", &hurried).await.status == 503 {} }).await;
}

#[tokio::test]
async fn a_scrape_answers_at_its_deadline_with_what_is_known() {
    let (web, open) = exporter(1, WebOptions::default());
    open.send_replace(false);
    let server = start(web).await;
    let answer = server
        .request(
            "GET",
            "/metrics",
            &["X-Prometheus-Scrape-Timeout-Seconds: 0.01"],
        )
        .await;
    assert_eq!(answer.status, 200);
    assert!(answer.text().contains("pump-0"));
}

#[tokio::test]
async fn a_scraper_that_never_reads_is_dropped_and_its_place_is_free() {
    let (web, _open) = exporter(
        100_000,
        WebOptions {
            max_requests: 1,
            ..WebOptions::default()
        },
    );
    let options = ServeOptions {
        write_timeout: Duration::from_secs(1),
        ..ServeOptions::default()
    };
    let server = Server::start(web.router().expect("the flags fit"), options).await;
    let mut deaf = server.narrow_client().await;
    deaf.send(&request("GET", "/metrics", &[])).await;
    wait_until_full(&server).await;
    assert_eq!(server.get("/-/healthy").await.status, 200);
    soon(async { while server.get("/metrics").await.status == 503 {} }).await;
    assert!(
        deaf.answer("GET").await.is_none(),
        "the rest of its answer was not kept for it"
    );
}

#[tokio::test]
async fn shutdown_lets_a_scrape_end() {
    let (web, open) = exporter(
        10,
        WebOptions {
            max_requests: 1,
            ..WebOptions::default()
        },
    );
    open.send_replace(false);
    let server = start(web).await;
    let mut scraper = server.client().await;
    scraper
        .send(&request("GET", "/metrics", &["Accept-Encoding: gzip"]))
        .await;
    wait_until_full(&server).await;
    server.shutdown.cancel();
    open.send_replace(true);
    let answer = scraper.answer("GET").await.expect("a whole answer");
    assert_eq!(lines_of_clients(&answer.gunzip()).len(), 10);
    server.ended().await;
}

/// Waits until every place is taken: the refusal that the next scrape gets.
async fn wait_until_full(server: &Server) -> Answer {
    // What was sent before this has then been read, so that the places are not taken by the
    // scrapes below.
    server.get("/-/healthy").await;
    let hurried = ["X-Prometheus-Scrape-Timeout-Seconds: 0.001"];
    soon(async {
        loop {
            let answer = server.request("GET", "/metrics", &hurried).await;
            if answer.status == 503 {
                return answer;
            }
        }
    })
    .await
}
