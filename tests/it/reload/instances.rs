//! Configurations that change.

use mqtt_presence_exporter::app::CommandError;
use mqtt_presence_exporter::simulator::Faults;

use super::{INFO, OFTEN, devices, online, stage};
use crate::support::SINGLE;
use crate::support::exposition::Scrape;
use crate::support::live::Stage;

const RELOADED: &str = "mqtt_presence_config_last_reload_successful";
const RELOADED_AT: &str = "mqtt_presence_config_last_reload_success_timestamp_seconds";

fn listed(stage: &Stage, n: usize, from: usize, to: usize) -> String {
    format!(
        "clients: {}",
        serde_json::to_string(stage.clients(n, from, to)).expect("strings")
    )
}

#[tokio::test]
async fn a_bad_configuration_changes_nothing_and_its_caller_gets_every_problem() {
    let stage = stage(1, 4).await;
    stage.configure(
        OFTEN,
        &[&(listed(&stage, 0, 0, 2) + ", client_files: [a.json]")],
    );
    stage.write("a.json", &stage.listing(0, 2, 3));
    let exporter = stage.start().await.expect("it starts");
    let before = exporter
        .until("the first sweep", |scrape| {
            online(scrape, stage.clients(0, 0, 3))
        })
        .await;
    assert_eq!(before.value(RELOADED, &[]), Some(1.0));
    let shown = exporter.ask("GET", "/config").await.text().to_owned();

    stage.configure("collect: {max_agee: 1s}\nmax_clients: 0", &["clients: []"]);
    let answer = exporter.reload().await;
    assert_eq!(answer.status, 500);
    for problem in [
        "config.yaml:1:11: collect.max_agee: unknown key",
        "config.yaml:2:14: max_clients: 0 is not",
    ] {
        assert!(answer.text().contains(problem), "{}", answer.text());
    }
    assert!(
        answer.text().ends_with("the previous one stays in use\n"),
        "{}",
        answer.text()
    );
    stage.configure(OFTEN, &["client_files: [a.json, b.json]"]);
    stage.write("a.json", "[{}]");
    stage.write("b.json", "[7]");
    let answer = exporter.reload().await;
    assert_eq!(answer.status, 500);
    assert!(
        answer.text().contains("a.json:1:2: [0]: `targets`")
            && answer.text().contains("b.json:1:2: [0]: "),
        "{}",
        answer.text()
    );

    let after = exporter.scrape().await;
    assert_eq!(devices(&after), devices(&before));
    assert_eq!(after.value(RELOADED, &[]), Some(0.0));
    assert_eq!(
        after.value(RELOADED_AT, &[]),
        before.value(RELOADED_AT, &[])
    );
    assert_eq!(exporter.ask("GET", "/config").await.text(), shown);

    stage.configure(OFTEN, &[&listed(&stage, 0, 1, 4)]);
    let answer = exporter.reload().await;
    assert_eq!(
        (answer.status, answer.text()),
        (200, "configuration reloaded; instances: 1, clients: 3\n")
    );
    let good = exporter.scrape().await;
    assert_eq!(good.series(INFO).len(), 3, "at the next scrape");
    assert_eq!(good.value(RELOADED, &[]), Some(1.0));
    assert!(good.value(RELOADED_AT, &[]) > before.value(RELOADED_AT, &[]));
    assert_ne!(exporter.ask("GET", "/config").await.text(), shown);
    assert_eq!(
        good.matching("mqtt_presence_discovery_clients", &[]).len(),
        1,
        "sources that left leave"
    );
}

#[tokio::test]
async fn a_share_without_a_slot_is_refused_at_start_and_changes_nothing_later() {
    let stage = stage(1, 3).await;
    let configure = |share| {
        let clients = listed(&stage, 0, 0, 3);
        stage.configure(&format!("{OFTEN}\nlimits: {{share: {share}}}"), &[&clients]);
    };
    let no_slot = "limits.share: leaves no slot for QuerySessionByClientId: 265 slots";
    configure("0.003");
    let refused = stage.start().await.err().expect("no slot");
    assert!(
        matches!(&refused, CommandError::Usage(text) if text.starts_with(no_slot)),
        "{refused}"
    );
    configure("0.5");
    let exporter = stage.start().await.expect("it starts");
    configure("0.003");
    let answer = exporter.reload().await;
    assert_eq!(answer.status, 500);
    assert!(answer.text().starts_with(no_slot), "{}", answer.text());
    let shown = exporter.ask("GET", "/config").await;
    assert!(shown.text().contains("share: 0.5\n"), "{}", shown.text());
}

#[tokio::test]
async fn reloading_over_http_has_to_be_asked_for_and_is_no_link() {
    let stage = stage(1, 1).await;
    stage.configure("", &[&listed(&stage, 0, 0, 1)]);
    let exporter = stage.start().await.expect("it starts");
    assert_eq!(exporter.ask("GET", "/-/reload").await.status, 405);
    assert!(!exporter.ask("GET", "/").await.text().contains("/-/reload"));
    assert_eq!(exporter.ask("PUT", "/-/reload").await.status, 200);
}

#[tokio::test]
async fn a_hangup_reloads() {
    let stage = stage(1, 2).await;
    stage.configure(OFTEN, &[&listed(&stage, 0, 0, 1)]);
    let exporter = stage.start().await.expect("it starts");
    stage.configure(OFTEN, &[&listed(&stage, 0, 0, 2)]);
    exporter.hangup.notify_one();
    exporter
        .until("the new device", |scrape| {
            online(scrape, stage.clients(0, 0, 2))
        })
        .await;
}

#[tokio::test]
async fn instances_come_and_leave_with_all_their_series() {
    let stage = stage(2, 2).await;
    let [first, second] = [0, 1].map(|n| listed(&stage, n, 0, 2));
    let id = &stage.announcement.instance_ids[1];
    let speaks_of_it = |scrape: &Scrape| {
        let samples = scrape.families.iter().flat_map(|family| &family.samples);
        samples
            .filter(|sample| sample.labels.values().any(|value| value.contains(&**id)))
            .count()
    };
    stage.configure(OFTEN, &[&first]);
    let exporter = stage.start().await.expect("it starts");
    for _ in 0..3 {
        stage.configure(OFTEN, &[&first, &second]);
        assert_eq!(exporter.reload().await.status, 200);
        let both = exporter
            .until("both", |scrape| online(scrape, stage.clients(1, 0, 2)))
            .await;
        assert!(speaks_of_it(&both) > 40 && online(&both, stage.clients(0, 0, 2)));
        stage.configure(OFTEN, &[&first]);
        assert_eq!(exporter.reload().await.status, 200);
        assert_eq!(speaks_of_it(&exporter.scrape().await), 0);
    }
}

/// The wrong secret stops all calls for a while; a reload is how one says that it is right now.
#[tokio::test]
async fn the_series_of_an_account_end_with_its_last_instance() {
    let stage = stage(1, 1).await;
    let clients = listed(&stage, 0, 0, 1);
    let credentials = format!(
        "credentials: {{type: access_key, access_key_id: {}, access_key_secret: {}, account: big}}",
        stage.announcement.access_key_id, stage.announcement.access_key_secret
    );
    let in_account = format!("{clients}, {credentials}");
    let layers = |scrape: &Scrape| {
        let rates = scrape.matching("mqtt_presence_limiter_calls_per_second", &[]);
        let names = rates.iter().map(|rate| {
            let [layer, name] = ["layer", "name"].map(|label| rate.label(label).to_owned());
            (layer, name)
        });
        names.collect::<std::collections::BTreeSet<_>>()
    };
    let of = |account: &str| {
        let instance = stage.announcement.instance_ids[0].as_str();
        let layers = [("account", account), ("egress", ""), ("instance", instance)];
        layers
            .map(|(layer, name)| (layer.to_owned(), name.to_owned()))
            .into()
    };
    stage.configure(OFTEN, &[&in_account]);
    let exporter = stage.start().await.expect("it starts");
    for (account, of_instance) in [
        ("big", &in_account),
        ("default", &clients),
        ("big", &in_account),
    ] {
        stage.configure(OFTEN, &[of_instance]);
        assert_eq!(exporter.reload().await.status, 200);
        let scrape = exporter.scrape().await;
        assert_eq!(layers(&scrape), of(account));
    }
}

#[tokio::test]
async fn a_reload_lets_calls_be_made_again_at_once() {
    let stage = stage(1, 2).await;
    let clients = listed(&stage, 0, 0, 2);
    let wrong = format!(
        "{clients}, credentials: {{type: access_key, access_key_id: LTAI5tOther, access_key_secret: other}}"
    );
    stage.configure(OFTEN, &[&wrong]);
    let exporter = stage.start().await.expect("it starts");
    let up = |scrape: &Scrape| scrape.value("mqtt_presence_api_up", &[]);
    exporter
        .until("it is refused", |scrape| up(scrape) == Some(0.0))
        .await;
    let refused = stage.simulator.stats().arrivals[SINGLE];
    exporter.scrape().await;
    assert_eq!(
        stage.simulator.stats().arrivals[SINGLE],
        refused,
        "the breaker is open"
    );
    stage.configure(OFTEN, &[&clients]);
    assert_eq!(exporter.reload().await.status, 200);
    let scrape = exporter
        .until("it is let in", |scrape| up(scrape) == Some(1.0))
        .await;
    assert!(online(&scrape, stage.clients(0, 0, 2)));
    let requests = scrape.sum("mqtt_presence_api_requests_total", &[]);
    assert!(
        requests < 10.0,
        "{requests} calls: nothing was asked again and again"
    );
}

/// A sweep that hangs at an endpoint is not waited for when there is another endpoint.
#[tokio::test]
async fn what_is_configured_anew_is_in_force_before_a_long_sweep_has_ended() {
    let stage = Stage::new(
        1,
        500,
        Faults {
            hang: "1".parse().expect("a probability"),
            ..Faults::default()
        },
    )
    .await;
    let clients = listed(&stage, 0, 0, 500);
    let collect = "collect: {max_age: 1ms, call_timeout: 1s, retries: 0, concurrency: 4}";
    stage.configure(collect, &[&clients]);
    let exporter = stage.start().await.expect("it starts");
    exporter
        .until("calls time out", |scrape| {
            scrape.sum("mqtt_presence_api_errors_total", &[]) > 0.0
        })
        .await;
    stage.simulator.set_faults(Faults::default());
    // Another way to the same simulator, with a rate that sweeps all of them in some seconds.
    let endpoint = stage
        .announcement
        .endpoint
        .replace("127.0.0.1", "localhost");
    stage.configure(
        "collect: {max_age: 1ms}",
        &[&format!("{clients}, calls_per_second: 220")],
    );
    let path = stage.path("config.yaml");
    let text = std::fs::read_to_string(&path)
        .expect("a file")
        .replace(&stage.announcement.endpoint, &endpoint);
    stage.write("config.yaml", &text);
    assert_eq!(exporter.reload().await.status, 200);
    exporter
        .until("every device", |scrape| {
            online(scrape, stage.clients(0, 0, 500))
        })
        .await;
}

/// Timers come and go with the configuration, one an instance.
#[tokio::test]
async fn polling_may_be_switched_on_changed_and_off() {
    let stage = stage(1, 4).await;
    let clients = listed(&stage, 0, 0, 4);
    let calls = || stage.simulator.stats().arrivals[SINGLE];
    stage.configure("collect: {max_age: 2m}", &[&clients]);
    let exporter = stage.start().await.expect("it starts");
    exporter
        .until("the first sweep", |scrape| {
            online(scrape, stage.clients(0, 0, 4))
        })
        .await;
    exporter.scrape().await;
    assert_eq!(calls(), 4, "scrapes start no sweep for two minutes");

    stage.configure("collect: {mode: poll, interval: 200ms}", &[&clients]);
    assert_eq!(exporter.reload().await.status, 200);
    exporter.until("timers start some", |_| calls() > 20).await;
    // A long interval ends the wait within the short one's sweep, and the other way round.
    for interval in ["1h", "200ms"] {
        stage.configure(
            &format!("collect: {{mode: poll, interval: {interval}}}"),
            &[&clients],
        );
        assert_eq!(exporter.reload().await.status, 200);
    }
    let before = calls();
    exporter
        .until("timers start more", |_| calls() > before + 20)
        .await;
    stage.configure("collect: {max_age: 2m}", &[&clients]);
    assert_eq!(exporter.reload().await.status, 200);
    // A scrape waits for what was in flight, and then nothing starts any more.
    exporter.scrape().await;
    let before = calls();
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    assert_eq!(calls(), before);
}
