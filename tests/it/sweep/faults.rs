//! Never a false "offline", and a scrape that always answers in time.

use std::collections::BTreeSet;
use std::time::Duration;

use mqtt_presence_exporter::simulator::{DurationSetting, Faults, Probability};
use tokio::time::sleep;

use crate::support::SINGLE;
use crate::support::exposition::Scrape;
use crate::support::rig::Rig;

fn probability(of: f64) -> Probability {
    Probability::try_from(of).expect("a probability")
}

/// Every second client is online for good, the others are offline.
async fn steady(clients: usize, faults: Faults) -> (Rig, BTreeSet<String>) {
    let rig = Rig::new(clients, faults).await;
    let online: BTreeSet<_> = rig.clients().step_by(2).cloned().collect();
    for client in rig.clients() {
        assert!(rig.simulator.set_online(client, online.contains(client)));
    }
    (rig, online)
}

/// No status that is shown is false, and every client is there. How many have a status.
fn assert_true(scrape: &Scrape, clients: usize, online: &BTreeSet<String>) -> usize {
    assert_eq!(scrape.series("mqtt_presence_client_info").len(), clients);
    let statuses = scrape.series("mqtt_presence_client_online");
    for status in &statuses {
        let client = status.label("client_id");
        let expected = f64::from(u8::from(online.contains(client)));
        assert!(
            (status.value - expected).abs() < f64::EPSILON,
            "{client} is {}, not {expected}",
            status.value
        );
    }
    let counted: f64 = ["online", "offline"]
        .iter()
        .map(|status| scrape.sum("mqtt_presence_clients", &[("status", status)]))
        .sum();
    assert!((counted - statuses.len() as f64).abs() < f64::EPSILON);
    statuses.len()
}

#[tokio::test(start_paused = true)]
async fn with_everything_going_wrong_nothing_false_is_said() {
    let tenth = probability(0.1);
    let faults = Faults {
        internal_error: tenth,
        internal_error_417: tenth,
        throttling: tenth,
        reset: tenth,
        hang: tenth,
        truncated: tenth,
        latency: DurationSetting::from(Duration::from_millis(20)),
        ..Faults::default()
    };
    let (rig, online) = steady(200, faults).await;
    let exporter = rig
        .start(&rig.configuration("collect: {max_age: 4s}", ""))
        .await;
    let mut known = 0;
    for _ in 0..50 {
        sleep(Duration::from_secs(5)).await;
        let scrape = exporter.scrape_within(Duration::from_secs(4)).await;
        known = assert_true(&scrape, 200, &online);
    }
    assert!(known > 150, "{known} clients have a status");
    let scrape = exporter.scrape().await;
    for code in [
        "InternalError",
        "Throttling.User",
        "timeout",
        "reset",
        "decode",
    ] {
        assert!(
            scrape.sum("mqtt_presence_api_errors_total", &[("code", code)]) > 0.0,
            "{code} is counted"
        );
    }
    let requests = scrape.sum("mqtt_presence_api_requests_total", &[]);
    let retries = scrape.sum("mqtt_presence_api_retries_total", &[]);
    assert!(
        retries > 0.0 && retries <= 0.1 * requests + 50.0,
        "{retries} retries in {requests} calls"
    );
    exporter.stop().await;
}

#[tokio::test(start_paused = true)]
async fn no_single_fault_makes_a_client_falsely_offline() {
    let always = probability(1.0);
    let faults: [(&str, Faults); 9] = [
        (
            "internal_error",
            Faults {
                internal_error: always,
                ..Faults::default()
            },
        ),
        (
            "system_overflow",
            Faults {
                system_overflow: always,
                ..Faults::default()
            },
        ),
        (
            "service_unavailable",
            Faults {
                service_unavailable: always,
                ..Faults::default()
            },
        ),
        (
            "bad_gateway",
            Faults {
                bad_gateway: always,
                ..Faults::default()
            },
        ),
        (
            "truncated",
            Faults {
                truncated: always,
                ..Faults::default()
            },
        ),
        (
            "undecodable",
            Faults {
                undecodable: always,
                ..Faults::default()
            },
        ),
        (
            "reset",
            Faults {
                reset: always,
                ..Faults::default()
            },
        ),
        (
            "hang",
            Faults {
                hang: always,
                ..Faults::default()
            },
        ),
        (
            "throttling",
            Faults {
                throttling: always,
                ..Faults::default()
            },
        ),
    ];
    for (name, fault) in faults {
        let (rig, online) = steady(20, Faults::default()).await;
        let exporter = rig
            .start(&rig.configuration("collect: {max_age: 4s}", ""))
            .await;
        sleep(Duration::from_secs(5)).await;
        assert_eq!(
            assert_true(&exporter.scrape().await, 20, &online),
            20,
            "{name}"
        );
        rig.simulator.set_faults(fault);
        for _ in 0..4 {
            sleep(Duration::from_secs(5)).await;
            let scrape = exporter.scrape().await;
            assert_eq!(
                assert_true(&scrape, 20, &online),
                20,
                "what was known is held through {name}"
            );
        }
        let errors = exporter
            .scrape()
            .await
            .sum("mqtt_presence_api_errors_total", &[]);
        assert!(errors > 0.0, "{name} is counted");
        exporter.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_observation_is_held_until_it_is_stale_and_then_gone() {
    let (rig, online) = steady(20, Faults::default()).await;
    let exporter = rig
        .start(&rig.configuration("collect: {stale_after: 60s}", ""))
        .await;
    sleep(Duration::from_secs(5)).await;
    assert_eq!(assert_true(&exporter.scrape().await, 20, &online), 20);
    rig.simulator.set_faults(Faults {
        hang: probability(1.0),
        ..Faults::default()
    });
    sleep(Duration::from_secs(30)).await;
    assert_eq!(assert_true(&exporter.scrape().await, 20, &online), 20);
    sleep(Duration::from_secs(60)).await;
    let scrape = exporter.scrape().await;
    assert_eq!(assert_true(&scrape, 20, &online), 0);
    assert!(
        scrape
            .series("mqtt_presence_client_status_since_timestamp_seconds")
            .is_empty()
    );
    assert!(
        (scrape.sum("mqtt_presence_clients", &[("status", "unknown")]) - 20.0).abs() < f64::EPSILON
    );
    exporter.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_scrape_of_a_hanging_api_answers_within_its_deadline() {
    let (rig, online) = steady(
        20,
        Faults {
            hang: probability(1.0),
            ..Faults::default()
        },
    )
    .await;
    let exporter = rig.start(&rig.configuration("", "")).await;
    sleep(Duration::from_secs(2)).await;
    for timeout in [1, 3, 10] {
        let scrape = exporter.scrape_within(Duration::from_secs(timeout)).await;
        assert_eq!(assert_true(&scrape, 20, &online), 0);
        assert!(scrape.sum("mqtt_presence_scrapes_incomplete_total", &[]) > 0.0);
    }
    exporter.stop().await;
}

#[tokio::test(start_paused = true)]
async fn clocks_that_differ_by_an_hour_cost_one_call_more() {
    let (rig, online) = steady(
        20,
        Faults {
            clock_skew: 3600,
            ..Faults::default()
        },
    )
    .await;
    let exporter = rig.start(&rig.configuration("", "")).await;
    sleep(Duration::from_secs(5)).await;
    let scrape = exporter.scrape().await;
    assert_eq!(assert_true(&scrape, 20, &online), 20);
    let offset = scrape
        .value("mqtt_presence_clock_offset_seconds", &[])
        .expect("an offset");
    assert!((offset - 3600.0).abs() < 5.0, "{offset}");
    assert_eq!(rig.simulator.stats().arrivals[SINGLE], 21);
    exporter.stop().await;
}
