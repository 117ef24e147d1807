//! Probes are in nobody's way, and within the limits that sweeps keep.

use std::time::Duration;

use mqtt_presence_exporter::simulator::{DurationSetting, Faults};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::support::SINGLE;
use crate::support::exporter::TestExporter;
use crate::support::exposition::Scrape;
use crate::support::http::{Client, request};
use crate::support::rig::Rig;

fn latency(millis: u64) -> Faults {
    Faults {
        latency: DurationSetting::from(Duration::from_millis(millis)),
        ..Faults::default()
    }
}

/// What a probe says, and how long it took to say it.
async fn probe(
    address: std::net::SocketAddr,
    client: &str,
    timeout: Duration,
) -> (Option<f64>, Duration) {
    let begun = Instant::now();
    let mut connection = Client::connect(address).await;
    let header = format!(
        "X-Prometheus-Scrape-Timeout-Seconds: {}",
        timeout.as_secs_f64()
    );
    connection
        .send(&request(
            "GET",
            &format!("/probe?client_id={client}"),
            &[&header],
        ))
        .await;
    let answer = connection.answer("GET").await.expect("an answer");
    assert_eq!(answer.status, 200, "{}", answer.text());
    let text = answer
        .text()
        .strip_prefix("# failed: ")
        .map_or(answer.text(), |why| why.split_once('\n').expect("a line").1);
    let scrape = Scrape::parse(text).expect("valid text");
    let online = scrape.value("mqtt_presence_client_online", &[]);
    assert_eq!(
        scrape.value("probe_success", &[]),
        Some(f64::from(u8::from(online.is_some())))
    );
    (online, begun.elapsed())
}

/// Probes of all these clients at once: how many had an answer within their deadline.
async fn probe_all(
    exporter: &TestExporter,
    clients: impl IntoIterator<Item = &String>,
    timeout: Duration,
) -> usize {
    let mut probes = JoinSet::new();
    for client in clients {
        let (address, client) = (exporter.address, client.clone());
        probes.spawn(async move { probe(address, &client, timeout).await });
    }
    let answers = probes.join_all().await;
    assert!(
        answers.iter().all(|(_, took)| *took < timeout),
        "every probe answers within its scrape's timeout"
    );
    answers
        .iter()
        .filter(|(online, _)| online.is_some())
        .count()
}

#[tokio::test(start_paused = true)]
async fn a_probe_overtakes_a_sweep() {
    let rig = Rig::new(1000, latency(20)).await;
    let exporter = rig
        .start(&rig.configuration("", "calls_per_second: 100,"))
        .await;
    sleep(Duration::from_secs(2)).await;
    let last = rig.clients().last().expect("a thousand");
    let sweeping = rig.simulator.stats().arrivals[SINGLE];
    assert!(
        (50..300).contains(&sweeping),
        "{sweeping} calls: the sweep has just begun"
    );
    let (online, took) = probe(exporter.address, last, Duration::from_secs(10)).await;
    assert!(
        online.is_some() && took < Duration::from_secs(1),
        "{online:?} after {took:?}"
    );
    exporter.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_storm_of_probes_passes_no_limit_and_leaves_the_sweep_its_share() {
    let rig = Rig::new(1000, latency(20)).await;
    let exporter = rig
        .start(&rig.configuration("", "calls_per_second: 100,"))
        .await;
    sleep(Duration::from_secs(1)).await;
    // Forty at once is what --web.max-requests allows.
    let clients: Vec<_> = rig.clients().collect();
    let mut answered = 0;
    for some in clients[600..].chunks(40) {
        answered += probe_all(&exporter, some.iter().copied(), Duration::from_secs(3)).await;
    }
    assert!(answered > 0);
    let stats = rig.simulator.stats();
    assert!(stats.max_arrivals_per_second[SINGLE] <= 121, "{stats:?}");
    let scrape = exporter.scrape().await;
    let swept = scrape.series("mqtt_presence_client_online").len();
    // A tenth of the rate is for probes, the sweep has the rest.
    assert!(
        swept > 900,
        "{swept} clients are known, {answered} probes answered, {stats:?}"
    );
    exporter.stop().await;
}

#[tokio::test(start_paused = true)]
async fn probes_at_a_bearable_pace_are_all_answered() {
    let rig = Rig::new(600, latency(20)).await;
    let exporter = rig
        .start(&rig.configuration("", "calls_per_second: 100,"))
        .await;
    sleep(Duration::from_secs(20)).await;
    let before = rig.simulator.stats().arrivals[SINGLE];
    let clients: Vec<_> = rig.clients().collect();
    let mut answered = 0;
    for some in clients.chunks(40) {
        answered += probe_all(&exporter, some.iter().copied(), Duration::from_secs(3)).await;
    }
    assert_eq!(answered, 600);
    let stats = rig.simulator.stats();
    assert_eq!(stats.arrivals[SINGLE] - before, 600, "one call each");
    assert!(stats.max_arrivals_per_second[SINGLE] <= 121, "{stats:?}");
    exporter.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_found_out_by_a_few_probes_and_not_by_all() {
    let rig = Rig::new(400, latency(100)).await;
    let secret = &rig.announcement.access_key_secret;
    let exporter = rig
        .start(
            &rig.configuration("", "")
                .replace(&**secret, "not-the-secret-at-all"),
        )
        .await;
    let clients: Vec<_> = rig.clients().collect();
    for some in clients.chunks(40) {
        assert_eq!(
            probe_all(&exporter, some.iter().copied(), Duration::from_secs(5)).await,
            0
        );
    }
    let calls = rig.simulator.stats().arrivals[SINGLE];
    assert!(calls <= 25, "{calls} calls for 400 probes");
    exporter.stop().await;
}
