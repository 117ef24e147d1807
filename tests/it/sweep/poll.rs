//! Sweeps by a timer: even calls, and scrapes that never wait.

use std::time::Duration;

use mqtt_presence_exporter::simulator::{DurationSetting, Faults, Probability};
use tokio::time::{Instant, sleep, sleep_until};

use crate::support::rig::Rig;
use crate::support::{BATCH, SINGLE};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn a_hundred_thousand_clients_are_asked_for_evenly() {
    const CLIENTS: usize = 100_000;
    let latency = DurationSetting::from(Duration::from_millis(20));
    let rig = Rig::new(
        CLIENTS,
        Faults {
            latency,
            ..Faults::default()
        },
    )
    .await;
    assert!(
        rig.clients()
            .all(|client| rig.simulator.set_online(client, true))
    );
    sleep(3 * SECOND).await;
    let collect =
        "collect: {mode: poll, interval: 5m, query: batch}\nexposition: {per_client: false}";
    let called = Instant::now();
    let exporter = rig.start(&rig.configuration(collect, "")).await;
    let start = Instant::now();
    // The limits begin at some time of the start, which waits for files while time advances.
    let starting = (start - called).as_secs_f64();
    let mut arrivals = Vec::new();
    // A sweep, and the beginning of the next one.
    for second in 1..=340 {
        sleep_until(start + second * SECOND).await;
        arrivals.push(rig.simulator.stats().arrivals[BATCH]);
        if second % 60 == 0 {
            let asked = Instant::now();
            let scrape = exporter.scrape_within(10 * SECOND).await;
            assert!(
                asked.elapsed() < SECOND,
                "the API is not waited for, {:?}",
                asked.elapsed()
            );
            let known = scrape.sum("mqtt_presence_clients", &[("status", "online")]);
            // The first sweep is as fast as the limits allow, 80 batches of ten per second.
            let expected =
                |seconds: f64| (800.0 * (f64::from(second - 1) + seconds)).min(CLIENTS as f64);
            assert!(
                known > 0.98 * expected(0.0) && known < 1.02 * expected(starting),
                "{known} known after {second} s"
            );
        }
    }
    // The second sweep follows it, and is spread over the interval.
    let even = CLIENTS as f64 / 10.0 / 300.0 * 10.0;
    for (second, window) in arrivals.windows(11).enumerate().skip(140) {
        let calls = (window[10] - window[0]) as f64;
        assert!(
            (calls / even - 1.0).abs() <= 0.1,
            "{calls} calls from {second} s on, not {even}"
        );
    }
    let scrape = exporter.scrape().await;
    let operation = [("operation", "BatchQuerySessionByClientIds")];
    let projected = scrape
        .value("mqtt_presence_projected_calls_per_second", &operation)
        .expect("known from the start");
    assert!((projected * 10.0 - even).abs() < 1e-6, "{projected}");
    assert_eq!(
        scrape.value("mqtt_presence_quota_calls_per_second", &operation),
        Some(80.0)
    );
    assert_eq!(
        scrape.value("mqtt_presence_sweep_coverage_ratio", &[]),
        Some(1.0)
    );
    assert_eq!(
        scrape.value("mqtt_presence_scrapes_incomplete_total", &[]),
        Some(0.0)
    );
    exporter.stop().await;
}

#[tokio::test(start_paused = true)]
async fn scrapes_start_nothing_and_wait_for_nothing() {
    let rig = Rig::new(60, Faults::default()).await;
    let exporter = rig
        .start(&rig.configuration("collect: {mode: poll, interval: 1m}", ""))
        .await;
    let start = Instant::now();
    for second in 1..=60 {
        sleep_until(start + second * SECOND).await;
        exporter.scrape().await;
    }
    // One sweep at once, and one spread over the minute.
    assert!(
        (117..=121).contains(&rig.simulator.stats().arrivals[SINGLE]),
        "{:?}",
        rig.simulator.stats()
    );
    rig.simulator.set_faults(Faults {
        hang: Probability::try_from(1.0).expect("one"),
        ..Faults::default()
    });
    sleep(2 * SECOND).await;
    let asked = Instant::now();
    let scrape = exporter.scrape().await;
    assert!(
        asked.elapsed() < SECOND,
        "answered after {:?}",
        asked.elapsed()
    );
    assert_eq!(scrape.series("mqtt_presence_client_online").len(), 60);
    exporter.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_sweep_that_cannot_end_in_its_interval_goes_on_with_who_waited_longest() {
    let rig = Rig::new(300, Faults::default()).await;
    let exporter = rig
        .start(&rig.configuration(
            "collect: {mode: poll, interval: 10s}",
            "calls_per_second: 100,",
        ))
        .await;
    sleep(15 * SECOND).await;
    // The API grants little, and the rate follows it.
    rig.simulator.set_faults(Faults {
        throttling: Probability::try_from(0.8).expect("a probability"),
        ..Faults::default()
    });
    sleep(45 * SECOND).await;
    let scrape = exporter.scrape().await;
    let coverage = scrape
        .value("mqtt_presence_sweep_coverage_ratio", &[])
        .expect("a sweep has ended");
    assert!((0.01..0.9).contains(&coverage), "{coverage}");
    assert!(scrape.value("mqtt_presence_sweeps_total", &[("result", "incomplete")]) >= Some(2.0));
    // Each interval reaches some, and none of them twice before all of them once.
    let span = |scrape: &crate::support::exposition::Scrape| {
        let seen = scrape.series("mqtt_presence_client_last_observation_timestamp_seconds");
        let oldest = seen
            .iter()
            .map(|seen| seen.value)
            .fold(f64::INFINITY, f64::min);
        rig.clock.now().as_seconds() - oldest
    };
    assert!(span(&scrape) > 20.0, "{}", span(&scrape));
    rig.simulator.set_faults(Faults::default());
    sleep(120 * SECOND).await;
    let scrape = exporter.scrape().await;
    assert!(
        span(&scrape) < 25.0,
        "everybody had a turn since: {}",
        span(&scrape)
    );
    exporter.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_open_breaker_is_probed_when_it_may_and_not_at_the_end_of_a_long_interval() {
    let rig = Rig::new(30, Faults::default()).await;
    let secret = &rig.announcement.access_key_secret;
    let configuration = rig.configuration("collect: {mode: poll, interval: 10m}", "");
    let exporter = rig
        .start(&configuration.replace(&**secret, "not-the-secret-at-all"))
        .await;
    sleep(100 * SECOND).await;
    // At the start, and after 10 s, 20 s and 40 s.
    let calls = rig.simulator.stats().arrivals[SINGLE];
    assert!((4..=6).contains(&calls), "{calls} calls");
    assert_eq!(
        exporter.scrape().await.value("mqtt_presence_api_up", &[]),
        Some(0.0)
    );
    exporter.stop().await;
}
