//! A hundred reloads in a second, while sweeps run and scrapes come.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mqtt_presence_exporter::simulator::Faults;

use super::{ONLINE, online};
use crate::support::SINGLE;
use crate::support::live::Stage;

/// Each of them leads to another configuration: labels, limits, accounts and a second instance
/// come and go.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_of_reloads_passes_no_limit_and_loses_no_observation() {
    let faults = Faults {
        latency: "20ms".parse().expect("a duration"),
        ..Faults::default()
    };
    let stage = Stage::new(2, 300, faults).await;
    let [first, second] = [0, 1].map(|n| {
        format!(
            "clients: {}, calls_per_second: 220",
            serde_json::to_string(stage.clients(n, 0, 300)).expect("strings")
        )
    });
    let change = |n: usize| {
        let labelled = format!("{first}, labels: {{round: r{n}}}");
        let announced = &stage.announcement;
        let account = format!(
            "{first}, credentials: {{type: access_key, account: a{}, access_key_id: {}, access_key_secret: {}}}",
            n % 2,
            announced.access_key_id,
            announced.access_key_secret
        );
        match n % 5 {
            0 => stage.configure("collect: {max_age: 1s}", &[&labelled, &second]),
            1 => stage.configure("limits: {single_per_second: 280}", &[&first]),
            2 => stage.configure("collect: {concurrency: 1000}", &[&first, &second]),
            3 => stage.configure("collect: {retries: 1}", &[&labelled]),
            _ => stage.configure("", &[&account, &second]),
        }
    };
    stage.configure("", &[&first, &second]);
    let exporter = stage.start().await.expect("it starts");
    let calm = AtomicBool::new(false);
    let scrapes = async {
        while !calm.load(Ordering::Relaxed) {
            exporter.scrape().await;
        }
    };
    let storm = async {
        tokio::time::sleep(Duration::from_millis(1500)).await;
        for n in 0..100 {
            change(n);
            exporter.hangup.notify_one();
            if n % 10 == 0 {
                // Several at once: each of them gets the outcome.
                let answers =
                    futures_util::future::join_all((0..5).map(|_| exporter.reload())).await;
                assert!(
                    answers.iter().all(|answer| answer.status == 200),
                    "{answers:?}"
                );
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        stage.configure("collect: {max_age: 1ms}", &[&first, &second]);
        assert_eq!(exporter.reload().await.status, 200);
        calm.store(true, Ordering::Relaxed);
    };
    tokio::join!(scrapes, storm);

    let all = [stage.clients(0, 0, 300), stage.clients(1, 0, 300)].concat();
    let scrape = exporter
        .until("every device", |scrape| online(scrape, &all))
        .await;
    assert_eq!(scrape.series(ONLINE).len(), 600);
    let stats = stage.simulator.stats();
    assert!(stats.max_arrivals_per_second[SINGLE] <= 290, "{stats:?}");
    assert_eq!(stats.blocks, 0, "{stats:?}");
    assert_eq!(
        stats.answers.keys().collect::<Vec<_>>(),
        ["OK"],
        "{stats:?}"
    );
}
