//! Client files that change.

use mqtt_presence_exporter::app::CommandError;

use super::{OFTEN, devices, online, series_of, stage};
use crate::support::exposition::Scrape;
use crate::support::live::point;

const SINCE: &str = "mqtt_presence_client_status_since_timestamp_seconds";
const FAILURES: &str = "mqtt_presence_discovery_failures_total";

#[tokio::test]
async fn a_device_added_to_a_file_is_scraped_and_one_removed_leaves_with_all_its_series() {
    let stage = stage(1, 10).await;
    stage.configure(OFTEN, &["client_files: ['clients/*.json']"]);
    stage.write("clients/a.json", &stage.listing(0, 0, 3));
    let exporter = stage.start().await.expect("it starts");
    let [left, stays] = [0, 1].map(|n| stage.clients(0, n, n + 1)[0].clone());
    let before = exporter
        .until("the first sweep", |scrape| {
            online(scrape, stage.clients(0, 0, 3))
        })
        .await;
    assert!(
        series_of(&before, &left) == 4 && before.value(SINCE, &[("client_id", &stays)]).is_some()
    );

    stage.write("clients/a.json", &stage.listing(0, 1, 5));
    stage.write("clients/b.json", &stage.listing(0, 5, 10));
    let after = exporter
        .until("the new devices", |scrape| {
            online(scrape, stage.clients(0, 1, 10))
        })
        .await;
    assert_eq!(series_of(&after, &left), 0);
    let since = |scrape: &Scrape| scrape.value(SINCE, &[("client_id", &stays)]);
    assert_eq!(
        since(&after),
        since(&before),
        "what stays keeps what is known of it"
    );
    let source = [(
        "source",
        &*stage.path("clients/*.json").display().to_string(),
    )];
    assert_eq!(
        after.value("mqtt_presence_discovery_clients", &source),
        Some(9.0)
    );

    std::fs::remove_file(stage.path("clients/b.json")).expect("a file");
    let fewer = exporter
        .until("a file is gone", |scrape| {
            series_of(scrape, &stage.clients(0, 9, 10)[0]) == 0
        })
        .await;
    assert!(online(&fewer, stage.clients(0, 1, 5)));
    assert_eq!(fewer.value(FAILURES, &source), Some(0.0));
}

#[tokio::test]
async fn a_file_that_became_bad_keeps_its_last_good_contents_and_is_counted() {
    let stage = stage(1, 6).await;
    stage.configure(OFTEN, &["client_files: [one.yaml, more.json]"]);
    stage.write("one.yaml", &stage.listing(0, 0, 2));
    stage.write("more.json", &stage.listing(0, 2, 4));
    let exporter = stage.start().await.expect("it starts");
    let before = exporter
        .until("the first sweep", |scrape| {
            online(scrape, stage.clients(0, 0, 4))
        })
        .await;
    let [one, more] = ["one.yaml", "more.json"].map(|name| stage.path(name).display().to_string());
    let failures = |scrape: &Scrape, source: &str| scrape.value(FAILURES, &[("source", source)]);
    assert_eq!(
        (failures(&before, &one), failures(&before, &more)),
        (Some(0.0), Some(0.0))
    );

    let too_long = format!("- targets: [{}]", "x".repeat(257));
    let bad = [
        "- targets: [",
        "- {targets: [a], label: {}}",
        "\u{0}",
        &too_long,
    ];
    for (n, bad) in bad.into_iter().enumerate() {
        stage.write("one.yaml", bad);
        let after = exporter
            .until("a failure", |scrape| {
                failures(scrape, &one) > Some(n as f64)
            })
            .await;
        assert_eq!(devices(&after), devices(&before));
        assert_eq!(failures(&after, &more), Some(0.0));
    }
    // What is good is taken all the same.
    stage.write("more.json", &stage.listing(0, 2, 6));
    let after = exporter
        .until("more devices", |scrape| {
            online(scrape, stage.clients(0, 0, 6))
        })
        .await;
    let counted = failures(&after, &one);
    std::fs::remove_file(stage.path("one.yaml")).expect("a file");
    let gone = exporter
        .until("the file is gone", |scrape| {
            failures(scrape, &one) > counted
        })
        .await;
    assert_eq!(
        devices(&gone),
        devices(&after),
        "a file that is named outright is missed, not forgotten"
    );

    let read = |scrape: &Scrape| {
        scrape
            .value(
                "mqtt_presence_discovery_last_success_timestamp_seconds",
                &[("source", &one)],
            )
            .expect("a time")
    };
    stage.write("one.yaml", &stage.listing(0, 0, 1));
    let good = exporter
        .until("it is back", |scrape| {
            series_of(scrape, &stage.clients(0, 1, 2)[0]) == 0
        })
        .await;
    assert!(read(&good) > read(&gone) && online(&good, stage.clients(0, 0, 1)));
}

/// A volume of Kubernetes: the file is a link through `..data`, which is what changes.
#[tokio::test]
async fn a_config_map_is_followed() {
    let stage = stage(1, 4).await;
    stage.configure(OFTEN, &["client_files: [map/clients.json]"]);
    stage.write("map/..1/clients.json", &stage.listing(0, 0, 2));
    point(&stage.path("map/..data"), "..1");
    point(&stage.path("map/clients.json"), "..data/clients.json");
    let exporter = stage.start().await.expect("it starts");
    exporter
        .until("the first sweep", |scrape| {
            online(scrape, stage.clients(0, 0, 2))
        })
        .await;
    for n in 2..5 {
        stage.write(
            &format!("map/..{n}/clients.json"),
            &stage.listing(0, n - 2, n),
        );
        point(&stage.path("map/..data"), &format!("..{n}"));
        std::fs::remove_dir_all(stage.path(&format!("map/..{}", n - 1))).expect("the old one");
        let scrape = exporter
            .until("the new map", |scrape| {
                online(scrape, stage.clients(0, n - 2, n))
            })
            .await;
        assert_eq!(scrape.series(super::INFO).len(), 2);
    }
}

#[tokio::test]
async fn one_file_feeds_several_instances_and_foreign_ones_are_left_out() {
    let stage = stage(2, 3).await;
    let [first, second] = [0, 1].map(|n| stage.announcement.instance_ids[n].clone());
    stage.configure(OFTEN, &["client_files: [all.json]", "labels: {site: b}"]);
    let group = |instance: &str, n| serde_json::json!({ "targets": stage.clients(n, 0, 2), "labels": {"__instance_id__": instance, "__meta_x": "y"} });
    let plain = serde_json::json!({ "targets": stage.clients(0, 2, 3) });
    let listing = serde_json::json!([
        plain,
        group(&first, 0),
        group(&second, 1),
        group("post-cn-other", 1)
    ]);
    stage.write("all.json", &listing.to_string());
    let exporter = stage.start().await.expect("it starts");
    let all = [stage.clients(0, 0, 3), stage.clients(1, 0, 2)].concat();
    let scrape = exporter
        .until("the first sweep", |scrape| online(scrape, &all))
        .await;
    assert_eq!(
        scrape
            .matching(super::INFO, &[("instance_id", &first)])
            .len(),
        3
    );
    assert_eq!(
        scrape
            .matching(super::INFO, &[("instance_id", &second), ("site", "b")])
            .len(),
        2
    );
    assert_eq!(scrape.series(super::INFO).len(), 5);
    assert!(
        scrape
            .series(super::INFO)
            .iter()
            .all(|sample| sample.labels.keys().all(|name| !name.starts_with("__")))
    );
}

#[tokio::test]
async fn too_many_clients_are_refused_at_start_and_change_nothing_later() {
    let stage = stage(1, 6).await;
    let configure = |most| {
        stage.configure(
            &format!("{OFTEN}\nmax_clients: {most}"),
            &["client_files: [a.json]"],
        );
    };
    configure(2);
    stage.write("a.json", &stage.listing(0, 0, 3));
    let refused = stage.start().await.err().expect("too many");
    assert!(
        matches!(&refused, CommandError::Usage(text) if text.starts_with("max_clients: there are 3 clients")),
        "{refused}"
    );

    configure(3);
    let exporter = stage.start().await.expect("it starts");
    let before = exporter
        .until("the first sweep", |scrape| {
            online(scrape, stage.clients(0, 0, 3))
        })
        .await;
    stage.write("a.json", &stage.listing(0, 0, 6));
    let after = exporter
        .until("a failure", |scrape| scrape.sum(FAILURES, &[]) > 0.0)
        .await;
    assert_eq!(devices(&after), devices(&before));
    let answer = exporter.reload().await;
    assert_eq!(answer.status, 500);
    assert!(
        answer
            .text()
            .starts_with("max_clients: there are 6 clients, more than 3"),
        "{}",
        answer.text()
    );

    configure(6);
    assert_eq!(exporter.reload().await.status, 200);
    exporter
        .until("all of them", |scrape| {
            online(scrape, stage.clients(0, 0, 6))
        })
        .await;
}
