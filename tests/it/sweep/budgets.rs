//! Rates in full use, and what accounts and instances may do within them.

use std::time::Duration;

use mqtt_presence_exporter::simulator::{
    DurationSetting, Faults, Probability, SimulatedFleet, SimulatorOptions,
};
use tokio::time::{Instant, sleep, sleep_until};

use crate::support;
use crate::support::rig::Rig;

const SECOND: Duration = Duration::from_secs(1);
const SINGLE: (&str, &str) = ("operation", "QuerySessionByClientId");

#[tokio::test(start_paused = true)]
async fn a_sweep_takes_hardly_longer_than_its_rate_allows() {
    const CLIENTS: usize = 3000;
    let latency = DurationSetting::from(Duration::from_millis(20));
    let rig = Rig::new(
        CLIENTS,
        Faults {
            latency,
            ..Faults::default()
        },
    )
    .await;
    let configuration = |site| {
        rig.configuration(
            "",
            &format!("calls_per_second: 220, labels: {{site: {site}}},"),
        )
    };
    let exporter = rig.start(&configuration("a")).await;
    let start = Instant::now();
    // The latency, and each call after the burst of 11 at its turn.
    let floor = 0.02 + (CLIENTS - 11) as f64 / 220.0;
    let mut swept: f64 = 0.0;
    // Two scrapers, each every 5 s; and two reloads.
    for round in 0..24 {
        if let Some(site) = [(6, "b"), (13, "c")]
            .into_iter()
            .find_map(|(at, site)| (at == round).then_some(site))
        {
            exporter.reconfigure(&configuration(site));
        }
        for offset in [2, 4] {
            sleep_until(start + (5 * round + offset) * SECOND).await;
            let scrape = exporter.scrape_within(4 * SECOND).await;
            let complete = scrape
                .value("mqtt_presence_sweeps_total", &[("result", "complete")])
                .expect("a counter");
            // In the first one is the second in which nothing leaves.
            if complete > swept.max(1.0) {
                let took = scrape
                    .value("mqtt_presence_sweep_duration_seconds", &[])
                    .expect("it has ended");
                assert!(
                    took <= 1.05 * floor + 0.01,
                    "{took} s, where {floor} s are the least"
                );
            }
            swept = complete;
        }
    }
    assert!(swept >= 7.0, "{swept} sweeps");
    let scrape = exporter.scrape_within(4 * SECOND).await;
    assert_eq!(
        scrape
            .matching("mqtt_presence_client_online", &[("site", "c")])
            .len(),
        CLIENTS
    );
    assert!(scrape.sum("mqtt_presence_api_errors_total", &[]).abs() < f64::EPSILON);
    let stats = rig.simulator.stats();
    assert_eq!(
        (
            stats.blocks,
            stats.answers.keys().map(AsRef::as_ref).collect()
        ),
        (0, vec!["OK"]),
        "{stats:?}"
    );
    assert!(
        stats.max_arrivals_per_second[support::SINGLE] <= 290,
        "{stats:?}"
    );
    exporter.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_throttled_account_slows_its_own_instances_down_and_no_others() {
    let options = SimulatorOptions {
        fleet: SimulatedFleet::generate(3, 1800),
        ..SimulatorOptions::default()
    };
    let rig = Rig::with(options).await;
    let [one, two, three] = &rig.announcement.instance_ids[..] else {
        panic!("three instances")
    };
    let key = (
        &rig.announcement.access_key_id,
        &rig.announcement.access_key_secret,
    );
    let big = format!(
        "{{type: access_key, access_key_id: {}, access_key_secret: {}, account: big}}",
        key.0, key.1
    );
    let mut configuration = rig.configuration("collect: {max_age: 5s}", "");
    for instance in [one, two] {
        let id = format!("{{id: {instance},");
        configuration = configuration.replace(&id, &format!("{id} credentials: {big},"));
    }
    // Nobody listens where the third is, so that nothing of it is throttled.
    let endpoint = format!("{{id: {three}, endpoint: '{}'", rig.announcement.endpoint);
    configuration = configuration.replace(
        &endpoint,
        &format!("{{id: {three}, endpoint: 'http://127.0.0.1:1'"),
    );
    let exporter = rig.start(&configuration).await;
    sleep(5 * SECOND).await;
    rig.simulator.set_faults(Faults {
        throttling: Probability::try_from(1.0).expect("one"),
        ..Faults::default()
    });
    sleep(5 * SECOND).await;
    let scrape = exporter.scrape().await;
    let rate = |layer: &str, name: &str| {
        scrape
            .value(
                "mqtt_presence_limiter_calls_per_second",
                &[("layer", layer), ("name", name), SINGLE],
            )
            .expect("a rate")
    };
    let big = rate("account", "big");
    assert!(big < 120.0, "{big}");
    for (layer, name) in [("account", "default"), ("egress", "")] {
        let rate = rate(layer, name);
        assert!((rate - 220.0).abs() < f64::EPSILON, "{layer}: {rate}");
    }
    let accounts = scrape.matching("mqtt_presence_limiter_calls_per_second", &[SINGLE]);
    let accounts: Vec<_> = accounts
        .iter()
        .map(|rate| rate.label("layer"))
        .filter(|layer| *layer == "account")
        .collect();
    assert_eq!(
        accounts.len(),
        2,
        "two instances share one account: {accounts:?}"
    );
    exporter.stop().await;
}
