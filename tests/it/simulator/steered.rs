//! Faults that are turned on and off during a run, and faults of one client.

use std::time::Duration;

use mqtt_presence_exporter::simulator::{Faults, SimulatorOptions};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{Instant, sleep, timeout};

use super::caller::{Stage, connect};
use crate::support::SINGLE;

async fn stage() -> Stage {
    Stage::new(SimulatorOptions::default()).await
}

/// Sets the faults as a user of `simulate` does.
async fn put(stage: &Stage, faults: Value) {
    let body = faults.to_string();
    let set = stage.plain("PUT", "/_simulator/faults", &body).await;
    assert_eq!(set.status, 200, "{body}");
}

#[tokio::test(start_paused = true)]
async fn a_frozen_api_gets_everything_at_the_thaw() {
    let stage = stage().await;
    put(&stage, json!({"freeze": true})).await;
    let client = stage.clients()[0].clone();
    assert!(stage.simulator.set_online(&client, true));
    let mut waiting = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let request = stage.single(&client);
        waiting.spawn(async move { request.send().await.unwrap().online() });
        // These callers give up.
        let request = stage.single(&client);
        let given_up = timeout(Duration::from_millis(500), request.send()).await;
        assert!(given_up.is_err());
    }
    // Longer than a connection without a request is kept.
    sleep(Duration::from_secs(60)).await;
    let stats = stage.plain("GET", "/_simulator/stats", "").await.json();
    assert_eq!(stats["arrivals"]["QuerySessionByClientId"], 0, "{stats}");
    assert!(waiting.try_join_next().is_none());
    assert!(stage.simulator.set_online(&client, false));

    put(&stage, json!({})).await;
    let answers = waiting.join_all().await;
    assert_eq!(answers, [false; 20], "they arrive after the thaw");
    let stats = stage.simulator.stats();
    assert_eq!(stats.arrivals[SINGLE], 40);
    assert_eq!(stats.max_arrivals_per_second[SINGLE], 40);
    assert!(stage.single(&client).send().await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn an_answer_on_its_way_is_held_by_a_freeze() {
    let stage = stage().await;
    put(&stage, json!({"latency": "1s"})).await;
    let client = stage.clients()[0].clone();
    assert!(stage.simulator.set_online(&client, true));
    let request = stage.single(&client);
    let answer = tokio::spawn(async move { request.send().await.unwrap().online() });
    sleep(Duration::from_millis(500)).await;
    assert!(stage.simulator.set_online(&client, false));
    put(&stage, json!({"freeze": true})).await;
    sleep(Duration::from_secs(10)).await;
    assert!(!answer.is_finished());
    put(&stage, json!({})).await;
    assert!(answer.await.unwrap(), "it arrived before the freeze");
}

#[tokio::test(start_paused = true)]
async fn a_frozen_simulator_stops() {
    let stage = stage().await;
    put(&stage, json!({"freeze": true})).await;
    let request = stage.single(&stage.clients()[0]);
    let held = tokio::spawn(async move { request.send().await });
    sleep(Duration::from_secs(1)).await;
    stage.shutdown.cancel();
    stage.simulator.stopped().await;
    assert!(held.await.unwrap().is_err());
}

#[tokio::test(start_paused = true)]
async fn the_answer_about_one_client_is_late_and_says_what_was_true() {
    let stage = stage().await;
    let (late, other) = (&stage.clients()[0], &stage.clients()[1]);
    put(&stage, json!({"late": [format!("{late}=3s")]})).await;
    assert!(stage.simulator.set_online(late, true));
    let started = Instant::now();
    assert!(stage.single(other).send().await.is_ok());
    assert!(started.elapsed() < Duration::from_secs(1));
    for request in [stage.single(late), stage.batch([other, late])] {
        let started = Instant::now();
        let answer = tokio::spawn(async move { request.send().await.unwrap() });
        sleep(Duration::from_secs(1)).await;
        assert!(stage.simulator.set_online(late, false));
        let answer = answer.await.unwrap();
        assert!(started.elapsed() >= Duration::from_secs(3));
        if answer.json()["OnlineStatus"].is_boolean() {
            assert!(answer.online(), "the status at the arrival");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn clients_are_refused_with_any_status_and_code() {
    let stage = stage().await;
    let [a, b, c] = &stage.clients()[..3] else {
        panic!("three clients")
    };
    let refusals = [
        format!("{a}=404:ClientIdNotExist"),
        format!("{b}=414"),
        "*=403:NoPermission".to_owned(),
    ];
    put(&stage, json!({"refusal": refusals[..2]})).await;
    let refused = stage.single(a).send().await.unwrap();
    assert_eq!(refused.error(), (404, "ClientIdNotExist".to_owned()));
    let page = stage.single(b).send().await.unwrap();
    assert_eq!(
        (page.status, &*page.headers["content-type"]),
        (414, "text/html")
    );
    assert_eq!(stage.single(c).send().await.unwrap().status, 200);
    let batch = stage.batch([c, a]).send().await.unwrap();
    assert_eq!(batch.error(), (404, "ClientIdNotExist".to_owned()));

    put(&stage, json!({"refusal": refusals})).await;
    let all = stage.single(c).send().await.unwrap();
    assert_eq!(all.error(), (403, "NoPermission".to_owned()));
    let stats = stage.simulator.stats();
    assert_eq!(stats.answers["error_page"], 1);
    assert_eq!(stats.answers["ClientIdNotExist"], 2);
}

/// How many of a hundred calls in one second are granted.
async fn granted(stage: &Stage) -> usize {
    sleep(Duration::from_secs(2)).await;
    let mut granted = 0;
    for _ in 0..100 {
        let answer = stage.single(&stage.clients()[0]).send().await.unwrap();
        granted += usize::from(answer.status == 200);
    }
    granted
}

#[tokio::test(start_paused = true)]
async fn a_quota_changes_during_a_run() {
    let stage = stage().await;
    assert_eq!(granted(&stage).await, 100);
    put(&stage, json!({"quota": ["QuerySessionByClientId=50"]})).await;
    assert_eq!(granted(&stage).await, 50);
    put(&stage, json!({"quota": ["*=70"]})).await;
    assert_eq!(granted(&stage).await, 70);
    put(&stage, json!({})).await;
    assert_eq!(granted(&stage).await, 100);
}

#[tokio::test(start_paused = true)]
async fn the_date_header_may_be_wrong_alone() {
    let stage = stage().await;
    put(&stage, json!({"date_skew": 3600})).await;
    let answer = stage.single(&stage.clients()[0]).send().await.unwrap();
    assert_eq!(answer.status, 200, "the server's clock is right");
    let date = httpdate::parse_http_date(&answer.headers["date"]).unwrap();
    let ahead = date.duration_since(stage.clock.now().to_system_time());
    let ahead = ahead.unwrap().as_secs();
    assert!((3590..=3600).contains(&ahead), "{ahead}");
}

#[tokio::test(start_paused = true)]
async fn open_connections_die_and_new_ones_work() {
    let stage = stage().await;
    let text = stage.single(&stage.clients()[0]).text("keep-alive");
    let here = [127, 0, 0, 1].into();
    let mut old = connect(here, stage.address()).await.unwrap();
    let mut byte = [0; 1];
    old.write_all(text.as_bytes()).await.unwrap();
    old.read_exact(&mut byte).await.unwrap();
    stage.simulator.set_faults(Faults {
        dead_connections: true,
        ..Faults::default()
    });
    sleep(Duration::from_millis(10)).await;
    let before = stage.simulator.stats().arrivals[SINGLE];
    let text = stage.single(&stage.clients()[0]).text("keep-alive");
    old.write_all(text.as_bytes()).await.unwrap();
    let answer = async {
        let mut buffer = [0; 4096];
        // The rest of the first answer is there.
        while old.read(&mut buffer).await.unwrap() > 0 {}
    };
    let closed = timeout(Duration::from_secs(100), answer).await;
    assert!(closed.is_err(), "it is neither answered nor closed");
    assert_eq!(stage.simulator.stats().arrivals[SINGLE], before);
    assert!(stage.single(&stage.clients()[0]).send().await.is_ok());
    stage.shutdown.cancel();
    stage.simulator.stopped().await;
}
