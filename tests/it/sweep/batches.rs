//! What spoils a batch, and what an answer to one lacks.

use std::time::Duration;

use mqtt_presence_exporter::simulator::{DurationSetting, Faults, PerOperation, Probability};
use tokio::time::sleep;

use crate::support::exporter::TestExporter;
use crate::support::exposition::Scrape;
use crate::support::rig::Rig;
use crate::support::{BATCH, SINGLE};

const INTERVAL: Duration = Duration::from_secs(20);
/// The first sweep, which begins after a second in which nothing leaves.
const FIRST: Duration = Duration::from_secs(22);

/// A rig whose devices are all online, and the cache knows it: nothing is there to confirm.
async fn all_online(clients: usize, faults: Faults) -> Rig {
    let rig = Rig::new(clients, faults).await;
    assert!(
        rig.clients()
            .all(|client| rig.simulator.set_online(client, true))
    );
    sleep(Duration::from_secs(3)).await;
    rig
}

async fn poll(rig: &Rig) -> TestExporter {
    rig.start(&rig.configuration("collect: {mode: poll, interval: 20s, query: batch}", ""))
        .await
}

#[tokio::test(start_paused = true)]
async fn one_poisoned_client_costs_itself_and_a_dozen_calls_once() {
    const CLIENTS: usize = 10_000;
    let rig = all_online(CLIENTS, Faults::default()).await;
    let poisoned = rig.clients().nth(4321).expect("there are more").clone();
    rig.simulator.set_faults(Faults {
        poison: vec![poisoned.clone()],
        ..Faults::default()
    });
    let exporter = rig
        .start(&rig.configuration("collect: {query: batch}", ""))
        .await;
    let status =
        |scrape: &Scrape| scrape.value("mqtt_presence_client_online", &[("client_id", &poisoned)]);

    // Each sweep takes 12.5 s; a scrape, which does not wait for so long, starts the next one.
    let mut before = PerOperation::from([(SINGLE, 0), (BATCH, 0)]);
    let mut calls = async || {
        sleep(Duration::from_secs(20)).await;
        let arrivals = rig.simulator.stats().arrivals;
        let (batch, single) = (
            arrivals[BATCH] - before[BATCH],
            arrivals[SINGLE] - before[SINGLE],
        );
        before = arrivals;
        (batch, single, exporter.scrape().await)
    };
    let (batches, singles, scrape) = calls().await;
    assert!(
        singles > 0 && batches + singles <= 1012,
        "{batches} batches and {singles} single calls"
    );
    assert_eq!(
        scrape.series("mqtt_presence_client_online").len(),
        CLIENTS - 1
    );
    assert_eq!(
        (status(&scrape), scrape.value("mqtt_presence_api_up", &[])),
        (None, Some(1.0))
    );
    // From the second sweep on it is known, and asked for by itself, less and less often.
    for expected in [1, 0] {
        let (batches, singles, scrape) = calls().await;
        assert_eq!((batches, singles, status(&scrape)), (1000, expected, None));
    }
    // Until it is answered for; then it is one of ten again.
    rig.simulator.set_faults(Faults::default());
    for _ in 0..4 {
        calls().await;
    }
    let (batches, singles, scrape) = calls().await;
    assert_eq!((batches, singles, status(&scrape)), (1000, 0, Some(1.0)));
    assert!(scrape.sum("mqtt_presence_confirmations_total", &[]).abs() < f64::EPSILON);
    exporter.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_an_answer_lacks_keeps_what_was_known_and_is_counted() {
    let rig = all_online(200, Faults::default()).await;
    let exporter = poll(&rig).await;
    sleep(FIRST).await;
    let scrape = exporter.scrape().await;
    assert_eq!(
        scrape.value("mqtt_presence_clients_missing_total", &[]),
        Some(0.0)
    );
    let seen = |scrape: &Scrape| {
        scrape.sum(
            "mqtt_presence_client_last_observation_timestamp_seconds",
            &[],
        )
    };
    assert_eq!(scrape.series("mqtt_presence_client_online").len(), 200);

    rig.simulator.set_faults(Faults {
        omission: Probability::try_from(1.0).expect("one"),
        ..Faults::default()
    });
    sleep(INTERVAL).await;
    let first = exporter.scrape().await;
    sleep(2 * INTERVAL).await;
    let second = exporter.scrape().await;
    assert!(
        (seen(&first) - seen(&second)).abs() < f64::EPSILON,
        "nothing new was said of anybody"
    );
    assert!((second.sum("mqtt_presence_client_online", &[]) - 200.0).abs() < f64::EPSILON);
    let missing = |scrape: &Scrape| {
        scrape
            .value("mqtt_presence_clients_missing_total", &[])
            .expect("a counter")
    };
    assert!(
        (missing(&second) - missing(&first) - 400.0).abs() < 11.0,
        "{} and {}",
        missing(&first),
        missing(&second)
    );
    assert_eq!(
        second.value("mqtt_presence_sweep_coverage_ratio", &[]),
        Some(0.0)
    );
    // Nothing but silence makes nobody offline, but unknown in the end.
    sleep(Duration::from_secs(300)).await;
    let last = exporter.scrape().await;
    assert_eq!(last.series("mqtt_presence_client_online").len(), 0);
    assert_eq!(
        last.value(
            "mqtt_presence_clients",
            &[("status", "offline"), ("group_id", "GID_pumps")]
        ),
        Some(0.0)
    );
    exporter.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_confirmation_that_fails_leaves_what_was_known() {
    let rig = all_online(50, Faults::default()).await;
    let exporter = poll(&rig).await;
    sleep(FIRST).await;
    let dropped: Vec<_> = rig.clients().take(5).cloned().collect();
    assert!(
        dropped
            .iter()
            .all(|client| rig.simulator.set_online(client, false))
    );
    // The cache shows it, but single calls about these clients are refused.
    let faults = Faults {
        poison: dropped.clone(),
        ..Faults::default()
    };
    sleep(Duration::from_secs(3)).await;
    rig.simulator.set_faults(faults);
    sleep(2 * INTERVAL).await;
    let scrape = exporter.scrape().await;
    assert!((scrape.sum("mqtt_presence_client_online", &[]) - 50.0).abs() < f64::EPSILON);
    assert!(scrape.sum("mqtt_presence_disconnects_total", &[]).abs() < f64::EPSILON);

    rig.simulator.set_faults(Faults::default());
    // Until then they are queried at growing intervals.
    sleep(Duration::from_secs(900)).await;
    let scrape = exporter.scrape().await;
    assert!((scrape.sum("mqtt_presence_client_online", &[]) - 45.0).abs() < f64::EPSILON);
    assert!((scrape.sum("mqtt_presence_disconnects_total", &[]) - 5.0).abs() < f64::EPSILON);
    exporter.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_cache_that_is_behind_is_told_by_the_confirmations_it_fails() {
    let minute = Faults {
        batch_staleness: DurationSetting::from(Duration::from_secs(60)),
        ..Faults::default()
    };
    let rig = all_online(50, minute).await;
    sleep(Duration::from_secs(60)).await;
    let exporter = poll(&rig).await;
    sleep(FIRST).await;
    let (stays, returns) = (
        rig.clients().next().expect("one"),
        rig.clients().nth(1).expect("another"),
    );
    assert!(rig.simulator.set_online(stays, false) && rig.simulator.set_online(returns, false));
    sleep(Duration::from_secs(30)).await;
    assert!(rig.simulator.set_online(returns, true));
    sleep(Duration::from_secs(90)).await;
    let scrape = exporter.scrape().await;
    let confirmations =
        |result| scrape.value("mqtt_presence_confirmations_total", &[("result", result)]);
    assert_eq!(confirmations("confirmed"), Some(1.0));
    assert!(confirmations("rejected") >= Some(1.0));
    assert_eq!(confirmations("failed"), Some(0.0));
    assert_eq!(
        scrape.value("mqtt_presence_client_online", &[("client_id", stays)]),
        Some(0.0)
    );
    assert_eq!(
        scrape.value("mqtt_presence_client_online", &[("client_id", returns)]),
        Some(1.0)
    );
    assert!((scrape.sum("mqtt_presence_disconnects_total", &[]) - 1.0).abs() < f64::EPSILON);
    exporter.stop().await;
}

#[tokio::test(start_paused = true)]
async fn batches_that_a_stalled_network_delivers_together_pass_no_limit() {
    let stall = Probability::try_from(0.5).expect("a half");
    let faults = Faults {
        stall,
        stall_hold: DurationSetting::from(Duration::from_millis(500)),
        latency: DurationSetting::from(Duration::from_millis(20)),
        ..Faults::default()
    };
    let rig = Rig::new(3000, faults).await;
    let configuration = rig.configuration("collect: {query: batch}", "calls_per_second: 220,");
    for life in [8, 12] {
        let exporter = rig.start(&configuration).await;
        for _ in 0..life {
            sleep(Duration::from_secs(1)).await;
            exporter.scrape_within(Duration::from_secs(1)).await;
        }
        exporter.stop().await;
    }
    let stats = rig.simulator.stats();
    assert!(
        stats.arrivals[BATCH] >= 400 && stats.arrivals[SINGLE] >= 300,
        "{stats:?}"
    );
    assert!(
        stats.max_arrivals_per_second[BATCH] <= 95 && stats.max_arrivals_per_second[SINGLE] <= 290,
        "{stats:?}"
    );
    assert_eq!(stats.blocks, 0);
}
