//! No quota of the vendor's is passed, whatever scrapes, restarts and the network do.

use std::time::Duration;

use mqtt_presence_exporter::clock::Timestamp;
use mqtt_presence_exporter::simulator::{DurationSetting, Faults, Probability};
use tokio::time::{Instant, sleep, sleep_until};

use crate::support::SINGLE;
use crate::support::exposition::Scrape;
use crate::support::http::{Client, request};
use crate::support::rig::Rig;

const MILLISECOND: Duration = Duration::from_millis(1);

fn latency(millis: u32) -> Faults {
    Faults {
        latency: DurationSetting::from(MILLISECOND * millis),
        ..Faults::default()
    }
}

/// Every client has a status, and it is one that the simulator's script had when it was observed.
fn assert_complete_and_true(rig: &Rig, scrape: &Scrape) {
    let instance = &rig.announcement.instance_ids[0];
    for client in rig.clients() {
        let labels = [("client_id", &**client)];
        let online = scrape
            .value("mqtt_presence_client_online", &labels)
            .expect("a status");
        let at = scrape
            .value(
                "mqtt_presence_client_last_observation_timestamp_seconds",
                &labels,
            )
            .expect("its time");
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a time of this century"
        )]
        let at = Timestamp::from_millis((at * 1000.0).round() as u64);
        // The answer was made after the call was sent.
        let after = Timestamp::from_millis(at.as_millis() + 60);
        let truths =
            [at, after].map(|at| f64::from(u8::from(rig.simulator.truth(instance, client, at))));
        assert!(
            truths.contains(&online),
            "{client}: {online}, but {truths:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn two_scrapers_of_a_thousand_clients_cost_one_sweep_each_interval() {
    let rig = Rig::new(1000, latency(20)).await;
    let exporter = rig
        .start(&rig.configuration("", "calls_per_second: 220,"))
        .await;
    let start = Instant::now();
    // The first sweep begins by itself; from then on, one in each 15 s.
    for round in 1..=4 {
        for offset in [0, 7] {
            sleep_until(start + Duration::from_secs(15 * round + offset)).await;
            let scrape = exporter.scrape().await;
            assert_complete_and_true(&rig, &scrape);
            assert!((scrape.sum("mqtt_presence_api_errors_total", &[])).abs() < f64::EPSILON);
            let sweeps = scrape
                .value("mqtt_presence_sweeps_total", &[("result", "complete")])
                .expect("a counter");
            assert!(
                (sweeps - (round + 1) as f64).abs() < f64::EPSILON,
                "{sweeps} sweeps in round {round}"
            );
        }
    }
    let stats = rig.simulator.stats();
    assert_eq!(stats.arrivals[SINGLE], 5 * 1000);
    assert_eq!(
        stats.answers.keys().map(AsRef::as_ref).collect::<Vec<_>>(),
        ["OK"]
    );
    assert_eq!(stats.blocks, 0);
    assert!(stats.max_arrivals_per_second[SINGLE] <= 290, "{stats:?}");
    exporter.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_stalled_network_that_delivers_everything_together_passes_no_limit() {
    let stall = Probability::try_from(0.5).expect("a probability");
    let faults = Faults {
        stall,
        stall_hold: DurationSetting::from(500 * MILLISECOND),
        ..latency(20)
    };
    let rig = Rig::new(1000, faults).await;
    let exporter = rig
        .start(&rig.configuration("", "calls_per_second: 220,"))
        .await;
    sleep(Duration::from_secs(20)).await;
    let stats = rig.simulator.stats();
    assert_eq!(
        (stats.blocks, stats.arrivals[SINGLE]),
        (0, 1000),
        "{stats:?}"
    );
    assert!(stats.max_arrivals_per_second[SINGLE] <= 290, "{stats:?}");
    exporter.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_crash_loop_adds_no_calls_and_passes_no_limit() {
    let rig = Rig::new(1000, latency(20)).await;
    let configuration = rig.configuration("", "calls_per_second: 220,");
    for _ in 0..10 {
        let started = Instant::now();
        let exporter = rig.start(&configuration).await;
        sleep_until(started + 990 * MILLISECOND).await;
        drop(exporter);
    }
    assert_eq!(
        rig.simulator.stats().arrivals[SINGLE],
        0,
        "nothing leaves in the first second"
    );
    for life in [1200, 1500, 1900, 2500, 1100, 3000] {
        let exporter = rig.start(&configuration).await;
        sleep(life * MILLISECOND).await;
        drop(exporter);
    }
    let stats = rig.simulator.stats();
    assert!(stats.arrivals[SINGLE] > 500, "{stats:?}");
    assert!(stats.max_arrivals_per_second[SINGLE] <= 290, "{stats:?}");
    assert_eq!(stats.blocks, 0);
}

#[tokio::test(start_paused = true)]
async fn a_scraper_that_hangs_up_cancels_nothing() {
    let rig = Rig::new(300, latency(20)).await;
    let exporter = rig
        .start(&rig.configuration("", "calls_per_second: 220,"))
        .await;
    sleep(Duration::from_secs(12)).await;
    let mut scraper = Client::connect(exporter.address).await;
    scraper.send(&request("GET", "/metrics", &[])).await;
    sleep(200 * MILLISECOND).await;
    let underway = rig.simulator.stats().arrivals[SINGLE];
    assert!(
        (301..600).contains(&underway),
        "{underway} calls: the second sweep is under way"
    );
    drop(scraper);
    sleep(Duration::from_secs(3)).await;
    assert_eq!(rig.simulator.stats().arrivals[SINGLE], 600);
    exporter.stop().await;
}
