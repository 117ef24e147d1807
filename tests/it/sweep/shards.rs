//! Several processes that share the clients, and the limits.

use std::collections::BTreeSet;
use std::time::Duration;

use mqtt_presence_exporter::presence::Shard;
use mqtt_presence_exporter::simulator::{DurationSetting, Faults};
use tokio::time::sleep;

use crate::support::SINGLE;
use crate::support::rig::Rig;

#[tokio::test(start_paused = true)]
async fn three_shards_ask_for_every_client_once_and_share_every_limit() {
    let latency = DurationSetting::from(Duration::from_millis(20));
    let rig = Rig::new(
        1500,
        Faults {
            latency,
            ..Faults::default()
        },
    )
    .await;
    let configuration = rig.configuration("", "calls_per_second: 220,");
    let mut shards = Vec::new();
    for index in 0..3 {
        let shard = Shard::new(index, 3).expect("one of three");
        shards.push(rig.start_shard(&configuration, shard).await);
    }
    // Less than `max_age`, so that the scrapes start no sweep.
    sleep(Duration::from_secs(9)).await;
    let (mut clients, mut quotas) = (BTreeSet::new(), 0.0);
    for (index, exporter) in shards.iter().enumerate() {
        let scrape = exporter.scrape().await;
        let labels = [("shard", &*index.to_string()), ("shards", "3")];
        assert_eq!(scrape.value("mqtt_presence_shard_info", &labels), Some(1.0));
        let known = scrape.series("mqtt_presence_client_online");
        assert!(
            (450..550).contains(&known.len()),
            "{} clients of shard {index}",
            known.len()
        );
        for client in known {
            assert!(
                clients.insert(client.label("client_id").to_owned()),
                "{client:?} has two shards"
            );
        }
        quotas += scrape.sum("mqtt_presence_quota_calls_per_second", &[]);
        for (layer, name) in [("egress", ""), ("instance", "post-cn-simulated01")] {
            let operation = ("operation", "QuerySessionByClientId");
            let labels = [("layer", layer), ("name", name), operation];
            let rate = scrape
                .value("mqtt_presence_limiter_calls_per_second", &labels)
                .expect("a rate");
            assert!((rate - 220.0 / 3.0).abs() < 0.01, "{layer}: {rate}");
        }
    }
    assert_eq!(clients.len(), 1500);
    assert!((quotas - 220.0).abs() < 0.01, "{quotas}");
    let stats = rig.simulator.stats();
    assert_eq!(
        (stats.arrivals[SINGLE], stats.blocks),
        (1500, 0),
        "{stats:?}"
    );
    assert!(stats.max_arrivals_per_second[SINGLE] <= 265, "{stats:?}");
    for exporter in shards {
        exporter.stop().await;
    }
}
