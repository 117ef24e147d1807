//! What no repetition can mend costs a handful of calls.

use std::time::Duration;

use mqtt_presence_exporter::simulator::{DurationSetting, Faults};
use tokio::time::sleep;

use crate::support::SINGLE;
use crate::support::rig::Rig;

#[tokio::test(start_paused = true)]
async fn a_wrong_secret_stops_the_sweep_and_is_tried_again_now_and_then() {
    let rig = Rig::new(
        1000,
        Faults {
            latency: DurationSetting::from(Duration::from_millis(100)),
            ..Faults::default()
        },
    )
    .await;
    let secret = &rig.announcement.access_key_secret;
    let configuration = rig
        .configuration("", "")
        .replace(&**secret, "not-the-secret-at-all");
    let exporter = rig.start(&configuration).await;
    sleep(Duration::from_secs(5)).await;
    let scrape = exporter.scrape().await;
    assert_eq!(scrape.value("mqtt_presence_api_up", &[]), Some(0.0));
    assert_eq!(
        scrape.value("mqtt_presence_sweeps_total", &[("result", "stopped")]),
        Some(1.0)
    );
    assert_eq!(scrape.series("mqtt_presence_client_info").len(), 1000);
    assert!(
        scrape.sum(
            "mqtt_presence_api_errors_total",
            &[("code", "SignatureDoesNotMatch")]
        ) > 0.0
    );
    let first = rig.simulator.stats().arrivals[SINGLE];
    assert!(first <= 3, "{first} calls to find out");
    // One call after 10 s, then after 20 s, 40 s, …
    for _ in 0..12 {
        sleep(Duration::from_secs(15)).await;
        exporter.scrape().await;
    }
    let later = rig.simulator.stats().arrivals[SINGLE] - first;
    assert!((3..=6).contains(&later), "{later} calls in three minutes");
    exporter.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_poisoned_client_costs_only_itself() {
    let rig = Rig::new(50, Faults::default()).await;
    let poisoned = rig.clients().nth(20).expect("fifty clients").clone();
    rig.simulator.set_faults(Faults {
        poison: vec![poisoned.clone()],
        ..Faults::default()
    });
    let exporter = rig.start(&rig.configuration("", "")).await;
    sleep(Duration::from_secs(5)).await;
    let scrape = exporter.scrape().await;
    assert_eq!(scrape.series("mqtt_presence_client_online").len(), 49);
    assert_eq!(
        scrape.value("mqtt_presence_client_online", &[("client_id", &poisoned)]),
        None
    );
    assert_eq!(scrape.value("mqtt_presence_api_up", &[]), Some(1.0));
    exporter.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_api_that_refuses_connections_is_left_alone() {
    let rig = Rig::new(50, Faults::default()).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a free port");
    let nobody = format!("http://{}", listener.local_addr().expect("it listens"));
    let configuration = rig
        .configuration("", "")
        .replace(&rig.announcement.endpoint, &nobody);
    drop(listener);
    let exporter = rig.start(&configuration).await;
    sleep(Duration::from_secs(5)).await;
    let scrape = exporter.scrape().await;
    assert_eq!(scrape.value("mqtt_presence_api_up", &[]), Some(0.0));
    let calls = scrape.sum("mqtt_presence_api_requests_total", &[]);
    assert!(calls < 30.0, "{calls} calls");
    exporter.stop().await;
}
