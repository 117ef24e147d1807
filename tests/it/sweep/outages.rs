//! What an outage costs in calls, and what bad client IDs cost the others.

use std::time::Duration;

use mqtt_presence_exporter::simulator::{
    DurationSetting, Faults, KeyedSetting, Probability, Refusal,
};
use tokio::time::sleep;

use crate::support::SINGLE;
use crate::support::exporter::TestExporter;
use crate::support::rig::Rig;

const CLIENTS: usize = 300;

const SECOND: Duration = Duration::from_secs(1);

/// All calls of an instance at the rate of the egress IP.
const FAST: &str = "calls_per_second: 220,";

fn always() -> Probability {
    Probability::try_from(1.0).expect("a probability")
}

fn faults() -> Faults {
    Faults {
        latency: DurationSetting::from(Duration::from_millis(20)),
        ..Faults::default()
    }
}

fn refusal(client: &str, text: &str) -> KeyedSetting<Refusal> {
    format!("{client}={text}").parse().expect("a refusal")
}

/// Scrapes each 15 s for some time.
async fn scrape_for(exporter: &TestExporter, seconds: u64) {
    for _ in 0..seconds / 15 {
        exporter.scrape().await;
        sleep(15 * SECOND).await;
    }
}

/// Every kind of outage of 30 s, with a scrape each 5 s.
#[tokio::test(start_paused = true)]
async fn an_outage_costs_few_calls_and_all_is_fresh_soon_after_it() {
    for (name, outage) in [
        (
            "reset",
            Faults {
                reset: always(),
                ..faults()
            },
        ),
        (
            "500",
            Faults {
                internal_error: always(),
                ..faults()
            },
        ),
        (
            "502",
            Faults {
                bad_gateway: always(),
                ..faults()
            },
        ),
        (
            "hang",
            Faults {
                hang: always(),
                ..faults()
            },
        ),
        (
            "truncated",
            Faults {
                truncated: always(),
                ..faults()
            },
        ),
        (
            "undecodable",
            Faults {
                undecodable: always(),
                ..faults()
            },
        ),
        (
            "proxy page",
            Faults {
                refusal: vec![refusal("*", "403")],
                ..faults()
            },
        ),
    ] {
        let rig = Rig::new(CLIENTS, faults()).await;
        let exporter = rig.start(&rig.configuration("", FAST)).await;
        scrape_for(&exporter, 45).await;
        rig.simulator.set_faults(outage);
        for _ in 0..2 {
            exporter.scrape().await;
            sleep(5 * SECOND).await;
        }
        let before = rig.simulator.stats().arrivals[SINGLE];
        for _ in 0..4 {
            exporter.scrape().await;
            sleep(5 * SECOND).await;
        }
        let calls = rig.simulator.stats().arrivals[SINGLE] - before;
        assert!(calls <= 60, "{name}: {calls} calls in the last 20 s");
        rig.simulator.set_faults(faults());
        let end = rig.clock.now().as_millis() as f64 / 1_000.0;
        sleep(15 * SECOND).await;
        let scrape = exporter.scrape().await;
        let observed = scrape.series("mqtt_presence_client_last_observation_timestamp_seconds");
        let fresh = observed.iter().filter(|sample| sample.value >= end);
        assert_eq!(fresh.count(), CLIENTS, "{name}");
        assert_eq!(
            scrape.value("mqtt_presence_api_up", &[]),
            Some(1.0),
            "{name}"
        );
        exporter.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_no_correction_mends_costs_a_handful_of_calls() {
    let rig = Rig::new(
        500,
        Faults {
            clock_skew: 3_600,
            date_skew: -7_200,
            ..faults()
        },
    )
    .await;
    let exporter = rig.start(&rig.configuration("", FAST)).await;
    scrape_for(&exporter, 60).await;
    let calls = rig.simulator.stats().arrivals[SINGLE];
    assert!(calls <= 20, "{calls} calls in a minute");
    let scrape = exporter.scrape().await;
    assert_eq!(scrape.value("mqtt_presence_api_up", &[]), Some(0.0));
    exporter.stop().await;
}

#[tokio::test(start_paused = true)]
async fn refused_ids_in_front_of_good_ones_do_not_stop_them() {
    for text in [
        "400:ParameterCheckFailed",
        "404:ClientIdNotExist",
        "400",
        "414",
    ] {
        let rig = Rig::new(CLIENTS, faults()).await;
        let exporter = rig.start(&rig.configuration("", FAST)).await;
        scrape_for(&exporter, 15).await;
        let mut clients: Vec<_> = rig.clients().cloned().collect();
        clients.sort();
        let refused = &clients[..60];
        let refusal = refused.iter().map(|client| refusal(client, text)).collect();
        rig.simulator.set_faults(Faults {
            refusal,
            ..faults()
        });
        // A client outside the fleet that is refused as well, each 2 s.
        for _ in 0..60 {
            exporter
                .ask("GET", "/probe?client_id=GID_x%40%40%40bad")
                .await;
            sleep(2 * SECOND).await;
            exporter.scrape().await;
        }
        let now = rig.clock.now().as_millis() as f64 / 1_000.0;
        let scrape = exporter.scrape().await;
        let observed = scrape.series("mqtt_presence_client_last_observation_timestamp_seconds");
        let fresh = observed.iter().filter(|sample| now - sample.value < 30.0);
        assert_eq!(fresh.count(), CLIENTS - 60, "{text}");
        assert_eq!(
            scrape.value("mqtt_presence_api_up", &[]),
            Some(1.0),
            "{text}"
        );
        let calls = scrape.sum("mqtt_presence_api_errors_total", &[]);
        assert!(calls < 60.0 * 5.0, "{text}: {calls} calls were refused");
        exporter.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_wrong_instance_is_found_out_by_ten_calls() {
    let refusal = vec![refusal("*", "400:ParameterCheckFailed")];
    let rig = Rig::new(
        CLIENTS,
        Faults {
            refusal,
            ..faults()
        },
    )
    .await;
    let exporter = rig.start(&rig.configuration("", FAST)).await;
    scrape_for(&exporter, 60).await;
    let calls = rig.simulator.stats().arrivals[SINGLE];
    assert!((10..=16).contains(&calls), "{calls} calls in a minute");
    exporter.stop().await;
}

#[tokio::test(start_paused = true)]
async fn calls_that_were_never_sent_are_not_counted() {
    let rig = Rig::new(50, faults()).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
    let closed = listener.expect("a free port").local_addr().expect("bound");
    let configuration = rig
        .configuration("", "")
        .replace(&rig.announcement.endpoint, &format!("http://{closed}"));
    let exporter = rig.start(&configuration).await;
    scrape_for(&exporter, 15).await;
    let scrape = exporter.scrape().await;
    assert!(scrape.sum("mqtt_presence_api_errors_total", &[("code", "connect")]) > 0.0);
    assert!(scrape.sum("mqtt_presence_api_requests_total", &[]).abs() < f64::EPSILON);
    exporter.stop().await;
}

#[tokio::test(start_paused = true)]
async fn calls_with_a_result_are_billed_and_others_are_not() {
    let tenth = Probability::try_from(0.1).expect("a probability");
    let rig = Rig::new(
        200,
        Faults {
            internal_error: tenth,
            ..faults()
        },
    )
    .await;
    let exporter = rig.start(&rig.configuration("", FAST)).await;
    scrape_for(&exporter, 30).await;
    let scrape = exporter.scrape().await;
    let billed = scrape.sum("mqtt_presence_api_billed_calls_total", &[]);
    let failed = scrape.sum("mqtt_presence_api_errors_total", &[]);
    let sent = scrape.sum("mqtt_presence_api_requests_total", &[]);
    assert!(billed > 300.0 && failed > 10.0);
    assert!((billed + failed - sent).abs() < f64::EPSILON);
    assert_eq!(scrape.value("mqtt_presence_api_up", &[]), Some(1.0));
    exporter.stop().await;
}
