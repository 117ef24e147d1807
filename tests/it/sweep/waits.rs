//! How long scrapes wait, and how soon clients are known.

use std::time::Duration;

use mqtt_presence_exporter::simulator::{
    DurationSetting, Faults, Probability, SimulatedFleet, SimulatorOptions,
};
use tokio::time::{Instant, sleep};

use crate::support::SINGLE;
use crate::support::rig::Rig;

const SECOND: Duration = Duration::from_secs(1);

fn faults() -> Faults {
    Faults {
        latency: DurationSetting::from(Duration::from_millis(20)),
        ..Faults::default()
    }
}

/// Two instances, the first with many clients and the second with few.
async fn unequal(many: usize, few: usize) -> Rig {
    let rig = Rig::with(SimulatorOptions {
        fleet: SimulatedFleet::generate(2, many.max(few)),
        faults: faults(),
        ..SimulatorOptions::default()
    });
    rig.await
}

#[tokio::test(start_paused = true)]
async fn a_large_instance_does_not_make_a_small_one_older() {
    let rig = unequal(3_000, 3_000).await;
    let ids: Vec<_> = rig.announcement.clients.keys().cloned().collect();
    let small: Vec<_> = rig.announcement.clients[&ids[1]][..10].to_vec();
    let all = serde_json::to_string(&rig.announcement.clients[&ids[1]]).expect("strings");
    let configuration = rig
        .configuration("", "calls_per_second: 220,")
        .replace(&all, &serde_json::to_string(&small).expect("strings"));
    let exporter = rig.start(&configuration).await;
    sleep(60 * SECOND).await;
    for _ in 0..4 {
        let began = rig.clock.now().as_millis() as f64 / 1_000.0;
        let scrape = exporter.scrape().await;
        let observed = scrape.matching(
            "mqtt_presence_client_last_observation_timestamp_seconds",
            &[("instance_id", &ids[1])],
        );
        assert_eq!(observed.len(), 10);
        for sample in observed {
            assert!(
                sample.value >= began - 0.001,
                "{} before {began}",
                sample.value
            );
        }
        sleep(15 * SECOND).await;
    }
    exporter.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_scrape_does_not_wait_while_the_api_asks_to_be_left_alone() {
    let rig = Rig::new(50, faults()).await;
    let exporter = rig.start(&rig.configuration("", "")).await;
    sleep(5 * SECOND).await;
    rig.simulator.set_faults(Faults {
        throttling: Probability::try_from(1.0).expect("a probability"),
        retry_after: Some(DurationSetting::from(120 * SECOND)),
        ..faults()
    });
    sleep(15 * SECOND).await;
    exporter.scrape().await;
    sleep(15 * SECOND).await;
    let began = Instant::now();
    exporter.scrape().await;
    assert!(began.elapsed() < SECOND, "{:?}", began.elapsed());
    exporter.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_first_sweep_of_a_poll_and_new_clients_do_not_wait_for_the_interval() {
    let rig = Rig::new(500, faults()).await;
    let all: Vec<_> = rig.clients().cloned().collect();
    let poll = "collect: {mode: poll, interval: 30m}";
    let whole = rig.configuration(poll, "");
    let without = whole.replace(
        &serde_json::to_string(&all).expect("strings"),
        &serde_json::to_string(&all[5..]).expect("strings"),
    );
    let exporter = rig.start(&without).await;
    sleep(30 * SECOND).await;
    let known = |scrape: &crate::support::exposition::Scrape| {
        scrape.series("mqtt_presence_client_online").len()
    };
    assert_eq!(known(&exporter.scrape().await), 495);
    sleep(60 * SECOND).await;
    let before = rig.simulator.stats().arrivals[SINGLE];
    exporter.reconfigure(&whole);
    exporter.reload().await;
    sleep(10 * SECOND).await;
    assert_eq!(known(&exporter.scrape().await), 500);
    let calls = rig.simulator.stats().arrivals[SINGLE] - before;
    assert!(calls < 20, "{calls} calls for five new clients");
    exporter.stop().await;
}

/// A slow API: each call takes 3 s, so that a sweep takes much longer than planned.
#[tokio::test(start_paused = true)]
async fn observations_live_as_long_as_sweeps_really_take() {
    let rig = Rig::new(
        2_000,
        Faults {
            latency: DurationSetting::from(3 * SECOND),
            ..Faults::default()
        },
    )
    .await;
    let more = "collect: {concurrency: 8}";
    let exporter = rig.start(&rig.configuration(more, "")).await;
    // One lap takes 750 s; 5 m would be planned.
    for _ in 0..150 {
        exporter.scrape().await;
        sleep(15 * SECOND).await;
    }
    let scrape = exporter.scrape().await;
    assert_eq!(scrape.series("mqtt_presence_client_online").len(), 2_000);
    let stale_after = scrape.value("mqtt_presence_stale_after_seconds", &[]);
    assert!(
        stale_after.is_some_and(|seconds| seconds > 1_500.0),
        "{stale_after:?}"
    );
    exporter.stop().await;
}

/// A scrape that waits for a slow sweep is answered at once when the exporter is told to stop.
#[tokio::test(start_paused = true)]
async fn a_scrape_that_waits_is_answered_when_the_exporter_stops() {
    let rig = Rig::new(
        100,
        Faults {
            latency: DurationSetting::from(4 * SECOND),
            ..Faults::default()
        },
    )
    .await;
    let exporter = rig.start(&rig.configuration("", "")).await;
    sleep(30 * SECOND).await;
    let began = Instant::now();
    let (scrape, ()) = tokio::join!(exporter.scrape_within(30 * SECOND), async {
        sleep(SECOND).await;
        exporter.begin_to_stop();
    });
    assert_eq!(scrape.series("mqtt_presence_client_info").len(), 100);
    assert!(began.elapsed() < 2 * SECOND, "{:?}", began.elapsed());
    exporter.stop().await;
}

/// A sweep of the first of two instances takes 27 s. The second instance is added when the first one is
/// in its second sweep.
#[tokio::test(start_paused = true)]
async fn a_first_sweep_goes_before_a_later_one_of_another_instance() {
    let rig = unequal(9_000, 9_000).await;
    let ids: Vec<_> = rig.announcement.clients.keys().cloned().collect();
    let both = rig.configuration("", "calls_per_second: 220,");
    let at = both.rfind("- {id:").expect("two instances");
    let exporter = rig.start(&both[..at]).await;
    sleep(40 * SECOND).await;
    exporter.scrape_within(SECOND).await;
    sleep(SECOND).await;
    exporter.reconfigure(&both);
    exporter.reload().await;
    exporter.scrape_within(SECOND).await;
    sleep(10 * SECOND).await;
    let scrape = exporter.scrape_within(SECOND).await;
    let known = scrape
        .matching("mqtt_presence_client_online", &[("instance_id", &ids[1])])
        .len();
    // Four fifths of 220 calls/s for ten seconds; half of them would be 1,100.
    assert!(known > 1_500, "{known} clients known after 10 s");
    exporter.stop().await;
}
